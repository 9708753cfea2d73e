"""Classes that photos are assigned, of few and of many classes, and why photos fit no task of a parameter."""

import dataclasses

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.tasks.processing_probe import (
    assignments,
    plain_views,
    processing_views,
    unfit_for_processing,
    upright,
)
from builders.photos import PhotoSet
from builders.pixels import BUILT_IN, Parameter, assigned_class

IDS = [f"photo {i}" for i in range(1500)]


@pytest.mark.parametrize("count", [2, 256, 257, 300])
def test_assignments__are_those_of_each_photo_for_seeds_from_0(count):
    """More than 256 classes take two bytes."""
    photos = PhotoSet.of_bytes("toy", dict.fromkeys(IDS, b""))
    parameter = Parameter(f"of {count}", tuple(map(str, range(count))), ())
    at = np.array([1499, *range(0, 1400, 1)])
    made = assignments(photos, at, parameter, 2)
    assert (made.shape, made.dtype) == ((2, 1401), np.int64)
    expected = [[assigned_class(IDS[i], parameter, seed) for i in at] for seed in range(2)]
    assert made.tolist() == expected
    assert made.max() == count - 1


def test_unfit__stored_views_must_hold_every_class():
    jpeg = BUILT_IN["jpeg"]
    photos = PhotoSet.of_bytes("toy", dict.fromkeys("abc", b""), None, ["train", "val", "val"])
    reason = "it stores photos that are processed already, and not in the classes of jpeg"
    for stored, expected in (
        ((), ""),
        (jpeg.processings, ""),
        ((*jpeg.processings[::-1], "more"), ""),
        (jpeg.processings[1:], reason),
        (("other",), reason),
    ):
        assert unfit_for_processing(jpeg, dataclasses.replace(photos, stored_views=tuple(stored))) == expected
    for splits, expected in ((["train"] * 3, "val"), (["val"] * 3, "train"), (["test"] * 3, "train and val")):
        other = PhotoSet.of_bytes("toy", dict.fromkeys("abc", b""), None, splits)
        assert unfit_for_processing(jpeg, other) == f"it has no photo in {expected}"
        assert unfit_for_processing(jpeg, dataclasses.replace(other, stored_views=jpeg.processings)) == (
            f"it has no photo in {expected}"
        )


@pytest.mark.parametrize(("orientation", "applied"), [("upright", True), ("stored", False)])
def test_views__of_a_parameter_and_of_plain_photos(orientation, applied):
    jpeg, options = BUILT_IN["jpeg"], RunOptions(orientation=orientation, seed=6)
    photos = PhotoSet.of_bytes("toy", dict.fromkeys("ab", b""))
    assert upright(options) is applied
    made = processing_views(jpeg, photos, options)
    assert (made.kind, made.names, made.seed, made.upright) == ("processing", jpeg.processings, 6, applied)
    assert (plain_views(photos, options).kind, plain_views(photos, options).upright) == ("plain", applied)
    stored = dataclasses.replace(photos, stored_views=("more", *jpeg.processings))
    recipe = processing_views(jpeg, stored, options)
    assert (recipe.kind, recipe.names) == ("stored", jpeg.processings)
