// How to read the board: what every column means, where numbers come from, what was refused.
import { byId, fill, h, outside, viewer } from "./dom.js";
import { chance, count } from "./format.js";
import { OVERVIEW } from "./model.js";

export function renderAbout(board, container) {
  const published = board.rows.filter(({ origin }) => origin === "published").length;
  fill(
    container,
    h("h2", {}, board.report ? "How to read this report" : "How to read this board"),
    h("p", {}, "A visual encoder turns a photo into a vector. The board shows how much that vector tells about things a ",
      "viewer does not see: the JPEG setting, the sharpening, the camera (probes), and what that costs when images are ",
      "compared (kNN, retrieval). More trace is neither good nor bad: it harms comparison by content and helps ",
      "forensics. You choose which end is rank 1."),
    h("ul", {},
      h("li", {}, "Numbers are percent with one decimal; downloads have every digit. An empty cell was not measured: it is not zero, and it is last in any order."),
      h("li", {}, "Ranks are intervals over the whole board, so that filters never move an encoder. An interval has every rank that is possible. In the overview, ranks are among the encoders that are accurate enough."),
      h("li", {}, "A mean over tasks exists only where every task was measured: a partial run never outranks a full one."),
      h("li", {}, "Measured intervals come from resampling photos. ", board.source.interval_note),
      h("li", {}, "Scores share a column only where photos and codecs agree; otherwise the data set has a column of its own, and says why."),
      h("li", {}, "A dagger (†) marks a number with a remark: ", Object.values(board.flags).join("; "), ". The encoder's page says which."),
    ),
    h("h3", {}, "Where the numbers come from"),
    published ? h("p", {}, `${count(published)} encoders are marked "published": `, board.source.citation, ", ", outside(board.source.url), ". ", board.source.note) : null,
    h("p", {}, `${count(board.rows.length - published)} are marked "measured": result files written by camtrace. `,
      `This board was built by camtrace ${board.version}; its newest result is of ${board.generated}. `,
      board.report
        ? "This page holds everything that it shows and loads nothing."
        : [h("a", { href: "data.json", download: true }, "Whole board as JSON"), ", ",
           h("a", { href: "board.csv", download: true }, "as CSV"), ", ",
           h("a", { href: "licences.txt" }, "licences of the page's libraries"), "."]),
    h("h3", {}, "Data sets"),
    h("dl", { class: "columns" }, board.data.map(({ id, label, note }) => h("div", {}, h("dt", {}, label), h("dd", {}, note, viewer(id) ? [" ", outside(viewer(id), "Its rows on the Hub")] : null)))),
    board.families.filter(({ id }) => id !== OVERVIEW).map((family) => [
      h("h3", {}, `Columns: ${family.label}`),
      h("p", {}, family.explain),
      h("dl", { class: "columns" }, explained(board, family).map(({ label, text }) => h("div", {}, h("dt", {}, label), h("dd", {}, text)))),
    ]),
    board.report
      ? h("details", {}, h("summary", {}, "Licences of the page's libraries"), h("pre", { tabindex: "0" }, byId("licences").textContent))
      : null,
    board.refused.length
      ? [h("h3", {}, "Files that were refused"),
         h("ul", {}, board.refused.map(({ file, reason }) => h("li", {}, `${file}: ${reason}`)))]
      : null,
  );
}

/** One line per distinct column meaning; data sets and parameters share it. */
function explained(board, family) {
  const seen = new Map();
  for (const column of board.columns.filter((c) => c.family === family.id)) {
    const guess = family.id === "processing" || family.id === "acquisition" ? ` Chance ${chance(column)} %.` : "";
    const text = column.explain.replace(/ Here with .*$/, "") + guess;
    if (!seen.has(column.label)) seen.set(column.label, { label: column.label, text });
  }
  return [...seen.values()];
}
