"""Whether a trace is still read: the most frequent class, and several readers together."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmark.erasing import verdict
from benchmark.results import Score
from benchmark.scoring.erase import rows_of
from benchmark.stats import against_chance, wilson_interval


def scored(*readers: np.ndarray, chance: float, **details: Any) -> Any:
    """What a run scored: a probe of ``make`` by one or several readers, from answers by photo."""
    scores = []
    for right, reader in zip(readers, ("", "-knn", "-mlp"), strict=False):
        value, ends = float(right.mean()), wilson_interval(float(right.mean()), len(right))
        guess = max(chance, details.get("most_frequent_class", 0.0))
        more = {**details, "p_chance": against_chance(right, guess)}
        scores.append(Score("probe/make", "toy", f"accuracy{reader}", value, *ends, len(right), chance, more))
    return SimpleNamespace(result=SimpleNamespace(scores=tuple(scores), data={"name": "toy"}), answers={})


@pytest.mark.parametrize(("largest", "chance"), [(0.8, 0.5), (0.7, 1 / 3)])
def test_verdict__a_constant_answer_is_not_still_read(largest: float, chance: float) -> None:
    right = np.repeat([1.0, 0.0], [round(300 * largest), 300 - round(300 * largest)])
    constant = scored(right, chance=chance, most_frequent_class=largest)
    (row,) = rows_of(constant, constant)
    assert (row.chance, row.after_answer) == (largest, "undecided")
    assert "undecided" in verdict([row], "make")


def test_verdict__of_three_null_readers_none_still_reads_in_95_of_100() -> None:
    rng = np.random.default_rng(5)
    nulls = [scored(*((rng.random(60) < 0.5).astype(float) for _ in range(3)), chance=0.5) for _ in range(200)]
    read = sum("make is still read" in verdict(rows_of(null, null), "make").partition("hether")[0] for null in nulls)
    assert read <= 17  # the 97.5 % quantile of Binomial(200, 0.05)
