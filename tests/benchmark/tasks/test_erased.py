"""Erased views: rows equal those of the eraser, and each photo has the right group."""

import dataclasses

import numpy as np
import pytest

from benchmark.erasing import ErasedView, Eraser
from benchmark.tasks.task import groups_of
from builders.errors import DataError
from builders.photos import UNLABELLED, Labels, PhotoSet

ROWS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
MEANS = np.array([[0, 0, 0], [1, 2, 3], [5, 5, 5]], np.float32)


def eraser(groups: bool, **provenance) -> Eraser:
    """Removes the first coordinate; with groups, their means are subtracted before."""
    more = {"group_means": MEANS, "group_scales": np.ones_like(MEANS)} if groups else {}
    stored = np.diag([0, 1, 1]).astype(np.float32)
    return Eraser("some", np.zeros(3, np.float32), stored, 1, provenance=provenance, **more)


def test_erased_view__equals_the_erased_rows_for_every_slice():
    view = ErasedView(ROWS, eraser(groups=False))
    assert (len(view), view.shape) == (6, (6, 3))
    expected = ROWS * [0, 1, 1]
    for at in (slice(None), slice(2, 5), np.array([4, 1])):
        np.testing.assert_allclose(view[at], expected[at], atol=1e-6)


def test_erased_view__uses_the_group_of_each_row():
    groups = np.array([0, 1, 2, 2, 1, 0])
    view = ErasedView(ROWS, eraser(groups=True), groups)
    expected = (ROWS - MEANS[groups]) * [0, 1, 1]
    for at in (slice(None), slice(2, 5), np.array([4, 1])):
        np.testing.assert_allclose(view[at], expected[at], atol=1e-6)


def photos(values, names=("one", "two")) -> PhotoSet:
    made = PhotoSet.of_bytes("some", {f"{i}": b"" for i in range(len(values))})
    return dataclasses.replace(made, attributes={"make": Labels(tuple(names), np.array(values, np.int32))})


SOME = np.array([3, 0, 1])


def test_groups_of__each_view_of_the_fit_is_a_group():
    fitted = eraser(True, views=["a", "b", "c"], column="make", classes=["two", "one"])
    for view, group in (("a", 0), ("b", 1), ("c", 2)):
        assert groups_of(fitted, photos([0, 1, 1, 0]), view, SOME).tolist() == [group] * 3


@pytest.mark.parametrize(
    ("provenance", "values", "message"),
    [
        ({"column": "model", "classes": ["one", "two"]}, [0, 1, 1, 0], "original has none"),
        ({"classes": ["one", "two"]}, [0, 1, 1, 0], "original has none"),
        ({"column": "make", "classes": ["one"]}, [0, 1, 1, 0], "original has none"),  # "two" was not in the fit
        ({"column": "make"}, [0, 1, 1, 0], "original has none"),
        ({"column": "make", "classes": ["one", "two"]}, [0, UNLABELLED, 1, UNLABELLED], "every"),
        ({"column": "make", "classes": ["one", "two"]}, [0, 1, 1, UNLABELLED], "every"),
    ],
)
def test_groups_of__unknown_groups_are_refused(provenance, values, message):
    with pytest.raises(DataError, match=message):
        groups_of(eraser(True, **provenance), photos(values), "original", SOME)
