"""Recipes: the laws that all of them have, their keys, near-copies by hand, and who makes the views."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from benchmark.encoders import Pixels
from benchmark.encoders.preprocess.pixels import ResizeTo
from benchmark.views import (
    ORIGINAL,
    EditedViews,
    MaskedViews,
    PlainViews,
    ProcessingViews,
    StoredViews,
    ViewRecipe,
    WithPng,
    choose,
    choose_views,
)
from builders.pixels import ALL_PROCESSINGS
from builders.sources.bundles import pack
from tests.support.images import image_bytes
from tests.support.recorded import check_recorded

SIDE = 40
PHOTO = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
TURNED = Image.Exif()
TURNED[0x0112] = 6
DATA = image_bytes(PHOTO, "PNG", exif=TURNED.tobytes())
NAMES = ("jpeg-q75-420", "resizing-x2", "interpolation-box")

RECIPES: dict[str, ViewRecipe] = {
    "processings": ProcessingViews(NAMES, 3),
    "processings and the photo": ProcessingViews((*NAMES, ORIGINAL), 3),
    "processings as stored": ProcessingViews((NAMES[0], ORIGINAL), upright=False),
    "masked": MaskedViews(0.5),
    "masked, nothing": MaskedViews(0.0),
    "plain": PlainViews(),
    "plain as stored": PlainViews(upright=False),
    "edited": EditedViews(),
    "edited as stored": EditedViews(upright=False),
    "stored": StoredViews(("b", "c"), ("a", "b", "c")),
    "with PNG": WithPng(PlainViews()),
    "with PNG of several": WithPng(ProcessingViews((NAMES[0], ORIGINAL))),
    "without PNG": WithPng(PlainViews(), png=False),
}


def data_of(recipe: ViewRecipe) -> bytes:
    files = [image_bytes(PHOTO[i:], "PNG") for i in range(3)]
    return pack(files) if isinstance(recipe, StoredViews) else DATA


def made(recipe: ViewRecipe) -> dict[str, list[np.ndarray]]:
    """By name of a view, what two preprocessings give of it; they keep pictures."""
    (plain, turned) = recipe.make(data_of(recipe), "id", [as_array, turned_array])  # type: ignore[misc]
    assert len(plain) == len(turned) == len(recipe.names)
    return {n: [np.asarray(a), np.asarray(b)] for n, a, b in zip(recipe.names, plain, turned, strict=True)}


class Picture(np.ndarray):
    """An array that can be saved as a picture."""

    def save(self, *given: Any, **named: Any) -> None:
        Image.fromarray(np.asarray(self)).save(*given, **named)


def as_array(image: Any) -> Any:
    return np.asarray(image).view(Picture)


def turned_array(image: Any) -> Any:
    return np.ascontiguousarray(np.asarray(image)[::-1]).view(Picture)


@pytest.mark.parametrize("kind", RECIPES)
def test_recipe__parts_of_it_and_their_sum(kind: str) -> None:
    recipe = RECIPES[kind]
    everything, keys = made(recipe), recipe.view_keys()
    assert list(keys) == list(recipe.names)
    for count in range(1, len(recipe.names) + 1):
        for names in itertools.islice(itertools.combinations(recipe.names, count), 6):
            part = recipe.only(names[::-1])
            assert set(names) <= set(part.names) <= {*names, ORIGINAL}
            assert list(part.names) == [name for name in recipe.names if name in part.names]
            assert (part.kind, part.settings()) == (recipe.kind, recipe.settings())
            assert part.view_keys() == {name: keys[name] for name in part.names}
            some = made(part)
            assert all(np.array_equal(a, b) for n in part.names for a, b in zip(some[n], everything[n], strict=True))
            rest = recipe.only([name for name in recipe.names if name not in names] or names)
            if kind != "masked, nothing":
                assert part.merged(rest) == rest.merged(part) == recipe


def test_keys_of_views__are_as_recorded() -> None:
    """Without the codec's mark, which is of this machine."""
    keys = {kind: recipe.view_keys() for kind, recipe in RECIPES.items()}
    written = {kind: recipe.settings() for kind, recipe in RECIPES.items()}
    assert all("codec" in key for key in keys["processings"].values())
    assert all("codec" in key for name, key in keys["edited"].items() if name != ORIGINAL)
    without = {
        kind: {name: {k: v for k, v in key.items() if k != "codec"} for name, key in of_kind.items()}
        for kind, of_kind in keys.items()
    }
    check_recorded("keys-of-views", {k: [RECIPES[k].kind, written[k], without[k]] for k in RECIPES})


def saved(picture: Image.Image) -> np.ndarray:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95, subsampling="4:4:4")
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("upright", [True, False])
def test_edited__near_copies_by_hand(upright: bool) -> None:
    photo = Image.fromarray(PHOTO)
    photo = photo.transpose(Image.Transpose.ROTATE_270) if upright else photo  # Exif orientation 6
    views = made(EditedViews(upright=upright))
    expected = {
        "crop-80": saved(photo.crop((4, 4, 36, 36))),
        "crop-50": saved(photo.crop((10, 10, 30, 30))),
        "mirrored": saved(ImageOps.mirror(photo)),
        "turned": saved(photo.transpose(Image.Transpose.ROTATE_270)),
        ORIGINAL: np.asarray(photo),
    }
    for name, view in expected.items():
        np.testing.assert_array_equal(views[name][0], view, name)
    grey = views["greyscale"][0].astype(int)
    assert np.ptp(grey, axis=2).max() == 0
    assert np.abs(grey[..., 0] - np.asarray(photo.convert("L"), int)).max() <= 8
    assert set(views) == {*expected, "greyscale"}


def test_with_png__is_the_photo_again_and_needs_it() -> None:
    for recipe in (RECIPES["with PNG"], RECIPES["with PNG of several"]):
        views = made(recipe)
        assert np.array_equal(views["png"][0], views[ORIGINAL][0])
        assert np.array_equal(views["png"][1], views[ORIGINAL][0])  # turned twice
        assert set(recipe.only(["png"]).names) == {"png", ORIGINAL}


CPU, CUDA = torch.device("cpu"), torch.device("cuda", 1)
SMALL = Pixels((ResizeTo(8, 8, 2),))
SOME = ProcessingViews(NAMES[:2])
OWN = "devices make processings of photos for plain resizes and cuts alone"
ENGINE, PILLOW = "the exact engine", "Pillow alone (pip install numba is several times faster)"


@pytest.mark.parametrize(
    ("given", "cores", "engine", "words"),
    [
        (("cpu", SOME, [SMALL], [CUDA], 1), 8, True, "by the workers: --views cpu"),
        (("auto", SOME, [SMALL], [CPU], 1), 8, True, "by the workers: no CUDA GPU waits for them"),
        (("auto", SOME, [SMALL], [], 1), 8, True, "by the workers: no CUDA GPU waits for them"),
        (("auto", PlainViews(), [SMALL], [CUDA], 1), 8, True, f"by the workers: {OWN}"),
        (("auto", SOME, [SMALL, np.asarray], [CUDA] * 2, 1), 8, True, f"by the workers: {OWN}"),
        (("auto", SOME, [SMALL], [CPU, CUDA], 1), 8, True, "on cuda:1: 1 worker on cores of their own with " + ENGINE
         + " are fewer than the 6 that are worth a whole GPU"),
        (("auto", SOME, [SMALL], [CUDA], 9), 5, True, "on cuda:1: 5 workers on cores of their own with " + ENGINE
         + " are fewer than the 6 that are worth a whole GPU"),
        (("auto", SOME, [SMALL], [CUDA], 9), 6, True, "by the workers: 6 workers on cores of their own with " + ENGINE
         + "; 6 are worth a whole GPU"),
        (("auto", SOME, [SMALL], [CUDA], 99), 41, False, "on cuda:1: 41 workers on cores of their own with " + PILLOW
         + " are fewer than the 42 that are worth a whole GPU"),
        (("auto", SOME, [SMALL], [CUDA], 99), 42, False, "by the workers: 42 workers on cores of their own with "
         + PILLOW + "; 42 are worth a whole GPU"),
        (("device", SOME, [SMALL], [], 99), 99, True, "on cpu: --views device"),
        (("device", SOME, [SMALL], [torch.device("mps"), CPU], 99), 99, True, "on mps: --views device"),
        (("device", SOME, [SMALL], [CPU, CUDA], 99), 99, True, "on cuda:1: --views device"),
        (("device", ProcessingViews((NAMES[0], "blur", ORIGINAL)), [SMALL], [CPU], 0), 9, True,
         "by the workers: no device makes blur"),
    ],
)  # fmt: skip
def test_choose_views__and_why(
    given: tuple[Any, ...], cores: int, engine: bool, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {**ALL_PROCESSINGS, "blur": replace(ALL_PROCESSINGS[NAMES[0]], sharpness=1.5)}
    monkeypatch.setattr(choose, "ALL_PROCESSINGS", known)
    monkeypatch.setattr(choose, "default_workers", lambda: cores)
    monkeypatch.setattr(choose, "chosen_engine", lambda: SimpleNamespace() if engine else None)
    monkeypatch.setattr(choose, "equals_pillow", lambda device: True)
    assert str(choose_views(*given)) == f"views are made {words}"
    monkeypatch.setattr(choose, "equals_pillow", lambda device: False)
    chosen = choose_views(*given)
    assert chosen.device is None
    if words.startswith("on "):
        where = words.partition(": ")[0]
        assert str(chosen) == f"views are made by the workers: those made {where} differ from Pillow's"
