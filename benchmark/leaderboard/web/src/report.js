// A run's report: the answer, then everything of report.md in folds, as tables that can be downloaded.
import { firstScreen } from "./answer.js";
import { isLoaded } from "./detail.js";
import { fill, h } from "./dom.js";
import { resultFigures } from "./stored.js";
import { csvOfTable, save } from "./download.js";
import { counted } from "./format.js";
import { select } from "./panel.js";

/** Most results whose folds are in view at once. */
const MOST_OPEN = 3;

export function createReport({ board, container, change, linkTo }) {
  const sections = sectionsOf(board.report ?? []);
  const single = board.first?.encoders.length === 1;
  return function render(state) {
    const width = Math.max(260, container.clientWidth);
    const context = { board, state, change, linkTo };
    const results = sections.filter(({ parts }) => parts.length);
    const wanted = results.some(({ id }) => id === state.result) ? state.result : "";
    const shown = sections.filter(({ id, parts }) => !wanted || !parts.length || id === wanted);
    fill(
      container,
      firstScreen(context, width),
      board.rows.flatMap((row) => resultFigures(context, isLoaded(row) || [], width, row.key)),
      h("h2", { class: "details-title" }, "Details"),
      results.length > 1
        ? h("div", { class: "row choices" }, select(context, "result", "Show", [["", `all ${results.length} results`], ...results.map(({ id, heading }) => [id, heading])], wanted))
        : null,
      shown.map((section) => drawn(section, shown.length <= MOST_OPEN || section.id === wanted)),
    );
  };

  /** A result: its heading, what stands before its parts, and a fold for each part. */
  function drawn({ id, heading, blocks, parts }, open) {
    const title = single ? heading.replace(`${board.first.encoders[0].name} on `, "On ") : heading;
    if (!parts.length) return fold(title || "Notes", blocks.map((block, i) => written(block, `${id}-${i}`, title)));
    return h("details", { class: "result-section", open },
      h("summary", {}, h("h3", {}, title)),
      blocks.map((block, i) => written(block, `${id}-${i}`, title)),
      parts.map((part) => fold(part.heading, part.blocks.map((block, i) => written(block, `${part.id}-${i}`, `${part.heading}, ${title}`)))));
  }
}

function fold(title, content) {
  return h("details", { class: "fold" }, h("summary", {}, title), content);
}

/** Cut at headings: sections, in them the parts under further headings. */
function sectionsOf(blocks) {
  const sections = [{ id: "0", heading: "", blocks: [], parts: [] }];
  for (const block of blocks) {
    const section = sections.at(-1);
    if (block.kind !== "heading") (section.parts.at(-1) ?? section).blocks.push(block);
    else if (block.level > 2) section.parts.push({ id: `${section.id}-${section.parts.length}`, heading: block.text, blocks: [] });
    else sections.push({ id: String(sections.length), heading: block.text, blocks: [], parts: [] });
  }
  return sections.filter(({ heading, blocks }) => heading || blocks.length);
}

function written(block, id, heading) {
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
        h("caption", { class: "visually-hidden" }, `${head[0]}: ${counted(rows.length, "row")}`),
        h("thead", {}, h("tr", {}, head.map((name, i) => h("th", { scope: "col", class: number(i) }, name)))),
        h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, i) =>
          i ? h("td", { class: number(i) }, cell) : h("th", { scope: "row" }, cell))))))),
    h("button", { type: "button", class: "small", onclick: () => save(`camtrace-table-${id}.csv`, "text/csv", csvOfTable(head, rows)) }, "Table as CSV"));
}
