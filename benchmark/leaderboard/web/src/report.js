// A run's report: everything of report.md as tables that can be downloaded, and the traces of every encoder as a figure.
import { depthFigures } from "./depth.js";
import { mapFigures } from "./maps.js";
import { isLoaded } from "./detail.js";
import { fill, h } from "./dom.js";
import { csvOfTable, save } from "./download.js";
import { count } from "./format.js";
import { figure, range, scoreRecords, select } from "./panel.js";
import { profile } from "./plots.js";

const PER_PANEL = 14;

export function createReport({ board, container, change, linkTo }) {
  const sections = sectionsOf(board.report ?? []);
  return function render(state) {
    const width = Math.max(260, container.clientWidth);
    const context = { board, state, change, linkTo };
    const named = sections.filter(({ heading }) => heading);
    const wanted = named.some(({ id }) => id === state.result) ? state.result : "";
    const shown = sections.filter(({ id, heading }) => !wanted || !heading || id === wanted);
    fill(
      container,
      named.length > 1
        ? h("div", { class: "row choices" }, select(context, "result", "Show", [["", `all ${named.length} results`], ...named.map(({ id, heading }) => [id, heading])], wanted))
        : null,
      profiles(context, width),
      board.rows.flatMap((row) => [depthFigures, mapFigures].map((figures) => figures(context, isLoaded(row) || [], width, row.key))),
      shown.map((section) => h("section", { class: "result-section" },
        section.heading ? h("h2", {}, section.heading) : null,
        section.blocks.map((block, i) => drawn(block, `${section.id}-${i}`, section.heading)))),
    );
  };

  function profiles(context, width) {
    return board.data.map((data) => {
      const columns = board.columns.filter((c) => c.data === data.id && c.kind === "trace" && c.family !== "summary" && c.family !== "other");
      if (!columns.length) return null;
      const rows = board.rows.filter((row) => columns.some((c) => row.cells[c.index]));
      const panels = [];
      for (let first = 0; first < columns.length; first += PER_PANEL) {
        const some = columns.slice(first, first + PER_PANEL);
        const summary = some.map((c) => range(c, rows)).join(" ");
        panels.push({ title: "", node: profile({ board, columns: some, rows, width: Math.min(width, 760), label: summary }), summary });
      }
      return figure(context, {
        id: `traces-${data.id}`,
        title: `Accuracy of probes that read traces, ${data.label}`,
        panels,
        records: scoreRecords(board, columns, rows),
        table: { family: columns[0].family, data: data.id },
        caption: "Accuracy of linear probes with 95 % intervals; the upright stroke is chance. " +
          (rows.length > 1 ? "One line per encoder, in the order of the legend." : ""),
      });
    });
  }
}

/** Cut at headings; what stands before the first has none. */
function sectionsOf(blocks) {
  const sections = [{ id: "0", heading: "", blocks: [] }];
  for (const block of blocks) {
    if (block.kind === "heading") sections.push({ id: String(sections.length), heading: block.text, blocks: [] });
    else sections.at(-1).blocks.push(block);
  }
  return sections.filter(({ heading, blocks }) => heading || blocks.length);
}

function drawn(block, id, heading) {
  if (block.kind === "table") return table(block, id, heading);
  if (block.kind === "code") return h("pre", { tabindex: "0" }, h("code", {}, block.text));
  const parts = block.text.split("**");
  // An odd number of parts: every second one is strong.
  return h("p", {}, parts.length % 2 ? parts.map((part, i) => (i % 2 ? h("strong", {}, part) : part)) : block.text);
}

function table({ head, rows, right }, id, heading) {
  const number = (i) => (right[i] ? "score" : null);
  return h("div", { class: "told" },
    h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": [head[0], heading].filter(Boolean).join(", ") },
      h("table", { class: "plain" },
        h("caption", { class: "visually-hidden" }, `${head[0]}: ${count(rows.length)} rows`),
        h("thead", {}, h("tr", {}, head.map((name, i) => h("th", { scope: "col", class: number(i) }, name)))),
        h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, i) =>
          i ? h("td", { class: number(i) }, cell) : h("th", { scope: "row" }, cell))))))),
    h("button", { type: "button", class: "small", onclick: () => save(`camtrace-table-${id}.csv`, "text/csv", csvOfTable(head, rows)) }, "Table as CSV"));
}
