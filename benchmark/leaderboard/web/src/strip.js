// A photo under all processings: how far each moves the embedding, and who its nearest neighbours become.
import { isLoaded, loadDetail } from "./detail.js";
import { h } from "./dom.js";
import { count, percent } from "./format.js";
import { figure, select } from "./panel.js";

const ORIGINAL = "original";

export function stripFigure(context) {
  const { board, rows, state } = context;
  // A score that the page lists: no details are fetched for encoders that cannot have any.
  const columns = board.columns.filter(({ task, metric }) => task === "knn/adversary" && metric === "worst");
  const holders = rows.filter((row) => row.origin === "measured" && columns.some((c) => row.cells[c.index]));
  if (!holders.length) return null;
  const row = holders.find(({ key }) => key === state.encoder) ?? holders[0];
  const frame = { id: "strip", title: "One photo under every processing" };
  const who = select(context, "encoder", "Encoder", holders.map(({ key, name }) => [key, name]), row.key, "strip-encoder");
  const results = isLoaded(row);
  if (!results) {
    loadDetail(row).then(() => context.change({}), () => {});
    return figure(context, { ...frame, choices: [who], panels: [{ title: "", node: h("p", {}, "Loading…"), summary: "" }], caption: "" });
  }
  const found = results.flatMap(({ result }) => result.scores
    .filter(({ details }) => Array.isArray(details?.strips))
    .flatMap((score) => score.details.strips.map((strip, i) => ({ id: `${score.data}~${i}`, score, strip, result }))));
  if (!found.length) return null;
  const one = found.find(({ id }) => id === state.strip) ?? found[0];
  const shown = told(one, board);
  return figure(context, {
    ...frame,
    choices: [
      holders.length > 1 ? who : null,
      select(context, "strip", "Photo", found.map(({ id, score, strip }) =>
        [id, `${new Set(found.map((f) => f.score.data)).size > 1 ? `${label(board, score.data)}, ` : ""}${strip.why}: ${strip.query}`]), one.id),
    ].filter(Boolean),
    panels: [{ title: "", node: table(shown), summary: words(shown) }],
    records: () => shown.views.map(({ processing, distance, answer, right, near, all }) => ({
      query: shown.query, class: shown.own, processing, distance, answer, right,
      neighbours: near.map(({ id }) => id).join(" "), similarities: near.map(({ similarity }) => similarity).join(" "),
      mean_distance: all?.distance, accuracy: all?.accuracy,
    })),
    caption:
      (Object.keys(shown.pictures).length ? "This file holds small copies of your photos: mind whose they are before you pass it on. The detail is the middle of the photo, at its own size. " : "") +
      `The collection is photos as they are. Distance: one minus the cosine between the embedding of the processed photo and that of the photo as it is. Neighbours: the nearest ${shown.most} of the ${shown.k} that vote, nearest first; a green frame is the photo's own class, a dashed one another, and a ring marks who is not among the nearest of the photo as it is.`,
  });
}

/** What the figure says of one strip, the photo as it is first. */
function told({ score, strip, result }, board) {
  const data = result.data.name;
  const average = result.scores.find((s) => s.task === score.task && s.data === score.data && s.metric === "average");
  const by = average?.details?.by_processing ?? {};
  const first = strip.views.find(({ processing }) => processing === ORIGINAL);
  const before = new Set(first?.neighbours ?? []);
  const views = [first, ...strip.views.filter((view) => view !== first)].filter(Boolean).map((view) => ({
    ...view,
    all: by[view.processing],
    near: view.neighbours.map((at, i) => ({ ...strip.photos[at], similarity: view.similarities[i], fresh: !before.has(at) })),
  }));
  return {
    query: strip.query, own: strip.class, views, k: score.details.k, n: score.n, worst: score.value,
    most: Math.max(...views.map(({ near }) => near.length)),
    data, photos: board.photos?.[data] ?? {}, pictures: board.views?.[data]?.[strip.query] ?? {},
    furthest: Math.max(1e-9, ...views.map(({ distance }) => distance)),
  };
}

function table(shown) {
  const { views, pictures, photos, query, own, furthest } = shown;
  const whole = Object.hasOwn(photos, query)
    ? h("img", { class: "whole", src: photos[query], alt: `The photo ${query}, ${own}`, width: "160", height: "120" })
    : null;
  const withDetail = Object.keys(pictures).length > 0;
  const all = views.some((view) => view.all);
  return h("div", { class: "strip" }, whole,
    h("table", { class: "plain" },
      h("caption", { class: "visually-hidden" }, `${query} under ${views.length - 1} processings`),
      h("thead", {}, h("tr", {}, [
        withDetail ? "Detail" : null, "Processing", "Distance", "Neighbours say", "Nearest neighbours", all ? "All queries" : null,
      ].filter(Boolean).map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, views.map((view) => h("tr", { class: view.right < 0.5 ? "lost" : null },
        withDetail
          ? h("td", { class: "detail" }, Object.hasOwn(pictures, view.processing) ? h("img", { src: pictures[view.processing], alt: `Middle of the photo, ${name(view)}`, width: "80", height: "80" }) : null)
          : null,
        h("th", { scope: "row" }, name(view)),
        h("td", { class: "distance" }, view.processing === ORIGINAL ? "0" : [
          h("meter", { min: "0", max: furthest, value: view.distance, "aria-label": `Distance under ${name(view)}` }), view.distance.toFixed(4)]),
        h("td", {}, h("span", { class: view.right < 0.5 ? "wrong" : "right" }, view.right < 0.5 ? "✗ " : "✓ "), view.answer),
        h("td", {}, h("ul", { class: "near" }, view.near.map((one) => neighbour(one, photos, own)))),
        all ? h("td", { class: "score" }, view.all ? [`${percent(view.all.accuracy)} %`, view.processing === ORIGINAL ? null : h("small", {}, `distance ${view.all.distance.toFixed(4)}`)] : null) : null)))));
}

function neighbour({ id, class: label, similarity, fresh }, photos, own) {
  const text = `${label}: ${id}, similarity ${similarity.toFixed(3)}${fresh ? ", not a neighbour of the photo as it is" : ""}`;
  const kind = `${label === own ? "own" : "other"}${fresh ? " fresh" : ""}`;
  return h("li", { class: kind, title: text }, Object.hasOwn(photos, id)
    ? h("img", { src: photos[id], alt: text, width: "44", height: "44" })
    : h("span", {}, label, h("span", { class: "visually-hidden" }, `: ${id}${fresh ? ", not a neighbour of the photo as it is" : ""}`)));
}

function words({ query, own, views, n, worst, most }) {
  const [first, ...rest] = views;
  const moved = [...rest].sort((a, b) => b.distance - a.distance);
  const turned = rest.filter(({ answer }) => answer !== first.answer);
  const stay = rest.reduce((sum, { near }) => sum + near.filter(({ fresh }) => !fresh).length, 0) / (rest.length || 1);
  return [
    `${query}, ${own}: moved most by ${name(moved[0])} (distance ${moved[0].distance.toFixed(4)}), least by ${name(moved.at(-1))} (${moved.at(-1).distance.toFixed(4)}).`,
    `Its neighbours say ${first.answer} as it is` + (turned.length ? ` and something else under ${turned.length} of ${rest.length}: ${turned.map(name).join(", ")}.` : `, and the same under all ${rest.length}.`),
    `On average ${stay.toFixed(1)} of its ${most} nearest stay.`,
    `Over all ${count(n)} queries, with each under the processing that serves it worst, ${percent(worst)} % are right.`,
  ].join(" ");
}

function name({ processing }) {
  return processing === ORIGINAL ? "as it is" : processing;
}

function label(board, data) {
  return board.dataset.get(data)?.label ?? data;
}
