"""Scenes that several groups show, in a report: recall by what differs, and every pair of groups as a matrix."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.judgement import cosine_text, pairs_text
from benchmark.report.tables import interval, markdown_table, percent, score_cell
from benchmark.results import Result, Score
from builders.untrusted import readable

MATRIX = "group_matrix"

MOST_IN_TABLE = 8
"""Most groups whose matrix is a table of the text."""

MOST_WRITTEN = 14
"""Most groups whose recall is written into the cells of the picture."""

MOST_NAMED = 30
"""Most groups that have a label each on the axes of the picture."""

_BY_DIFFERENCE = re.compile(r"(?:(other-.+)-)?(at-(\d+)|cosine)")


def by_difference(score: Score) -> bool:
    """Whether a score is of pairs of groups that differ in some given groups alone, which a table of its own has."""
    return score.metric.startswith("other-") and "pairs" in score.details


def scenes_text(result: Result) -> str:
    """Sentences, recall by what differs, and the matrix; empty where no scores are of groups of scenes."""
    parts = []
    for score in result.scores:
        matrix = score.details.get(MATRIX)
        if not isinstance(matrix, Mapping):
            continue
        scores = [s for s in result.scores if s.task == score.task]
        cosine = next((s for s in scores if s.metric == "cosine"), None)
        parts += [pairs_text(score), cosine_text(cosine.value, cosine.chance) if cosine else ""]
        distractors = readable(str(score.details.get("distractors", "both")))
        parts += [
            _differences(scores),
            _matrix(matrix),
            f"Searched among the photos of {_SEARCHED.get(distractors, distractors)}, never the query or another photo "
            f"of its scene. {score.details.get('photos_left_out', 0)} photos have no partner.",
        ]
    return "\n\n".join(filter(None, parts))


_SEARCHED = {
    "target": "the target's group",
    "own": "the query's group, and the target",
    "both": "both groups",
    "all": "all groups",
}


def _differences(scores: Sequence[Score]) -> str:
    """A row for each way in which two groups differ: recall at each rank with its interval, chance, and cosine."""
    rows: dict[str, dict[str, Score]] = {}
    for score in scores:
        if (match := _BY_DIFFERENCE.fullmatch(score.metric)) and "pairs" in score.details:
            rows.setdefault((match[1] or "all pairs").replace("-", " "), {})[match[2]] = score
    ranks = list(dict.fromkeys(name for row in rows.values() for name in row if name != "cosine"))
    table = [
        [
            readable(name),
            str(next(iter(row.values())).details["pairs"]),
            *(score_cell(row.get(rank)) for rank in ranks),
            percent(row["at-1"].chance) if "at-1" in row else "",
            f"{row['cosine'].value:.3f} ({row['cosine'].chance:.3f})" if "cosine" in row else "",
        ]
        for name, row in rows.items()
    ]
    header = ["median over", "pairs", *(f"recall@{rank.removeprefix('at-')} %" for rank in ranks)]
    return markdown_table([*header, "chance@1 %", "cosine (different scenes)"], table) if table else ""


def _matrix(matrix: Mapping[str, Any]) -> str:
    """Recall@1 of every pair, n in brackets; a sentence where there are too many groups for a table."""
    names = [readable(str(name)) for name in matrix["groups"]]
    if len(names) > MOST_IN_TABLE:
        return f"The matrix of {len(names)} groups is in the figure, and in full in result.json (`details.{MATRIX}`)."
    recall, low, high, n = matrix["recall"]["1"], matrix["low"], matrix["high"], matrix["n"]

    def cell(i: int, j: int) -> str:
        if recall[i][j] is None:
            return "-"
        return f"{percent(recall[i][j])} ({interval(low[i][j], high[i][j])})"

    rows = [[name, *(cell(i, j) for j in range(len(names)))] for i, name in enumerate(names)]
    sizes = sorted({count for row in n for count in row if count})
    counts = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    table = markdown_table(["recall@1 % from (row) to (column)", *names], rows)
    return f"{table}\n\nn = {counts} scenes a cell, 95 % intervals over scenes."


def scene_panels(result: Result) -> list[tuple[float, Any]]:
    """(height in inches, function that draws into axes) of the matrices of a result: recall@1, and mean cosine."""
    matrices = [m for s in result.scores if isinstance(m := s.details.get(MATRIX), Mapping)]
    return [
        (4.6, lambda ax, _, m=matrix, what=what: draw_matrix(ax, m, what))
        for matrix in matrices
        for what in ("recall", "cosine")
    ]


def draw_matrix(ax: Any, matrix: Mapping[str, Any], what: str) -> None:
    """Draw a matrix of groups, query in rows, target in columns. Recall has a scale from 0 to 100 %.

    Args:
        ax: axes of matplotlib.
        matrix: ``details["group_matrix"]``.
        what: ``recall`` (at 1) or ``cosine``.
    """
    table = matrix["recall"]["1"] if what == "recall" else matrix["cosine"]
    scale = 100 if what == "recall" else 1
    values = scale * np.array([[np.nan if v is None else v for v in row] for row in table], dtype=float)
    ends = {"vmin": 0, "vmax": 100} if what == "recall" else {}
    image = ax.imshow(values, cmap="cividis", interpolation="nearest", **ends)
    if len(values) <= MOST_WRITTEN:
        for (row, column), value in np.ndenumerate(values):
            if not np.isnan(value):
                colour = "white" if image.norm(value) < 0.55 else "black"
                text = f"{value:.0f}" if what == "recall" else f"{value:.2f}"
                ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    ax.figure.colorbar(image, ax=ax, shrink=0.85)
    _label_groups(ax, matrix)
    counts = sorted({n for row in matrix["n"] for n in row if n}) or [0]
    shown = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    titles = {"recall": "Recall@1 of the scene in another group, %", "cosine": "Mean cosine of one scene in two groups"}
    ax.set_title(f"{titles[what]}, n = {shown}", fontsize=9, loc="left")
    chances = [c for row in matrix["chance"] for c in row if c is not None]
    note = f"; chance {100 * float(np.median(chances)):.2g} %" if what == "recall" and chances else ""
    ax.set_xlabel(f"group of the target{note}", fontsize=8)
    ax.set_ylabel("group of the query", fontsize=8)


def _label_groups(ax: Any, matrix: Mapping[str, Any]) -> None:
    """A label for each group; where there are many, for each run with one value of the first given group."""
    names = [readable(str(name)) for name in matrix["groups"]]
    at = list(range(len(names)))
    if len(names) > MOST_NAMED:
        first = [str(value) for value in next(iter(matrix["attributes"].values()))]
        starts = [i for i in at if i == 0 or first[i] != first[i - 1]]
        for start in starts[1:]:
            for line in (ax.axhline, ax.axvline):
                line(start - 0.5, color="white", linewidth=0.8)
        stops = [*starts[1:], len(names)]
        at = [(start + stop - 1) // 2 for start, stop in zip(starts, stops, strict=True)]
        names = [readable(first[start]) for start in starts]
    names = [name if len(name) <= 18 else f"{name[:17]}\u2026" for name in names]
    ax.set_xticks(at, names, rotation=90, fontsize=7)
    ax.set_yticks(at, names, fontsize=7)
