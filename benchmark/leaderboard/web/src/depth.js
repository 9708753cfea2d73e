// Scores over the depth of a network, for results whose layers were scored (result.outputs).
import { h } from "./dom.js";
import { count, percent, points as signed } from "./format.js";
import { figure } from "./panel.js";
import { depth } from "./plots.js";

const POOLINGS = { cls: "class token", mean: "mean of patches", max: "maximum", gem: "GeM" };

/** A figure for each result of an encoder whose layers were scored: a panel for each trace, semantics beside it. `of` tells its ids from others'. */
export function depthFigures(context, results, width, of) {
  return results.filter(({ result }) => Array.isArray(result.outputs) && result.outputs.length).map(({ result }, i) => {
    const traces = asked(context.board, result);
    const content = curve(result, "knn/original", "accuracy");
    const room = traces.length > 1 && width > 760 ? (width - 24) / 2 : width; // panels stand in two columns
    const panels = traces.map(({ task, metric, kind }) => {
      const own = curve(result, task, metric);
      const summary = told(`${task} ${metric}`, own, kind);
      const node = depth({ board: context.board, own, content: kind === "difference" ? null : content, width: Math.min(room, 620), label: summary, kind });
      return { title: `${task} ${metric}`, node, summary };
    }).filter(({ node }) => node);
    if (!panels.length) return null;
    return figure(context, {
      id: `depth-${of}-${i}`,
      title: `Over the depth of the network, ${result.data?.name ?? ""}`,
      lead: h("p", {}, `${count(result.outputs.length)} outputs beside the embedding, scored on the same photos.`),
      panels,
      records: () => result.outputs.flatMap((output) => output.scores.map(({ task, metric, value, low, high, n, chance }) =>
        ({ output: output.name, layer: output.layer, layers: output.layers, pooling: output.pooling, task, metric, value, low, high, n, chance }))),
      caption: "Layers from 0, with 95 % intervals; final is the embedding; the dashed line is chance. Dotted: accuracy of plain kNN, what is known of the content.",
    });
  }).filter(Boolean);
}

/** Tasks and metrics of the outputs that are traces, in the order of the board's columns. */
function asked(board, result) {
  const there = new Set(result.outputs.flatMap(({ scores }) => scores.map(({ task, metric }) => `${task}~${metric}`)));
  const known = new Map(board.columns.map((c) => [`${c.task}~${c.metric}`, c]));
  return [...known].filter(([key, c]) => there.has(key) && c.kind !== "accuracy").map(([, { task, metric, kind }]) => ({ task, metric, kind }));
}

/** {lines: [{pooling, label, points}], final} of one metric. */
function curve(result, task, metric) {
  const of = (scores) => scores.find((score) => score.task === task && score.metric === metric && Number.isFinite(score.value));
  const lines = Object.entries(POOLINGS).map(([pooling, label]) => ({
    pooling, label,
    points: result.outputs.filter((output) => output.pooling === pooling && of(output.scores))
      .map((output) => ({ layer: output.layer, label, title: output.title, ...of(output.scores) }))
      .sort((a, b) => a.layer - b.layer),
  })).filter(({ points }) => points.length);
  return { lines, final: of(result.scores) ?? null, layers: result.outputs[0].layers };
}

function told(name, { lines, final }, kind) {
  const say = kind === "difference" ? (value) => `${signed(value)} points` : (value) => `${percent(value)} %`;
  const parts = lines.map(({ label, points }) => {
    const least = points.reduce((a, b) => (Math.abs(b.value) < Math.abs(a.value) ? b : a));
    const most = points.reduce((a, b) => (Math.abs(b.value) > Math.abs(a.value) ? b : a));
    return `${label}: from ${say(least.value)} at layer ${least.layer} to ${say(most.value)} at layer ${most.layer}`;
  });
  return `${name}: ${parts.join("; ")}${final ? `; the embedding ${say(final.value)}` : ""}.`;
}
