"""Summary numbers by hand."""

from __future__ import annotations

import math

import pytest

from benchmark.results import Score, group_means, log_odds_over_chance
from benchmark.results import summarise as summarise_by
from benchmark.tasks import all_tasks


def summarise(scores):
    return summarise_by(scores, all_tasks())


def score(task: str, metric: str, value: float, chance: float = 0.25, data: str = "toy") -> Score:
    return Score(task, data, metric, value, value, value, 100, chance)


def test_summarise__by_hand() -> None:
    summary = summarise(
        [
            score("probe/jpeg", "accuracy", 0.6, 1 / 6),
            score("probe/resizing", "accuracy", 0.8, 1 / 3),
            score("probe/make", "accuracy", 0.3, 1 / 9),
            score("probe/make", "balanced-accuracy", 0.9, 1 / 9),
            score("probe/unknown", "accuracy", 0.9, 1 / 9),
            score("knn/original", "accuracy", 0.85),
            score("knn/jpeg", "all-same", 0.9),
            score("knn/resizing", "all-same", 0.7),
            score("knn/jpeg", "pos-same", 0.9),
            score("knn/jpeg", "neg-same", 0.8),
            score("knn/resizing", "pos-same", 0.5),
            score("knn/resizing", "neg-same", 0.8),
            score("retrieval/pairs", "same", 0.99),
            score("retrieval/pairs", "different", 0.95),
        ]
    )
    assert summary.mp_processing == pytest.approx(0.7)
    assert summary.mp_acquisition == pytest.approx(0.3)
    assert summary.sp == pytest.approx(0.85)
    assert summary.all_same == pytest.approx(0.8)
    assert summary.spd_processing == pytest.approx(0.2)
    assert summary.spd_processing_signed == pytest.approx(-0.1)
    assert summary.spd_acquisition == pytest.approx(0.04)
    assert summary.spd_acquisition_signed == pytest.approx(0.04)
    expected = (math.log(60.5 / 40.5) + math.log(5) + math.log(80.5 / 20.5) + math.log(2)) / 2
    assert summary.log_odds_processing == pytest.approx(expected)
    assert summary.tasks == {
        "mp_processing": 2,
        "mp_acquisition": 1,
        "sp": 1,
        "all_same": 2,
        "spd_processing": 2,
        "spd_acquisition": 1,
    }


def test_summarise__of_nothing_has_no_numbers() -> None:
    summary = summarise([])
    assert summary.mp_processing is summary.sp is summary.spd_acquisition_signed is summary.log_odds_acquisition is None


def test_summarise__pairs_set_ups_within_one_data_set() -> None:
    summary = summarise(
        [
            score("knn/jpeg", "pos-same", 0.9, data="a"),
            score("knn/jpeg", "neg-same", 0.4, data="b"),
        ]
    )
    assert summary.spd_processing is None


def test_log_odds_over_chance__guess_is_zero_and_certainty_is_finite() -> None:
    assert log_odds_over_chance(1 / 6, 10**9, 1 / 6) == pytest.approx(0, abs=1e-6)
    assert log_odds_over_chance(1.0, 50, 0.5) == pytest.approx(math.log(101))
    assert log_odds_over_chance(0.0, 50, 0.5) == pytest.approx(-math.log(101))
    with pytest.raises(ValueError, match="chance"):
        log_odds_over_chance(0.5, 50, 0.0)


def test_group_means__by_training_type() -> None:
    means = group_means(
        {"a": 0.2, "b": 0.4, "c": 0.9, "d": None, "e": 0.1, "f": float("nan")},
        {"a": "SUP", "b": "SUP", "c": "CVL", "d": "CVL", "f": "SUP"},
    )
    assert list(means) == ["CVL", "SUP"]
    assert (means["SUP"].mean, means["SUP"].low, means["SUP"].high, means["SUP"].n) == (
        pytest.approx(0.3),
        0.2,
        0.4,
        2,
    )
    assert means["CVL"].n == 1
