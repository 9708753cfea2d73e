"""Every refusal of the kNN package, as its whole sentence: it names the split, the class and the rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmark.knn import box_neighbours
from builders.errors import DataError, UsageError
from tests.benchmark.knn.definition import make_case

CASE = make_case(0)  # three classes, 40 train photos, 9 test photos, 16 dimensions, 3 seeds

AGAIN = "hold a NaN or infinity; embed them again"


def test_knn_setups__unsigned_and_small_integers_are_labels() -> None:
    small = dataclasses.replace(
        CASE, train_labels=CASE.train_labels.astype(np.uint8), test_labels=CASE.test_labels.astype(np.int16)
    )
    assert (small.answers(k=3).correct == CASE.answers(k=3).correct).all()


@pytest.mark.parametrize("k", [0, -2])
def test_knn_setups__needs_a_neighbour(k: int) -> None:
    with pytest.raises(UsageError, match=f"k is {k}"):
        CASE.answers(k=k)
    assert CASE.answers(k=1).k == 1


def test_box_neighbours__names_the_rows_of_a_group_that_are_read() -> None:
    """The first group is rows 1 and 2, which are read as a slice; the second rows 0 and 4, read one by one."""
    rows, groups = np.eye(6)[:, :4].copy(), np.array([1, 0, 0, 2, 1, 2])
    codes, queries = np.zeros(6, int), np.array([3])
    for bad, what in ((2, "rows 1 to 3"), (4, "rows 0 to 2")):
        wrong = np.where(np.arange(6)[:, None] == bad, np.inf, rows)
        with pytest.raises(DataError) as refused:
            list(box_neighbours(wrong, codes, groups, np.arange(6), depth=1, queries=queries))
        assert str(refused.value) == f"photos: embeddings of {what} {AGAIN}"
