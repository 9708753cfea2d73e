// Components of variance: a bar with its interval for each effect, for results that have them.
import { axisY, barX, pointer, ruleX, ruleY, text, tip } from "@observablehq/plot";
import { draw, labels as apart } from "./drawing.js";
import { count, percent } from "./format.js";
import { figure } from "./panel.js";

/** A figure for each score with components. `of` tells its ids from others'. */
export function varianceFigures(context, results, width, of) {
  return results.flatMap(({ result }, i) => (result.scores ?? []).filter(({ details }) => details?.components?.length).map((score) => {
    const rows = score.details.components.map((row, at) => ({ ...row, at, colour: colourOf(row.effect) }));
    const sorted = [...rows].sort((a, b) => b.share - a.share);
    const summary = `Most is ${sorted[0].effect}, ${percent(sorted[0].share)} %, then ${sorted.slice(1, 3).map((r) => `${r.effect}, ${percent(r.share)} %`).join(", and ")}.`;
    return figure(context, {
      id: `variance-${of}-${i}`,
      title: `Components of variance, ${result.data?.name ?? ""}`,
      panels: [{ title: `Share of the embedding's variance, %, n = ${count(score.n)} photos`, summary, node: drawn(context.board, rows, Math.min(width, 760), summary) }],
      records: () => rows.map(({ effect, share, low, high, estimate, p_value, cells }) => ({ effect, share, low, high, estimate, p_value, cells })),
      caption: "Bars: shares. Lines: 95 % intervals over scenes; the groups are those of the set. Estimates below 0 are shown as 0.",
    });
  }));
}

function colourOf(effect) {
  const names = effect.split(" x ");
  if (names.length === 1) return { scene: "var(--line-0)", rest: "var(--muted)" }[effect] ?? "var(--line-1)";
  return names.includes("scene") ? "var(--line-2)" : "var(--line-1)";
}

function drawn(board, rows, width, summary) {
  const labels = apart(rows.map(({ effect }) => effect), 34);
  const most = Math.max(...rows.map(({ share, high }) => Math.max(share, high)));
  const tooltip = (r) => `${r.effect}: ${percent(r.share)} % (${percent(r.low)} to ${percent(r.high)}), ${count(r.cells)} cells`;
  return draw(board, `Components of variance. ${summary}`, {
    width,
    height: 50 + 26 * rows.length,
    marginLeft: Math.min(250, 16 + 6.6 * Math.max(...labels.map((label) => label.length))),
    marginRight: 44,
    x: { domain: [0, 100 * most], label: null, grid: true },
    y: { domain: rows.map(({ at }) => at), padding: 0.35, label: null },
    color: { type: "identity" },
    marks: [
      axisY({ tickFormat: (at) => labels[at], tickSize: 0 }),
      barX(rows, { x: (r) => 100 * r.share, y: "at", fill: "colour" }),
      ruleY(rows, { x1: (r) => 100 * r.low, x2: (r) => 100 * r.high, y: "at", stroke: "var(--ink)", strokeWidth: 1.5 }),
      text(rows, { x: (r) => 100 * Math.max(r.share, r.high), y: "at", text: (r) => percent(r.share), dx: 6, textAnchor: "start", fill: "var(--ink)" }),
      ruleX([0], { stroke: "var(--muted)" }),
      tip(rows, pointer({ x: (r) => 100 * r.share, y: "at", title: tooltip })),
    ],
  });
}
