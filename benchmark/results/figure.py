"""``report.png``: what an encoder keeps of the camera and the codec, in one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.results.report import SETUPS
from benchmark.results.schema import Result, Score

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe & Ito's colour-blind-safe palette
_BLUE, _ORANGE, _GREEN, _VERMILION, _GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#6b6b6b"
_SETUP_STYLE = {
    "all-same": ("o", _BLUE),
    "all-diff": ("s", _ORANGE),
    "pos-same": ("^", _GREEN),
    "neg-same": ("v", _VERMILION),
    "uniform": ("D", "#56B4E9"),
    "uniform-test": ("P", "#CC79A7"),
}


def draw_report(results: Sequence[Result], path: Path) -> None:
    """Write ``report_figure`` to a PNG file, atomically; no file where there is nothing to show."""
    figure = report_figure(results)
    if figure is not None:
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        figure.savefig(temporary, format="png", dpi=130, facecolor="white")
        os.replace(temporary, path)


def report_figure(results: Sequence[Result]) -> Figure | None:
    """The results of one encoder (one per data set) as a picture; ``None`` where there is nothing to show.

    It belongs to no window and changes no setting of matplotlib, so that a notebook can show it.

    Panels that have nothing to show are left out: probes of processing against chance, probes of acquisition against
    chance, kNN set-ups, recall ``same`` against ``different`` with the line y = x.
    """
    import matplotlib
    from matplotlib.figure import Figure

    scores = [score for result in results for score in result.scores]
    processing = [s for s in scores if s.task.startswith("probe/") and "controls" not in s.details]
    acquisition = [s for s in scores if s.task.startswith("probe/") and "controls" in s.details]
    knn = [s for s in scores if s.task.startswith("knn/")]
    pairs = [r for r in results if any(s.task == "retrieval/pairs" for s in r.scores)]
    panels: list[tuple[str, float, Any]] = []
    if processing:
        panels.append(("processing", 1 + 0.5 * len(processing), lambda ax: _probes(ax, processing, "Processing")))
    if acquisition:
        panels.append(("acquisition", 1 + 0.5 * len(acquisition), lambda ax: _probes(ax, acquisition, "Acquisition")))
    if knn:
        panels.append(("knn", 1 + 0.7 * len({(s.task, s.data) for s in knn}), lambda ax: _neighbours(ax, knn)))
    if pairs:
        panels.append(("pairs", 3.4, lambda ax: _pairs(ax, pairs)))
    if not panels:
        return None
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    heights = [max(p[1] for p in panels[r * columns : (r + 1) * columns]) for r in range(rows)]
    with matplotlib.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        size = (5.6 * columns, sum(max(h, 2.6) for h in heights) + 0.9)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, gridspec_kw={"height_ratios": heights}, squeeze=False)
        for ax, (_, _, draw) in zip(axes.flat, panels, strict=False):
            draw(ax)
        for ax in list(axes.flat)[len(panels) :]:
            ax.set_axis_off()
        figure.suptitle(_title(results), fontsize=10, ha="left", x=0.01)
    return figure


def _title(results: Sequence[Result]) -> str:
    names = ", ".join(dict.fromkeys(str(r.data["name"]) for r in results))
    title = f"{results[0].encoder['id']} on {names}"
    if any(r.data.get("smoke_test") for r in results):
        title += "   (bundled photos: a smoke test, not evidence)"
    return title


def _probes(ax: Any, scores: Sequence[Score], title: str) -> None:
    """Dots with 95 % intervals; a tick marks chance, a band what shuffled labels reach."""
    several = len({s.data for s in scores}) > 1
    for y, score in enumerate(scores):
        low, high = 100 * (score.value - score.low), 100 * (score.high - score.value)
        ax.plot([100 * score.chance, 100 * score.value], [y, y], color="#d5d5d5", linewidth=5, zorder=1)
        ax.errorbar(
            100 * score.value,
            y,
            xerr=[[max(0, low)], [max(0, high)]],
            fmt="o",
            color=_BLUE,
            capsize=3,
            zorder=3,
            label="probe, 95 % interval" if y == 0 else None,
        )
        ax.plot(
            100 * score.chance,
            y,
            marker="|",
            markersize=14,
            markeredgewidth=2,
            color=_VERMILION,
            linestyle="none",
            zorder=2,
            label="chance" if y == 0 else None,
        )
        shuffled = score.details.get("controls", {}).get("shuffled", {})
        if "permutations" in shuffled:
            ax.barh(
                y,
                100 * (shuffled["high"] - shuffled["low"]),
                left=100 * shuffled["low"],
                height=0.42,
                color=_VERMILION,
                alpha=0.22,
                zorder=1.5,
                label="shuffled labels, 95 %" if y == 0 else None,
            )
        for name, marker in (("whole", "s"), ("complement", "x"), ("metadata", "d")):
            if "controls" in score.details and name in score.details["controls"]:
                ax.plot(
                    100 * score.details["controls"][name]["accuracy"],
                    y,
                    marker=marker,
                    color=_GREY,
                    fillstyle="none",
                    linestyle="none",
                    label=_CONTROL_LABELS[name] if y == 0 else None,
                )
        ax.annotate(
            f"{100 * score.value:.1f}",
            (100 * score.value, y),
            textcoords="offset points",
            xytext=(0, 7),
            ha="center",
            fontsize=8,
        )
    labels = [s.task.removeprefix("probe/") + (f" ({s.data})" if several else "") for s in scores]
    _by_name(ax, labels)
    ax.set_xlim(0, 104)
    ax.set_xlabel("accuracy of a linear probe, %")
    hidden = scores[0].details.get("mask_ratio")
    seen = f", {100 * hidden:g} % of the picture hidden" if hidden else ""
    ax.set_title(f"{title}{seen}: what the embedding tells", fontsize=9, loc="left")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize=7.5, frameon=False, ncols=3)


_CONTROL_LABELS = {"whole": "whole picture", "complement": "border hidden", "metadata": "other labels only"}


def _neighbours(ax: Any, scores: Sequence[Score]) -> None:
    """One line per parameter, one mark per set-up; their spread is what processing does to neighbours."""
    several = len({s.data for s in scores}) > 1
    lines = list(dict.fromkeys((s.task, s.data) for s in scores))
    values = {(s.task, s.data, s.metric): s.value for s in scores}
    for y, (task, data) in enumerate(lines):
        here = [100 * values[task, data, setup] for setup in SETUPS]
        ax.plot([min(here), max(here)], [y, y], color="#d5d5d5", linewidth=5, zorder=1)
        for setup, value in zip(SETUPS, here, strict=True):
            marker, colour = _SETUP_STYLE[setup]
            ax.plot(value, y, marker, color=colour, markersize=6, alpha=0.9, label=setup if y == 0 else None, zorder=2)
    _by_name(ax, [task.removeprefix("knn/") + (f" ({data})" if several else "") for task, data in lines])
    ax.set_xlabel("accuracy of the picture's class, %")
    ax.set_title("Neighbours: what processing does to semantics (kNN)", fontsize=9, loc="left")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize=7.5, frameon=False, ncols=3)


def _pairs(ax: Any, results: Sequence[Result]) -> None:
    """Recall with distractors from the other camera type against recall with distractors from the query's own."""
    ax.plot(
        [0, 100], [0, 100], color=_GREY, linewidth=1, linestyle="--", zorder=1, label="y = x: camera does not matter"
    )
    for colour, result in zip((_BLUE, _ORANGE, _GREEN, _VERMILION), results, strict=False):
        same, different = (result.score("retrieval/pairs", m) for m in ("same", "different"))
        ax.errorbar(
            100 * same.value,
            100 * different.value,
            xerr=[[max(0, 100 * (same.value - same.low))], [max(0, 100 * (same.high - same.value))]],
            yerr=[
                [max(0, 100 * (different.value - different.low))],
                [max(0, 100 * (different.high - different.value))],
            ],
            fmt="o",
            color=colour,
            capsize=3,
            label=f"{result.data['name']}, {same.n} pairs",
        )
    ax.set_xlim(-2, 102)
    ax.set_ylim(-2, 102)
    ax.set_aspect("equal")
    ax.set_xlabel("recall@1, distractors of the other camera, %")
    ax.set_ylabel("recall@1, distractors of\nthe query's camera, %")
    ax.set_title("Pairs: below the line, the camera distracts", fontsize=9, loc="left")
    ax.legend(loc="lower right", fontsize=7.5, frameon=False)


def _by_name(ax: Any, labels: Sequence[str]) -> None:
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.grid(axis="x", color="#eeeeee", zorder=0)
    ax.set_axisbelow(True)
