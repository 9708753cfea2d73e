"""The panel of probes: each accuracy with its interval against chance, and its controls and learning curve below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from benchmark.judgement import INTERVAL_RULE, TRACE_KEYS, TRACE_SUFFIXES, Verdict, learning_curve
from benchmark.report.training import accuracy_text
from benchmark.results import Family, Score, subject_of

# Okabe & Ito's colour-blind-safe palette
_BLUE, _VERMILION, _GREY = "#0072B2", "#D55E00", "#6b6b6b"
_FILLS = {"readable": _BLUE, "weak": "#a6cee3", "none": "white", "undecided": "#dddddd"}
_CONTROLS = {
    "whole": ("whole picture", "s"),
    "complement": ("border hidden", "x"),
    "metadata": ("other labels only", "d"),
}
LANE = 0.095
"""Inches between two points of one question."""
ROW = 0.42
"""Inches of a question without lanes below it."""


@dataclass(frozen=True)
class _Point:
    """One accuracy with its interval, drawn in one lane."""

    label: str
    marker: str
    value: float
    low: float
    high: float
    size: float = 4.0


def height_of(scores: Sequence[Score]) -> float:
    """Height in inches that the rows of a panel need."""
    return len(scores) * (ROW + LANE * _lanes(scores))


def draw_intervals(
    ax: Any, scores: Sequence[Score], verdicts: Sequence[Verdict | None], family: Family, height: float
) -> list[str]:
    """Draw the panel.

    Each dot has the interval that decides (``Decision.low``). A tick marks chance, a band the range of probes of
    shuffled labels. A hollow dot is no trace, a pale dot a weak one, a grey dot undecided. Below each dot, each in a
    separate lane, are the controls and the probe on parts of the train photos.

    Args:
        ax: axes to draw into.
        scores: main scores of the family, a row each.
        verdicts: of each score; None where there is none, which is drawn as readable.
        family: of the scores.
        height: inches of all rows together.

    Returns:
        The label of each row.
    """
    labelled: set[str] = set()
    lanes = _lanes(scores)
    lane = LANE * len(scores) / height
    for y, (score, verdict) in enumerate(zip(scores, verdicts, strict=True)):
        chance, trace = (verdict.chance, verdict.trace) if verdict else (score.chance, "readable")
        if y % 2 == 0 and lanes:
            ax.axhspan(y - 0.5, y + 0.5, color="#f6f6f6", zorder=0)
        top = y - lane * (lanes - 0.5) / 2 if lanes else y
        if trace in ("readable", "weak"):
            ax.plot([100 * chance, 100 * score.value], [top, top], color="#d5d5d5", linewidth=5, zorder=1)
        ends = [top - 1.4 * lane, top + lane * max(lanes + 0.5, 1.4)]
        ax.plot([100 * chance] * 2, ends, color=_VERMILION, linewidth=2, zorder=1.6, label=_once("chance", labelled))
        _draw_shuffled(ax, score, top, lane, labelled)
        ends_of = verdict.decision if verdict else score
        main = _Point("", "o", score.value, ends_of.low, ends_of.high, 6.0)
        _draw_point(ax, main, top, _BLUE, _FILLS[trace], labelled)
        for i, point in enumerate(_points(score), start=1):
            _draw_point(ax, point, top + i * lane, _GREY, "white", labelled)
        text = f"{accuracy_text(score, verdict)}{TRACE_SUFFIXES[trace]}"
        has_words = not text[0].isdigit() or bool(TRACE_SUFFIXES[trace])
        ax.annotate(
            text,
            (100 * score.value, top),
            textcoords="offset points",
            xytext=(0, 7),  # words stand right of the dot, which may be near the axis
            ha=("right" if score.value > 0.7 else "left") if has_words else "center",
            fontsize=8,
        )
    kinds = list(dict.fromkeys(v.trace if v else "readable" for v in verdicts))
    for kind in kinds:
        label = TRACE_KEYS[kind]
        ax.plot([], [], color=_BLUE, marker="o", markerfacecolor=_FILLS[kind], label=label)
    ax.set_xlim(0, 104)
    ax.set_xlabel(f"{family.axes[0]}\nbars: intervals that decide ({INTERVAL_RULE})")
    return [_row_label(score, scores, family) for score in scores]


def _row_label(score: Score, scores: Sequence[Score], family: Family) -> str:
    several = len({s.metric for s in scores}) > 1
    return f"{subject_of(score.task)}{f' {score.metric}' if several else ''}\n{score.n} {family.counts}"


def _points(score: Score) -> list[_Point]:
    """Points below the accuracy: the controls that the score has, then parts of the train photos, the largest first."""
    controls: Mapping[str, Any] = score.details.get("controls", {})
    points = [
        _Point(label, marker, c["accuracy"], c.get("low", c["accuracy"]), c.get("high", c["accuracy"]))
        for name, (label, marker) in _CONTROLS.items()
        if (c := controls.get(name))
    ]
    curve = learning_curve(score)
    if curve and "low" in curve:
        steps = list(zip(curve["share"], curve["accuracy"], curve["low"], curve["high"], strict=True))[:-1]
        label = f"{', '.join(str(Fraction(s[0]).limit_denominator(100)) for s in reversed(steps))} of the train photos"
        for i, (_, value, low, high) in enumerate(reversed(steps)):
            points.append(_Point(label if i == 0 else "", "o", value, low, high, max(1.5, 3.5 - i)))
    return points


def _lanes(scores: Sequence[Score]) -> int:
    """Most points below any accuracy."""
    return max((len(_points(s)) for s in scores), default=0)


def _draw_shuffled(ax: Any, score: Score, y: float, lane: float, labelled: set[str]) -> None:
    shuffled = score.details.get("controls", {}).get("shuffled", {})
    if "permutations" in shuffled:
        ax.barh(
            y,
            100 * (shuffled["high"] - shuffled["low"]),
            left=100 * shuffled["low"],
            height=2.2 * lane,
            color=_VERMILION,
            alpha=0.22,
            zorder=1.5,
            label=_once("shuffled labels, 95 %", labelled),
        )


def _draw_point(ax: Any, point: _Point, y: float, colour: str, fill: str, labelled: set[str]) -> None:
    main = colour == _BLUE
    ax.errorbar(
        100 * point.value,
        y,
        xerr=[[max(0, 100 * (point.value - point.low))], [max(0, 100 * (point.high - point.value))]],
        fmt=point.marker,
        color=colour,
        markerfacecolor=fill,
        markersize=point.size,
        elinewidth=1.5 if main else 0.8,
        capsize=3 if main else 0,
        zorder=3 if main else 2,
        label=_once(point.label, labelled) if point.label else None,
    )


def _once(label: str, labelled: set[str]) -> str | None:
    """The label at its first use, so that the legend has each entry once; None afterwards."""
    if label in labelled:
        return None
    labelled.add(label)
    return label
