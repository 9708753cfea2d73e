"""Whole sentences of preprocessing that is stated or verified, of devices, and records of formulas."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.encoders import load_encoder
from benchmark.encoders.encoder import (
    Encoder,
    EncoderInfo,
)
from benchmark.encoders.network import Normalisation
from benchmark.encoders.placement import placement
from benchmark.encoders.preprocess.modes import with_preprocessing
from benchmark.encoders.preprocess.pixels import CenterCrop, Pixels, ResizeLong, ResizeShort, ResizeTo, describe
from benchmark.encoders.preprocess.stated import restated, shorter_side, sides, stated, three_numbers
from benchmark.encoders.preprocess.verified import Preprocessing, verified
from builders.errors import CamtraceError, PhotoError

BICUBIC = int(Image.Resampling.BICUBIC)


def refusal(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises((CamtraceError, PhotoError)) as refused:
        function(*arguments, **named)
    return f"{type(refused.value).__name__}: {refused.value}"


def encoder_of(**changes: Any) -> Encoder:
    info = EncoderInfo("mine", "timm", None, "0" * 64, 2, {"mean": [0.5] * 3, "std": [0.5] * 3}, "mean", 8)
    return Encoder(replace(info, **changes), np.asarray, lambda batch: batch, "cpu", "float32")


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (sides, ("0",), "size=0: give pixels, 224 or HEIGHTxWIDTH"),
        (sides, ("16385",), "size=16385: give pixels, 224 or HEIGHTxWIDTH"),
        (sides, ("1x2x3",), "size=1x2x3: give pixels, 224 or HEIGHTxWIDTH"),
        (shorter_side, ("7", 8, 9), "resize=7: give the shorter side in pixels, at least 8"),
        (shorter_side, ("7", 9, 8), "resize=7: give the shorter side in pixels, at least 8"),
        (shorter_side, ("16385", 8, 8), "resize=16385: give the shorter side in pixels, at least 8"),
        (shorter_side, ("a", 8, 8), "resize=a: give the shorter side in pixels, at least 8"),
        *((three_numbers, ("mean", text), f"mean={text}: give one number, three with commas, or "
            "imagenet, for pixels in [0, 1]")
          for text in ("a", "1,2", "inf", "", "1,2,3,4")),
        (three_numbers, ("std", "1,0,1"), "std=1,0,1: give numbers above 0"),
    ],
)  # fmt: skip
def test_stated__numbers_that_are_none(function: Any, arguments: Any, message: str) -> None:
    assert refusal(function, *arguments) == f"UsageError: {message}"


def test_stated__numbers_at_the_edges() -> None:
    assert (sides("16384"), sides("1x16384")) == ((16384, 16384), (1, 16384))
    assert (shorter_side("8", 8, 9), shorter_side("16384", 8, 8)) == (8, 16384)
    assert (three_numbers("mean", "0"), three_numbers("mean", "-1,0,2")) == ((0, 0, 0), (-1, 0, 2))


def test_restated__refusals() -> None:
    code = Preprocessing(np.asarray, None, {})
    assert refusal(restated, "mine", code, stated({"size": "9"})) == (
        "UsageError: mine: its preprocessing is code, of which no part can be replaced: state size, mean and std"
    )
    pixels = Pixels((ResizeLong(9, BICUBIC), CenterCrop(8, 8)))
    known = Preprocessing(pixels, Normalisation((0.5,) * 3, (0.5,) * 3), describe(pixels, (0.5,), (0.5,), "pil"))
    for option in ({"size": "9"}, {"resize": "9"}):
        assert refusal(restated, "mine", known, stated(option)) == (
            "UsageError: mine: its ResizeLong has no other size: leave size and resize out"
        )
    assert restated("mine", known, stated({"interpolation": "box"})).preprocess == Pixels(
        (ResizeLong(9, int(Image.Resampling.BOX)), CenterCrop(8, 8))
    )


def test_with_preprocessing__an_encoder_of_unknown_steps() -> None:
    encoder = encoder_of(preprocessing={})
    encoder = replace(encoder, preprocess=lambda image: np.float32(np.asarray(image.resize((8, 8)))).transpose(2, 0, 1))
    assert refusal(with_preprocessing, encoder, "squash") == (
        "EncoderError: mine: how its own preprocessing resizes and normalises is not known, so --preprocess squash "
        "cannot keep its filter and constants: use own, or give a torchvision Compose of Resize, CenterCrop, ToTensor "
        "and Normalize"
    )


def test_verified__refusals() -> None:
    def of_the_photo(image: Image.Image) -> np.ndarray:
        return np.zeros((3, 8, image.width % 2 + 8), np.float32)

    def fails(image: Image.Image) -> np.ndarray:
        raise ValueError("bad\nmore")

    assert refusal(verified, "mine", of_the_photo, [], "pil") == (
        "EncoderError: mine: its preprocessing does not give images of one size ((3, 8, 8), (3, 8, 9))"
    )
    assert refusal(verified, "mine", lambda image: np.zeros((8, 8)), [], "pil") == (
        "EncoderError: mine: its preprocessing does not give images of one size ((8, 8))"
    )
    assert (
        refusal(verified, "mine", fails, [], "pil") == "EncoderError: mine: its preprocessing fails (ValueError: bad)"
    )


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (ResizeTo(0, 5, BICUBIC), "3 x 4 cannot be resized to 0 x 5"),
        (ResizeShort(0, 2), "3 x 4 cannot be resized to 0 x 0"),
    ],
)
def test_resize__to_nothing(step: Any, message: str) -> None:
    assert refusal(step, Image.new("RGB", (3, 4))) == f"PhotoError: {message}"


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", "--device gpu is no device: did you mean 'cuda'?"),
        ("NVIDIA:1", "--device NVIDIA:1 is no device: did you mean 'cuda:1'?"),
        ("rocm", "--device rocm is no device: did you mean 'cuda'?"),
        ("metal", "--device metal is no device: did you mean 'mps'?"),
        ("cud", "--device cud is no device: did you mean 'cuda'?"),
        ("toaster", "--device toaster is no device: give auto, cpu, cuda, mps, or cuda:1"),
    ],
)
def test_placement__devices_that_are_none(device: str, message: str) -> None:
    assert refusal(placement, device, "float32") == f"UsageError: {message}"


def test_placement__what_auto_is_and_devices_that_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    empty: list[Any] = []

    def made(count: int, device: str) -> None:
        empty.append((count, device))
        if device == "mps":
            raise RuntimeError("no such backend\nmore")

    monkeypatch.setattr(torch, "empty", made)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert placement("auto", "float32").device == "cpu"
    assert placement("cuda", "float32").device == "cuda:0"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert refusal(placement, "auto", "float32") == (
        "UsageError: --device mps cannot be used here (no such backend); --device cpu always works"
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert placement("auto", "tf32").device == placement("cuda", "tf32").device == "cuda:3"
    assert placement("cuda:1,cuda:2", "float16").device == "cuda:1"
    assert empty == [(1, "cpu"), (1, "cuda:0"), (1, "mps"), (1, "cuda:3"), (1, "cuda:3"), (1, "cuda:1")]


@pytest.mark.parametrize("name", ["phash", "dhash", "whash"])
def test_hashes__what_a_result_records(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("imagehash")
    spec, version = f"control:{name}", metadata.version("ImageHash")
    info = load_encoder(spec).info
    assert vars(info) == {
        "id": spec, "library": "control", "revision": None, "dimension": 64, "parameters": 0, "group": "control",
        "weights_sha256": hashlib.sha256(f"imagehash {version} {name} 64".encode()).hexdigest(),
        "preprocessing": {"size": "the photo's own", "backend": "imagehash", "transport": "float32"},
        "pooling": "bits of a perceptual hash as +1 and -1", "training_data": "none",
        "details": {"imagehash": version, "weights_sha256": "of the package's version and the hash's name"},
    }  # fmt: skip
    assert refusal(load_encoder, spec, device="cuda") == f"UsageError: {spec} is {FORMULA}: --device cuda {LEFT_OUT}"

    def absent(_: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", absent)
    assert refusal(load_encoder, spec) == (
        f"UsageError: {spec} needs the package imagehash, which is not installed: pip install 'camtrace[hashes]'"
    )


FORMULA = "a formula, computed where views are made"
LEFT_OUT = "cannot apply to it; leave it out for this encoder"


def test_jpeg_statistics__what_a_result_records() -> None:
    spec = "control:jpeg-statistics"
    info = load_encoder(spec).info
    assert {name: value for name, value in vars(info).items() if name != "weights_sha256"} == {
        "id": spec, "library": "control", "revision": None, "dimension": 1512, "parameters": 0, "group": "control",
        "preprocessing": {"size": "the photo's own", "backend": "numpy", "transport": "float32", "largest_side": 1024},
        "pooling": "statistics of 8x8 block DCT coefficients over the photo", "training_data": "none",
        "details": {"weights_sha256": "of the version and the constants that define the feature"},
    }  # fmt: skip
    for option in ({"dtype": "float16"}, {"compile": True}):
        named = "--compile" if "compile" in option else "--dtype float16"
        assert refusal(load_encoder, spec, **option) == f"UsageError: {spec} is {FORMULA}: {named} {LEFT_OUT}"
