"""Components of variance in a report: a table, the judge's sentences, and bars with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.judgement import components_text
from benchmark.report.tables import interval, markdown_table, percent
from benchmark.results import Result, Score
from builders.untrusted import readable

SCENE, GROUP, BOTH, REST = "#0072B2", "#D55E00", "#CC79A7", "#6b6b6b"
"""Of Okabe and Ito's palette, by what an effect is of."""


def of_one_effect(score: Score) -> bool:
    """Whether a score is the share of one effect, which the table of components has."""
    return score.metric.startswith("by-") and "estimate" in score.details


def variance_text(result: Result) -> str:
    """Table and sentences; empty where no score has components."""
    parts = []
    for score in _with_components(result):
        details = score.details
        rows = [
            [
                readable(str(row["effect"])),
                percent(row["share"]),
                interval(row["low"], row["high"]),
                f"{int(row['cells']):,}",
            ]
            for row in details["components"]
        ]
        merged = details.get("merged")
        same = [
            f"{readable(str(name))} is {readable(str(other))}"
            for name, other in (merged.items() if isinstance(merged, Mapping) else ())
        ]
        parts += [
            components_text(score),
            markdown_table(["effect", "share of variance %", "95 % interval", "cells"], rows),
            f"n = {score.n:,} photos, rows at unit length; components of random factors by Henderson's first method, "
            f"intervals over {details.get('units')} parts of the scenes: the groups are those of the set."
            + (f" Not separable: {'; '.join(same)}." if same else ""),
        ]
    return "\n\n".join(filter(None, parts))


def _with_components(result: Result) -> list[Score]:
    return [s for s in result.scores if isinstance(rows := s.details.get("components"), list) and rows]


def variance_panels(result: Result) -> list[tuple[float, Any]]:
    """(height in inches, function that draws into axes) of the components of a result."""
    return [
        (1.4 + 0.3 * len(score.details["components"]), lambda ax, _, s=score: draw_components(ax, s))
        for score in _with_components(result)
    ]


def draw_components(ax: Any, score: Score) -> None:
    """Draw a bar with its interval for each effect, coloured by what it is of: scene, groups, both, or neither."""
    rows: Sequence[Mapping[str, Any]] = score.details["components"]
    for y, row in enumerate(rows):
        share, low, high = (100 * float(row[name]) for name in ("share", "low", "high"))
        ends = [[max(0.0, share - low)], [max(0.0, high - share)]]
        ax.barh(y, share, color=_colour_of(str(row["effect"])), height=0.62, zorder=2)
        ax.errorbar(share, y, xerr=ends, color="#222222", elinewidth=1, capsize=2, fmt="none", zorder=3)
        ax.annotate(
            percent(share / 100), (max(high, share), y), (5, 0), textcoords="offset points", va="center", fontsize=8
        )
    ax.set_yticks(range(len(rows)), [readable(str(row["effect"])) for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_xlim(0, min(112, 14 + max(100 * float(row["high"]) for row in rows)))
    ax.grid(axis="x", color="#eeeeee", zorder=0)
    ax.set_axisbelow(True)
    ax.set_xlabel("share of the embedding's variance, %; lines: 95 % intervals over scenes", fontsize=8)
    ax.set_title(f"Components of variance, n = {score.n:,} photos", fontsize=9, loc="left")


def _colour_of(effect: str) -> str:
    """The colour of an effect.

    >>> [_colour_of(effect) for effect in ("scene", "device x platform", "scene x device", "rest")]
    ['#0072B2', '#D55E00', '#CC79A7', '#6b6b6b']
    """
    names = effect.split(" x ")
    if names in (["scene"], ["rest"]):
        return SCENE if names == ["scene"] else REST
    return BOTH if "scene" in names else GROUP
