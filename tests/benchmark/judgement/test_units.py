"""Sentences about units: which scores count, several rules, and cautions of scores by pair and by photo."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.judgement.units import are_few, plural_of, units_text


def score(rule: str | None, units: Any = 40, effective: float | None = None, n: int = 600, **more: Any) -> Any:
    details = {"resampled": rule, "units": units} | ({} if effective is None else {"effective_units": effective})
    details |= {name: more.pop(name) for name in ("p_chance",) if name in more}
    return SimpleNamespace(**{"n": n, "value": 0.5, "chance": 0.2, "details": details, **more})


OWNERS = "Photos of one owner err together: intervals and p-values are over 40 owners"
FEW = (
    "With few or very unequal units an interval is less sure than it says: with fewer than 10, 95 % intervals held the "
    "truth in 87 to 100 % of simulated sets."
)
NEAR = "Intervals of accuracies near 100 % held the truth in 92 to 99 % of simulated sets, depending on how much units"
FREQUENT = "With a chance of 90 % or more, p is below 0.05 in up to 11 of 100 simulated sets without any trace."


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        ([], ""),
        ([score("owner")], f"{OWNERS}."),
        ([score("owner"), score("owner")], f"{OWNERS}."),
        ([score("owner", effective=40.04)], f"{OWNERS}."),  # equal to a tenth
        ([score("owner", effective=39.9)], f"{OWNERS}, as many as 39.9 of equal size."),
        (
            [score("owner", 1234, 1200.5), score("owner", 40)],
            f"{OWNERS} or 1,234 owners, as many as 1,200.5 of equal size.",
        ),
        ([score("owner", effective=20)], f"{OWNERS}, as many as 20.0 of equal size."),
        ([score("owner", effective=19.9)], f"{OWNERS}, as many as 19.9 of equal size. {FEW}"),
        (
            [score("scene", 12), score("near_duplicates", 900, n=1000)],
            "Photos of one scene err together: intervals and p-values are over 12 scenes. Photos of one group of "
            "near-duplicates err together: intervals and p-values are over 900 groups of near-duplicates.",
        ),
        ([score("owner", value=0.95)], f"{OWNERS}. {NEAR} differ."),
        ([score("owner", chance=0.9, p_chance=0.5)], f"{OWNERS}. {FREQUENT}"),
        ([score("owner", chance=0.9)], f"{OWNERS}."),  # an older result, whose interval decides
        ([score("owner", chance=0.89, p_chance=0.5)], f"{OWNERS}."),
        # each photo, and each pair, is a unit: no caution is about them
        *(([score(rule, 5, n=5, value=0.99, chance=0.95, p_chance=0.5)], "") for rule in ("photo", "pair", None)),
        ([score("owner"), score("pair", 5, n=5, value=0.99, chance=0.95, p_chance=0.5)], f"{OWNERS}."),
        ([score("owner", None, value=0.5)], ""),
    ],
)
def test_units_text__whole(scores: list[Any], text: str) -> None:
    assert units_text(scores) == text


def test_units_text__of_few_units_near_100_per_cent_the_first_caution_alone() -> None:
    text = units_text([score("owner", 9, 9, value=0.99)])
    assert text == f"{OWNERS.replace('40', '9')}. {FEW}"


@pytest.mark.parametrize(
    ("count", "effective", "few"),
    [(10, 10, False), (10, 9.9, True), (9, 9, True), (100, 50, False), (100, 49.9, True), (20, 10, False)],
)
def test_are_few__by_number_and_by_share(count: int, effective: float, few: bool) -> None:
    assert are_few(count, effective) is few


def test_plural_of__words_that_end_in_y() -> None:
    names = ("biopsy", "day", "key", "city", "y", "by_day", "pair", "cluster", "near_duplicates")
    assert [plural_of(name) for name in names] == [
        *("biopsies", "days", "keys", "cities", "ies", "by_days", "pairs", "clusters", "groups of near-duplicates")
    ]
