"""A summary figure for papers: any tasks of any encoders in one column, with a legend in words."""

from __future__ import annotations

import fnmatch
import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.judgement import INTERVAL_RULE, Decision, chance_of, moves, verdicts
from benchmark.results import Questions, Result, Score, metric_of
from benchmark.stats import effect_size
from builders.errors import UsageError
from builders.files import write_bytes_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMN = 3.3
"""Inches of one column of a paper."""

FORMATS = ("pdf", "svg", "png")

SHARE, POINTS = "share", "points"

# Okabe & Ito's colour-blind-safe palette, and markers that differ without colour
_STYLES = (
    ("o", "#0072B2"),
    ("s", "#D55E00"),
    ("^", "#009E73"),
    ("D", "#CC79A7"),
    ("v", "#E69F00"),
    ("P", "#56B4E9"),
    ("X", "#333333"),
)

_AXES = {
    SHARE: ("accuracy between chance and always right", {0: "chance", 0.5: "half way", 1: "always right"}),
    POINTS: ("search moved by a shared trace, points", {}),
}
"""By kind of panel: what its axis means, and the words on it."""

_SIZES: dict[Any, Any] = {
    "font.size": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
}
_LINE, _SEVERAL = 0.17, 0.065
"""Inches of a row of one encoder, and of each further encoder in it."""

_TEXT_LINE = 0.12
"""Inches of a line of a label."""


@dataclass(frozen=True)
class _Row:
    """One score of every encoder that has it."""

    label: str
    points: Mapping[str, tuple[float, float, float, bool]]
    """By encoder: value and ends on the panel's scale, and whether the value is shown to differ from chance or 0."""


def summary_figure(
    results: Sequence[Result], questions: Questions, patterns: Sequence[str] = (), *, width: float = COLUMN
) -> Figure | None:
    """A figure of some tasks of some encoders; ``None`` where there is nothing to draw.

    Traces and accuracies are drawn on the way from chance to always right (``effect_size``), differences in points.
    Lines are the intervals that decide (``Decision.low``): a mark is hollow exactly where its line holds chance, or 0.

    Args:
        results: of one or several encoders on one or several data sets.
        questions: all that are known.
        patterns: of tasks, such as ``probe/*``; by default traces and differences, or where there are none all.
        width: in inches.
    """

    def panels_of(chosen: Sequence[str]) -> dict[str, list[_Row]]:
        return {kind: rows for kind in (SHARE, POINTS) if (rows := _rows(results, questions, chosen, kind))}

    panels = panels_of(patterns) or panels_of(patterns or ("*",))
    if not panels:
        return None
    encoders = list(dict.fromkeys(_encoder(result) for result in results))
    return _drawn(panels, encoders, width)


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PDF, SVG or PNG (300 dots per inch), by the ending of its name, atomically.

    Raises:
        UsageError: another ending.
    """
    import matplotlib

    kind = checked_format(path)
    buffer = io.BytesIO()
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind, {})
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "camtrace"}):
        figure.savefig(buffer, format=kind, dpi=300, facecolor="white", metadata=metadata)
    write_bytes_atomically(path, buffer.getvalue())


def checked_format(path: Path) -> str:
    """The format that the ending of a file name names: ``pdf``, ``svg`` or ``png``.

    Raises:
        UsageError: another ending.

    >>> checked_format(Path("traces.PDF"))
    'pdf'
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise UsageError(f"{path}: a figure is written as .pdf, .svg or .png")
    return kind


def _rows(results: Sequence[Result], questions: Questions, patterns: Sequence[str], kind: str) -> list[_Row]:
    points: dict[tuple[str, str, str], dict[str, tuple[float, float, float, bool]]] = {}
    for result in results:
        judged, moved = verdicts(result, questions), moves(result, questions)
        for score in result.scores:
            metric = metric_of(questions, score.task, score.metric)
            named = any(fnmatch.fnmatchcase(score.task, pattern) for pattern in patterns)
            is_difference = metric.kind == "difference"
            drawn = metric.main and (named if patterns else metric.kind == "trace" or metric.summary == "SPD")
            if not drawn or is_difference != (kind == POINTS) or (not is_difference and chance_of(score) >= 1):
                continue
            key = (score.task, score.metric, str(result.data["name"]))
            key_of = (score.task, score.metric)
            verdict = judged.get(key_of)
            decision = moved.get(key_of) if is_difference else verdict.decision if verdict else None
            shown = decision is None or decision.answer == "yes"
            points.setdefault(key, {})[_encoder(result)] = (*_ends(score, decision, kind), shown)
    order = list(questions)
    keys = sorted(points, key=lambda key: order.index(key[0]) if key[0] in order else len(order))
    return [_Row(_label(key, keys, questions), points[key]) for key in keys]


def _ends(score: Score, decision: Decision | None, kind: str) -> tuple[float, float, float]:
    """Value, and ends of the interval that decides where there is a decision, on the scale of a panel."""
    low, high = (score.low, score.high) if decision is None else (decision.low, decision.high)
    if kind == POINTS:
        return 100 * score.value, 100 * low, 100 * high
    effect = effect_size(score.value, low, high, chance_of(score))
    return effect.value, effect.low, effect.high


def _label(key: tuple[str, str, str], keys: Sequence[tuple[str, str, str]], questions: Questions) -> str:
    """Title of a task, with its metric and data set where others have the same title."""
    task, metric, data = key
    question = questions.get(task)
    title = question.title if question else task
    if sum(other[0] == task and other[2] == data for other in keys) > 1:
        title += f", {metric_of(questions, task, metric).title}"
    title = textwrap.fill(title, 24)
    if sum(other[:2] == key[:2] for other in keys) > 1:
        title += f"\n{_short(data, 22)}"
    return title


def _encoder(result: Result) -> str:
    return str(result.encoder["id"])


def _short(name: str, most: int) -> str:
    """The end of a long name, which tells encoders and data sets apart better than its start.

    >>> _short("timm/vit_base_patch16_siglip_256.webli", 20)
    '...siglip_256.webli'
    """
    return name if len(name) <= most else f"...{name[-most + 4 :]}"


def _drawn(panels: Mapping[str, Sequence[_Row]], encoders: Sequence[str], width: float) -> Figure:
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    lines = max(len(row.label.splitlines()) for rows in panels.values() for row in rows)
    row = max(_LINE + _SEVERAL * (len(encoders) - 1), _TEXT_LINE * lines)
    heights = [len(rows) * row for rows in panels.values()]
    legend = 0.125 * (len(encoders) + 2) + 0.05
    around = 0.38  # an axis with its words
    height = sum(heights) + around * len(heights) + legend
    with matplotlib.rc_context({**_SIZES, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(width, height))
        left, top = _label_inches(panels) / width, height - 0.05
        for (kind, rows), tall in zip(panels.items(), heights, strict=True):
            axes = figure.add_axes((left, (top - tall) / height, 0.97 - left, tall / height))
            _panel(axes, rows, encoders, kind)
            top -= tall + around
        shown = [
            Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=4, label=_short(name, 44))
            for name, (marker, colour) in zip(encoders, _styles(len(encoders)), strict=True)
        ]
        explained = [
            Line2D([], [], color="#555555", linewidth=0.9, label=f"interval that decides ({INTERVAL_RULE})"),
            Line2D(
                *([], []),
                linestyle="none",
                marker="o",
                markerfacecolor="white",
                color="#555555",
                markersize=4,
                label="hollow: not shown to differ from chance (or 0)",
            ),
        ]
        figure.legend(
            handles=[*shown, *explained],
            loc="lower left",
            bbox_to_anchor=(0.0, 0.0),
            frameon=False,
            borderaxespad=0.2,
            handletextpad=0.5,
            handlelength=1.2,
            labelspacing=0.25,
        )
    return figure


def _label_inches(panels: Mapping[str, Sequence[_Row]]) -> float:
    """Room of the longest label left of the axes."""
    from matplotlib.textpath import TextPath

    lines = {line for rows in panels.values() for row in rows for line in row.label.splitlines()}
    size = _SIZES["ytick.labelsize"]
    points = max(TextPath((0, 0), line, size=size).get_extents().x1 for line in lines)
    return max(0.95, points / 72 + 0.13)


def _styles(count: int) -> list[tuple[str, str]]:
    """Marker and colour of each encoder; the markers move on when the colours have been used up."""
    colours = len(_STYLES)
    return [(_STYLES[(i + i // colours) % colours][0], _STYLES[i % colours][1]) for i in range(count)]


def _panel(axes: Any, rows: Sequence[_Row], encoders: Sequence[str], kind: str) -> None:
    label, words = _AXES[kind]
    spread = 0.62 / max(1, len(encoders))
    for at, row in enumerate(rows):
        if at % 2:
            axes.axhspan(at - 0.5, at + 0.5, color="#f3f3f3", linewidth=0, zorder=0)
        for number, (encoder, (marker, colour)) in enumerate(zip(encoders, _styles(len(encoders)), strict=True)):
            if encoder not in row.points:
                continue
            value, low, high, shown = row.points[encoder]
            y = at + (number - (len(encoders) - 1) / 2) * spread
            axes.plot([low, high], [y, y], color=colour, linewidth=0.9, solid_capstyle="butt")
            face = colour if shown else "white"
            axes.plot([value], [y], marker, color=colour, markerfacecolor=face, markersize=3.6, mew=0.8, zorder=3)
    axes.axvline(0, color="#333333", linewidth=0.8, zorder=1)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.tick_params(length=2, width=0.6, pad=2)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_linewidth(0.6)
    axes.grid(axis="x", color="#e3e3e3", linewidth=0.5, zorder=0)
    axes.set_axisbelow(True)
    if words:
        least = min(0.0, *(point[1] for row in rows for point in row.points.values()))
        axes.set_xlim(min(-0.02, least - 0.02), 1.02)
        axes.set_xticks(list(words), list(words.values()))
        axes.get_xticklabels()[-1].set_horizontalalignment("right")
    axes.set_xlabel(label, labelpad=2, x=1, horizontalalignment="right")
