"""Preprocessings of libraries that the exact engine carries out with the same bytes; others use the library's code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image
from timm.data import create_transform

from benchmark.encoders import pixel_backend
from benchmark.encoders.loaders.transformers.inputs import FirstPicture
from benchmark.encoders.network import Normalisation
from benchmark.encoders.preprocess.verified import (
    FromTransform,
    Preprocessing,
    candidates_of_processor,
    candidates_of_transform,
    verified,
)
from builders.pixels import PROCESSINGS, preprocess_all, process_by_pillow

TILES = {"image_grid_pinpoints": [[32, 64], [64, 32], [64, 64]]}
CROP = {"crop_size": {"height": 32, "width": 32}}


def of_timm(size: int, **options: Any) -> Preprocessing:
    transform = create_transform((3, size, size), interpolation="bicubic", is_training=False, **options)
    return verified("timm", FromTransform(transform), candidates_of_transform(transform), "pil")


def of_processor(name: str, **options: Any) -> Preprocessing:
    processor = getattr(tf, name)(**options)
    return verified("transformers", FirstPicture(processor), candidates_of_processor(processor), "pil")


JANUS = {"size": {"height": 48, "width": 48}, "min_size": 14}

EXACT: dict[str, Callable[[], Preprocessing]] = {
    "timm, the picture inside a border": lambda: of_timm(57, crop_pct=1.0, crop_mode="border"),
    "timm, crop larger than the picture": lambda: of_timm(56, crop_pct=1.15),
    "LeViT": lambda: of_processor("LevitImageProcessorPil", size={"shortest_edge": 32}, **CROP),
    "MobileViT, blue first": lambda: of_processor("MobileViTImageProcessorPil", size={"shortest_edge": 40}, **CROP),
    "Janus, on a square of its colour": lambda: of_processor("JanusImageProcessorPil", **JANUS),
    "DeepSeek-VL, the same": lambda: of_processor("DeepseekVLImageProcessorPil", **JANUS),
    "EfficientNet, deviation twice": lambda: of_processor("EfficientNetImageProcessorPil"),
    "LLaVA-NeXT, whole picture": lambda: of_processor(
        "LlavaNextImageProcessorPil", size={"shortest_edge": 32}, **CROP, **TILES
    ),
    "LLaVA-OneVision, whole picture": lambda: of_processor(
        "LlavaOnevisionImageProcessorPil", size={"height": 32, "width": 32}, **TILES
    ),
}


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("size", [(123, 217), (400, 21)])
def test_exact__the_engine_makes_the_bytes_of_the_library(
    name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    libraries: list[Any] = []
    monkeypatch.setattr(f"{__name__}.verified", lambda *a: libraries.append(a[1]) or verified_of_the_package(*a))
    made = EXACT[name]()
    assert pixel_backend(made.preprocess) == "exact engine"
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    photo = Image.fromarray(noise)
    processings = [PROCESSINGS[name] for name in ("jpeg-q95-420", "sharpening-x4", "resizing-x2")]
    (views,) = preprocess_all(photo, processings, "a", [lambda w, h: made.preprocess.plan(w, h)], 0)
    for view, processing in zip(views, processings, strict=True):
        picture = process_by_pillow(photo, processing, "a", 0)
        normalised = made.normalise(torch.from_numpy(np.array(view))[None])[0].numpy()
        library = libraries[0](picture)
        assert np.abs(normalised - library).max() < 1e-5
        assert np.array_equal(_bytes(library, made.normalise), np.array(view))


verified_of_the_package = verified


def _bytes(pixels: np.ndarray, normalise: Normalisation) -> np.ndarray:
    """The bytes that normalised pixels were made of; they must lie at whole numbers."""
    mean, std = (np.array(values, np.float64)[:, None, None] for values in (normalise.mean, normalise.std))
    values = (pixels.astype(np.float64) * std + mean) * 255
    assert np.abs(values - values.round()).max() < 1e-2
    pixels = values.round().astype(np.uint8).transpose(1, 2, 0)
    return pixels[..., ::-1] if normalise.bgr else pixels


@pytest.mark.parametrize("bgr", [False, True])
def test_normalisation__of_every_pixel_by_hand(bgr: bool) -> None:
    normalise = Normalisation((0.1, 0.2, 0.3), (0.5, 0.25, 2.0), bgr)
    for shape in ((2, 3, 5, 3), (1, 4, 2, 3)):
        pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        normalised = normalise(torch.from_numpy(pixels))
        assert normalised.is_contiguous(memory_format=torch.channels_last)
        assert normalised.dtype == torch.float32
        turned = pixels[..., ::-1] if bgr else pixels
        for channel, (mean, std) in enumerate(zip(normalise.mean, normalise.std, strict=True)):
            expected = (turned[..., channel].astype(np.float32) / np.float32(255) - np.float32(mean)) / np.float32(std)
            assert np.array_equal(normalised[:, channel].numpy(), expected)
    not_contiguous = torch.from_numpy(pixels)[:, :, :1]
    assert np.array_equal(normalise(not_contiguous).numpy(), normalised[..., :1].numpy())


def test_rounding_of_another_library__is_not_taken_for_pillows() -> None:
    """torchvision enlarges bytes as Pillow does and shrinks them differently: pictures larger than the input show
    it."""
    made = of_processor("Sam2ImageProcessor", size={"height": 700, "width": 700})
    assert pixel_backend(made.preprocess) == "its own code"
    assert made.record["transport"] == "float32"


def test_resize_of_floats__is_the_librarys_own() -> None:
    assert (
        pixel_backend(of_processor("DINOv3ViTImageProcessor", size={"height": 32, "width": 32}).preprocess)
        == "its own code"
    )
