// Scenes that several groups show: recall and mean cosine of every pair of groups, for results that have the matrix.
import { axisX, axisY, cell, pointer, text, tip } from "@observablehq/plot";
import { draw, labels, short } from "./drawing.js";
import { h } from "./dom.js";
import { count, percent } from "./format.js";
import { figure } from "./panel.js";

const MOST_OPACITY = 0.85;
const MOST_WRITTEN = 14;
const MOST_NAMED = 30;

/** A figure for each score with a matrix. `of` tells its ids from others'. */
export function pairFigures(context, results, width, of) {
  return results.flatMap(({ result }, i) => (result.scores ?? []).filter(({ details }) => details?.group_matrix).map((score) => {
    const matrix = score.details.group_matrix;
    const points = cellsOf(matrix);
    const counts = [...new Set(points.map(({ n }) => n))].sort((a, b) => a - b);
    const n = counts.length > 1 ? `${count(counts[0])} to ${count(counts.at(-1))}` : count(counts[0] ?? 0);
    const side = Math.min(width, matrix.groups.length > MOST_WRITTEN ? 620 : 480);
    const panel = (title, value, shown, most) => ({
      title: `${title}, n = ${n}`,
      summary: told(points, value, shown),
      node: drawn(context.board, matrix, points, side, { title, value, shown, most }),
    });
    return figure(context, {
      id: `pairs-${of}-${i}`,
      title: `Scenes in ${count(matrix.groups.length)} groups, ${result.data?.name ?? ""}`,
      lead: h("p", {}, "A photo by the group of the row looks for the photo of its scene by the group of the column."),
      panels: [
        panel("Recall@1, %", (p) => p.recall[1], percent, 1),
        panel("Mean cosine of one scene", (p) => p.cosine, (v) => v.toFixed(2), Math.max(...points.map((p) => p.cosine))),
      ],
      records: () => points.map(({ query, target, recall, ...rest }) =>
        ({ query, target, ...Object.fromEntries(Object.entries(recall).map(([k, v]) => [`recall_at_${k}`, v])), ...rest })),
      caption: "The stronger the colour, the more. Intervals are over scenes and in the tips and the data, with n and chance of each cell. A high cosine is no sign of a high recall.",
    });
  }));
}

function cellsOf(matrix) {
  return matrix.groups.flatMap((query, i) => matrix.groups.map((target, j) => ({
    row: i,
    column: j,
    query,
    target,
    recall: Object.fromEntries(Object.entries(matrix.recall).map(([k, table]) => [k, table[i][j]])),
    low: matrix.low[i][j],
    high: matrix.high[i][j],
    n: matrix.n[i][j],
    chance: matrix.chance[i][j],
    cosine: matrix.cosine[i][j],
    cosine_apart: matrix.cosine_apart[i][j],
  }))).filter(({ recall }) => Number.isFinite(recall[1]));
}

function told(points, value, shown) {
  if (!points.length) return "No two groups share a scene.";
  const sorted = [...points].sort((a, b) => value(a) - value(b));
  const where = (p) => `${shown(value(p))}, ${p.query} to ${p.target}`;
  return `From ${where(sorted[0])}, to ${where(sorted.at(-1))}.`;
}

function tooltip(p) {
  const recalls = Object.entries(p.recall).map(([k, v]) => `recall@${k} ${percent(v)} %`);
  return [
    `${p.query} to ${p.target}`,
    `${recalls[0]} (${percent(p.low)} to ${percent(p.high)}), chance ${percent(p.chance)} %`,
    recalls.slice(1).join(", "),
    `cosine ${p.cosine.toFixed(3)}, of different scenes ${p.cosine_apart.toFixed(3)}, n = ${p.n}`,
  ].join("\n");
}

/** Labels of the axes: each group, or where there are many, the first given group in the middle of its run. */
function labelsOf(matrix) {
  if (matrix.groups.length <= MOST_NAMED) return new Map(labels(matrix.groups, 22).map((label, i) => [i, label]));
  const [values] = Object.values(matrix.attributes);
  const starts = values.map((value, i) => i).filter((i) => i === 0 || values[i] !== values[i - 1]);
  return new Map(starts.map((start, i) => [Math.floor((start + (starts[i + 1] ?? values.length) - 1) / 2), short(values[start], 22)]));
}

function drawn(board, matrix, points, width, { title, value, shown, most }) {
  const domain = matrix.groups.map((_, i) => i);
  const labels = labelsOf(matrix);
  const margin = Math.min(150, 14 + 6.2 * Math.max(...[...labels.values()].map((label) => label.length)));
  const named = { ticks: [...labels.keys()], tickFormat: (i) => labels.get(i), tickSize: 0 };
  return draw(board, `${title} of every pair of groups. ${told(points, value, shown)}`, {
    width,
    height: width,
    marginTop: 8,
    marginRight: 8,
    marginLeft: margin,
    marginBottom: margin,
    x: { domain, padding: 0.03, label: null },
    y: { domain, padding: 0.03, label: null },
    color: { type: "identity" },
    opacity: { type: "identity" },
    marks: [
      axisX({ ...named, anchor: "bottom", tickRotate: -90 }),
      axisY({ ...named }),
      cell(points, { x: "column", y: "row", fill: "var(--line-0)", fillOpacity: (p) => MOST_OPACITY * Math.max(0, value(p)) / (most || 1), stroke: "var(--rule)", strokeWidth: 0.5 }),
      domain.length <= MOST_WRITTEN ? text(points, { x: "column", y: "row", text: (p) => shown(value(p)), fontSize: 10, fill: "var(--ink)" }) : null,
      tip(points, pointer({ x: "column", y: "row", title: tooltip })),
    ],
  });
}
