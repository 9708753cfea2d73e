"""Arguments of pools of workers: gathers, slots and runs; and views of unusual preprocessings."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.encoders import Pixels
from benchmark.encoders.preprocess.pixels import ResizeTo
from benchmark.views import (
    ORIGINAL,
    MaskedViews,
    PhotoViews,
    PlainViews,
    ProcessingViews,
    iterate_views,
    loading,
)
from benchmark.views.recipe import DecodedPhoto
from benchmark.views.stream import DecodedPhotos
from benchmark.views.workers.pool import made_by_workers
from benchmark.views.workers.ring import Ring, Row, SlotPlan
from builders.errors import PhotoError
from builders.photos import PhotoSet, photo_digest
from tests.support.images import image_bytes, ppm

SMALL = Pixels((ResizeTo(8, 8, 2),))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Arguments of each pool of workers; none is started."""
    calls: list[dict[str, Any]] = []

    def record(make: Any, sizes: Any, plan: Any, slots: int, workers: int, **more: Any) -> Any:
        calls.append({"make": make, "sizes": sizes, "plan": plan, "slots": slots, "workers": workers, **more})
        return iter(())

    monkeypatch.setattr(loading, "made_by_workers", record)
    return calls


def test_iterate_views__describes_each_photo() -> None:
    files = {"a": image_bytes(np.zeros((9, 9, 3), np.uint8), "JPEG", quality=85, subsampling=0), "b": b"x", "c": ppm(1)}
    some = PhotoSet.of_bytes("some", files)

    class Unreadable:
        def read(self, row: int) -> bytes:
            if row == 1:
                raise PhotoError("the disk is gone")
            return list(files.values())[row]

    for source, words, digest in ((some.source, "not JPEG", photo_digest(b"x")), (Unreadable(), "unreadable", b"")):
        made = list(iterate_views(dataclasses.replace(some, source=source), [2, 1, 0], PlainViews(), [SMALL]))
        assert [views.index for views in made] == [2, 1, 0]
        assert [views.source_jpeg for views in made] == ["not JPEG", words, "q85 4:4:4"]
        assert [views.digest for views in made] == [photo_digest(files["c"]), digest, photo_digest(files["a"])]
        assert [len(views.arrays) for views in made] == [1, 0, 1]
        assert all(views.seconds >= 0 and views.decoded is None and views.ready is None for views in made)
    assert made[1].failure == "the disk is gone"
    assert not made[1].view_failures


PICTURE = image_bytes(np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ("preprocess", "cropped"),
    [
        (lambda image: np.asarray(image)[4:20], True),
        (lambda image: np.asarray(image)[..., :1], False),
        (lambda image: np.asarray(image)[..., 0], False),
        (lambda image: np.asarray(image)[None], False),
        (lambda image: np.asarray(image, np.float32), False),
        (lambda image: np.asarray(image.convert("RGBA")), False),
    ],
)
def test_masked__crops_of_pixels_are_masked_and_photos_before_anything_else(preprocess: Any, cropped: bool) -> None:
    """The mask lies in the middle of the crop, or of the photo; only 8-bit RGB pixels are a crop."""
    whole, masked, complement = (np.asarray(v, float) for v in MaskedViews(0.25).make(PICTURE, "a", [preprocess])[0])
    covered = square(24, 16, 6, 4) if cropped else np.asarray(preprocess(Image.fromarray(square(24, 24, 6, 6))))
    alpha = np.broadcast_to((np.arange(covered.shape[-1]) == 3) & (covered.shape[-1] == 4), covered.shape)
    inside = (covered == 255) & ~alpha
    assert inside.any()
    np.testing.assert_array_equal(masked, np.where(inside, 0, whole))
    np.testing.assert_array_equal(complement, np.where(inside | alpha, whole, 0))


def square(width: int, height: int, border: int, above: int) -> np.ndarray:
    """White within a black frame."""
    made = np.zeros((height, width, 3), np.uint8)
    made[above : height - above, border : width - border] = 255
    return made


def test_masked__names_by_ratio_and_choice() -> None:
    assert MaskedViews(0.0).names == ("whole",)
    assert MaskedViews(0.0, ("masked",)).names == ()
    assert MaskedViews(1.0).names == ("whole", "masked", "complement")
    assert MaskedViews(0.5).only(["complement", "whole"]).names == ("whole", "complement")
    assert MaskedViews(0.5, ("complement",)).merged(MaskedViews(0.5, ("whole",))).names == ("whole", "complement")
    keys = MaskedViews(0.5).view_keys()
    assert "ratio" not in keys["whole"]
    assert (keys["masked"]["ratio"], keys["complement"]["ratio"]) == (0.5, 0.5)


def test_decoded_photos__which_the_device_takes() -> None:
    """As many pixels as it holds, all preprocessings, and sizes that Pillow accepts."""
    recipe = ProcessingViews(("jpeg-q75-420", "resizing-x0.5"), 3)
    data = image_bytes(np.zeros((6, 7, 3), np.uint8))
    for largest, given, taken in ((42, [SMALL], True), (41, [SMALL], False), (42, [SMALL, SMALL], False)):
        made = DecodedPhotos(recipe, 1, largest).make(data, "a", given)
        assert isinstance(made, DecodedPhoto) is taken
        assert taken or np.asarray(made[0]).shape == (2, 8, 8, 3)  # type: ignore[arg-type]
    decoded = DecodedPhotos(recipe, 1, 42)
    assert (decoded.kind, decoded.names, decoded.settings()) == (recipe.kind, recipe.names, recipe.settings())
    assert decoded.view_keys() == recipe.view_keys()
    assert decoded.only(["resizing-x0.5"]) == recipe.only(["resizing-x0.5"])
    other = DecodedPhotos(ProcessingViews((ORIGINAL,), 3), 1, 42)
    assert decoded.merged(other) == DecodedPhotos(ProcessingViews((*recipe.names, ORIGINAL), 3), 1, 42)


def other_dtypes(position: int) -> PhotoViews:
    """Of the planned shape and type; of another type; of another shape; nothing; a decoded photo, small or large."""
    arrays = {
        0: torch.full((2, 3), 1, dtype=torch.uint8),
        1: torch.full((2, 3), 2, dtype=torch.float32),
        2: torch.full((3, 2), 3, dtype=torch.uint8),
    }
    decoded = {4: torch.full((2, 2, 3), 4, dtype=torch.uint8), 5: torch.full((2, 3, 3), 5, dtype=torch.uint8)}
    made = (arrays[position],) if position in arrays else ()
    return PhotoViews(position, made, "", "", 0.0, decoded=decoded.get(position))


def test_made_by_workers__what_does_not_fit_its_slot_is_sent() -> None:
    plan = SlotPlan(3, (Row((2, 3), np.dtype(np.uint8)),), 12)
    made = list(made_by_workers(other_dtypes, [3, 3], plan, 3, 1, ahead=6))
    assert [[(a.dtype, tuple(a.shape), a.unique().tolist()) for a in views.arrays] for views in made[:4]] == [
        [(torch.uint8, (2, 3), [1])],
        [(torch.float32, (2, 3), [2.0])],
        [(torch.uint8, (3, 2), [3])],
        [],
    ]
    assert [None if v.decoded is None else (tuple(v.decoded.shape), v.decoded.unique().tolist()) for v in made] == [
        None, None, None, None, ((2, 2, 3), [4]), ((2, 3, 3), [5]),
    ]  # fmt: skip


def test_ring__slots_are_taken_in_turn_and_given_back() -> None:
    freed: list[int] = []
    ring = Ring(SlotPlan(2, (Row((3,), np.dtype(np.float32)),), 5), 2, forked=True, freed=lambda: freed.append(1))
    first, second = ring.take(), ring.take()
    assert first is not None
    assert second is not None
    assert (first.number, second.number, ring.take(), freed) == (0, 1, None, [])
    pixels = second.pixels(1, (1, 5))
    ring.plan.pixels(ring.memory(1), 1, (1, 5))[...] = 9  # type: ignore[index]
    assert pixels.tolist() == [[9] * 5]
    assert second.tensors()[0].tolist() == [[0, 0, 0]] * 2
    assert ring.plan.pixels(ring.memory(0), 0, (2, 3)) is None
    del second
    assert freed == []
    del pixels
    assert freed == [1]
    third = ring.take()
    assert third is not None
    assert third.number == 1
