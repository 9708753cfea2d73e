// Similarity distributions of one query, for encoders whose results carry them (details.similarities).
import { h } from "./dom.js";
import { isLoaded, loadDetail } from "./detail.js";
import { figure, select } from "./figures.js";
import { similarities } from "./plots.js";

export function similarityFigure(context) {
  const { board, rows, state, width } = context;
  const holders = rows.filter((row) => row.similarities);
  if (!holders.length) return null;
  const row = holders.find(({ key }) => key === state.encoder) ?? holders[0];
  const frame = { id: "similarities", title: "Similarity distributions of one query", table: { family: "knn", data: "" } };
  const who = select(context, "encoder", "Encoder", holders.map(({ key, name }) => [key, name]), row.key);
  const results = isLoaded(row);
  if (!results) {
    loadDetail(row).then(() => context.change({}), () => {});
    const node = h("p", {}, "Loading…");
    return figure(context, { ...frame, choices: [who], panels: [{ title: "", node, summary: "" }], caption: "" });
  }
  const histograms = results.flatMap(({ result }) => result.scores.flatMap((score) => valid(score.details?.similarities)));
  if (!histograms.length) return null;
  const at = Math.min(Number(state.query) || 0, histograms.length - 1);
  const histogram = histograms[at];
  const queries = histograms.map(({ query, processing }, i) => [String(i), `${query}${processing ? `, ${processing}` : ""}`]);
  const summary = Object.entries(histogram.counts)
    .map(([kind, counts]) => `${kind}: mean similarity ${mean(histogram.edges, counts).toFixed(3)} over ${counts.reduce((a, b) => a + b, 0)} photos`)
    .join("; ") + ".";
  return figure(context, {
    ...frame,
    beside: true,
    choices: [who, select(context, "query", "Query", queries, String(at))],
    panels: [{ title: "", node: similarities({ board, histogram, width, label: summary }), summary }],
    caption:
      "How similar the collection is to one query. Blue: photos of the query's class, orange: of other classes; solid: " +
      "processed as the query was, dashed: otherwise. Where the solid orange line lies right of the dashed blue one, " +
      "processing counts for more than content.",
  });
}

/** Histograms of the right form; anything else in that place is left out. */
function valid(list) {
  if (!Array.isArray(list)) return [];
  const numbers = (values) => Array.isArray(values) && values.every((value) => Number.isFinite(value));
  return list.filter(
    (item) =>
      item && numbers(item.edges) && item.edges.length > 1 && item.counts && typeof item.counts === "object" &&
      Object.values(item.counts).every((counts) => numbers(counts) && counts.length === item.edges.length - 1),
  );
}

function mean(edges, counts) {
  const total = counts.reduce((a, b) => a + b, 0) || 1;
  return counts.reduce((sum, n, i) => sum + (n * (edges[i] + edges[i + 1])) / 2, 0) / total;
}
