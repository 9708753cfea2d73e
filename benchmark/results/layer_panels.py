"""Panels of ``report.png`` over the depth of a network: a curve for each pooling, semantics beside, maps of regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmark.results.layer_maps import map_panels
from benchmark.results.layers import DepthCurves, depth_curves, semantics, traces
from benchmark.results.questions import Questions, score_label
from benchmark.results.schema import Result

COLOURS = {"cls": "#0072B2", "mean": "#D55E00", "max": "#009E73", "gem": "#CC79A7"}
"""By pooling, of Okabe and Ito's palette."""
MARKS = {"cls": "o", "mean": "s", "max": "^", "gem": "D"}
TITLES = {"cls": "class token", "mean": "mean of patches", "max": "maximum", "gem": "GeM"}
_GREY = "#6b6b6b"


def draw_depth(ax: Any, curves: DepthCurves, content: DepthCurves | None, label: str) -> None:
    """One metric over depth with 95 % intervals; the embedding's as a line across; plain kNN in grey."""
    if content is not None:
        for pooling, points in content.by_pooling.items():
            known = np.array([[p.output.layer, 100 * p.score.value] for p in points])
            ax.plot(
                known[:, 0],
                known[:, 1],
                color=_GREY,
                marker=MARKS[pooling],
                markersize=3,
                linewidth=0.9,
                linestyle=":",
                zorder=1,
            )
        ax.plot([], [], color=_GREY, linewidth=0.9, linestyle=":", label="plain kNN accuracy, %")
    for pooling, points in curves.by_pooling.items():
        x = [p.output.layer for p in points]
        y, low, high = (np.array([100 * getattr(p.score, n) for p in points]) for n in ("value", "low", "high"))
        colour = COLOURS[pooling]
        ax.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
        if len(x) == 1:
            ax.errorbar(x, y, [y - low, high - y], color=colour, capsize=2, linestyle="none")
        ax.plot(x, y, color=colour, marker=MARKS[pooling], markersize=4, linewidth=1.4, label=TITLES[pooling], zorder=3)
    first = next(iter(curves.by_pooling.values()))[0].output
    _embedding(ax, curves, content, first.layers)
    ax.set_xlim(-0.4, first.layers + 0.5)
    step = max(1, first.layers // 8)
    ticks = list(range(0, first.layers, step))
    ax.set_xticks([*ticks, first.layers], [*map(str, ticks), "final"])
    kind = first.title.partition(" ")[0]
    ax.set_xlabel(f"{kind} (from 0; bands: 95 % intervals)")
    ax.set_ylabel("points" if curves.metric.signed else "%")
    ax.set_title(f"{label} over depth, n = {_counts(curves)}", fontsize=9, loc="left")
    ax.grid(axis="y", color="#eeeeee", zorder=0)
    ax.set_axisbelow(True)
    style = {"fontsize": 7.5, "frameon": False, "ncols": 4, "columnspacing": 1.2}
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.19), **style)


def _embedding(ax: Any, curves: DepthCurves, content: DepthCurves | None, at: int) -> None:
    """The embedding's own scores at the right end, and chance across."""
    if curves.final is not None:
        value, low, high = (100 * n for n in (curves.final.value, curves.final.low, curves.final.high))
        error = [[max(0, value - low)], [max(0, high - value)]]
        ax.errorbar([at], [value], error, fmt="*", color="black", markersize=8, capsize=2, label="final", zorder=4)
    if content is not None and content.final is not None:
        ax.plot([at], [100 * content.final.value], marker="*", color=_GREY, markersize=7, linestyle="none", zorder=2)
    chance = next(iter(curves.by_pooling.values()))[0].score.chance
    ax.axhline(100 * chance, color="#a33", linewidth=0.8, linestyle="--", zorder=1, label=f"chance {100 * chance:.1f}")


def _counts(curves: DepthCurves) -> str:
    counts = sorted({p.score.n for points in curves.by_pooling.values() for p in points})
    return " or ".join(f"{n:,}" for n in counts)


def layer_panels(result: Result, questions: Questions) -> list[tuple[float, Any]]:
    """(inches, function that draws into axes) of every panel that a result's outputs give."""
    curves = depth_curves(result, questions)
    content = semantics(curves)
    panels: list[tuple[float, Any]] = []
    drawn = traces(curves) or ([content] if content is not None else [])
    for one in drawn:
        if any(len(points) > 1 for points in one.by_pooling.values()) or len(one.by_pooling) > 1:
            label = score_label(one.task, one.metric, questions)
            beside = content if content is not one else None
            panels.append((3.4, lambda ax, _, one=one, label=label, beside=beside: draw_depth(ax, one, beside, label)))
    return panels + map_panels(result, questions)
