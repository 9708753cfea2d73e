// The page of one encoder: facts, every score, how to repeat it, where it comes from.
import { fill, h, outside, viewer } from "./dom.js";
import { loadDetail } from "./detail.js";
import { resultFigures } from "./stored.js";
import { csvOf, save } from "./download.js";
import { chance, count, interval, isShare, millions, percent, rankText, shown } from "./format.js";
import * as m from "./model.js";
import { scoreRecords } from "./panel.js";
import { dot } from "./table.js";

export function createEncoderPage({ board, container, linkTo, copy }) {
  return function render(state) {
    const row = board.row.get(state.encoder);
    if (!row) {
      fill(container, h("h2", {}, "No such encoder"), h("p", {}, "The address names an encoder that this board does not have. ",
        h("a", { href: linkTo({ view: "board" }) }, "Back to the board"), "."));
      return;
    }
    const twin = board.rows.filter((other) => other !== row && row.id && other.id === row.id);
    fill(
      container,
      h("p", {}, h("a", { href: linkTo({ view: "board", encoder: "" }) }, "← Back to the board")),
      h("h2", {}, row.name, " ", h("span", { class: `badge ${row.origin}` }, row.origin)),
      row.notes.map((note) => h("p", { class: "notice" }, note)),
      twin.map((other) => h("p", {}, "Also on the board: ", h("a", { href: linkTo({ view: "encoder", encoder: other.key }) }, `${other.name} (${other.origin})`), ".")),
      facts(row),
      scores(row, state),
      layers(row, state),
      repeat(row),
      provenance(row),
    );
  };

  function facts(row) {
    const entries = [
      ["Identifier", row.id],
      ["Training type", [dot(row), row.group_label]],
      ["Library", row.library],
      ["Training data", row.training],
      ["Input size", row.input ? `${row.input} px` : ""],
      ["Parameters", row.parameters ? `${millions(row.parameters)} (${count(row.parameters)})` : ""],
      ["Embedding dimension", row.dimension ? count(row.dimension) : ""],
      ["Revision", row.revision],
      ["Weights SHA-256", row.weights_sha256],
    ].filter(([, value]) => value && value.length !== 0);
    return h("dl", { class: "facts" }, entries.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  function scores(row, state) {
    const held = board.columns.filter((column) => row.cells[column.index]);
    const missing = board.columns.length - held.length;
    return h("section", {},
      h("h3", {}, "Every score"),
      h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Every score of this encoder" },
        h("table", { class: "plain" },
          h("caption", {}, `Percent; differences in percentage points. Rank 1 is the ${state.direction === "forensics" ? "most" : "least"} trace, and the highest accuracy.`
            + (missing ? ` ${missing} of the board's ${board.columns.length} columns are not measured for this encoder.` : "")),
          h("thead", {}, h("tr", {}, ["Score", "Data set", "Value", "95 % interval", "n", "Chance", "Rank", "Remarks"].map((name) => h("th", { scope: "col" }, name)))),
          h("tbody", {}, held.map((column) => {
            const cell = row.cells[column.index];
            const label = column.family === "knn" ? `kNN ${column.group} ${column.label}` : column.label;
            return h("tr", {},
              h("th", { scope: "row" }, h("a", { href: linkTo({ view: "board", family: column.family, data: column.data, sort: column.id }), title: column.explain }, label)),
              h("td", {}, board.dataset.get(column.data).label),
              h("td", { class: "score" }, shown(cell.value, column)),
              h("td", { class: "score" }, interval(cell, column)),
              h("td", { class: "score" }, cell.n ? count(cell.n) : ""),
              h("td", { class: "score" }, isShare(column) ? chance(column) : ""),
              h("td", { class: "score" }, ranked(cell, column, state)),
              h("td", {}, cell.flags.map((flag) => board.flags[flag] ?? flag).join("; ")));
          })))),
      h("button", { type: "button", class: "small", onclick: () => save(`camtrace-${row.key}.csv`, "text/csv", csvOf(scoreRecords(board, held, [row])())) }, "Data as CSV"));
  }

  /** Filled when the full results are there; most have no layers. */
  function layers(row, state) {
    const place = h("div", {});
    if (row.origin !== "published") {
      const width = Math.max(260, container.clientWidth);
      loadDetail(row).then((results) => fill(place, resultFigures({ board, state, linkTo }, results, width, "encoder")), () => {});
    }
    return place;
  }

  function ranked(cell, column, state) {
    const text = rankText(m.rank(cell, column, state));
    return text ? `${text} of ${column.ranked}` : "";
  }

  function repeat(row) {
    if (!row.repeat.length) return null;
    return h("section", {},
      h("h3", {}, row.origin === "published" ? "How to measure it yourself" : "How to repeat it"),
      row.repeat.map((command) => h("div", { class: "command" }, h("pre", { tabindex: "0" }, h("code", {}, command)),
        h("button", { type: "button", onclick: () => copy(command) }, "Copy"))));
  }

  function provenance(row) {
    const section = h("section", {}, h("h3", {}, "Provenance"));
    if (row.origin === "published") {
      section.append(h("p", {}, board.source.note, " ", board.source.citation, ", ", outside(board.source.url), "."));
      return section;
    }
    const list = h("table", { class: "plain" },
      h("caption", {}, "Result files behind this row, newest first; where two hold the same score, the newer counts."),
      h("thead", {}, h("tr", {}, ["Data set", "Photos", "Made (UTC)", "Codec canary", "Device", "File"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, row.results.map((result) => h("tr", {},
        h("th", { scope: "row" }, viewer(result.data) ? outside(viewer(result.data), result.data) : result.data), h("td", {}, result.photos), h("td", {}, result.created), h("td", {}, result.canary || "not recorded"),
        h("td", {}, result.device), h("td", {}, result.file)))));
    const full = h("div", { class: "full" }, h("p", {}, "Loading the full results…"));
    section.append(h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Result files" }, list), full);
    loadDetail(row).then(
      (results) => fill(full, results.map(resultDetail)),
      () => fill(full, h("p", {}, "The full results were not published with this page.")),
    );
    return section;
  }

  function resultDetail({ file, result }) {
    const versions = Object.entries(result.environment.versions ?? {}).filter(([, version]) => version).map(([name, version]) => `${name} ${version}`);
    return h("div", { class: "result" },
      h("h4", {}, file),
      versions.length ? h("p", {}, `Versions: ${versions.join(", ")}.`) : null,
      result.failures.length
        ? [h("p", {}, `${count(result.failures.length)} recorded failures:`), h("ul", {}, result.failures.slice(0, 20).map(({ kind, name, reason }) => h("li", {}, `${kind} ${name}: ${reason}`)))]
        : h("p", {}, "No recorded failures."),
      ["encoder", "data", "environment", "cost", "scores", "outputs"].filter((part) => result[part]).map((part) =>
        h("details", {}, h("summary", {}, part), h("pre", { tabindex: "0" }, JSON.stringify(result[part], null, 2)))));
  }
}
