// What every plot shares: our colours, no inline style sheet, one label per figure, names, tips and ranges.
import { plot } from "@observablehq/plot";
import { chance, interval, isShare, shown, unit } from "./format.js";

export const asPercent = (value) => 100 * value;

/** The rows that have this column, with what a mark needs. */
export function held(rows, column) {
  return rows
    .filter((row) => row.cells[column.index])
    .map((row) => ({ ...about(row), ...row.cells[column.index] }));
}

export function about(row) {
  return { row, key: row.key, name: row.name, origin: row.origin, group: row.group };
}

export function tooltip(point, column) {
  const range = interval(point, column);
  const lines = [
    `${point.name} (${point.origin})`,
    `${column.label}: ${shown(point.value, column)} ${unit(column)}`,
    range ? `95 % interval ${range}` : null,
    isShare(column) ? `chance ${chance(column)}` : null,
  ];
  return lines.filter(Boolean).join("\n");
}

export function padded(values, most) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const pad = Math.max(0.5, 0.06 * (high - low));
  return [Math.max(0, low - pad), Math.min(most + 0.25 * pad, high + pad)];
}

/** Points that no smaller encoder beats, smallest first; "least" or "most" says which end of y is wanted. */
export function frontOf(points, wanted) {
  const sign = wanted === "most" ? 1 : -1;
  const front = [];
  for (const point of [...points].sort((a, b) => a.x - b.x || sign * (b.y - a.y))) {
    if (!front.length || sign * point.y > sign * front.at(-1).y) front.push(point);
  }
  return front;
}

export function short(name, most) {
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
}

/** Labels of at most so many characters, in order. Long names lose what is before their last colon or slash; those whose
 * beginnings are equal keep the part that tells them apart. */
export function labels(full, most) {
  const bare = full.map((name) => (name.length > most ? name.slice(Math.max(name.lastIndexOf(":"), name.lastIndexOf("/")) + 1) || name : name));
  const names = new Set(bare).size === new Set(full).size ? bare : full;
  const alike = new Map();
  for (const name of new Set(names)) alike.set(short(name, most), [...(alike.get(short(name, most)) ?? []), name]);
  const made = new Map();
  for (const [label, group] of alike) {
    if (group.length === 1) made.set(group[0], label);
    else for (const [i, name] of group.entries()) made.set(name, apart(name, group, most, i + 1));
  }
  return names.map((name) => made.get(name));
}

function apart(name, group, most, number) {
  const same = prefix(group);
  for (let begins = Math.ceil(most / 3); begins > 1; begins -= 1) {
    const room = most - 1 - begins;
    const from = (one) => Math.max(begins, Math.min(same - 3, one.length - room));
    for (const cut of [(one) => short(one.slice(from(one)), room), (one) => one.slice(-room)]) {
      if (new Set(group.map(cut)).size === group.length) return `${name.slice(0, begins)}…${cut(name)}`;
    }
  }
  return `${short(name, most - 4)} (${number})`;
}

function prefix([first, ...others]) {
  let at = 0;
  while (at < first.length && others.every((other) => other[at] === first[at])) at += 1;
  return at;
}

export function draw(board, label, options) {
  const svg = plot({
    className: "plot",
    style: { background: "none" },
    color: {
      domain: board.groups.map(({ id }) => id),
      range: board.groups.map(({ id }) => `var(--group-${id.toLowerCase()})`),
    },
    symbol: { domain: ["published", "measured"], range: ["circle", "diamond2"] },
    ...options,
    marks: options.marks.filter(Boolean),
  });
  // The policy forbids inline style sheets: what Plot would add is in style.css.
  for (const style of svg.querySelectorAll("style")) style.remove();
  // One label for the figure; labels on groups inside an image are not allowed.
  for (const group of svg.querySelectorAll("[aria-label]")) {
    group.setAttribute("data-mark", group.getAttribute("aria-label"));
    group.removeAttribute("aria-label");
  }
  for (const element of svg.querySelectorAll("[aria-description]")) element.removeAttribute("aria-description");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  return svg;
}
