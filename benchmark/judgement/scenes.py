"""The sentences about scenes that several groups show: whether they are found, and what a mean cosine is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from benchmark.judgement.deciding import Comparison, decide
from benchmark.judgement.scores import units_of
from benchmark.judgement.traces import POINT, WEAK_BELOW
from benchmark.results import Score, percent, with_interval
from benchmark.stats import p_below
from builders.untrusted import readable

MATRIX = "group_matrix"
"""Detail of a score that holds every pair of groups."""


def pairs_text(score: Score) -> str:
    """Whether photos of one scene are found in other groups, and in how many pairs of groups. "" without a matrix.

    Args:
        score: recall@1, median over pairs of groups, with ``details["group_matrix"]``.
    """
    matrix = score.details.get(MATRIX)
    if not isinstance(matrix, Mapping):
        return ""
    decision = decide([_against_chance(score.value, score.low, score.high, units_of(score), score.chance)])[0]
    head = {
        "yes": "Photos of one scene are found in other groups more often than by chance",
        "no": "Photos of one scene are found in other groups hardly more often than by chance",
        "undecided": "Whether photos of one scene are found in other groups more often than by chance is undecided",
    }[decision.answer]
    numbers = f"{with_interval(score.value, score.low, score.high)}, chance {percent(score.chance)} %"
    parts = [f"{head}: recall@1 is {numbers}, median over {score.details.get('pairs')} pairs of groups."]
    cells = _cells(matrix)
    if len(cells) > 1:
        answers = Counter(
            d.answer for d in decide([_against_chance(*ends, units, guess) for _, ends, units, guess in cells])
        )
        least, most = min(cells, key=lambda cell: cell[1][0]), max(cells, key=lambda cell: cell[1][0])
        parts.append(
            f"Of {len(cells)} directions between two groups, decided together, {answers['yes']} are above chance, "
            f"{answers['no']} hardly, {answers['undecided']} undecided; from {percent(least[1][0])} % ({least[0]}) to "
            f"{percent(most[1][0])} % ({most[0]})."
        )
    return " ".join(parts)


def cosine_text(cosine: float, apart: float) -> str:
    """The warning beside a mean cosine of pairs.

    Args:
        cosine: of photos of one scene.
        apart: of photos of different scenes.

    >>> cosine_text(0.878, 0.85)[:98]
    'The mean cosine of photos of one scene is 0.878, that of photos of different scenes 0.850: no sign'
    """
    return (
        f"The mean cosine of photos of one scene is {cosine:.3f}, that of photos of different scenes {apart:.3f}: no "
        "sign of whether scenes are found. Of the encoders compared on PLISM's slides, the one with the highest cosine "
        "(0.878) found 5.4 % of them."
    )


def components_text(score: Score) -> str:
    """Which effects account for a part of the embedding's variance. "" without ``details["components"]``.

    Args:
        score: share of the scene, with every effect.
    """
    rows = [row for row in score.details.get("components") or [] if row["effect"] != "rest"]
    if not rows:
        return ""
    decisions = decide([_effect(row, units_of(score)) for row in rows])
    by_answer: dict[str, list[str]] = {"yes": [], "no": [], "undecided": []}
    for row, decision in zip(rows, decisions, strict=True):
        name = readable(str(row["effect"]))
        by_answer[decision.answer].append(f"{name} {with_interval(row['share'], row['low'], row['high'])}")
    heads = {
        "yes": "Of the embedding's variance a part is shown to be",
        "no": f"Shown to be less than {100 * POINT:g} %",
        "undecided": "Undecided",
    }
    parts = [f"{heads[answer]}: {'; '.join(names)}." for answer, names in by_answer.items() if names]
    if below := [f"{readable(str(r['effect']))} ({percent(r['estimate'], True)} %)" for r in rows if r["estimate"] < 0]:
        parts.append(
            f"Estimates below 0, which chance gives where a share is small, are shown as 0: {', '.join(below)}."
        )
    return " ".join(parts)


def _effect(row: Mapping[str, Any], units: float) -> Comparison:
    """A share against 0, and against a point; that a scene weighs more than a point does not matter to a variance."""
    value, low, high = row["share"], row["low"], row["high"]
    less = p_below(value, high, units, POINT)
    return Comparison(value, low, high, units, POINT, p_value=float(row["p_value"]), excused=less)


def _against_chance(value: float, low: float, high: float, units: float, chance: float) -> Comparison:
    return Comparison(value, low, high, units, WEAK_BELOW * (1 - chance), chance)


def _cells(matrix: Mapping[str, Any]) -> list[tuple[str, tuple[float, float, float], float, float]]:
    """Name, value and ends, n and chance of each ordered pair that has a recall@1."""
    names = [readable(str(name)) for name in matrix["groups"]]
    recall = matrix["recall"]["1"]
    cells = []
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            numbers = [table[i][j] for table in (recall, matrix["low"], matrix["high"], matrix["n"], matrix["chance"])]
            value, low, high, n, chance = (None if number is None else float(number) for number in numbers)
            if value is not None and low is not None and high is not None and n and chance is not None:
                cells.append((f"{first} to {second}", (value, low, high), n, chance))
    return cells
