"""Which photos attributes are learnt from and tested on, and where those of one are among those of all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from benchmark.options import RunOptions
from benchmark.tasks.acquisition_probe import SplitPart, among, attribute_labels, parts_of
from benchmark.tasks.task import Shared, TaskInput
from builders.photos import UNLABELLED, Labels, PhotoSet

SPLIT = np.array([0, 2, 0, 1, 0, 0, 1, 2, 0], np.int8)  # train, val, test
LABELS = {
    "make": Labels(("a", "b"), np.array([0, 1, 1, 0, UNLABELLED, 1, 1, 0, 0], np.int32)),
    "iso": Labels(("x", "y", "z"), np.array([UNLABELLED, UNLABELLED, 2, UNLABELLED, 0, 1, 0, 1, 1], np.int32)),
    "flash": Labels(("off", "on"), np.array([0, 0, 0, 0, 0, 0, 0, 0, 1], np.int32)),  # no class but one in train
}
LABELS["flash"].values[8] = UNLABELLED


class FakeBank:
    """Row i of its one view is (i, 0.5)."""

    def view(self, name: str, rows: np.ndarray) -> np.ndarray:
        assert name == "masked"
        return np.stack([rows, np.full(len(rows), 0.5)], axis=1).astype(np.float32)


def given(**more: Any) -> TaskInput:
    photos = PhotoSet.of_bytes("toy", {str(i): b"" for i in range(len(SPLIT))})
    photos = replace(photos, splits=SPLIT, attributes=LABELS)
    usable = np.arange(len(SPLIT)) != 5
    return TaskInput(photos, usable, cast("Any", FakeBank()), RunOptions(), "cpu", **more)


def parts(of: TaskInput, attribute: str) -> dict[str, SplitPart]:
    labels = attribute_labels(of.photos, attribute)
    assert labels is not None
    return dict(zip(("train", "val", "test"), parts_of(of, labels)[1:], strict=True))


def test_among__all_that_any_attribute_is_learnt_from_and_where_its_own_are() -> None:
    asked = given()
    make, iso = (among(asked, "masked", parts(asked, name)) for name in ("make", "iso"))
    assert make is not None
    assert iso is not None
    assert make.of is iso.of  # one for all questions on a view
    learnt = make.of._learnt
    # make: train 0, 2, 8 and val 3, 6; iso: train 2, 4, 8 and val 6; flash: one class
    assert learnt[:, 0].tolist() == [0, 2, 3, 4, 6, 8]
    assert make.of._tested[:, 0].tolist() == [1, 7]
    # train photos, then val
    assert learnt[make.of._order, 0].tolist() == [0, 2, 4, 8, 3, 6]
    assert make.of._n_classes == 5
    assert learnt[make.learnt, 0].tolist() == [0, 2, 8, 3, 6]
    assert learnt[iso.learnt, 0].tolist() == [2, 4, 8, 6]
    assert make.of._tested[make.tested, 0].tolist() == [1, 7]
    assert make.of._tested[iso.tested, 0].tolist() == [7]


def test_among__none_where_an_eraser_may_need_labels_that_some_photos_lack() -> None:
    asked = given(eraser=cast("Any", object()))
    assert among(asked, "masked", parts(asked, "make")) is None


def test_shared__goes_with_every_question_on_the_same_embeddings() -> None:
    asked = given()
    assert replace(asked, brief=True).shared is asked.shared
    assert given().shared is not asked.shared
    assert Shared().get("a", lambda: 1) == 1
