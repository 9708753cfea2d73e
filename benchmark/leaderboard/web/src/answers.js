// Answers of a vision-language model: a bar of flips for each processing and each view of the noise floor.
import { axisY, barX, pointer, ruleX, ruleY, text, tip } from "@observablehq/plot";
import { draw } from "./drawing.js";
import { count, percent } from "./format.js";
import { figure } from "./panel.js";

const NEEDED = ["flips", "flips_low", "flips_high", "right_to_wrong", "wrong_to_right", "accuracy"];

const PARTS = [["right_to_wrong", "right to wrong", "var(--line-0)"], ["wrong_to_right", "wrong to right", "var(--line-1)"], ["wrong_to_wrong", "wrong to wrong", "var(--muted)"]];

/** A figure for each result with answers. `of` tells its ids from others'. */
export function answerFigures(context, results, width, of) {
  return results.flatMap(({ result }, i) => {
    const flips = (result.scores ?? []).filter(({ details }) => details?.guess_flips !== undefined);
    const named = (detail, prefix) => Object.entries(Object.assign({}, ...flips.map(({ details }) => details[detail] ?? {})))
      .filter(([, row]) => NEEDED.every((column) => Number.isFinite(row?.[column])))
      .map(([name, row]) => ({ ...row, name: `${prefix}${name}`, wrong_to_wrong: Math.max(0, row.flips - row.right_to_wrong - row.wrong_to_right) }));
    const rows = [...named("by_processing", ""), ...named("noise", "noise: ")].map((row, at) => ({ ...row, at }));
    if (!rows.some(({ name }) => !name.startsWith("noise: "))) return [];
    const most = rows.filter(({ name }) => !name.startsWith("noise: ")).reduce((a, b) => (b.flips > a.flips ? b : a));
    const summary = `Most answers flip under ${most.name}, ${percent(most.flips)} %.`;
    return [figure(context, {
      id: `answers-${of}-${i}`,
      title: `Answers that flip, ${result.data?.name ?? ""}`,
      panels: [{ title: `Against the unprocessed photo, %, n = ${count(flips[0].n)} photos`, summary, node: drawn(context.board, rows, Math.min(width, 760), summary) }],
      records: () => rows.map(({ name, flips, flips_low, flips_high, right_to_wrong, wrong_to_right, accuracy }) => ({ name, flips, flips_low, flips_high, right_to_wrong, wrong_to_right, accuracy })),
      caption: `Bars from the left: ${PARTS.map(([, title]) => title).join(", ")}. Lines: 95 % intervals over units. The last rows are the noise floor: the unprocessed photo saved as PNG, in another batch, in another precision, with the options in another order.`,
    })];
  });
}

function drawn(board, rows, width, summary) {
  const parts = rows.flatMap((row) => {
    let left = 0;
    return PARTS.map(([name, title, colour]) => {
      const part = { ...row, title, colour, x1: 100 * left, x2: 100 * (left + row[name]) };
      left += row[name];
      return part;
    });
  });
  const tooltip = (r) => `${r.name}: ${percent(r.flips)} % flip (${percent(r.flips_low)} to ${percent(r.flips_high)})\n${PARTS.map(([name, title]) => `${title} ${percent(r[name])} %`).join("\n")}\naccuracy ${percent(r.accuracy)} %`;
  return draw(board, `Answers that flip. ${summary}`, {
    width,
    height: 50 + 22 * rows.length,
    marginLeft: Math.min(200, 16 + 6.6 * Math.max(...rows.map(({ name }) => name.length))),
    marginRight: 44,
    x: { domain: [0, Math.max(1, 100 * Math.max(...rows.map(({ flips_high }) => flips_high)))], label: null, grid: true },
    y: { domain: rows.map(({ at }) => at), padding: 0.3, label: null },
    color: { type: "identity" },
    marks: [
      axisY({ tickFormat: (at) => rows[at].name, tickSize: 0 }),
      barX(parts, { x1: "x1", x2: "x2", y: "at", fill: "colour" }),
      ruleY(rows, { x1: (r) => 100 * r.flips_low, x2: (r) => 100 * r.flips_high, y: "at", stroke: "var(--ink)", strokeWidth: 1.5 }),
      text(rows, { x: (r) => 100 * r.flips_high, y: "at", text: (r) => percent(r.flips), dx: 6, textAnchor: "start", fill: "var(--ink)" }),
      ruleX([0], { stroke: "var(--muted)" }),
      tip(rows, pointer({ x: (r) => 100 * r.flips, y: "at", title: tooltip })),
    ],
  });
}
