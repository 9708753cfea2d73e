// What the table shows, as CSV or JSON with every digit.
import * as m from "./model.js";

const FACTS = ["name", "id", "origin", "group", "library", "training", "input", "parameters"];
const PARTS = ["", "/low", "/high", "/n", "/rank-low", "/rank-high"];

export function toCsv({ rows, columns }, state) {
  const head = [...FACTS, ...columns.flatMap((column) => PARTS.map((part) => column.id + part))];
  const lines = rows.map((row) => [
    ...FACTS.map((name) => row[name]),
    ...columns.flatMap((column) => numbers(row.cells[column.index], column, state)),
  ]);
  return [head, ...lines].map((line) => line.map(field).join(",")).join("\r\n") + "\r\n";
}

export function toJson({ rows, columns }, state, board) {
  const scores = (row) =>
    Object.fromEntries(
      columns
        .filter((column) => row.cells[column.index])
        .map((column) => {
          const [value, low, high, n, rankLow, rankHigh] = numbers(row.cells[column.index], column, state);
          const flags = row.cells[column.index].flags;
          return [column.id, { value, low, high, n, rank_low: rankLow, rank_high: rankHigh, flags }];
        }),
    );
  return JSON.stringify(
    {
      board: board.title,
      generated: board.generated,
      version: board.version,
      direction: state.direction,
      columns: columns.map(({ id, data, task, metric, label, explain, kind, chance, ceiling }) => ({
        id, data, task, metric, label, explain, kind, chance, ceiling,
      })),
      encoders: rows.map((row) => ({
        ...Object.fromEntries(FACTS.map((name) => [name, row[name] ?? null])),
        scores: scores(row),
      })),
    },
    null,
    1,
  );
}

/** Flat records as CSV, columns in the order of the first record. */
export function csvOf(records) {
  const names = Object.keys(records[0] ?? {});
  return [names, ...records.map((record) => names.map((name) => record[name]))].map((line) => line.map(field).join(",")).join("\r\n") + "\r\n";
}

/** A table of texts as CSV. */
export function csvOfTable(head, rows) {
  return [head, ...rows].map((line) => line.map(field).join(",")).join("\r\n") + "\r\n";
}

/** Offer a text as a file. */
export function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function numbers(cell, column, state) {
  if (!cell) return PARTS.map(() => null);
  const rank = m.rank(cell, column, state);
  return [cell.value, cell.low, cell.high, cell.n, rank?.low ?? null, rank?.high ?? null];
}

function field(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  // A spreadsheet runs a text that begins like a formula: an apostrophe keeps it a text.
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
