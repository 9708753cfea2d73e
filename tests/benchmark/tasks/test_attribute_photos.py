"""The photos that attributes are trained and tested on, and the positions of an attribute's photos among all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from benchmark.options import RunOptions
from benchmark.tasks import Shared, TaskInput
from benchmark.tasks.acquisition_probe import SplitPart, among_all_photos, attribute_labels, parts_of
from builders.photos import UNLABELLED, Labels, PhotoSet

SPLIT = np.array([0, 2, 0, 1, 0, 0, 1, 2, 0], np.int8)  # train, val, test
LABELS = {
    "make": Labels(("a", "b"), np.array([0, 1, 1, 0, UNLABELLED, 1, 1, 0, 0], np.int32)),
    "iso": Labels(("x", "y", "z"), np.array([UNLABELLED, UNLABELLED, 2, UNLABELLED, 0, 1, 0, 1, 1], np.int32)),
    "flash": Labels(("off", "on"), np.array([0, 0, 0, 0, 0, 0, 0, 0, 1], np.int32)),  # only one class in train
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


def test_among_all_photos__positions_of_an_attributes_photos_among_those_of_all() -> None:
    inputs = given()
    make, iso = (among_all_photos(inputs, "masked", parts(inputs, name)) for name in ("make", "iso"))
    assert make is not None
    assert iso is not None
    assert make.shared is iso.shared  # shared by all attributes on a view
    learnt = make.shared._train
    # make: train 0, 2, 8 and val 3, 6; iso: train 2, 4, 8 and val 6; flash: one class
    assert learnt[:, 0].tolist() == [0, 2, 3, 4, 6, 8]
    assert make.shared._test[:, 0].tolist() == [1, 7]
    # train photos, then val
    assert learnt[make.shared._order, 0].tolist() == [0, 2, 4, 8, 3, 6]
    assert make.shared._n_classes == 5
    assert learnt[make.train_rows, 0].tolist() == [0, 2, 8, 3, 6]
    assert learnt[iso.train_rows, 0].tolist() == [2, 4, 8, 6]
    assert make.shared._test[make.test_rows, 0].tolist() == [1, 7]
    assert make.shared._test[iso.test_rows, 0].tolist() == [7]


def test_among_all_photos__none_because_an_eraser_may_need_labels_that_some_photos_lack() -> None:
    inputs = given(eraser=cast("Any", object()))
    assert among_all_photos(inputs, "masked", parts(inputs, "make")) is None


def test_shared__is_shared_by_all_tasks_on_the_same_embeddings() -> None:
    inputs = given()
    assert replace(inputs, brief=True).shared is inputs.shared
    assert given().shared is not inputs.shared
    assert Shared().get("a", lambda: 1) == 1
