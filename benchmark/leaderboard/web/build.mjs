// Bundles src/main.js into board.js (in ../site, or in the folder given) and collects the licence texts of what went in. Same input, same bytes.
import { build } from "esbuild";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const site = process.argv[2] ?? join(here, "..", "site");

const { metafile } = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.js"],
  outfile: join(site, "board.js"),
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome111", "firefox113", "safari16.4"],
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});

const bundled = new Map();
for (const [path, input] of Object.entries(Object.values(metafile.outputs)[0].inputs)) {
  const name = path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1];
  if (name && input.bytesInOutput > 0) bundled.set(name, join(here, "node_modules", name));
}

const parts = ["Third-party code in board.js, with its licences.\n"];
for (const [name, folder] of [...bundled].sort(([a], [b]) => (a < b ? -1 : 1))) {
  const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} ships no licence text`);
  const text = (await readFile(join(folder, file), "utf8")).replaceAll("\r\n", "\n").trim();
  parts.push(`${"=".repeat(80)}\n${name} ${version} (${license})\n${"=".repeat(80)}\n${text}\n`);
}
await writeFile(join(site, "licences.txt"), parts.join("\n"));
