"""Sources of real photos that are compared, with a note where some are not; scores within their limits."""

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.stats import single_units
from benchmark.tasks import TaskInput, all_tasks
from benchmark.tasks.forensics.data import against_real
from benchmark.tasks.scores import score_of
from builders.photos import Labels, PhotoSet

FLOOR = all_tasks()["forensics/floor"]


def input_of(sources: str) -> TaskInput:
    """Ten real photos of each source, and ten generated ones, in training and again in the test."""
    listed = [*(source for source in sources for _ in range(10)), *[""] * 10] * 2
    splits = ["train"] * (len(listed) // 2) + ["val"] * (len(listed) // 2)
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(len(listed))}, None, splits)
    classes = np.array([0 if source else 1 for source in listed], np.int32)
    photos = dataclasses.replace(photos, labels=Labels(("real", "fake"), classes), columns={"source": np.array(listed)})
    rows = np.random.default_rng(1).normal(size=(len(listed), 3)).astype(np.float32)
    bank = SimpleNamespace(view=lambda name, at: rows[at], dim=3)
    options = RunOptions(resamples=100)
    return TaskInput(photos, np.ones(len(listed), bool), bank, options, "cpu", brief=True)


@pytest.mark.parametrize("count", [2, 6, 7])
def test_floor__a_note_only_where_there_are_more_sources_than_are_compared(count: int) -> None:
    """Of equally frequent sources the first are compared."""
    [score] = FLOOR.run(input_of("abcdefg"[:count])).scores
    pairs = [tuple(row["sources"]) for row in score.details["pairs"]]
    assert pairs == list(itertools.combinations("abcdef"[:count], 2))
    note = "7 sources have enough photos; the 6 most frequent are compared."
    assert score.details.get("notes", []) == ([note] if count == 7 else [])
    assert {(row["train_photos"], row["test_photos"]) for row in score.details["pairs"]} == {(20, 20)}


def test_score__ends_stay_within_the_limits_of_the_metric_where_values_by_photo_do_not() -> None:
    inputs, values = input_of("ab"), np.array([-3.0, 5.0, 2.0, -1.0])
    how = {"chance": 0.5, "details": {"k": 1}, "value": 0.9, "bounds": (-5.0, 5.0)}
    inside, free = (
        score_of("t", "m", inputs, values, single_units(4), **how, **more) for more in ({"limits": (0.0, 1.0)}, {})
    )
    assert (inside.low, inside.high, inside.value, inside.n) == (0.0, 1.0, 0.9, 4)
    assert free.low < 0 < 1 < free.high
    assert free.details == {"k": 1}


def test_against_real__every_real_photo_whatever_stands_for_its_generator() -> None:
    generated = np.array([True, False, True, False, True])
    generators = np.array([1, 1, 0, 2, 1])
    assert against_real(generated, generators, 1).tolist() == [0, 1, 3, 4]
    assert against_real(generated, generators, 0).tolist() == [1, 2, 3]
    assert against_real(generated, generators, 2).tolist() == [1, 3]
