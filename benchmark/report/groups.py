"""Facts of the data, and given groups, in a report: design, terms, cells, and the robustness index over k."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.report.tables import markdown_table, percent
from benchmark.results import Result, Score
from builders.photos import TERMS_OF_USE
from builders.untrusted import readable

MOST_CELLS = 60
"""Most cells that are shown as a table."""

SHOWN_K = (1, 3, 5, 11, 21, 31, 46, 61)
"""Neighbours at which the curve is shown."""


_FACTS = ("design", "missing", "left out", TERMS_OF_USE)
"""Facts of the data that stand in a report, by their names in ``evidence``."""


def facts_text(evidence: Mapping[str, Any]) -> str:
    """Whether the photos were simulated, what their design has and lacks, what was left out, and the terms of use.

    Args:
        evidence: ``data.evidence`` of a result.

    >>> print(facts_text({"simulated": "simulated: rendered from 12 scenes", "left out": "videos: 2"}))
    **Simulated, no camera took these pictures.** Labels are exact and causal; how far real cameras agree is not shown.
    <BLANKLINE>
    Left out: videos: 2.
    """
    lines = [f"{name.capitalize()}: {str(evidence[name]).rstrip('.')}." for name in _FACTS if evidence.get(name)]
    if evidence.get("simulated"):
        lines.insert(
            0,
            "**Simulated, no camera took these pictures.** Labels are exact and causal; how far real cameras agree is "
            "not shown.",
        )
    return "\n\n".join(lines)


def groups_text(result: Result) -> str:
    """Cells and notes of every group that a result has scores of; empty if there is none."""
    by_group: dict[str, list[Score]] = {}
    for score in result.scores:
        if isinstance(score.details.get("cells"), list) and isinstance(score.details.get("group"), str):
            by_group.setdefault(score.details["group"], []).append(score)
    return "\n\n".join(_group_text(group, scores) for group, scores in by_group.items())


def _group_text(group: str, scores: Sequence[Score]) -> str:
    details = scores[0].details
    notes = dict.fromkeys(str(note) for score in scores for note in score.details.get("notes", []))
    parts = [f"**{readable(group)}**: {details.get('observational', '')}", _cells(group, details), " ".join(notes)]
    parts += [_curve(score) for score in scores if isinstance(score.details.get("curve"), list)]
    return "\n\n".join(part for part in parts if part)


def _cells(group: str, details: Mapping[str, Any]) -> str:
    """Photos of each cell, clusters in brackets."""
    labels, groups = ([readable(str(name)) for name in details.get(side, [])] for side in ("labels", "groups"))
    sizes, clusters = details["cells"], details.get("clusters", details["cells"])
    if len(labels) * len(groups) > MOST_CELLS:
        every = [int(size) for row in sizes for size in row]
        return f"{len(labels)} labels x {len(groups)} groups: {min(every)} to {max(every)} photos a cell."
    rows = [
        [label, *(f"{size} ({count})" for size, count in zip(row, counts, strict=True))]
        for label, row, counts in zip(labels, sizes, clusters, strict=True)
    ]
    units = readable(str(details.get("resampled", "cluster")))
    return markdown_table([f"photos ({units}s) by label and {readable(group)}", *groups], rows)


def _curve(score: Score) -> str:
    """The index at some k, beside its chance."""
    points = {point["k"]: point["index"] for point in score.details["curve"]}
    shown = [f"{percent(points[k])} (k = {k})" for k in SHOWN_K if points.get(k) is not None]
    if not shown:
        return ""
    return f"Index over k, in %: {', '.join(shown)}; chance {percent(score.chance)}."
