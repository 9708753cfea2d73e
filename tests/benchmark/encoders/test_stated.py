"""Preprocessing that a specification states, against Pillow by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torchvision
from PIL import Image

from benchmark.encoders import Pixels
from benchmark.encoders.network import Normalisation
from benchmark.encoders.preprocess.pixels import CenterCrop, ResizeLong, ResizeShort, ResizeTo, describe
from benchmark.encoders.preprocess.stated import Stated, alone, restated, stated
from benchmark.encoders.preprocess.verified import Preprocessing
from builders.errors import UsageError

BICUBIC, BILINEAR = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR


def known(*steps: Any) -> Preprocessing:
    pixels = Pixels(steps)
    return Preprocessing(pixels, Normalisation((0.1,) * 3, (0.2,) * 3), describe(pixels, (0.1,) * 3, (0.2,) * 3, "pil"))


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"size": "96"}, (ResizeShort(109, BICUBIC), CenterCrop(96, 96))),  # 256 * 96 / 224
        ({"size": "96", "resize": "100"}, (ResizeShort(100, BICUBIC), CenterCrop(96, 96))),
        ({"size": "64x96"}, (ResizeShort(73, BICUBIC), CenterCrop(96, 64))),
        ({"interpolation": "bilinear"}, (ResizeShort(256, BILINEAR), CenterCrop(224, 224))),
        ({"resize": "224"}, (ResizeShort(224, BICUBIC), CenterCrop(224, 224))),
        ({"mean": "0.5,0.4,0.3"}, (ResizeShort(256, BICUBIC), CenterCrop(224, 224))),
    ],
)
def test_restated__the_rest_stays(options: dict[str, str], steps: tuple[Any, ...]) -> None:
    before = known(ResizeShort(256, BICUBIC), CenterCrop(224, 224))
    after = restated("mine", before, stated(options))
    assert after.preprocess == Pixels(steps)
    assert after.normalise is not None
    assert after.normalise.mean == ((0.5, 0.4, 0.3) if "mean" in options else (0.1,) * 3)
    assert after.normalise.std == (0.2,) * 3
    assert after.record["steps"] == Pixels(steps).describe()
    assert after.record["mean"] == list(after.normalise.mean)


def test_restated__a_square_stays_a_square_and_nothing_stated_changes_nothing() -> None:
    square = known(ResizeTo(224, 224, BICUBIC))
    assert restated("mine", square, Stated()) is square
    assert restated("mine", square, stated({"size": "96"})).preprocess == Pixels((ResizeTo(96, 96, BICUBIC),))
    cropped = restated("mine", square, stated({"size": "96", "resize": "110"})).preprocess
    assert cropped == Pixels((ResizeShort(110, BICUBIC), CenterCrop(96, 96, "round")))


def test_restated__code_and_other_steps() -> None:
    code = Preprocessing(np.asarray, None, {"size": [8, 8]})
    with pytest.raises(UsageError, match="replaced"):
        restated("mine", code, stated({"size": "96"}))
    whole = stated({"size": "96", "mean": "0.5", "std": "0.5"})
    assert restated("mine", code, whole).preprocess == alone(whole).preprocess
    with pytest.raises(UsageError, match="ResizeLong"):
        restated("mine", known(ResizeLong(96, BICUBIC)), stated({"size": "64"}))


def test_alone__as_by_hand_and_says_what_it_assumes() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8))
    made = alone(stated({"size": "32", "resize": "40", "interpolation": "bicubic", "std": "0.5"}))
    small = picture.resize((60, 40), BICUBIC).crop((14, 4, 46, 36))
    assert np.array_equal(made.preprocess(picture), np.asarray(small))
    assert made.record["assumed"] == ["mean"]


@pytest.mark.parametrize("size", [(333, 481), (500, 375), (91, 64)])
def test_alone__crops_as_torchvision_does(size: tuple[int, int]) -> None:
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    parts = torchvision.transforms
    expected = parts.CenterCrop(64)(parts.Resize(64)(picture))
    made = alone(stated({"size": "64", "mean": "0.5", "std": "0.5"}))
    assert np.array_equal(made.preprocess(picture), np.asarray(expected))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": "0"}, "size=0: give pixels"),
        ({"size": "1x2x3"}, "give pixels"),
        ({"mean": "a"}, "mean=a"),
        ({"mean": "1,2"}, "give one number"),
        ({"std": "0"}, "std=0"),
        ({"interpolation": "bicubik"}, "'bicubic'"),
    ],
)
def test_stated__malformed(options: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        stated(options)


def test_restated__further_facts_of_the_record_stay() -> None:
    """What a library recorded beside the steps, except the configuration that no longer holds."""
    before = known(ResizeShort(256, BICUBIC), CenterCrop(224, 224))
    more = {"backend": "tensor", "crop_mode": "center", "data_config": {"input_size": [3, 224, 224]}, "mean": [9, 9, 9]}
    after = restated("mine", replace(before, record={**before.record, **more}), stated({"std": "0.3,0.4,0.5"}))
    assert after.normalise == Normalisation((0.1,) * 3, (0.3, 0.4, 0.5))
    assert after.record == {
        **describe(after.preprocess, (0.1,) * 3, (0.3, 0.4, 0.5), "tensor"),
        "crop_mode": "center",
    }
    plain = {key: value for key, value in before.record.items() if key != "backend"}
    assert restated("mine", replace(before, record=plain), stated({"std": "0.3"})).record["backend"] == "pil"


def test_restated__all_of_code_is_stated_or_none_of_it() -> None:
    code = Preprocessing(np.asarray, None, {})
    for left_out in ("size", "mean", "std"):
        options = {name: text for name, text in (("size", "96"), ("mean", "0.5"), ("std", "0.5")) if name != left_out}
        with pytest.raises(UsageError, match="state"):
            restated("mine", code, stated(options))
    assert restated("mine", code, Stated()) is code
