// Detectors of generated photos: what the controls say of each, apart from traces. No ranks: a verdict, then numbers.
import { fill, h, outside } from "./dom.js";
import { count, percent, points } from "./format.js";

const NUMBERS = [
  ["margin", "Margin over the floor", points, "AUC minus that of two sources of real photos, points"],
  ["worst", "Worst generator", percent, "AUC of the generator that is found least when it was not in training, %"],
  ["bias", "Bias by codec", points, "AUC with generated photos saved as JPEG minus that with real ones saved as JPEG, points; 0 is best"],
  ["auc", "AUC", percent, "generated against real photos, all generators in training, %"],
  ["floor", "Floor", percent, "AUC of two sources of real photos, %"],
];

const MARKS = { yes: "✓", limited: "~", unknown: "?", no: "✗" };

export function renderDetectors({ detectors }, container, linkTo) {
  fill(
    container,
    h("h2", {}, "Detectors of generated photos"),
    h("p", { class: "lead" }, "A high AUC is no proof that a detector recognises generated photos: it may recognise how they were saved, or where real ones come from. ",
      "Read the verdict first. Then compare margins, and only among detectors of one photo set that no control speaks against."),
    detectors.sets.map((set) => part(set, linkTo)),
    h("p", { class: "legend" }, "AUC: how often a generated photo gets a higher score than a real one; 50 % is a guess. ", NUMBERS.slice(0, 3).map(([, title, , explain]) => `${title}: ${explain}. `), "Below each number its 95 % interval."),
    h("h3", {}, "What a number here does not show"),
    h("ul", {},
      h("li", {}, "That one picture is real or generated. Do not accuse anybody with it."),
      h("li", {}, "That generators which are not in the set are found. Those of one family resemble each other."),
      h("li", {}, "A low rate of false alarms. The report of each run has the recall at 1 % and 0.1 %."),
      h("li", {}, "That the classes show the same things. No control here is about content.")),
    h("details", { class: "published-detectors" },
      h("summary", {}, `Published numbers (${count(detectors.published.length)}), without rank`),
      h("p", {}, detectors.published_note),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Published numbers" },
        h("table", { class: "plain" },
          h("thead", {}, h("tr", {}, ["Detector", "Trained on", "Tested on", "Number", "%", "Source", "Read in full"].map((title) => h("th", { scope: "col" }, title)))),
          h("tbody", {}, detectors.published.map((row) => h("tr", {},
            h("th", { scope: "row" }, row.detector), h("td", {}, row.trained_on), h("td", {}, row.tested_on), h("td", {}, row.number),
            h("td", { class: "score" }, String(row.percent)), h("td", {}, outside(row.url, row.source)), h("td", {}, row.read_in_full))))))),
  );
}

function part({ data, rows }, linkTo) {
  return h("section", { class: "detectors" },
    h("h3", {}, `On ${data}`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Detectors on ${data}` },
      h("table", { class: "plain detectors" },
        h("thead", {}, h("tr", {},
          h("th", { scope: "col" }, "Detector"), h("th", { scope: "col" }, "What the controls say"),
          NUMBERS.map(([, title, , explain]) => h("th", { scope: "col", title: explain }, title)))),
        h("tbody", {}, rows.map((row) => line(row, linkTo))))));
}

function line(row, linkTo) {
  return h("tr", { class: `answer-${row.answer}` },
    h("th", { scope: "row" }, h("a", { href: linkTo({ view: "encoder", encoder: row.key }) }, row.name), h("small", {}, `${count(row.n)} test photos`)),
    h("td", { class: "verdict" }, h("strong", {}, h("span", { "aria-hidden": "true" }, `${MARKS[row.answer]} `), row.title), row.reasons.map((reason) => h("p", {}, reason))),
    NUMBERS.map(([name, title, text]) => h("td", { class: "score", "data-title": title },
      row[name] ? [text(row[name][0]), h("small", {}, `${text(row[name][1])} to ${text(row[name][2])}`), name === "worst" ? h("small", {}, row.generator) : null] : "not measured")));
}
