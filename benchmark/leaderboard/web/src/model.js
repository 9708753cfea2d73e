// The board's data with look-ups, and the pure functions from state to rows and columns.
import { isShare } from "./format.js";
import { list } from "./state.js";

/** Wrap the raw board: cells become objects, columns and rows can be found by name. */
export function model(raw) {
  const columns = raw.columns.map((column, index) => ({ ...column, index }));
  const rows = raw.rows.map((row) => ({
    ...row,
    cells: row.cells.map(cell),
    haystack: [row.name, row.id, row.group, row.group_label, row.library, row.training, row.origin]
      .join(" ")
      .toLowerCase(),
  }));
  for (const row of rows) row.data = new Set(columns.filter((column) => row.cells[column.index]).map(({ data }) => data));
  for (const column of columns) {
    column.count = rows.filter((row) => row.cells[column.index]).length;
  }
  const board = {
    ...raw,
    columns,
    rows,
    /** Detectors of generated photos have a view of their own. */
    families: raw.families.filter(({ id }) => id !== DETECTION),
    compared: columns.filter(({ family }) => family !== DETECTION),
    /** Columns that say how well content is found, and those that say how much of a trace there is. */
    wants: columns.filter((c) => c.count && c.kind === "accuracy" && wanted(c)),
    traces: columns.filter((c) => c.count && ["trace", "size"].includes(c.kind) && ["summary", "processing", "acquisition"].includes(c.family)),
    mixed: new Set(rows.map(({ origin }) => origin)).size > 1,
    column: new Map(columns.map((column) => [column.id, column])),
    row: new Map(rows.map((row) => [row.key, row])),
    dataset: new Map(raw.data.map((data) => [data.id, data])),
  };
  if (board.wants.length && board.traces.length) {
    board.families = [{ id: OVERVIEW, label: "overview", explain: "One trace and one accuracy. All other scores: under Columns." }, ...board.families];
  }
  return board;
}

/** The family of tasks about generated photos. */
export const DETECTION = "forensics";

/** The family of the first view: a trace and an accuracy, chosen by `pair`. */
export const OVERVIEW = "overview";

function wanted(column) {
  if (column.family === "summary" || column.family === "plain" || (column.family === "adversary" && column.metric === "worst")) return true;
  return column.family === "retrieval" || (column.family === "knn" && ["all-same", "worst"].includes(column.metric));
}

/** The two columns of the overview: the address's; else the pair that most of one's own encoders have, where there are any
 * beside the published ones; among these the one that most rows have. */
export function pair(board, state) {
  const rows = board.rows.filter((row) => passes(row, state));
  const asked = [board.traces.find(({ id }) => id === state.trace), board.wants.find(({ id }) => id === state.want)];
  let found = null;
  for (const trace of asked[0] ? [asked[0]] : board.traces) {
    for (const want of asked[1] ? [asked[1]] : board.wants) {
      const both = rows.filter((row) => row.cells[want.index] && row.cells[trace.index]);
      const own = both.filter((row) => row.origin === "measured").length;
      const here = (want.data === trace.data ? 2 : 0) + (state.data && want.data === state.data ? 4 : 0) + (trace.family === "summary" ? 1 : 0);
      const weight = both.length + 1000 * here + (board.mixed ? 1e5 * own : 0);
      if (!found || weight > found.weight) found = { weight, columns: [trace, want] };
    }
  }
  return found.columns;
}

function cell(values) {
  if (!values) return null;
  const [value, low, high, n, rankLow, rankHigh, flags] = values;
  return { value, low, high, n, rankLow, rankHigh, flags: flags || [] };
}

/** Data sets that have columns of this family. */
export function dataOf(board, family) {
  const columns = family === OVERVIEW ? board.wants : board.columns.filter((column) => column.family === family);
  const held = new Set(columns.map((column) => column.data));
  return board.data.filter((data) => held.has(data.id));
}

/** The data set in view: "" means all of them; kNN has too many columns for that. */
export function chosenData(board, state) {
  const choices = dataOf(board, state.family);
  if (choices.some((data) => data.id === state.data)) return state.data;
  return state.family === "knn" && choices.length ? choices[0].id : "";
}

/** Columns in view, in the board's order; those that no row in view has are left out. */
export function visibleColumns(board, state) {
  if (state.family === OVERVIEW) return pair(board, state);
  const data = chosenData(board, state);
  const parameters = list(state.parameter);
  const columns = board.columns.filter(
    (column) =>
      column.family === state.family &&
      (!data || column.data === data) &&
      (!parameters.length || !column.parameter || parameters.includes(column.parameter)),
  );
  const rows = inView(board, state);
  const held = columns.filter((column) => rows.some((row) => row.cells[column.index]));
  return held.length ? held : columns;
}

/** Rows that pass the search and every filter. In the overview, others than one's own have a score in view, and where the
 * reader says what is enough, every row has that much. */
export function inView(board, state) {
  const rows = board.rows.filter((row) => passes(row, state));
  if (state.family !== OVERVIEW) return rows;
  const least = floor(state);
  const [trace, want] = pair(board, state);
  return rows.filter((row) => (least === null ? row.origin === "measured" || row.cells[trace.index] || row.cells[want.index] : row.cells[want.index]?.value >= least - 1e-9));
}

/** How much accuracy the reader calls enough, as a share; null where he does not say. */
export function floor({ floor }) {
  const percent = Number(floor);
  return floor !== "" && Number.isFinite(percent) && percent >= 0 && percent <= 100 ? percent / 100 : null;
}

/** True where the row passes the search and every filter. */
export function passes(row, state) {
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.every((word) => row.haystack.includes(word))) return false;
  for (const name of ["group", "origin", "library", "training"]) {
    const wanted = list(state[name]);
    if (wanted.length && !wanted.includes(row[name])) return false;
  }
  // A data set leaves the rows that have it; columns of other data sets stay where one family is not on it.
  if (state.data && !row.data.has(state.data)) return false;
  const sizes = list(state.size);
  return !sizes.length || sizes.includes(sizeClass(row.parameters));
}

export const SIZES = [
  ["small", "under 50 M"],
  ["medium", "50 to 200 M"],
  ["large", "200 to 600 M"],
  ["huge", "600 M and more"],
  ["unknown", "not stated"],
];

export function sizeClass(parameters) {
  if (!parameters) return "unknown";
  if (parameters < 50e6) return "small";
  if (parameters < 200e6) return "medium";
  return parameters < 600e6 ? "large" : "huge";
}

/** How the table is sorted: `{column, by, descending, own, accurate}`, `by` a fact's name when no score column is meant,
 * `own` where measured rows that have the value come first, `accurate` whether a row is accurate enough, where such rows
 * come first: in the overview, unless the reader sorts. */
export function sorting(board, state, columns) {
  const overview = state.family === OVERVIEW && !state.sort;
  const least = overview ? enough(board, state) : 0;
  const accurate = overview ? (row) => row.cells[columns[1].index]?.value >= least - 1e-9 : null;
  return { ...ordering(board, state, columns), own: board.mixed && state.own === "1", accurate };
}

/** How many points below the best an accuracy may lie unless the reader says how much is enough. */
export const BELOW_BEST = 0.05;

/** The accuracy that is enough, as a share: the reader's, else a little below the best in view. */
export function enough(board, state) {
  const [trace, want] = pair(board, state);
  const both = board.rows.filter((row) => passes(row, state) && row.cells[want.index] && row.cells[trace.index]);
  const best = Math.max(0, ...both.map((row) => row.cells[want.index].value));
  return floor(state) ?? Math.max(0, Math.floor(100 * (best - BELOW_BEST)) / 100);
}

/** Rows of the first tier come first, whatever their value: 2 for others than measured rows that have the value, and 1
 * for rows that are not accurate enough. */
export function tier(row, { column, own, accurate }) {
  const others = own && (row.origin !== "measured" || (column && !row.cells[column.index]));
  return (others ? 2 : 0) + (accurate && !accurate(row) ? 1 : 0);
}

function ordering(board, state, columns) {
  const [id, order] = splitSort(state.sort);
  const column = board.column.get(id);
  if (column && columns.includes(column)) {
    return { column, by: "", descending: order ? order === "desc" : mostFirst(column, state) };
  }
  if (FACTS.has(id)) return { column: columns[0] ?? null, by: id, descending: order === "desc" };
  const first = columns[0] ?? null;
  return { column: first, by: "", descending: first ? mostFirst(first, state) : false };
}

export const FACTS = new Set(["name", "origin", "group", "library", "training", "parameters", "input"]);

function splitSort(text) {
  const at = text.lastIndexOf(".");
  const order = text.slice(at + 1);
  return order === "asc" || order === "desc" ? [text.slice(0, at), order] : [text, ""];
}

/** Accuracy is better when high in every view; trace and its cost follow the reader's direction. */
export function mostFirst(column, state) {
  return column.kind === "accuracy" || state.direction === "forensics";
}

/** What ranks compare: the size of a difference, whatever its sign. */
export function magnitude(cell, column) {
  return column.kind === "difference" ? Math.abs(cell.value) : cell.value;
}

/** A cell's rank interval over the whole board, whatever is filtered; null where there is no rank. */
export function rank(cell, column, state) {
  if (!cell || !cell.rankLow) return null;
  if (mostFirst(column, state)) return { low: cell.rankLow, high: cell.rankHigh };
  return { low: column.ranked + 1 - cell.rankHigh, high: column.ranked + 1 - cell.rankLow };
}

/** What the table's rank column says of each row: where the accurate rows come first, their ranks among each other, and
 * no rank for the others; else the ranks over the whole board. Intervals of the whole board hold together, so that two
 * rows are in a known order where theirs do not overlap. */
export function ranks(board, { column, accurate }, state) {
  const all = board.rows
    .filter((row) => column && (!accurate || accurate(row)))
    .map((row) => ({ row, of: rank(row.cells[column.index], column, state) }))
    .filter(({ of }) => of);
  return new Map(all.map(({ row, of }) => [row, !accurate ? of : {
    low: 1 + all.filter((other) => other.of.high < of.low).length,
    high: all.length - all.filter((other) => other.of.low > of.high).length,
  }]));
}

/** Rows in the order of the sort; those without the value come last in either direction. */
export function sorted(rows, sorting) {
  const { column, by, descending } = sorting;
  const sign = descending ? -1 : 1;
  const key = by
    ? (row) => (row[by] === "" || row[by] === undefined ? null : row[by])
    : (row) => (column && row.cells[column.index] ? magnitude(row.cells[column.index], column) : null);
  return underEncoders(rows
    .map((row) => ({ row, key: key(row), tier: tier(row, sorting) }))
    .sort((a, b) => {
      if (a.tier !== b.tier) return a.tier - b.tier;
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || byName(a.row, b.row);
      const order = typeof a.key === "string" ? a.key.localeCompare(b.key, "en") : a.key - b.key;
      return sign * order || byName(a.row, b.row);
    })
    .map(({ row }) => row));
}

/** The same rows, each eraser's under its encoder's where both are there; among each other as they are sorted. */
export function underEncoders(rows) {
  const there = new Set(rows.map((row) => row.key));
  const erased = (row) => row.of && there.has(row.of);
  return rows.filter((row) => !erased(row)).flatMap((row) => [row, ...rows.filter((other) => erased(other) && other.of === row.key)]);
}

function byName(a, b) {
  return a.name.localeCompare(b.name, "en") || a.origin.localeCompare(b.origin, "en");
}

/** Step 0..8 of the cell's shade: from chance to the ceiling, or against the largest of the column. */
export function shade(cell, column, widest) {
  const share =
    isShare(column)
      ? (cell.value - column.chance) / (column.ceiling - column.chance || 1)
      : Math.abs(cell.value) / (widest || 1);
  return Math.max(0, Math.min(8, Math.round(8 * share)));
}

export function widest(board, column) {
  return Math.max(0, ...board.rows.map((row) => Math.abs(row.cells[column.index]?.value ?? 0)));
}
