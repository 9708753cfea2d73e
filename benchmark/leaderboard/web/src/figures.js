// The figures: each has a heading, its own choices, a caption, a summary in words and a link to its table.
import { fill, h } from "./dom.js";
import { csvOf, save } from "./download.js";
import { count, millions, percent, shown } from "./format.js";
import { galleryFigure } from "./gallery.js";
import * as m from "./model.js";
import { axis, chosen, figure, fullLabel, range, scoreRecords, select, sentence } from "./panel.js";
import * as plots from "./plots.js";
import { similarityFigure } from "./similarity.js";
import { stripFigure } from "./strip.js";
import { direction } from "./table.js";

export function createFigures({ board, container, change, linkTo }) {
  return function render(state) {
    const rows = board.rows.filter((row) => m.passes(row, state));
    const width = Math.max(260, container.clientWidth);
    const context = { board, state, rows, width, change, linkTo };
    fill(
      container,
      h("p", { class: "legend" }, board.groups.map(({ id, label }) =>
        h("span", {}, h("span", { class: `dot group-${id.toLowerCase()}`, "aria-hidden": "true" }), label)),
        h("span", {}, "● published  ◆ measured")),
      rows.length ? null : h("p", {}, "No encoder passes the filters."),
      barFigure(context, "processing", "pdata"),
      barFigure(context, "acquisition", "adata"),
      setupFigure(context),
      recallFigure(context),
      scatterFigure(context),
      forestFigure(context),
      groupFigure(context),
      stripFigure(context),
      similarityFigure(context),
      galleryFigure(context),
    );
  };
}

function barFigure(context, family, key) {
  const { board, state, rows, width } = context;
  const choices = m.dataOf(board, family);
  if (!choices.length) return null;
  const data = chosen(choices, state[key], state.data);
  const columns = board.columns.filter((c) => c.family === family && c.data === data && c.kind === "trace");
  const panel = width < 700 ? width : (width - 24) / 2;
  const label = board.families.find(({ id }) => id === family).label;
  return figure(context, {
    id: `bars-${family}`,
    title: `${label}: accuracy of a linear probe`,
    choices: [select(context, key, "Data set", choices.map((d) => [d.id, d.label]), data)],
    panels: columns.map((column) => ({
      title: column.label,
      node: plots.bars({ board, column, rows, width: panel, label: sentence(column, rows) }),
      summary: sentence(column, rows),
    })),
    caption:
      "One bar per encoder, highest first, coloured by training type; a diamond under the bar marks a measured one. " +
      "The vertical stroke is the 95 % interval, the dashed line is chance; axes begin at 0 and end at 100 or at the next ten.",
    table: { family, data },
    records: scoreRecords(board, columns, rows),
  });
}

function setupFigure(context) {
  const { board, state, rows, width } = context;
  const choices = m.dataOf(board, "knn");
  if (!choices.length) return null;
  const data = chosen(choices, state.kdata, state.data);
  const columns = board.columns.filter((c) => c.family === "knn" && c.data === data && c.kind === "accuracy");
  const parameters = [...new Set(columns.map(({ parameter }) => parameter))];
  const panel = width < 700 ? width : (width - 24) / 2;
  const summary = (parameter) => {
    const pair = ["pos-same", "neg-same"].map((name) => columns.find((c) => c.parameter === parameter && c.metric === name));
    const title = columns.find((c) => c.parameter === parameter).group;
    if (pair.some((column) => !column)) return `${title}: no positive and negative set-ups.`;
    const gaps = rows
      .filter((row) => pair.every((column) => row.cells[column.index]))
      .map((row) => ({ row, value: row.cells[pair[0].index].value - row.cells[pair[1].index].value }))
      .sort((a, b) => b.value - a.value);
    if (!gaps.length) return `${title}: no encoder in view.`;
    return `${title}: pos-same exceeds neg-same by ${points(gaps.at(-1))}, to ${points(gaps[0])}.`;
  };
  const points = ({ row, value }) => `${percent(value)} points, ${row.name}`;
  return figure(context, {
    id: "setups",
    title: "kNN set-ups side by side",
    choices: [
      select(context, "kdata", "Data set", choices.map((d) => [d.id, d.label]), data),
      select(context, "scale", "Scale", [["absolute", "accuracy"], ["difference", "difference from all-same"]], state.scale),
    ],
    panels: parameters.map((parameter) => ({
      title: columns.find((c) => c.parameter === parameter).group,
      node: plots.setups({
        board, rows, width: panel, scale: state.scale, label: summary(parameter),
        columns: columns.filter((c) => c.parameter === parameter),
      }),
      summary: summary(parameter),
    })),
    caption:
      "One line per encoder. Each set-up fixes which training photos share the query's processing: in pos-same only " +
      "those of its class do, in neg-same only those of other classes. A flat line: equal accuracy in all set-ups.",
    table: { family: "knn", data },
    records: scoreRecords(board, columns, rows),
  });
}

function recallFigure(context) {
  const { board, state, rows, width } = context;
  const choices = m.dataOf(board, "retrieval");
  if (!choices.length) return null;
  const data = chosen(choices, state.rdata, state.data);
  const of = (metric) => board.columns.find((c) => c.family === "retrieval" && c.data === data && c.metric === metric);
  const [same, different] = [of("same"), of("different")];
  if (!same || !different) return null;
  const both = rows.filter((row) => row.cells[same.index] && row.cells[different.index]);
  const below = both.filter((row) => row.cells[different.index].value < row.cells[same.index].value).length;
  const summary = both.length
    ? `${below} of ${both.length} encoders have a lower recall where the distractors come from the query's own camera type. ` +
      range(different, both) + " " + range(same, both)
    : "No encoder in view has both recalls.";
  return figure(context, {
    id: "recall",
    beside: true,
    title: "Retrieval of camera pairs: same against different",
    choices: [
      select(context, "rdata", "Data set", choices.map((d) => [d.id, d.label]), data),
      select(context, "zoom", "Range", [["1", "zoom to the encoders"], ["", "whole range"]], state.zoom),
    ],
    panels: [{
      title: "",
      node: plots.scatter({ board, rows, width, zoom: state.zoom === "1", diagonal: true, label: summary, x: axis(same), y: axis(different) }),
      summary,
    }],
    caption:
      "Recall@1. Same: every distractor comes from the target's camera type, the other one than the query's. Different: " +
      "distractors come from the query's own type. On the dashed line y = x both recalls are equal.",
    table: { family: "retrieval", data },
    records: scoreRecords(board, [same, different], rows),
  });
}

function scatterFigure(context) {
  const { board, state, rows, width } = context;
  const axes = board.compared.filter((c) => c.count > 1).map((column) => [column.id, fullLabel(board, column)]);
  const sized = board.rows.some((row) => row.parameters);
  if (axes.length < 2) return null;
  const xs = sized ? [["parameters", "parameters of the encoder"], ...axes] : axes;
  const ofKind = (kind) => {
    const held = board.columns.filter((c) => c.family === "summary" && c.kind === kind && c.count > 1);
    return held.find((c) => c.data === state.data) ?? held[0];
  };
  const [trace, cost] = [ofKind("trace"), ofKind("size")];
  const xId = xs.some(([id]) => id === state.x) ? state.x : trace?.id ?? axes[0][0];
  const yId = board.column.has(state.y) ? state.y : cost?.id ?? axes[1][0];
  const y = board.column.get(yId);
  const x = xId === "parameters" ? size() : axis(board.column.get(xId));
  const both = rows.filter((row) => x.of(row) !== null && row.cells[y.index]);
  const front = xId === "parameters" ? (m.mostFirst(y, state) ? "most" : "least") : null;
  const summary = `${both.length} encoders have both. ${range(y, both)}`;
  return figure(context, {
    id: "scatter",
    beside: true,
    title: "Any two scores, or a score against size",
    choices: [select(context, "x", "Across", xs, xId), select(context, "y", "Up", axes, yId)],
    panels: [{ title: "", node: plots.scatter({ board, rows, width, x, y: axis(y), front, label: summary }), summary }],
    caption: front
      ? `Each mark is an encoder. The stepped line joins those that no smaller encoder beats, where ${direction(y, state)} wins.`
      : "Each mark is an encoder.",
    table: { family: y.family, data: y.data },
    records: scoreRecords(board, xId === "parameters" ? [y] : [board.column.get(xId), y], rows),
  });
}

const MOST_IN_FOREST = 60;

function forestFigure(context) {
  const { board, state, rows, width } = context;
  const held = board.compared.filter((c) => c.count);
  const choices = held.map((column) => [column.id, fullLabel(board, column)]);
  if (!choices.length) return null;
  const column = board.column.get(state.column) ?? held.find((c) => c.data === state.data) ?? held[0];
  const ordered = m.sorted(rows.filter((row) => row.cells[column.index]), { column, by: "", descending: m.mostFirst(column, state) });
  const first = ordered.slice(0, MOST_IN_FOREST);
  const summary = sentence(column, rows);
  return figure(context, {
    id: "forest",
    title: "One score with its intervals",
    choices: [select(context, "column", "Score", choices, column.id)],
    panels: [{ title: "", node: plots.forest({ board, column, rows: first, width, label: summary }), summary }],
    caption:
      `Dot and 95 % interval, ${direction(column, state)} first; encoders whose intervals share a rank are tied.` +
      (ordered.length > first.length ? ` The first ${first.length} of ${count(ordered.length)}: filter to see others.` : "") +
      " No interval where the study printed none and none follows from its counts.",
    table: { family: column.family, data: column.data },
    records: scoreRecords(board, [column], ordered),
  });
}

function groupFigure(context) {
  const { board, linkTo } = context;
  const columns = board.compared.filter((c) => board.group_means[c.id] && c.family !== "knn");
  if (!columns.length) return null;
  const groups = board.groups.filter(({ id }) => columns.some((c) => board.group_means[c.id][id]));
  return h("section", { class: "figure", id: "groups" },
    h("h2", {}, "Means by training type"),
    h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Means by training type" },
      h("table", { class: "plain" },
        h("caption", {}, "Mean over the encoders of a group on the whole board, the least and the greatest of the group in brackets; signs are kept. An encoder that was published and measured counts once."),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Score"), groups.map(({ label }) => h("th", { scope: "col" }, label)))),
        h("tbody", {}, columns.map((column) => h("tr", {},
          h("th", { scope: "row" }, h("a", { href: linkTo({ view: "board", family: column.family, data: column.data, sort: column.id }) }, fullLabel(board, column))),
          groups.map(({ id }) => {
            const mean = board.group_means[column.id][id];
            return h("td", {}, mean ? [h("strong", {}, shown(mean.mean, column)), ` (${shown(mean.low, column)} to ${shown(mean.high, column)}) `, h("small", {}, `n = ${mean.n}`)] : "");
          }))))),
    ),
    h("button", { type: "button", class: "small", onclick: () => save("camtrace-groups.csv", "text/csv", csvOf(columns.flatMap((column) =>
      groups.filter(({ id }) => board.group_means[column.id][id]).map(({ id }) => {
        const { mean, low, high, n } = board.group_means[column.id][id];
        return { data: column.data, task: column.task, metric: column.metric, group: id, mean, least: low, greatest: high, n };
      })))) }, "Data as CSV"),
  );
}

function size() {
  return { label: "parameters", log: true, of: (row) => row.parameters || null, text: (row) => millions(row.parameters) };
}
