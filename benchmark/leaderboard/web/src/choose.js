// The board's first view: what the reader wants against the trace that comes with it, and the answer in a sentence.
import { fill, h } from "./dom.js";
import { frontOf } from "./drawing.js";
import { isShare, percent, shown } from "./format.js";
import * as m from "./model.js";
import { axis, figure, fullLabel, scoreRecords, select } from "./panel.js";
import { plane } from "./plane.js";

const LISTED = 5;
/** How many points below the best a score may lie unless the reader says how much is enough. */
const BELOW_BEST = 0.05;

export function createChoice({ board, container, change, linkTo }) {
  const wants = board.columns.filter((c) => c.count && c.kind === "accuracy" && wanted(c));
  const traces = board.columns.filter((c) => c.count && ["trace", "size"].includes(c.kind) && ["summary", "processing", "acquisition"].includes(c.family));

  // Where all rows are measured, as in a run's report, none is marked.
  const mixed = new Set(board.rows.map(({ origin }) => origin)).size > 1;

  return function render(state) {
    container.hidden = state.view !== "board" || !wants.length || !traces.length;
    if (container.hidden) return;
    const rows = board.rows.filter((row) => m.passes(row, state));
    const [want, trace] = pair(state, rows);
    const both = rows.filter((row) => row.cells[want.index] && row.cells[trace.index]);
    const least = state.direction !== "forensics";
    const best = Math.max(0, ...both.map((row) => row.cells[want.index].value));
    const enough = floorOf(state, best);
    const kept = both
      .filter((row) => row.cells[want.index].value >= enough - 1e-9)
      .sort((a, b) => (least ? 1 : -1) * (a.cells[trace.index].value - b.cells[trace.index].value));
    const context = { board, state, change, linkTo };
    const width = Math.max(260, container.clientWidth);
    const number = h("input", {
      type: "number", id: "choice-floor", min: 0, max: 100, step: 1, value: (100 * enough).toFixed(0),
      onchange: (event) => change({ floor: event.target.value }),
    });
    const points = both.map((row) => ({ row, x: row.cells[trace.index].value, y: row.cells[want.index].value }));
    // Pareto: no other encoder has at least this accuracy with less (or more) trace.
    const front = frontOf(points.map((p) => ({ ...p, x: -p.y, y: p.x })), least ? "least" : "most").map(({ row }) => row);
    const word = least ? "least" : "most";
    const said = kept.length
      ? `${word[0].toUpperCase()}${word.slice(1)} trace at ${percent(enough)} % or more: ${kept[0].name}, ${trace.label} ${shown(kept[0].cells[trace.index].value, trace)}, ${want.label} ${shown(kept[0].cells[want.index].value, want)}.`
      : `No encoder in view reaches ${percent(enough)} %.`;
    const summary = `${both.length} encoders have both scores; ${front.length} of them no other one beats on both. ${said}`;
    fill(
      container,
      figure(context, {
        id: "choose",
        title: "Choose an encoder",
        lead: [
          h("p", { class: "answer" }, h("strong", {}, said)),
          h("ol", { class: "best" }, kept.slice(0, LISTED).map((row) => h("li", { class: mixed ? row.origin : null }, line(row, want, trace)))),
          own(rows, both, kept, want, trace),
        ],
        choices: [
          select(context, "want", "What you want", wants.map((c) => [c.id, fullLabel(board, c)]), want.id),
          h("div", { class: "field narrow" }, h("label", { for: "choice-floor" }, "At least, %"), number),
          select(context, "trace", "The trace that comes with it", traces.map((c) => [c.id, fullLabel(board, c)]), trace.id),
        ],
        panels: [{
          title: "",
          node: plane({ board, rows: both, width: Math.min(width, 900), x: axis(trace), y: axis(want), front, least, enough: 100 * enough,
            chance: isShare(trace) ? 100 * trace.chance : 0, label: summary }),
          summary,
        }],
        records: scoreRecords(board, [want, trace], both),
        table: { family: want.family, data: want.data, sort: want.id },
        caption:
          `Up: ${meant(want)} Across: ${meant(trace)} The stepped line joins encoders that no other one beats on both, where ${word} trace wins; ` +
          "the dashed line is how much is enough, the upright one chance. Diamonds with names in bold are measured, discs published." +
          (both.some((row) => row.of) ? " An arrow leads from an encoder to the same one with an eraser in place." : ""),
      }),
    );
  };

  function line(row, want, trace) {
    return [
      h("a", { href: linkTo({ view: "encoder", encoder: row.key }) }, row.name), mixed && row.origin === "measured" ? " (measured)" : "", ": ",
      h("span", { class: "trace-value" }, `trace ${shown(row.cells[trace.index].value, trace)}`), ", ",
      h("span", { class: "want-value" }, `accuracy ${shown(row.cells[want.index].value, want)}`),
    ];
  }

  /** Where the reader's own rows stand, whether or not they are among the first. */
  function own(rows, both, kept, want, trace) {
    const measured = both.filter(({ origin }) => origin === "measured");
    if (!measured.length) return elsewhere(rows);
    if (measured.length === both.length) return null;
    const place = (row) => kept.indexOf(row) + 1;
    const listed = [...measured].sort((a, b) => (place(a) || Infinity) - (place(b) || Infinity)).slice(0, LISTED);
    return [
      h("p", { class: "own-title" }, measured.length > LISTED ? `Measured with camtrace, ${LISTED} of ${measured.length}:` : "Measured with camtrace:"),
      h("ul", { class: "best own" }, listed.map((row) => h("li", { class: "measured" }, line(row, want, trace), "; ",
        place(row) ? `place ${place(row)} of the ${kept.length} that reach it` : "below what is asked for"))),
    ];
  }

  /** A way to measured rows that lack what is in view: they were made on other photos, or are in part. */
  function elsewhere(rows) {
    const measured = rows.filter(({ origin }) => origin === "measured");
    let found = null;
    for (const want of wants) {
      for (const trace of traces) {
        const both = measured.filter((row) => row.cells[want.index] && row.cells[trace.index]).length;
        const weight = both * 2 + (want.data === trace.data ? 1 : 0);
        if (both && weight > (found?.weight ?? 0)) found = { weight, both, want, trace };
      }
    }
    if (!found) return null;
    const { both, want, trace } = found;
    return h("p", { class: "own-title" }, both > 1 ? `${both} encoders measured with camtrace have other scores: ` : "One encoder measured with camtrace has other scores: ",
      h("a", { href: linkTo({ want: want.id, trace: trace.id, floor: "" }) }, `${fullLabel(board, want)} against ${fullLabel(board, trace)}`), ".");
  }

  /** The two columns in view: the address's; else the pair that most rows have, a measured pair first among equals. */
  function pair(state, rows) {
    const asked = [wants.find(({ id }) => id === state.want), traces.find(({ id }) => id === state.trace)];
    const better = (a, b) => (!b || a[0] > b[0] || (a[0] === b[0] && a[1] > b[1]));
    let found = null;
    for (const want of asked[0] ? [asked[0]] : wants) {
      for (const trace of asked[1] ? [asked[1]] : traces) {
        const both = rows.filter((row) => row.cells[want.index] && row.cells[trace.index]);
        const own = both.filter((row) => row.origin === "measured").length;
        const here = (want.data === trace.data ? 2 : 0) + (state.data && want.data === state.data ? 4 : 0) + (trace.family === "summary" ? 1 : 0);
        const weight = [both.length + 1000 * here, own];
        if (better(weight, found?.weight)) found = { weight, pair: [want, trace] };
      }
    }
    return found.pair;
  }
}

/** What a column is, without the settings and ranks that its table tells. */
function meant(column) {
  return column.explain.replace(/ Here with .*$/, "");
}

function wanted(column) {
  if (column.family === "summary" || column.family === "plain" || (column.family === "adversary" && column.metric === "worst")) return true;
  return column.family === "retrieval" || (column.family === "knn" && ["all-same", "worst"].includes(column.metric));
}

function floorOf(state, best) {
  const asked = Number(state.floor);
  if (state.floor !== "" && Number.isFinite(asked) && asked >= 0 && asked <= 100) return asked / 100;
  return Math.max(0, Math.floor(100 * (best - BELOW_BEST)) / 100);
}
