// Scores by part of the picture, for results whose layers were read so (--outputs 'layers[-1]:patch' or grid).
import { cell, pointer, text, tip } from "@observablehq/plot";
import { draw } from "./drawing.js";
import { h } from "./dom.js";
import { count, percent, points as signed } from "./format.js";
import { figure } from "./panel.js";

const PART = /^(grid|patch)(?:\[(\d{1,2})\])?-(\d{1,2})-(\d{1,2})$/;
const MOST_PARTS = 16;
const MOST_OPACITY = 0.6;
const LEAST_SPAN = 0.1; // of the colours, so that noise looks pale

/** A figure for each result with such outputs: a map for each trace and layer. `of` tells its ids from others'. */
export function mapFigures(context, results, width, of) {
  return results.map(({ result }, i) => {
    const panels = maps(context.board, result).map((one) => ({
      title: title(one), summary: told(one), node: drawn(context.board, one, Math.min(width, 420)),
    }));
    if (!panels.length) return null;
    return figure(context, {
      id: `parts-${of}-${i}`,
      title: `By part of the picture, ${result.data?.name ?? ""}`,
      lead: h("p", {}, "Each part has a probe of its own, which reads that part alone."),
      panels,
      records: () => maps(context.board, result).flatMap(({ points }) => points.map(({ row, column, output, task, metric, value, low, high, n, chance }) =>
        ({ output, row, column, task, metric, value, low, high, n, chance }))),
      caption: "Rows and columns are those of the picture. In each part the score and its 95 % interval; the darker, the further from chance.",
    });
  }).filter(Boolean);
}

/** One map for each way of reading parts, layer, and trace among the board's columns, in their order. */
function maps(board, result) {
  const outputs = (result.outputs ?? []).map((output) => ({ output, part: PART.exec(output.pooling) })).filter(({ part }) => part && Number(part[2] ?? 4) <= MOST_PARTS);
  const kinds = new Map(outputs.map(({ output, part }) => [`${output.layer} ${part[1]} ${part[2] ?? 4}`, { layer: output.layer, of: output.title.split(" ")[0], single: part[1] === "patch", parts: Number(part[2] ?? 4) }]));
  return [...kinds].flatMap(([key, kind]) => asked(board).map(({ task, metric, kind: scale }) => {
    const points = outputs.filter(({ output, part }) => `${output.layer} ${part[1]} ${part[2] ?? 4}` === key).flatMap(({ output, part }) =>
      output.scores.filter((s) => s.task === task && s.metric === metric && Number.isFinite(s.value)).map((s) => ({ ...s, output: output.name, row: Number(part[3]), column: Number(part[4]) })));
    return { ...kind, task, metric, scale, points: points.filter(({ row, column }) => row < kind.parts && column < kind.parts) };
  })).filter(({ points }) => points.length);
}

/** Tasks and metrics that are traces, each once, in the order of the board's columns. */
function asked(board) {
  return [...new Map(board.columns.filter(({ kind }) => kind !== "accuracy").map((c) => [`${c.task}~${c.metric}`, c])).values()];
}

function title({ task, metric, single, of, layer, points }) {
  const counts = [...new Set(points.map(({ n }) => n))].map(count).join(" or ");
  return `${task} ${metric} from ${single ? "one patch" : "the mean"} of each part, ${of} ${layer}, n = ${counts}`;
}

function said(value, scale) {
  return scale === "difference" ? signed(value) : percent(value);
}

function told({ points, scale }) {
  const sorted = [...points].sort((a, b) => a.value - b.value);
  const where = (p) => `${said(p.value, scale)} in row ${p.row}, column ${p.column}`;
  return `From ${where(sorted[0])} to ${where(sorted.at(-1))}; chance ${percent(points[0].chance ?? 0)}. Rows and columns from 0, from the top left.`;
}

function drawn(board, one, width) {
  const { points, parts, scale } = one;
  const chance = points[0].chance ?? 0;
  const most = Math.max(LEAST_SPAN, ...points.map((p) => Math.max(Math.abs(p.high - chance), Math.abs(p.low - chance))));
  const domain = Array.from({ length: parts }, (_, i) => i);
  const tooltip = (p) => `row ${p.row}, column ${p.column}: ${said(p.value, scale)} (${said(p.low, scale)} to ${said(p.high, scale)}), n = ${p.n}`;
  return draw(board, `${title(one)}. ${told(one)}`, {
    width,
    height: width,
    margin: 4,
    x: { axis: null, domain, padding: 0.04 },
    y: { axis: null, domain, padding: 0.04 },
    color: { type: "identity" },
    opacity: { type: "identity" },
    marks: [
      cell(points, { x: "column", y: "row", fill: "var(--line-0)", fillOpacity: (p) => (MOST_OPACITY * Math.abs(p.value - chance)) / most, stroke: "var(--rule)" }),
      parts <= 10 ? text(points, { x: "column", y: "row", text: (p) => said(p.value, scale), dy: parts <= 5 ? -7 : 0, fontSize: parts <= 5 ? 15 : 10, fill: "var(--ink)" }) : null,
      parts <= 5 ? text(points, { x: "column", y: "row", text: (p) => `${said(p.low, scale)} to ${said(p.high, scale)}`, dy: 11, fontSize: 10.5, fill: "var(--muted)" }) : null,
      tip(points, pointer({ x: "column", y: "row", title: tooltip })),
    ],
  });
}
