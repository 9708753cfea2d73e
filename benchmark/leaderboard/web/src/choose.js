// Above the table's overview, in one sentence who has the least (or most) trace of those accurate enough; beside it, the plane.
import { fill, h } from "./dom.js";
import { frontOf } from "./drawing.js";
import { counted, isShare, percent, shown, unit } from "./format.js";
import * as m from "./model.js";
import { axis, figure, fullLabel, scoreRecords, select } from "./panel.js";
import { plane } from "./plane.js";

/** Most encoders that may keep as little whose names are given. */
const MOST_NAMED = 3;

export function createChoice({ board, verdict, container, change, linkTo }) {
  return function render(state) {
    container.hidden = verdict.hidden = state.family !== m.OVERVIEW;
    if (container.hidden) return;
    const rows = board.rows.filter((row) => m.passes(row, state));
    const [trace, want] = m.pair(board, state);
    const both = rows.filter((row) => row.cells[want.index] && row.cells[trace.index]);
    const least = state.direction !== "forensics";
    const enough = m.enough(board, state);
    const [first, ...others] = both
      .filter((row) => row.cells[want.index].value >= enough - 1e-9)
      .sort((a, b) => (least ? 1 : -1) * (a.cells[trace.index].value - b.cells[trace.index].value));
    const rank = (row) => m.rank(row.cells[trace.index], trace, state);
    const ties = others.filter((row) => rank(first) && rank(row)?.low <= rank(first).high);
    const tied = ties.length > MOST_NAMED ? counted(ties.length, "other") : ties.map(({ name }) => name).join(" and ");
    const within = m.floor(state) === null ? `, within ${100 * m.BELOW_BEST} points of the best` : "";
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
    const smoke = both.length && both.every((row) => row.notes.some((note) => note.includes("smoke test")));
    const value = (row, column) => `${shown(row.cells[column.index].value, column)} ${unit(column)}`;
    fill(verdict,
      h("p", { class: "answer" }, both.length === 1
        ? [h("strong", {}, both[0].name), `: trace ${value(both[0], trace)}${isShare(trace) ? ` (chance ${percent(trace.chance)} %)` : ""}, accuracy ${value(both[0], want)}. No other encoder has these two scores.`]
        : first
        ? [h("strong", {}, first.name), ` keeps the ${word} trace (${value(first, trace)}) of those with at least ${percent(enough)} % accuracy${within} (it has ${value(first, want)}).`,
          tied ? ` As ${least ? "little" : "much"} may be kept by ${tied}: the intervals do not decide.` : ""]
        : `No encoder in view reaches ${percent(enough)} %.`,
      smoke ? " A smoke test: choose no encoder by it." : ""));
    fill(
      container,
      figure(context, {
        id: "choose",
        title: null,
        lead: [
          h("p", { class: "legend" }, board.groups.filter(({ id }) => both.some(({ group }) => group === id)).map(({ id, label }) =>
            h("span", {}, h("span", { class: `dot group-${id.toLowerCase()}`, "aria-hidden": "true" }), label)),
            board.mixed ? h("span", {}, "◆ measured with camtrace") : null),
        ],
        panels: [{
          title: "",
          node: plane({ board, rows: both, width: Math.min(width, 760), x: axis(trace), y: axis(want), front, least, enough: 100 * enough,
            chance: isShare(trace) ? 100 * trace.chance : 0,
            label: `${counted(both.length, "encoder")}: ${want.label} against ${trace.label}. ${front.length} of them no other one beats on both.` }),
          summary: null,
        }],
        records: scoreRecords(board, [want, trace], both),
        caption: [
          `Stepped line: encoders that no other one beats on both, where ${word} trace wins. Dashed: ${percent(enough)} % accuracy; dotted: chance.`,
          both.some((row) => row.of) ? " Arrow: from an encoder to the same one with an eraser in place." : "",
        ],
      }),
      h("div", { class: "row choices" },
        select(context, "trace", "Across: trace", board.traces.map((c) => [c.id, fullLabel(board, c)]), trace.id),
        select(context, "want", "Up: accuracy", board.wants.map((c) => [c.id, fullLabel(board, c)]), want.id),
        h("div", { class: "field narrow" }, h("label", { for: "choice-floor" }, "At least, %"), number)),
    );
  };
}

/** Ways to the encoders that have neither score in view, which were scored on other photos: one's own, or the study's. */
export function elsewhere(board, state, linkTo) {
  if (!board.mixed) return null;
  const [trace, want] = m.pair(board, state);
  const ways = ["measured", "published"].map((origin) => {
    const rows = board.rows.filter((row) => row.origin === origin && m.passes(row, state));
    const without = rows.filter((row) => !row.cells[trace.index] && !row.cells[want.index]);
    const there = without.length === rows.length && rows.length ? pairOf(board, rows) : null;
    if (!there) return null;
    const data = board.dataset.get(there[1].data).label;
    const whose = origin === "measured" ? `${counted(rows.length, "encoder")} measured here` : `the ${counted(rows.length, "published encoder")}`;
    return h("p", { class: "notice elsewhere" },
      `Not in this table: ${whose}, scored on other photos. `,
      h("a", { href: linkTo({ trace: there[0].id, want: there[1].id, floor: "" }), title: `${fullLabel(board, there[1])} against ${there[0].label}` },
        `${rows.length > 1 ? "Their" : "Its"} scores on ${data}`), ".");
  });
  return ways.filter(Boolean);
}

/** The trace and the accuracy that most of these rows have, on one data set where there is one. */
function pairOf(board, rows) {
  let found = null;
  for (const want of board.wants) {
    for (const trace of board.traces) {
      const both = rows.filter((row) => row.cells[want.index] && row.cells[trace.index]).length;
      const weight = both * 4 + (want.data === trace.data ? 2 : 0) + (trace.family === "summary" ? 1 : 0);
      if (both && weight > (found?.weight ?? 0)) found = { weight, pair: [trace, want] };
    }
  }
  return found?.pair ?? null;
}
