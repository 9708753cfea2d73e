"""Scenes in groups, and parts of the variance: whole texts, bounds of the way from chance, and empty pairs."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.judgement import components_text, cosine_text, pairs_text
from benchmark.results import Score


def recall(value: float, half: float, chance: float = 0.02, n: int = 900, matrix: Any = None) -> Score:
    details = {"pairs": 3, "group_matrix": {"groups": []} if matrix is None else matrix, "resampled": "photo"}
    return Score("retrieval/pairs", "set", "at-1", value, value - half, value + half, n, chance, details)


def matrix(cells: dict[tuple[int, int], tuple[float, float]], n: int = 900, chance: float = 0.02) -> dict[str, Any]:
    """Three groups; of each ordered pair the recall and the half width of its interval."""

    def table(of: Any) -> list[list[Any]]:
        return [[of(*cells[i, j]) if (i, j) in cells else None for j in range(3)] for i in range(3)]

    return {
        "groups": ["a", "b\x1b", "c"],
        "recall": {"1": table(lambda v, h: v)},
        "low": table(lambda v, h: v - h),
        "high": table(lambda v, h: v + h),
        "n": table(lambda v, h: n),
        "chance": table(lambda v, h: chance),
    }


EMPTY = {"recall": {"1": []}}
HEADS = {
    "yes": "Photos of one scene are found in other groups more often than by chance",
    "no": "Photos of one scene are found in other groups hardly more often than by chance",
    "undecided": "Whether photos of one scene are found in other groups more often than by chance is undecided",
}


@pytest.mark.parametrize(
    ("value", "half", "chance", "answer"),
    [
        (0.6, 0.05, 0.02, "yes"),
        (0.5, 0.02, 0.5, "no"),  # 5 % of the way from 0.5 to 1 are 2.5 points
        (0.5, 0.033, 0.5, "undecided"),
        (0.02, 0.03, 0.02, "no"),  # and from 0.02 almost 5
        (0.02, 0.075, 0.02, "undecided"),
    ],
)
def test_pairs_text__against_the_way_from_chance(value: float, half: float, chance: float, answer: str) -> None:
    low, high, at = (f"{100 * x:.1f}" for x in (value - half, value + half, value))
    text = pairs_text(recall(value, half, chance, matrix={"groups": [], **EMPTY}))
    assert text == (
        f"{HEADS[answer]}: recall@1 is {at} % ({low} to {high}), chance {100 * chance:.1f} %, median over 3 pairs of "
        "groups."
    )


def test_pairs_text__directions_that_were_measured_decided_together() -> None:
    cells = {(0, 1): (0.6, 0.05), (1, 0): (0.021, 0.015), (1, 2): (0.05, 0.04), (2, 0): (0.7, 0.05)}
    text = pairs_text(recall(0.6, 0.05, matrix=matrix(cells)))
    assert text.partition("pairs of groups. ")[2] == (
        "Of 4 directions between two groups, decided together, 2 are above chance, 1 hardly, 1 undecided; from 2.1 % "
        "(b\\x1b to a) to 70.0 % (c to a)."
    )
    alone = pairs_text(recall(0.6, 0.05, matrix=matrix({(0, 1): (0.6, 0.05)})))
    assert alone.endswith("median over 3 pairs of groups.")
    unmeasured = matrix(cells, n=0)
    assert pairs_text(recall(0.6, 0.05, matrix=unmeasured)).endswith("median over 3 pairs of groups.")
    for name in ("low", "high", "chance", "n"):
        lacking = matrix(cells)
        lacking[name][0][1] = None
        assert "Of 3 directions" in pairs_text(recall(0.6, 0.05, matrix=lacking))


def test_pairs_text__without_a_matrix_there_is_none() -> None:
    assert pairs_text(recall(0.6, 0.05, matrix=[])) == ""


def test_cosine_text__whole() -> None:
    assert cosine_text(0.87812, 0.8496) == (
        "The mean cosine of photos of one scene is 0.878, that of photos of different scenes 0.850: no sign of whether "
        "scenes are found. Of the encoders compared on PLISM's slides, the one with the highest cosine (0.878) found "
        "5.4 % of them."
    )


def effect(name: str, estimate: float, half: float, p: float) -> dict[str, Any]:
    shown = max(0.0, estimate)
    return {
        "effect": name, "share": shown, "estimate": estimate, "low": estimate - half, "high": estimate + half,
        "p_value": p,
    }  # fmt: skip


def components(*rows: dict[str, Any], n: int = 40) -> str:
    details = {"components": [*rows, {"effect": "rest"}], "units": n, "resampled": "scene"}
    return components_text(Score("groups/variance", "set", "scene", 0.3, 0.2, 0.4, 900, 0.0, details))


def test_components_text__a_part_of_each_kind_and_estimates_below_0() -> None:
    """A scene of 40 weighs more than a point, which does not matter to a variance."""
    text = components(
        effect("scene", 0.3, 0.1, 1e-6),
        effect("scanner", 0.002, 0.003, 0.4),
        effect("sta\x1bin", 0.05, 0.06, 0.2),
        effect("both", -0.004, 0.003, 0.9),
        effect("none", 0.0, 0.003, 0.9),
    )
    assert text == (
        "Of the embedding's variance a part is shown to be: scene 30.0 % (20.0 to 40.0). Shown to be less than 1 %: "
        "scanner 0.2 % (-0.1 to 0.5); both 0.0 % (-0.7 to -0.1); none 0.0 % (-0.3 to 0.3). Undecided: sta\\x1bin 5.0 % "
        "(-1.0 to 11.0). Estimates below 0, which chance gives where a share is small, are shown as 0: both (-0.4 %)."
    )
    assert components() == ""
    assert components(effect("scene", 0.3, 0.1, 1e-6)) == (
        "Of the embedding's variance a part is shown to be: scene 30.0 % (20.0 to 40.0)."
    )
