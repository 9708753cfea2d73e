"""Sentences about units: which scores count, several rules, and cautions of scores by pair and by photo."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.judgement import plural_of, units_text
from benchmark.judgement.units import FEW, are_few


def score(rule: str | None, units: Any = 40, effective: float | None = None, n: int = 600, **more: Any) -> Any:
    details = {"resampled": rule, "units": units} | ({} if effective is None else {"effective_units": effective})
    details |= {name: more.pop(name) for name in ("p_chance",) if name in more}
    return SimpleNamespace(**{"n": n, "value": 0.5, "chance": 0.2, "details": details, **more})


@pytest.mark.parametrize(
    ("scores", "sizes", "cautioned"),
    [
        ([score("owner")], ["40 owners"], False),
        ([score("owner"), score("owner")], ["40 owners"], False),
        ([score("owner", effective=39.9)], ["40 owners", "39.9"], False),
        ([score("owner", 1234, 1200.5), score("owner", 40)], ["40 owners", "1,234 owners", "1,200.5"], False),
        ([score("owner", effective=20)], ["20.0"], False),
        ([score("owner", effective=19.9)], ["19.9"], True),
        ([score("scene", 12), score("near_duplicates", 900, n=1000)], ["12 scenes", "900 groups"], False),
        ([score("scene", 6)], ["6 scenes"], True),
    ],
)
def test_units_text__names_units_and_cautions_where_they_are_few(
    scores: list[Any], sizes: list[str], cautioned: bool
) -> None:
    text = units_text(scores)
    assert all(size in text for size in sizes)
    assert (f"fewer than {FEW} units" in text) is cautioned


@pytest.mark.parametrize("rule", ["photo", "pair", None])
def test_units_text__of_photos_and_pairs_is_empty(rule: str | None) -> None:
    assert units_text([score(rule, 5, n=5)]) == units_text([]) == ""


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
