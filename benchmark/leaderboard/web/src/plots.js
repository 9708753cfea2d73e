// The plots of the figures, by Observable Plot.
import { axisY, barY, dot, line, pointer, pointerX, pointerY, ruleX, ruleY, text, tip } from "@observablehq/plot";
import { about, asPercent, draw, frontOf, held, labels, padded, tooltip } from "./drawing.js";
import { isShare, percent, scaled, unit } from "./format.js";

/** Bars of one column, highest first, with the chance line; one bar per encoder. */
export function bars({ board, column, rows, width, label }) {
  const points = held(rows, column).sort((a, b) => b.value - a.value);
  const most = asPercent(Math.max(column.chance, ...points.map((p) => p.high ?? p.value)));
  const top = most > 50 ? 100 : 10 * Math.ceil(most / 10);
  const names = labels(points.map((p) => p.name), 34);
  const below = 26 + Math.ceil(5.3 * Math.max(8, ...names.map((name) => name.length)));
  return draw(board, label, {
    width: Math.max(Math.min(width, 80 * points.length + 60), 10.6 * points.length + 48),
    height: 200 + below,
    marginLeft: 38,
    marginBottom: below,
    x: { axis: null, domain: points.map(({ key }) => key), padding: 0.15 },
    y: { domain: [0, top], label: "accuracy (%)", ticks: 5, grid: true },
    marks: [
      barY(points, { x: "key", y: (p) => asPercent(p.value), fill: "group", fillOpacity: (p) => (p.origin === "measured" ? 1 : 0.75) }),
      ruleX(points.filter((p) => p.low !== null), { x: "key", y1: (p) => asPercent(p.low), y2: (p) => asPercent(p.high), stroke: "var(--ink)", strokeWidth: 1 }),
      text(points, { x: "key", y: 0, dy: 12, rotate: -90, textAnchor: "end", fontSize: 9.5, text: (_, i) => names[i], fill: "var(--ink)", fontWeight: (p) => (p.origin === "measured" ? 700 : 400) }),
      dot(points.filter((p) => p.origin === "measured"), { x: "key", y: 0, dy: 6, r: 2.5, symbol: "diamond2", fill: "var(--ink)" }),
      ruleY([asPercent(column.chance)], { stroke: "var(--ink)", strokeDasharray: "4 3" }),
      ruleY([0], { stroke: "var(--muted)" }),
      tip(points, pointerX({ x: "key", y: (p) => asPercent(p.value), title: (p) => tooltip(p, column) })),
    ],
  });
}

/** One line per encoder over the kNN set-ups of one parameter. */
export function setups({ board, columns, rows, width, scale, label }) {
  const base = columns.find(({ metric }) => metric === "all-same");
  const points = columns.flatMap((column) =>
    held(rows, column)
      .filter((p) => scale !== "difference" || (base && p.row.cells[base.index]))
      .map((p) => ({
        ...p,
        setup: column.metric,
        tip: tooltip(p, column),
        y: asPercent(p.value - (scale === "difference" ? p.row.cells[base.index].value : 0)),
      })),
  );
  return draw(board, label, {
    width,
    height: 260,
    marginLeft: 44,
    marginBottom: 34,
    x: { type: "point", domain: columns.map(({ metric }) => metric), label: null, padding: 0.3 },
    y: { label: scale === "difference" ? "points from all-same" : "kNN accuracy (%)", grid: true, ticks: 6 },
    marks: [
      scale === "difference" ? ruleY([0], { stroke: "var(--ink)", strokeDasharray: "4 3" }) : null,
      line(points, { x: "setup", y: "y", z: "key", stroke: "group", strokeOpacity: 0.45, strokeWidth: 1.2 }),
      dot(points, { x: "setup", y: "y", r: 2.6, fill: "group", symbol: "origin" }),
      tip(points, pointer({ x: "setup", y: "y", title: "tip" })),
    ],
  });
}

/** Any two columns against each other; optionally the line y = x and the front of the best. */
export function scatter({ board, x, y, rows, width, zoom, diagonal, front, label }) {
  const points = rows
    .map((row) => ({ ...about(row), x: x.of(row), y: y.of(row) }))
    .filter((p) => p.x !== null && p.y !== null);
  const whole = diagonal && !zoom ? [0, 100] : null;
  const shared = diagonal && zoom && points.length ? padded(points.flatMap((p) => [p.x, p.y]), 100) : null;
  return draw(board, label, {
    width: Math.min(width, 620),
    // Equal scales make y = x the diagonal.
    height: diagonal ? Math.min(width, 620) - 10 : Math.min(width, 460),
    marginLeft: 48,
    marginRight: 20,
    marginBottom: 40,
    x: { label: `${x.label} →`, grid: true, type: x.log ? "log" : "linear", domain: whole ?? shared ?? undefined, nice: !diagonal, ticks: 5, tickFormat: x.log ? "~s" : undefined },
    y: { label: `↑ ${y.label}`, grid: true, domain: whole ?? shared ?? undefined, nice: !diagonal, ticks: 6 },
    marks: [
      diagonal ? line(ends(whole ?? shared ?? [0, 100]), { x: ([at]) => at, y: ([at]) => at, stroke: "var(--ink)", strokeDasharray: "4 3" }) : null,
      front ? line(frontOf(points, front), { x: "x", y: "y", curve: "step-after", stroke: "var(--ink)", strokeWidth: 1 }) : null,
      dot(points, { x: "x", y: "y", r: 4.5, fill: "group", fillOpacity: 0.8, symbol: "origin", stroke: "var(--paper)", strokeWidth: 0.8 }),
      tip(points, pointer({ x: "x", y: "y", title: (p) => `${p.name} (${p.origin})\n${x.label}: ${x.text(p.row)}\n${y.label}: ${y.text(p.row)}` })),
    ],
  });
}

/** Dot and 95 % interval of each encoder in one column. */
export function forest({ board, column, rows, width, label }) {
  const points = held(rows, column);
  const narrow = width < 520;
  const names = labels(points.map(({ name }) => name), narrow ? 20 : 38);
  return draw(board, label, {
    width,
    height: 18 * points.length + 50,
    marginLeft: narrow ? 150 : 250,
    marginBottom: 34,
    x: { label: `${column.label} (${unit(column)})`, grid: true, ticks: narrow ? 4 : 8 },
    y: { type: "band", domain: points.map(({ key }) => key), label: null },
    marks: [
      axisY({ label: null, tickSize: 0, tickFormat: (_, i) => names[i] }),
      ruleX([isShare(column) ? asPercent(column.chance) : 0], { stroke: "var(--ink)", strokeDasharray: "4 3" }),
      ruleY(points.filter((p) => p.low !== null), { y: "key", x1: (p) => scaled(p.low, column), x2: (p) => scaled(p.high, column), stroke: "group", strokeWidth: 2 }),
      dot(points, { y: "key", x: (p) => scaled(p.value, column), r: 3.5, fill: "group", symbol: "origin" }),
      tip(points, pointerY({ y: "key", x: (p) => scaled(p.value, column), title: (p) => tooltip(p, column) })),
    ],
  });
}

/** One metric over depth: a line per pooling with intervals, plain kNN in grey, the embedding at the right end. */
export function depth({ board, own, content, width, label, kind }) {
  if (!own.lines.length) return null;
  const end = own.layers;
  const name = (layer) => (layer === end ? "final" : String(layer));
  const points = own.lines.flatMap(({ points }, i) => points.map((p) => ({ ...p, shade: `var(--line-${i % 8})` })));
  const grey = content?.lines.flatMap(({ points }) => points) ?? [];
  const final = own.final ? [{ layer: end, label: "final", shade: "var(--ink)", ...own.final }] : [];
  const known = content?.final ? [{ layer: end, value: content.final.value }] : [];
  const all = [...points, ...final];
  const tooltip = (p) => `${p.title ?? "final, the embedding"}: ${percent(p.value)} (${percent(p.low)} to ${percent(p.high)}), n = ${p.n}`;
  const step = Math.max(1, Math.round(end / 8));
  const ticks = [...Array.from({ length: end }, (_, i) => i).filter((i) => i % step === 0), end];
  const svg = draw(board, label, {
    width,
    height: 280,
    marginLeft: 48,
    marginBottom: 36,
    x: { label: "layer →", domain: [-0.4, end + 0.4], ticks, tickFormat: name },
    y: { label: kind === "difference" ? "↑ points" : "↑ %", grid: true },
    color: { type: "identity" },
    marks: [
      line(grey, { x: "layer", y: (p) => asPercent(p.value), z: "label", stroke: "var(--muted)", strokeDasharray: "2 3" }),
      dot(known, { x: "layer", y: (p) => asPercent(p.value), r: 2.6, stroke: "var(--muted)" }),
      ruleY([asPercent(all[0].chance ?? 0)], { stroke: "var(--ink)", strokeDasharray: "4 3", strokeWidth: 1 }),
      ruleX(all, { x: "layer", y1: (p) => asPercent(p.low), y2: (p) => asPercent(p.high), stroke: "shade", strokeWidth: 2, strokeOpacity: 0.5 }),
      line(points, { x: "layer", y: (p) => asPercent(p.value), z: "label", stroke: "shade", strokeWidth: 1.8 }),
      dot(all, { x: "layer", y: (p) => asPercent(p.value), r: 3.2, fill: "shade" }),
      tip(all, pointer({ x: "layer", y: (p) => asPercent(p.value), title: tooltip })),
    ],
  });
  const box = document.createElement("div");
  const legend = document.createElement("p");
  legend.className = "legend";
  own.lines.forEach(({ label: told }, i) => {
    const item = document.createElement("span");
    const mark = document.createElement("span");
    mark.className = `dot line-${i % 8}`;
    item.append(mark, told);
    legend.append(item);
  });
  if (grey.length) {
    const item = document.createElement("span");
    item.append("\u00b7\u00b7\u00b7 plain kNN accuracy");
    legend.append(item);
  }
  box.append(legend, svg);
  return box;
}

/** Similarities of one query to the collection, one line per kind of neighbour. */
export function similarities({ board, histogram, width, label }) {
  const { edges, counts } = histogram;
  const points = Object.entries(counts).flatMap(([kind, values]) => {
    const total = values.reduce((sum, value) => sum + value, 0) || 1;
    return values.map((value, i) => ({ kind, x: (edges[i] + edges[i + 1]) / 2, y: value / total }));
  });
  return draw(board, label, {
    width: Math.min(width, 620),
    height: 260,
    marginLeft: 48,
    marginBottom: 36,
    x: { label: "cosine similarity to the query →", domain: [edges[0], edges.at(-1)] },
    y: { label: "↑ share of the photos", grid: true },
    marks: [
      ...["same-processing", "other-processing"].map((end) =>
        line(points.filter(({ kind }) => kind.endsWith(end)), {
          x: "x",
          y: "y",
          z: "kind",
          stroke: (p) => (p.kind.startsWith("same-class") ? "var(--group-cvl)" : "var(--group-sup)"),
          strokeDasharray: end === "same-processing" ? null : "5 4",
          strokeWidth: 2,
        }),
      ),
      tip(points, pointer({ x: "x", y: "y", title: (p) => `${p.kind}\nsimilarity ${p.x.toFixed(3)}: ${percent(p.y)} %` })),
    ],
  });
}

function ends([low, high]) {
  return [[low, low], [high, high]];
}
