"""A preprocessing carried out by another library: its calls, its record, its rule, and every refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from benchmark.encoders import Encoder, EncoderInfo, Pixels, with_library
from benchmark.encoders.preprocess.by_library import ByLibrary, LibraryTransform
from benchmark.encoders.preprocess.pixels import (
    CenterCrop,
    ResizeShort,
    ResizeTo,
)
from builders.errors import CamtraceError

NEAREST, BILINEAR, BICUBIC, LANCZOS, BOX = (
    int(Image.Resampling[name]) for name in ("NEAREST", "BILINEAR", "BICUBIC", "LANCZOS", "BOX")
)
SHORT = (ResizeShort(40, BICUBIC), CenterCrop(32, 24, "round"))
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (63, 90, 3), dtype=np.uint8))


def encoder_of(*steps: Any, **more: Any) -> Encoder:
    info = EncoderInfo("mine", "timm", None, "0" * 64, 2, {"mean": [0.5], "steps": "before"}, "mean", 8)
    return Encoder(info, Pixels(steps), lambda batch: batch, "cpu", "float32", reload=encoder_of, **more)


def refusal(function: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments)
    return f"{type(refused.value).__name__}: {refused.value}"


def test_with_library__what_is_recorded_and_what_is_loaded_again() -> None:
    other = encoder_of(*SHORT)
    encoder = encoder_of(*SHORT, in_torch=lambda: other, in_float32=lambda: other)
    changed = with_library(encoder, "opencv", "box", "yes")
    resize = {"step": "ResizeShort", "size": 40, "resample": "box"}
    crop = {"step": "CenterCrop", "width": 32, "height": 24, "margin": "round"}
    record = {
        "mean": [0.5],
        "steps": [resize, crop],
        "carried_out": {"library": "opencv", "filter": "box", "antialias": "yes"},
    }
    assert changed.info == replace(encoder.info, preprocessing=record)
    assert changed.preprocess == ByLibrary(Pixels((ResizeShort(40, BOX), SHORT[1])), "opencv", True)
    assert changed.reload is None
    for again in (changed.in_torch, changed.in_float32):
        assert again is not None
        assert again().info == changed.info
        assert again().preprocess == changed.preprocess
    without = with_library(other, "timm")
    assert (without.in_torch, without.in_float32, without.reload) == (None, None, None)
    assert without.preprocess == LibraryTransform(Pixels(SHORT), "timm")


@pytest.mark.parametrize(
    ("how", "library", "antialiased"),
    [
        (("own", "bilinear", "own"), None, True),
        (("own", "own", "yes"), None, True),
        (("pillow", "own", "own"), None, True),
        (("own", "bilinear", "no"), "pillow", False),
        (("pillow", "own", "no"), "pillow", False),
        (("opencv", "own", "own"), "opencv", False),
        (("opencv", "own", "no"), "opencv", False),
        (("opencv", "box", "yes"), "opencv", True),
        (("torchvision", "own", "own"), "torchvision", True),
        (("torchvision", "own", "yes"), "torchvision", True),
        (("torchvision", "own", "no"), "torchvision", False),
    ],
)
def test_with_library__who_resizes_and_whether_it_antialiases(
    how: tuple[str, str, str], library: str | None, antialiased: bool
) -> None:
    number = {"own": BICUBIC, "bilinear": BILINEAR, "box": BOX}[how[1]]
    pixels = Pixels((ResizeShort(40, number), SHORT[1]))
    expected = pixels if library is None else ByLibrary(pixels, library, antialiased)
    assert with_library(encoder_of(*SHORT), *how).preprocess == expected


@pytest.mark.parametrize("library", ["timm", "open_clip", "transformers-slow", "transformers-fast"])
def test_with_library__transforms_antialias(library: str) -> None:
    squash = (ResizeTo(12, 9, BICUBIC),)
    for antialias in ("own", "yes"):
        changed = with_library(encoder_of(*squash), library, "bilinear", antialias)
        assert changed.preprocess == LibraryTransform(Pixels((ResizeTo(12, 9, BILINEAR),)), library)
    assert f"{library}" in refusal(with_library, encoder_of(*squash), library, "own", "no")


@pytest.mark.parametrize(
    ("filter", "antialias", "flag"),
    [("nearest", "own", cv2.INTER_NEAREST), ("bilinear", "own", cv2.INTER_LINEAR), ("bicubic", "no", cv2.INTER_CUBIC),
     ("lanczos", "no", cv2.INTER_LANCZOS4), ("box", "yes", cv2.INTER_AREA), ("nearest", "yes", cv2.INTER_NEAREST)],
)  # fmt: skip
def test_opencv__each_filter(filter: str, antialias: str, flag: int) -> None:
    changed = with_library(encoder_of(*SHORT), "opencv", filter, antialias)
    expected = cv2.resize(np.asarray(PICTURE), (57, 40), interpolation=flag)
    np.testing.assert_array_equal(changed.preprocess(PICTURE), np.asarray(SHORT[1](Image.fromarray(expected))))


@pytest.mark.parametrize("filter", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", ["yes", "no"])
def test_torchvision__each_filter(filter: str, antialias: str) -> None:
    changed = with_library(encoder_of(ResizeTo(31, 20, BOX)), "torchvision", filter, antialias)
    channels = torch.from_numpy(np.asarray(PICTURE).transpose(2, 0, 1).copy())
    mode = InterpolationMode[filter.upper()]
    expected = functional.resize(channels, [20, 31], interpolation=mode, antialias=antialias == "yes")
    result = changed.preprocess(PICTURE)
    np.testing.assert_array_equal(result, expected.permute(1, 2, 0).numpy())
    assert result.flags.c_contiguous


def interpolated(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Bilinear interpolation at the centres of the pixels of the result, edges repeated."""
    result = np.zeros((height, width, 3))
    for row in range(height):
        for column in range(width):
            y, x = (row + 0.5) * len(pixels) / height - 0.5, (column + 0.5) * pixels.shape[1] / width - 0.5
            for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
                at = np.clip(int(np.floor(y)) + i, 0, len(pixels) - 1), np.clip(int(np.floor(x)) + j, 0, 89)
                result[row, column] += abs(1 - i - y % 1) * abs(1 - j - x % 1) * pixels[at]
    return result


@pytest.mark.parametrize("size", [(17, 40), (131, 20)])
def test_pillow__without_antialiasing_is_plain_interpolation(size: tuple[int, int]) -> None:
    changed = with_library(encoder_of(ResizeTo(*size, BOX)), "pillow", "bilinear", "no")
    difference = changed.preprocess(PICTURE) - interpolated(np.asarray(PICTURE).astype(float), *size)
    assert np.abs(difference).max() <= 1


def test_pillow__nearest_takes_the_pixel_at_the_centre() -> None:
    made = with_library(encoder_of(ResizeTo(30, 21, BOX)), "pillow", "nearest", "no").preprocess(PICTURE)
    np.testing.assert_array_equal(made, np.asarray(PICTURE)[1::3, 1::3])


@pytest.mark.parametrize("filter", ["nearest", "box", "bilinear", "bicubic", "lanczos"])
def test_pillow__antialiased_is_its_resize(filter: str) -> None:
    expected = PICTURE.resize((57, 40), Image.Resampling[filter.upper()])
    for library in ("own", "pillow"):
        made = with_library(encoder_of(ResizeTo(57, 40, BICUBIC)), library, filter, "yes").preprocess(PICTURE)
        np.testing.assert_array_equal(made, np.asarray(expected))
