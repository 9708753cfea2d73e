"""Every refusal of the kNN package, as its whole sentence: it names the split, the class and the rows."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from benchmark.knn import box_neighbours, cosine_distances, knn_of_views, nearest, similarities
from builders.errors import DataError, UsageError
from tests.benchmark.knn.definition import make_case

CASE = make_case(0)  # three classes, 40 train photos, 9 test photos, 16 dimensions, 3 seeds

AGAIN = "hold a NaN or infinity; embed them again"


def with_bad_row(banks: list[np.ndarray], c: int, row: int, value: float = np.nan) -> list[np.ndarray]:
    changed = [bank.copy() for bank in banks]
    changed[c][row, 2] = value
    return changed


class Short:
    """A bank whose file has lost its last row."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.shape = rows[:-1], rows.shape

    def __getitem__(self, at: slice) -> np.ndarray:
        return self.rows[at]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": []}, "kNN needs the same classes for train and test photos, got 0 and 3"),
        ({"test": CASE.test[:2]}, "kNN needs the same classes for train and test photos, got 3 and 2"),
        ({"train_labels": np.zeros(0, int)}, "kNN needs train photos, there are none"),
        ({"test_labels": np.zeros(0, int)}, "kNN needs test photos, there are none"),
        (
            {"train_labels": np.r_[-1, np.zeros(39, int)]},
            "kNN needs a label for every train photo: leave the unlabelled ones out",
        ),
        (
            {"test_labels": np.r_[np.zeros(8, int), -1]},
            "kNN needs a label for every test photo: leave the unlabelled ones out",
        ),
        ({"test_labels": np.zeros(4, int)}, "kNN: test embeddings of class 0 have shape (9, 16), expected (4, 16)"),
        (
            {"train": [*CASE.train[:2], CASE.train[2][:, :15]]},
            "kNN: train embeddings of class 2 have shape (40, 15), expected (40, 16)",
        ),
        (
            {"test": [CASE.test[0], CASE.test[1][:, :9], CASE.test[2]]},
            "kNN: test embeddings of class 1 have shape (9, 9), expected (9, 16)",
        ),
        ({"train_labels": np.zeros(40)}, "kNN: train labels must be integers of 1 dimension(s), got float64 (40,)"),
        (
            {"test_labels": np.zeros((9, 1), np.int32)},
            "kNN: test labels must be integers of 1 dimension(s), got int32 (9, 1)",
        ),
        (
            {"train_assignments": np.zeros(40, int)},
            "kNN: train assignments must be integers of 2 dimension(s), got int64 (40,)",
        ),
        (
            {"test_assignments": np.zeros((3, 9), bool)},
            "kNN: test assignments must be integers of 2 dimension(s), got bool (3, 9)",
        ),
        (
            {"train_assignments": np.full((3, 40), 3)},
            "kNN: train assignments must give each photo and seed a class from 0 to 2",
        ),
        (
            {"test_assignments": np.full((3, 9), -1)},
            "kNN: test assignments must give each photo and seed a class from 0 to 2",
        ),
        (
            {"test_assignments": np.zeros((3, 40), int)},
            "kNN: test assignments must give each photo and seed a class from 0 to 2",
        ),
        (
            {"train_assignments": np.zeros((4, 40), int)},
            "kNN needs as many train assignments as test assignments, one of each per seed",
        ),
        ({"train": with_bad_row(CASE.train, 1, 7)}, f"train class 1: embeddings of rows 0 to 40 {AGAIN}"),
        ({"test": with_bad_row(CASE.test, 2, 8, -np.inf)}, f"test class 2: embeddings of rows 0 to 9 {AGAIN}"),
        (
            {"train": [CASE.train[0], Short(CASE.train[1]), CASE.train[2]]},
            "train class 1: rows 0 to 40 have shape (39, 16); embed the photos again",
        ),
        (
            {"test": [Short(CASE.test[0]), *CASE.test[1:]]},
            "test class 0: rows 0 to 9 have shape (8, 16); embed the photos again",
        ),
    ],
)
def test_knn_setups__refuses_in_a_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as refused:
        dataclasses.replace(CASE, **change).answers()
    assert str(refused.value) == message


def test_knn_setups__unsigned_and_small_integers_are_labels() -> None:
    small = dataclasses.replace(
        CASE, train_labels=CASE.train_labels.astype(np.uint8), test_labels=CASE.test_labels.astype(np.int16)
    )
    assert (small.answers(k=3).correct == CASE.answers(k=3).correct).all()


@pytest.mark.parametrize("k", [0, -2])
def test_knn_setups__needs_a_neighbour(k: int) -> None:
    with pytest.raises(UsageError) as refused:
        CASE.answers(k=k)
    assert str(refused.value) == f"kNN needs at least one neighbour, k is {k}"
    assert CASE.answers(k=1).k == 1


def test_other_searches__name_what_holds_the_value() -> None:
    rows = np.eye(4)
    bad = np.where(np.arange(4)[:, None] == 3, np.nan, rows)
    codes = np.zeros(4, int)
    for made, what in (
        (lambda: nearest(bad, rows[:2], 1), f"train photos: embeddings of rows 0 to 4 {AGAIN}"),
        (lambda: nearest(rows, bad[1:], 1), f"queries: embeddings of rows 0 to 3 {AGAIN}"),
        (lambda: cosine_distances(rows, bad), f"photos: embeddings of rows 0 to 4 {AGAIN}"),
        (lambda: cosine_distances(bad, rows), f"photos: embeddings of rows 0 to 4 {AGAIN}"),
        (
            lambda: similarities([rows, bad], rows[:1], codes, codes[:1], codes[:1]),
            f"train class 1: embeddings of rows 0 to 4 {AGAIN}",
        ),
        (
            lambda: similarities([rows, rows], bad[2:], codes, codes[:2], codes[:2]),
            f"queries: embeddings of rows 0 to 2 {AGAIN}",
        ),
        (
            lambda: list(box_neighbours(bad, codes, codes, np.arange(4), depth=1)),
            f"queries: embeddings of rows 0 to 4 {AGAIN}",
        ),
        (
            lambda: list(box_neighbours(bad, codes, codes, np.arange(4), depth=1, queries=np.array([0, 2]))),
            f"photos: embeddings of rows 0 to 4 {AGAIN}",
        ),
        (lambda: knn_of_views(rows, [], codes, codes), "kNN of views needs one view at least"),
        (
            lambda: knn_of_views(rows, [rows, rows, rows[:3]], codes, codes),
            "kNN: view 2 has shape (3, 4), expected (4, 4)",
        ),
    ):
        with pytest.raises(DataError) as refused:
            made()
        assert str(refused.value) == what


def test_box_neighbours__names_the_rows_of_a_group_that_are_read() -> None:
    """The first group is rows 1 and 2, which are read as a slice; the second rows 0 and 4, read one by one."""
    rows, groups = np.eye(6)[:, :4].copy(), np.array([1, 0, 0, 2, 1, 2])
    codes, queries = np.zeros(6, int), np.array([3])
    for bad, what in ((2, "rows 1 to 3"), (4, "rows 0 to 2")):
        wrong = np.where(np.arange(6)[:, None] == bad, np.inf, rows)
        with pytest.raises(DataError) as refused:
            list(box_neighbours(wrong, codes, groups, np.arange(6), depth=1, queries=queries))
        assert str(refused.value) == f"photos: embeddings of {what} {AGAIN}"
