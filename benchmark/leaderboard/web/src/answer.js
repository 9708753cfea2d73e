// A report's first screen: the judge's short answers, one figure of what was found, the place among the published.
import { axisX, axisY, dot, pointer, ruleX, ruleY, text, tip } from "@observablehq/plot";
import { draw, labels as apart } from "./drawing.js";
import { h } from "./dom.js";
import { percent, points as signed } from "./format.js";
import { figure } from "./panel.js";

const PANELS = [
  { kind: "trace", title: "What it keeps: each trace, from chance to always right" },
  { kind: "distraction", title: "What it costs: points by which a shared trace moves search" },
];
const TICKS = [[0, "chance"], [0.25, "25 %"], [0.5, "half way"], [0.75, "75 %"], [1, "always right"]];

export function firstScreen(context, width) {
  const { board } = context;
  const { encoders } = board.first;
  const notices = notes(board.rows.filter(({ origin }) => origin === "measured"));
  return [
    notices.length ? h("ul", { class: "notices" }, notices.map((note) => h("li", {}, note))) : null,
    (board.first.lead ?? []).map((sentence) => h("p", { class: "lead" }, h("strong", {}, sentence))),
    encoders.length === 1 ? cards(encoders[0]) : table(encoders),
    encoders.some(({ findings }) => findings.length) ? h("h2", { class: "visually-hidden" }, "Traces and costs") : null,
    findings(context, width),
  ];
}

/** Most encoders that have a line of their own in each band. */
const MOST_LINES = 8;

/** Remarks on the rows, each once, with the names of its rows unless it is about all of them. */
function notes(rows) {
  const held = new Map();
  for (const row of rows) for (const note of row.notes) held.set(note, [...(held.get(note) ?? []), row.name]);
  return [...held].map(([note, names]) => (names.length === rows.length ? note : `${names.join(", ")}: ${note}`));
}

function cards({ answers, photos }) {
  return h("div", { class: "cards" }, answers.map(({ head, title, text }, i) =>
    h("section", { class: `card card-${i}` }, h("p", { class: "kind" }, head), h("h2", {}, title), h("p", {}, [text, i === 2 ? photos : ""].filter(Boolean).join(" ")))));
}

function table(encoders) {
  return h("div", { class: `scroll answers-scroll${encoders.length > MOST_LINES ? " crowd" : ""}`, tabindex: "0", role: "region", "aria-label": "Short answers" },
    h("table", { class: "plain answers" },
      h("caption", { class: "visually-hidden" }, "Short answers about each encoder"),
      h("thead", {}, h("tr", {}, ["Encoder", ...encoders[0].answers.map(({ head }) => head)].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, encoders.map(({ name, answers }, i) => h("tr", {},
        h("th", { scope: "row" }, h("span", { class: `dot line-${i % 8}`, "aria-hidden": "true" }), name),
        answers.map(({ title, text }, j) => h("td", { class: `card-${j}` }, h("strong", {}, title), h("p", {}, text))))))));
}

function findings(context, width) {
  const { board } = context;
  const { encoders, published, rule } = board.first;
  const kinds = PANELS.filter(({ kind }) => encoders.some(({ findings }) => findings.some((f) => f.kind === kind)));
  if (!kinds.length) return null;
  const room = kinds.length > 1 && width > 900 ? (width - 32) / 2 : width;
  const panels = kinds.map(({ kind, title }) => ({
    title: encoders.length > 1 ? title.replace("it keeps", "they keep").replace("it costs", "they cost") : title,
    node: panel(context, kind, Math.min(room, 760), title),
    summary: null,
  }));
  const data = [...new Set(Object.values(published).map((one) => one.data))];
  return figure(context, {
    id: "found",
    title: null,
    panels,
    records: () => encoders.flatMap(({ name, findings }) => findings.map(({ words, name: label, ...numbers }) => ({ encoder: name, ...numbers, sentence: words }))),
    caption: [
      encoders.length > 1 ? "Mark: the value. " : "Bar: the value. ", encoders.length > MOST_LINES ? "" : "Line: the interval that decides. ",
      rule, " ",
      encoders.length > 1 ? [...new Set(encoders.map(({ photos }) => photos))].join(" ") : "",
      h("p", { class: "standing" }, standing(board, data)),
    ],
  });
}

/** Where the run stands among the published encoders, or why it has no place there. */
function standing({ first: { places, encoders } }, data) {
  const strokes = data.length ? `Grey strokes: the published encoders (ICCV 2025) on ${listed(data)}` : "";
  if (!places.length) return strokes ? `${strokes}. These are other photos and other training sets: they show what is usual, and give no rank.` : "";
  const ranked = places.map(({ encoder, label, data, ranks, first, count }) =>
    `${encoders.length > 1 ? `${encoder}, ` : ""}${label}, ${data}: place ${ranks[0] === ranks[1] ? ranks[0] : `${ranks[0]} to ${ranks[1]}`} of ${count}, ${first}.`);
  return [h("strong", {}, "Among the published encoders: "), ranked.join(" "), strokes ? ` ${strokes}.` : ""];
}

function listed(names) {
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
}

/** One band a question: its name and numbers, bar or marks with intervals, below them the published encoders. */
function panel({ board }, kind, width, title) {
  const { encoders, published } = board.first;
  const single = encoders.length === 1;
  const crowd = encoders.length > MOST_LINES;
  const narrow = width < 520;
  const below = narrow ? 0.12 : 0; // of the middle of a band, where its name stands above
  const scale = (value, chance) => (kind === "trace" ? (value - chance) / (1 - chance) : 100 * value);
  const points = encoders.flatMap(({ name: encoder, findings }, i) => findings.filter((f) => f.kind === kind && f.chance < 1).map((f) => ({
    ...f, encoder, i, key: `${f.task}~${f.metric}~${f.data}`, shown: f.answer === "yes",
    x: scale(f.value, f.chance), x1: scale(f.low, f.chance), x2: scale(f.high, f.chance),
  })));
  const most = new Map();
  for (const { key, x } of points) most.set(key, Math.max(most.get(key) ?? -Infinity, Math.abs(x)));
  const keys = [...most.keys()].sort((a, b) => most.get(b) - most.get(a));
  const at = new Map(keys.map((key, i) => [key, i]));
  const step = single || crowd ? 0 : (narrow ? 0.4 : 0.52) / encoders.length;
  for (const p of points) p.y = at.get(p.key) + step * (p.i - (encoders.length - 1) / 2) - 0.05 + below;
  const strokes = keys.flatMap((key) => (published[key]?.values ?? []).map((value) => ({ x: scale(value, published[key].chance), y1: at.get(key) + 0.26 + below / 2, y2: at.get(key) + 0.44 })));
  const ends = [...points.flatMap(({ x1, x2 }) => [x1, x2]), ...strokes.map(({ x }) => x)];
  const pad = kind === "trace" ? 0.01 : 0.03 * (Math.max(...ends) - Math.min(...ends, 0) || 1);
  const domain = [Math.min(0, ...ends) - pad, kind === "trace" ? 1 : Math.max(0, ...ends) + pad];
  const names = new Map(points.map(({ key, name }) => [key, name]));
  const labels = apart(keys.map((key) => names.get(key)), 34);
  const numbers = (p) => (kind === "trace" ? `${percent(p.value)} %, chance ${percent(p.chance)}` : `${signed(p.value)} points`);
  const row = (single || crowd ? 30 : Math.max(30, 11 * encoders.length + 16)) + (narrow ? 16 : 0);
  const firsts = keys.map((key) => ({ key, y: at.get(key) - 0.5, p: points.find((p) => p.key === key) }));
  const shade = kind === "trace" ? "var(--line-0)" : "var(--line-1)";
  const colour = (p) => (single ? shade : `var(--line-${p.i % 8})`);
  const label = `${title}. ${points.map(({ encoder, words }) => (single ? words : `${encoder}: ${words}`)).join(" ")}`;
  return draw(board, label, {
    width,
    height: keys.length * row + 34,
    marginLeft: narrow ? 18 : Math.max(122, Math.round(18 + 6.3 * Math.max(...labels.map((label) => label.length)))),
    marginRight: single && !narrow ? 142 : 36,
    marginTop: 4,
    marginBottom: 30,
    x: { domain, label: null },
    y: { domain: [keys.length - 0.5, -0.5], axis: null },
    color: { type: "identity" },
    marks: [
      ruleY(keys.slice(1).map((_, i) => i + 0.5), { stroke: "var(--rule)", strokeWidth: 0.6 }),
      ruleX(kind === "trace" ? TICKS.slice(1).map(([x]) => x) : [], { stroke: "var(--rule)" }),
      kind === "trace"
        ? axisX(TICKS.filter((_, i) => !narrow || i % 2 === 0).map(([x]) => x), { tickSize: 0, tickFormat: (x) => TICKS.find(([at]) => at === x)[1] })
        : axisX({ ticks: narrow ? 4 : 6, tickSize: 0, label: null, tickFormat: (x) => signed(x / 100).replace(".0", "") }),
      ruleX([0], { stroke: "var(--ink)", strokeWidth: 1.2 }),
      narrow
        ? [text(firsts, { frameAnchor: "left", y: "y", dx: -16, dy: 11, textAnchor: "start", text: ({ key }) => names.get(key), fontWeight: 600, fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 5 }),
           single ? text(firsts, { frameAnchor: "right", y: "y", dx: 32, dy: 11, textAnchor: "end", text: ({ p }) => numbers(p), fill: "var(--muted)" }) : null]
        : [axisY(keys.map((_, i) => i), { tickSize: 0, label: null, tickFormat: (i) => labels[i] }),
           single ? text(firsts, { frameAnchor: "right", y: ({ y }) => y + 0.48, dx: 138, textAnchor: "end", text: ({ p }) => numbers(p), fill: "var(--muted)" }) : null],
      ruleX(strokes, { x: "x", y1: "y1", y2: "y2", stroke: "var(--muted)", strokeOpacity: 0.55, strokeWidth: 1 }),
      single
        ? [ruleY(points, { y: "y", x1: 0, x2: "x", stroke: colour, strokeWidth: 9, strokeOpacity: (p) => (p.shown ? 1 : 0.25) }),
           ruleY(points, { y: "y", x1: "x1", x2: "x2", stroke: "var(--ink)", strokeWidth: 1.5 })]
        : [crowd ? null : ruleY(points, { y: "y", x1: "x1", x2: "x2", stroke: colour, strokeWidth: 1.6 }),
           dot(points, { x: "x", y: "y", r: crowd ? 2.6 : 3.6, opacity: crowd ? 0.55 : 1, fill: (p) => (p.shown ? colour(p) : "var(--paper)"), stroke: colour, strokeWidth: 1.5 })],
      tip(points, pointer({ x: "x", y: "y", title: (p) => `${p.encoder}, ${p.data}\n${p.words}`, lineWidth: 34 })),
    ].flat(),
  });
}
