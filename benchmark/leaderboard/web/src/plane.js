// The plane of a choice: what is wanted against the trace, names at the points as far as there is room.
import { arrow, dot, line, pointer, ruleX, ruleY, text, tip } from "@observablehq/plot";
import { about, draw, labels, padded } from "./drawing.js";

/** Where a name may stand at its point: which end of it, and how far below. */
const SIDES = [["start", 0], ["end", 0], ["end", -11], ["start", 11], ["start", -11], ["end", 11]];
/** Of one's own, whose marks are larger: above, below, beside, then further away. */
const OWN_SIDES = [["middle", -16], ["middle", 17], ["end", 0], ["start", 0], ["middle", -29], ["middle", 30], ["middle", -42], ["middle", 43]];
/** Pixels from a point to a name beside it. */
const GAP = { own: 13, other: 7 };

/** Most of one's own encoders that are drawn large. */
const MOST_RINGED = 12;

/** What is wanted against the trace, names at the points as far as they do not cover each other. */
export function plane({ board, rows, width, x, y, front, least, enough, chance: guess, label }) {
  const few = rows.filter(({ origin }) => origin === "measured").length <= MOST_RINGED;
  const points = rows.map((row) => ({ ...about(row), x: x.of(row), y: y.of(row) }));
  const narrow = width < 520;
  const height = narrow ? 320 : 460;
  const box = { left: 46, right: narrow ? 14 : 30, top: 14, bottom: 40 };
  const xs = padded([...points.map((p) => p.x), ...(guess ? [guess] : [])], 100);
  const ys = padded([...points.map((p) => p.y), ...(points.length ? [] : [0])], 100);
  const at = (p) => ({
    px: box.left + ((p.x - xs[0]) / (xs[1] - xs[0] || 1)) * (width - box.left - box.right),
    py: height - box.bottom - ((p.y - ys[0]) / (ys[1] - ys[0] || 1)) * (height - box.top - box.bottom),
  });
  const first = (p) => (p.origin === "measured" ? 2 : 0) + (front.includes(p.row) ? 1 : 0);
  const named = placed([...points].sort((a, b) => first(b) - first(a)).map((p) => ({ ...p, ...at(p), own: board.mixed && p.origin === "measured" })), width, narrow ? 16 : 30, height);
  // From an encoder to the same with an eraser in place, where both are in view.
  const moved = points.flatMap((p) => points.filter((q) => p.row.of === q.key).map((q) => ({ x1: q.x, y1: q.y, x2: p.x, y2: p.y })));
  const line_ = points.filter((p) => front.includes(p.row)).sort((a, b) => a.x - b.x);
  return draw(board, label, {
    width,
    height,
    marginLeft: box.left,
    marginRight: box.right,
    marginTop: box.top,
    marginBottom: box.bottom,
    x: { label: `${x.label} →`, grid: true, domain: xs, ticks: narrow ? 5 : 8 },
    y: { label: `↑ ${y.label}`, grid: true, domain: ys, ticks: 6 },
    marks: [
      enough > ys[0] && enough < ys[1] ? ruleY([enough], { stroke: "var(--want)", strokeDasharray: "4 3" }) : null,
      guess ? ruleX([guess], { stroke: "var(--ink)", strokeDasharray: "1 3" }) : null,
      line(line_, { x: "x", y: "y", curve: least ? "step-after" : "step-before", stroke: "var(--muted)", strokeWidth: 1.2 }),
      dot(points.filter((p) => p.origin !== "measured" || !board.mixed), { x: "x", y: "y", r: 4.5, fill: "group", fillOpacity: 0.85, symbol: "origin", stroke: "var(--paper)", strokeWidth: 0.8 }),
      dot(points.filter((p) => p.origin === "measured" && board.mixed), { x: "x", y: "y", r: few ? 7 : 4.5, fill: "group", symbol: "origin", stroke: few ? "var(--ink)" : "var(--paper)", strokeWidth: few ? 1.8 : 0.8 }),
      ...Object.entries({ own: OWN_SIDES, other: SIDES }).flatMap(([whose, sides]) => sides.map(([anchor, dy]) => text(
        named.filter((p) => p.own === (whose === "own") && p.anchor === anchor && p.dy === dy),
        { x: "x", y: "y", dx: { start: GAP[whose], middle: 0, end: -GAP[whose] }[anchor], dy, textAnchor: anchor, text: "label", fill: "var(--ink)", stroke: "var(--paper)", strokeWidth: 5, fontWeight: whose === "own" ? 700 : 400 },
      ))),
      arrow(moved, { x1: "x1", y1: "y1", x2: "x2", y2: "y2", stroke: "var(--ink)", strokeOpacity: 0.7, strokeWidth: 1.3, headLength: 9, inset: 7 }),
      tip(points, pointer({ x: "x", y: "y", title: (p) => `${p.name} (${p.origin})\n${x.label}: ${x.text(p.row)}\n${y.label}: ${y.text(p.row)}` })),
    ],
  });
}

/** Of points in order of importance, those whose name has room beside them, with the side. */
function placed(points, width, most, height) {
  const taken = points.map(({ px, py, own }) => (own ? [px - 8, py - 8, px + 8, py + 8] : [px - 4, py - 4, px + 4, py + 4]));
  const found = [];
  const named = labels(points.map(({ row, name }) => (row.of ? row.eraser : name)), most);
  for (const [i, point] of points.entries()) {
    const label = named[i];
    const long = 6.2 * label.length + 8;
    const gap = point.own ? GAP.own - 4 : GAP.other - 2;
    for (const [anchor, dy] of point.own ? OWN_SIDES : SIDES) {
      const left = { start: point.px + gap, middle: point.px - long / 2, end: point.px - gap - long }[anchor];
      const box = [left, point.py + dy - 7, left + long, point.py + dy + 7];
      if (box[0] < 44 || box[2] > width || box[1] < 0 || box[3] > height) continue;
      if (taken.some(([a, b, c, d]) => box[0] < c && box[2] > a && box[1] < d && box[3] > b)) continue;
      taken.push(box);
      found.push({ ...point, label, anchor, dy });
      break;
    }
  }
  return found;
}
