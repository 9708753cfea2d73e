// The frame of every figure, of the board and of a run's report alike: heading, choices, panels, caption, words, data.
import { h } from "./dom.js";
import { csvOf, save } from "./download.js";
import { chance, isShare, scaled, shown } from "./format.js";

/**
 * A figure. `panels` are `{title, node, summary}`; `table` is the state that shows its table on the board, or null;
 * `records` gives its data as a list of flat objects, `lead` stands before the choices.
 */
export function figure({ linkTo }, { id, title, choices = [], panels, caption, lead = null, table = null, records = null, beside = false }) {
  const data = records
    ? h("button", { type: "button", class: "small", onclick: () => save(`camtrace-${id}.csv`, "text/csv", csvOf(records())) }, "Data as CSV")
    : null;
  return h("section", { class: "figure", id },
    title ? h("h2", {}, title) : null,
    lead,
    choices.length ? h("div", { class: "row choices" }, choices) : null,
    h("figure", { class: beside ? "beside" : null },
      h("div", { class: panels.length > 1 ? "panels" : "panels one" }, panels.map(({ title, node, summary }) =>
        h("div", { class: "panel" },
          title ? h("h3", {}, title) : null,
          h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title || "figure" }, node),
          beside || !summary ? null : h("p", { class: "summary" }, summary)))),
      h("figcaption", {}, caption, " ",
        table ? [h("a", { href: linkTo({ view: "board", ...table }) }, "See the table"), ". "] : null, data,
        beside ? panels.map(({ summary }) => h("p", { class: "summary" }, summary)) : null),
    ),
  );
}

/** A choice of the state's `key`; where several figures have it, each names its own element by `of`. */
export function select({ change }, key, label, choices, value, of = key) {
  const id = `choice-${of}`;
  const element = h("select", { id, onchange: (event) => change({ [key]: event.target.value }) },
    choices.map(([choice, text]) => h("option", { value: choice, selected: choice === value }, text)));
  return h("div", { class: "field" }, h("label", { for: id }, label), element);
}

/** A column's name with its question and data set. */
export function fullLabel(board, column) {
  const group = column.family === "knn" ? `kNN ${column.group} ` : "";
  return `${group}${column.label}, ${board.dataset.get(column.data).label}`;
}

/** One column in words: range, who, chance. */
export function sentence(column, rows) {
  return range(column, rows) + (isShare(column) ? ` Chance is ${chance(column)}.` : "");
}

export function range(column, rows) {
  const held = rows
    .filter((row) => row.cells[column.index])
    .map((row) => ({ name: row.name, value: row.cells[column.index].value }))
    .sort((a, b) => a.value - b.value);
  if (!held.length) return `${column.label}: no encoder in view.`;
  const [least, most] = [held[0], held.at(-1)];
  if (held.length === 1) return `${column.label}: ${shown(least.value, column)}${rows.length > 1 ? `, ${least.name}` : ""}.`;
  return `${column.label}: ${held.length} encoders from ${shown(least.value, column)}, ${least.name}, to ${shown(most.value, column)}, ${most.name}.`;
}

/** What a plane needs of a column. */
export function axis(column) {
  return {
    label: column.label,
    of: (row) => (row.cells[column.index] ? scaled(row.cells[column.index].value, column) : null),
    text: (row) => shown(row.cells[column.index].value, column),
  };
}

/** The scores behind a figure, one record each, with every digit. */
export function scoreRecords(board, columns, rows) {
  return () => columns.flatMap((column) =>
    rows.filter((row) => row.cells[column.index]).map((row) => {
      const { value, low, high, n } = row.cells[column.index];
      return { encoder: row.name, origin: row.origin, group: row.group, data: column.data, task: column.task, metric: column.metric, value, low, high, n, chance: column.chance };
    }));
}

/** The data set of a figure: its own choice, else the page's, else the first. */
export function chosen(choices, ...wanted) {
  return wanted.find((id) => choices.some((choice) => choice.id === id)) ?? choices[0].id;
}
