// Similarity distributions of one query, for encoders whose results carry them (details.similarities).
import { isLoaded, loadDetail } from "./detail.js";
import { h } from "./dom.js";
import { count, percent } from "./format.js";
import { figure, select } from "./panel.js";
import { similarities } from "./plots.js";

export function similarityFigure(context) {
  const { board, rows, state, width } = context;
  const holders = rows.filter((row) => row.similarities);
  if (!holders.length) return null;
  const row = holders.find(({ key }) => key === state.encoder) ?? holders[0];
  const frame = { id: "similarities", title: "Similarity distributions of one query", table: { family: "knn", data: "" } };
  const who = select(context, "encoder", "Encoder", holders.map(({ key, name }) => [key, name]), row.key, "similarities-encoder");
  const results = isLoaded(row);
  if (!results) {
    loadDetail(row).then(() => context.change({}), () => {});
    const node = h("p", {}, "Loading…");
    return figure(context, { ...frame, choices: [who], panels: [{ title: "", node, summary: "" }], caption: "" });
  }
  const tasks = results.flatMap(({ result }) => result.scores.map((score) => ({
    id: `${score.task}~${score.data}`,
    label: `${score.task.replace(/^knn\//, "")}, ${board.dataset.get(score.data)?.label ?? score.data}`,
    histograms: valid(score.details?.similarities),
    summary: score.details?.similarity_summary,
  }))).filter(({ histograms }) => histograms.length);
  if (!tasks.length) return null;
  const task = tasks.find(({ id }) => id === state.stask) ?? tasks[0];
  const at = Math.min(Number(state.query) || 0, task.histograms.length - 1);
  const histogram = task.histograms[at];
  const queries = task.histograms.map(({ query, processing, why }, i) =>
    [String(i), `${why ? `${why}: ` : ""}${query}${processing ? `, ${processing}` : ""}`]);
  const means = Object.entries(histogram.counts)
    .map(([kind, counts]) => `${kind}: mean similarity ${mean(histogram.edges, counts).toFixed(3)} over ${count(sum(counts))} photos`)
    .join("; ") + ".";
  const summary = [means, ofThis(histogram), ofAll(task.summary)].filter(Boolean).join(" ");
  return figure(context, {
    ...frame,
    beside: true,
    choices: [who, select(context, "stask", "Processing, data set", tasks.map(({ id, label }) => [id, label]), task.id), select(context, "query", "Query", queries, String(at))],
    panels: [{ title: "", node: similarities({ board, histogram, width, label: summary }), summary }],
    records: () => Object.entries(histogram.counts).flatMap(([kind, counts]) =>
      counts.map((photos, i) => ({ query: histogram.query, processing: histogram.processing ?? "", kind, from: histogram.edges[i], to: histogram.edges[i + 1], photos }))),
    caption:
      "How similar the collection is to one query. Blue: photos of the query's class, orange: of other classes; solid: " +
      "processed as the query was, dashed: otherwise. Where the solid orange line lies right of the dashed blue one, " +
      "processing counts for more than content.",
  });
}

function ofThis({ beats }) {
  if (!Number.isFinite(beats)) return "";
  return `For this query, a photo of another class under its processing is more similar than one of its own class under another in ${percent(beats)} % of the pairs.`;
}

function ofAll(summary) {
  if (!Number.isFinite(summary?.beats?.value) || !Number.isFinite(summary?.overlap?.value)) return "";
  const told = ({ value, low, high }) => `${percent(value)} % (${percent(low)} to ${percent(high)})`;
  const some = summary.n < summary.photos ? ` of ${count(summary.photos)}` : "";
  return `Over all processings of ${count(summary.n)}${some} photos: ${told(summary.beats)} of the pairs, where 50.0 % says that neither content nor processing counts; the two histograms overlap by ${told(summary.overlap)}.`;
}

/** A report names the ends of equally wide bins alone. */
function whole(item) {
  const bins = Math.max(0, ...Object.values(item?.counts ?? {}).map((counts) => counts?.length ?? 0));
  if (item?.edges?.length !== 2 || bins < 2) return item;
  const [first, last] = item.edges;
  return { ...item, edges: Array.from({ length: bins + 1 }, (_, i) => first + (i * (last - first)) / bins) };
}

/** Histograms of the right form; anything else in that place is left out. */
function valid(given) {
  if (!Array.isArray(given)) return [];
  const list = given.map(whole);
  const numbers = (values) => Array.isArray(values) && values.every((value) => Number.isFinite(value));
  return list.filter(
    (item) =>
      item && numbers(item.edges) && item.edges.length > 1 && item.counts && typeof item.counts === "object" &&
      Object.values(item.counts).every((counts) => numbers(counts) && counts.length === item.edges.length - 1),
  );
}

function sum(counts) {
  return counts.reduce((a, b) => a + b, 0);
}

function mean(edges, counts) {
  return counts.reduce((total, n, i) => total + (n * (edges[i] + edges[i + 1])) / 2, 0) / (sum(counts) || 1);
}
