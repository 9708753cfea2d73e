// Numbers as people read them. The cell shows one decimal of a percent; downloads keep every digit.

const MINUS = "\u2212";

export function percent(value) {
  return (100 * value).toFixed(1);
}

/** A difference of two accuracies in percentage points, with its sign. */
export function points(value) {
  const text = percent(Math.abs(value));
  if (text === "0.0") return text;
  return (value < 0 ? MINUS : "+") + text;
}

/** A number of a column as the page prints it. */
export function shown(value, column) {
  if (column.kind === "log-odds") return value.toFixed(2).replace("-", MINUS);
  return column.kind === "difference" ? points(value) : percent(value);
}

/** The same on an axis. */
export function scaled(value, column) {
  return column.kind === "log-odds" ? value : 100 * value;
}

/** Probes and accuracies have a chance level and a ceiling; differences and log-odds are 0 where nothing is to see. */
export function isShare(column) {
  return column.kind === "trace" || column.kind === "accuracy";
}

/** Chance of many classes is a small number: it gets the digits to be one. */
export function chance(column) {
  return column.chance < 0.001 ? (100 * column.chance).toPrecision(1) : percent(column.chance);
}

export function interval(cell, column) {
  if (cell.low === null) return "";
  return `${shown(cell.low, column)} to ${shown(cell.high, column)}`;
}

export function rankText(rank) {
  if (!rank) return "";
  return rank.low === rank.high ? String(rank.low) : `${rank.low}\u2013${rank.high}`;
}

export function count(number) {
  return number.toLocaleString("en");
}

/** "1 row", "1,200 rows". */
export function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

export function millions(parameters) {
  if (!parameters) return "";
  return parameters >= 1e9 ? `${(parameters / 1e9).toFixed(2)} B` : `${(parameters / 1e6).toFixed(1)} M`;
}

export function unit(column) {
  if (column.kind === "log-odds") return "log-odds";
  return isShare(column) ? "%" : "percentage points";
}
