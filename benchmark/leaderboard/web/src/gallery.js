// Pairs of a run whose target was lost to a photo of the query's own camera. Only a report has it: its photos are in it.
import { isLoaded } from "./detail.js";
import { h } from "./dom.js";
import { count, percent } from "./format.js";
import { figure, select } from "./panel.js";

export function galleryFigure(context) {
  const { board, rows, state } = context;
  if (!board.report) return null;
  const found = rows.flatMap((row) => (isLoaded(row) ?? []).flatMap(({ result }) => result.scores.map((score) => ({
    id: `${row.key}~${score.data}`,
    label: `${row.name}, ${board.dataset.get(score.data)?.label ?? score.data}`,
    photos: board.photos?.[result.data.name] ?? {},
    lost: score.details?.lost,
  })))).filter(({ lost }) => lost?.queries);
  if (!found.length) return null;
  const { id, lost, photos } = found.find((one) => one.id === state.gallery) ?? found[0];
  const summary =
    `${count(lost.lost)} of ${count(lost.queries)} queries (${percent(lost.lost / lost.queries)} %) lost their target to a photo of the query's own camera; ` +
    `${count(lost.by_camera)} of these find it where all candidates are of the other camera. ` +
    (lost.shown.length ? `Here are ${count(lost.shown.length)}, drawn by a hash of their ids, the second kind first.` : "");
  return figure(context, {
    id: "gallery",
    title: "Pairs lost to the query's camera",
    choices: found.length > 1 ? [select(context, "gallery", "Encoder, data set", found.map((one) => [one.id, one.label]), id)] : [],
    panels: [{
      title: "",
      node: h("ul", { class: "gallery" }, lost.shown.map((one) => h("li", {}, card(one, photos)))),
      summary,
    }],
    records: () => lost.shown,
    caption:
      (lost.shown.some((one) => Object.hasOwn(photos, one.query))
        ? "This file holds small copies of your photos: mind whose they are before you pass it on. "
        : "") +
      "Left the query, right the photo that the encoder finds in place of its other half, of the same subject by the " +
      "other camera. Point at a card, focus or tap it to see the other half.",
  });
}

function card(one, photos) {
  const told = (id, text) => (Object.hasOwn(photos, id)
    ? h("img", { src: photos[id], alt: `${text}: ${id}`, width: "160", height: "120" })
    : h("span", { class: "named" }, `${text}: ${id}`));
  return h("button", { type: "button", class: "pair" },
    h("span", { class: "half" }, told(one.query, `Query, ${one.camera}`)),
    h("span", { class: "half" },
      h("span", { class: "instead" }, told(one.distractor, `Found instead, ${one.camera}`)),
      h("span", { class: "other" }, told(one.target, `Other half, ${one.target_camera}`))),
    h("span", { class: "words" },
      `Similarity to what was found instead, ${one.camera}: ${one.distractor_similarity.toFixed(3)}; ` +
      `to its other half, ${one.target_camera}: ${one.target_similarity.toFixed(3)}.`));
}
