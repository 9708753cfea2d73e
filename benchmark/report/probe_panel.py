"""The panel of probes: each accuracy with its interval against chance, its controls and its learning curve below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from benchmark.judgement import Verdict
from benchmark.report.training import accuracy_told, curve_of
from benchmark.results import Family, Score, subject_of

# Okabe & Ito's colour-blind-safe palette
_BLUE, _VERMILION, _GREY = "#0072B2", "#D55E00", "#6b6b6b"
_SAID = {"none": " (not above chance)", "weak": " (weak)", "readable": ""}
_KEYS = {"readable": "above chance", "weak": "above chance, but weak", "none": "not told from chance"}
_FACES = {"readable": _BLUE, "weak": "#a6cee3", "none": "white"}
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
    """One accuracy in a lane of its own."""

    label: str
    marker: str
    value: float
    low: float
    high: float
    size: float = 4.0


def height_of(scores: Sequence[Score]) -> float:
    """Inches that the rows of a panel need."""
    return len(scores) * (ROW + LANE * _lanes(scores))


def draw_intervals(
    ax: Any, scores: Sequence[Score], found: Sequence[Verdict | None], family: Family, height: float
) -> list[str]:
    """Draw the panel, whose rows are so many inches high together, and give the label of each row.

    Dots have their 95 % intervals; a tick marks chance, a band what shuffled labels reach; hollow dots are no trace,
    pale ones a weak one. Below each dot, in lanes of their own so that none hides another: the controls, and the probe
    on parts of the train photos.
    """
    labelled: set[str] = set()
    lanes = _lanes(scores)
    lane = LANE * len(scores) / height
    for y, (score, verdict) in enumerate(zip(scores, found, strict=True)):
        chance, trace = (verdict.chance, verdict.trace) if verdict else (score.chance, "readable")
        if y % 2 == 0 and lanes:
            ax.axhspan(y - 0.5, y + 0.5, color="#f6f6f6", zorder=0)
        top = y - lane * (lanes - 0.5) / 2 if lanes else y
        if trace != "none":
            ax.plot([100 * chance, 100 * score.value], [top, top], color="#d5d5d5", linewidth=5, zorder=1)
        ends = [top - 1.4 * lane, top + lane * max(lanes + 0.5, 1.4)]
        ax.plot([100 * chance] * 2, ends, color=_VERMILION, linewidth=2, zorder=1.6, label=_once("chance", labelled))
        _shuffled(ax, score, top, lane, labelled)
        main = _Point("", "o", score.value, score.low, score.high, 6.0)
        _point(ax, main, top, _BLUE, _FACES[trace], labelled)
        for i, point in enumerate(_points(score), start=1):
            _point(ax, point, top + i * lane, _GREY, "white", labelled)
        said = f"{accuracy_told(score, trace)}{_SAID[trace]}"
        words = not said[0].isdigit() or bool(_SAID[trace])
        ax.annotate(
            said,
            (100 * score.value, top),
            textcoords="offset points",
            xytext=(0, 7),  # words go right of the dot: it may be near the axis
            ha=("right" if score.value > 0.7 else "left") if words else "center",
            fontsize=8,
        )
    kinds = list(dict.fromkeys(v.trace if v else "readable" for v in found))
    for kind in kinds:
        said = _KEYS[kind] + (", 95 % interval" if kind == kinds[0] else "")
        ax.plot([], [], color=_BLUE, marker="o", markerfacecolor=_FACES[kind], label=said)
    ax.set_xlim(0, 104)
    ax.set_xlabel(f"{family.axes[0]}; bars: 95 % intervals")
    return [_row_label(score, scores, family) for score in scores]


def _row_label(score: Score, scores: Sequence[Score], family: Family) -> str:
    several = len({s.metric for s in scores}) > 1
    return f"{subject_of(score.task)}{f' {score.metric}' if several else ''}\n{score.n} {family.counts}"


def _points(score: Score) -> list[_Point]:
    """What stands below the accuracy: controls that are given, then the parts of the train photos, most first."""
    controls: Mapping[str, Any] = score.details.get("controls", {})
    points = [
        _Point(label, marker, c["accuracy"], c.get("low", c["accuracy"]), c.get("high", c["accuracy"]))
        for name, (label, marker) in _CONTROLS.items()
        if (c := controls.get(name))
    ]
    curve = curve_of(score)
    if curve and "low" in curve:
        steps = list(zip(curve["share"], curve["accuracy"], curve["low"], curve["high"], strict=True))[:-1]
        label = f"{', '.join(str(Fraction(s[0]).limit_denominator(100)) for s in reversed(steps))} of the train photos"
        for i, (_, value, low, high) in enumerate(reversed(steps)):
            points.append(_Point(label if i == 0 else "", "o", value, low, high, max(1.5, 3.5 - i)))
    return points


def _lanes(scores: Sequence[Score]) -> int:
    return max((len(_points(s)) for s in scores), default=0)


def _shuffled(ax: Any, score: Score, y: float, lane: float, labelled: set[str]) -> None:
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


def _point(ax: Any, point: _Point, y: float, colour: str, face: str, labelled: set[str]) -> None:
    main = colour == _BLUE
    ax.errorbar(
        100 * point.value,
        y,
        xerr=[[max(0, 100 * (point.value - point.low))], [max(0, 100 * (point.high - point.value))]],
        fmt=point.marker,
        color=colour,
        markerfacecolor=face,
        markersize=point.size,
        elinewidth=1.5 if main else 0.8,
        capsize=3 if main else 0,
        zorder=3 if main else 2,
        label=_once(point.label, labelled) if point.label else None,
    )


def _once(label: str, labelled: set[str]) -> str | None:
    """A legend's entry for the first of its kind."""
    if label in labelled:
        return None
    labelled.add(label)
    return label
