"""Preprocessings that may be a library's, by its configuration: the steps by hand, and which of them is taken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from benchmark.encoders import Pixels
from benchmark.encoders.network import Normalisation
from benchmark.encoders.preprocess.pixels import CenterCrop, CenterPad, ResizeInside, ResizeLong, ResizeShort, ResizeTo
from benchmark.encoders.preprocess.stated import three_numbers
from benchmark.encoders.preprocess.verified import (
    Candidate,
    candidates_of_processor,
    verified,
)
from builders.errors import EncoderError, PhotoError, UsageError

BICUBIC, BILINEAR = int(Image.Resampling.BICUBIC), int(Image.Resampling.BILINEAR)
CROP = {"crop_size": {"height": 80, "width": 90}}
CUTS = [CenterCrop(90, 80, "floor"), CenterCrop(90, 80, "round")]
SQUARE = {"height": 48, "width": 48}


def short(side: int) -> ResizeShort:
    return ResizeShort(side, BILINEAR)


def to(width: int, height: int) -> ResizeTo:
    return ResizeTo(width, height, BILINEAR)


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, []),
        ({"size": None}, []),
        ({"size": 7.5}, []),
        ({"size": 100, "do_resize": False}, []),
        ({"size": 100}, [(to(100, 100),), (short(100),)]),
        ({"size": {"shortest_edge": 100, "longest_edge": None}}, [(to(100, 100),), (short(100),)]),
        ({"size": 100, "resample": None}, [(to(100, 100),), (short(100),)]),
        ({"size": 100, "resample": 0}, [(ResizeTo(100, 100, 0),), (ResizeShort(100, 0),)]),
        ({"size": 100, **CROP}, [(to(100, 100),), (short(100),)]),
        (
            {"size": 100, "do_center_crop": True, **CROP},
            [(to(100, 100),), *((short(114), cut) for cut in CUTS), *((short(100), cut) for cut in CUTS)],
        ),
        ({"size": 100, "do_center_crop": True, "crop_size": {}}, [(to(100, 100),), (short(100),)]),
        (
            {"size": 100, "crop_pct": 0.8},
            [
                *((short(125), CenterCrop(100, 100, margin)) for margin in ("floor", "round")),
                (to(100, 100),),
                (short(100),),
            ],
        ),
        ({"size": 384, "crop_pct": 0.8}, [(to(384, 384),), (short(384),)]),
        ({"size": {"height": 20, "width": 30}}, [(to(30, 20),)]),
        (
            {"size": {"height": 20, "width": 30}, "do_center_crop": True, **CROP},
            [(to(30, 20), cut) for cut in CUTS],
        ),
        ({"size": {"height": 20}}, []),
        (
            {"size": SQUARE, "min_size": 14, "background_color": (1, 2, 3.0)},
            [(ResizeLong(48, BILINEAR, 14), CenterPad(48, 48, fill=(1, 2, 3))), (to(48, 48),)],
        ),
        ({"size": SQUARE, "background_color": (1, 2, 3)}, [(to(48, 48),)]),
        ({"size": SQUARE, "min_size": 14, "background_color": (1, 2)}, [(to(48, 48),)]),
        ({"size": SQUARE, "min_size": 14, "background_color": 127}, [(to(48, 48),)]),
        ({"size": {"height": 48, "width": 40}, "min_size": 14, "background_color": (1, 2, 3)}, [(to(40, 48),)]),
    ],
)  # fmt: skip
def test_processor__steps_that_its_settings_may_mean(settings: dict[str, Any], steps: list[Any]) -> None:
    candidates = candidates_of_processor(SimpleNamespace(**settings))
    assert [candidate.pixels.steps for candidate in candidates] == steps
    assert {(c.mean, c.std, c.bgr) for c in candidates} <= {((0.0,) * 3, (1.0,) * 3, False)}


@pytest.mark.parametrize(
    ("settings", "mean", "std"),
    [
        ({}, (0.0,) * 3, (1.0,) * 3),
        ({"do_normalize": True}, (0.1, 0.2, 0.3), (0.5,) * 3),
        ({"do_normalize": True, "rescale_factor": None}, (0.1, 0.2, 0.3), (0.5,) * 3),
        ({"do_normalize": True, "rescale_factor": 2 / 255}, (0.05, 0.1, 0.15), (0.25,) * 3),
        ({"rescale_factor": 2 / 255}, (0.0,) * 3, (0.5,) * 3),
        ({"do_normalize": True, "include_top": True}, (0.1, 0.2, 0.3), (0.25,) * 3),
        ({"do_normalize": True, "include_top": True, "rescale_factor": 2 / 255}, (0.05, 0.1, 0.15), (0.125,) * 3),
    ],
)
def test_processor__mean_and_deviation_of_pixels_from_0_to_1(settings: Any, mean: Any, std: Any) -> None:
    processor = SimpleNamespace(size=9, resample=3, image_mean=[0.1, 0.2, 0.3], image_std=0.5, **settings)
    for turned in (True, False):
        processor.do_flip_channel_order = turned
        for candidate in candidates_of_processor(processor):
            assert candidate.mean == pytest.approx(mean, rel=1e-12)
            assert candidate.std == pytest.approx(std, rel=1e-12)
            assert candidate.bgr is turned
            assert candidate.pixels.steps[0].resample == 3  # type: ignore[union-attr]


RIGHT = Candidate(Pixels((ResizeTo(12, 8, BILINEAR),)), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def library_of(candidate: Candidate, shift: float = 0.0) -> Any:
    normalise = Normalisation(candidate.mean, candidate.std, candidate.bgr)
    return lambda image: normalise(torch.from_numpy(candidate.pixels(image))[None])[0].numpy() + np.float32(shift)


def with_steps(*steps: Any) -> Candidate:
    return Candidate(Pixels(steps), RIGHT.mean, RIGHT.std)


@pytest.mark.parametrize("bgr", [False, True])
def test_verified__the_first_candidate_that_gives_the_librarys_numbers(bgr: bool) -> None:
    right = Candidate(RIGHT.pixels, RIGHT.mean, RIGHT.std, bgr)
    wrong = [
        Candidate(RIGHT.pixels, RIGHT.mean, RIGHT.std, not bgr),
        with_steps(ResizeTo(12, 8, BICUBIC)),
        with_steps(ResizeTo(8, 12, BILINEAR)),
        Candidate(RIGHT.pixels, RIGHT.mean, (0.4, 0.5, 0.61), bgr),
    ]
    library = library_of(right)
    made = verified("mine", library, [*wrong, right, wrong[0]], "pil", more=3)
    assert made.preprocess is right.pixels
    assert made.normalise == Normalisation(right.mean, right.std, bgr)
    assert made.record == {
        **{"size": [8, 12], "steps": [{"step": "ResizeTo", "width": 12, "height": 8, "resample": "bilinear"}]},
        **{"scale": "1/255", "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "backend": "pil", "transport": "uint8"},
        **({"channels": "BGR"} if bgr else {}),
        "more": 3,
    }
    fallback = verified("mine", library, wrong, "tensor", more=3)
    assert (fallback.preprocess, fallback.normalise) == (library, None)
    assert fallback.record == {"size": [8, 12], "backend": "tensor", "transport": "float32", "more": 3}


@pytest.mark.parametrize(
    ("shift", "equal"), [(0.0, True), (8e-6, True), (-8e-6, True), (1.2e-5, False), (-1.2e-5, False), (np.nan, False)]
)
def test_verified__up_to_the_rounding_of_float32(shift: float, equal: bool) -> None:
    assert (verified("mine", library_of(RIGHT, shift), [RIGHT], "pil").normalise is not None) == equal


def test_verified__pictures_larger_than_the_input_decide_too() -> None:
    """A library that differs for the one picture of 2.7 x 1.9 times its output."""
    requested: list[tuple[int, int]] = []
    right = with_steps(ResizeTo(200, 300, BILINEAR))

    def library(image: Image.Image) -> np.ndarray:
        requested.append(image.size)
        return library_of(right, float(image.size == (540, 570)))(image)

    assert verified("mine", library, [right], "pil").preprocess is library
    assert requested.count((540, 570)) == 1


def test_verified__a_library_that_fails_or_gives_no_pictures_of_one_size() -> None:
    def fails(image: Image.Image) -> np.ndarray:
        raise KeyError("size")

    def refuses(image: Image.Image) -> np.ndarray:
        raise PhotoError("no photo")

    with pytest.raises(EncoderError, match="'size'"):
        verified("mine", fails, [], "pil")
    with pytest.raises(PhotoError, match=r"^no photo$"):
        verified("mine", refuses, [], "pil")
    words = "mine: its preprocessing does not give images of one size "
    with pytest.raises(EncoderError) as several:
        verified("mine", lambda image: np.zeros((3, image.width % 2, 4)), [], "pil")
    assert str(several.value) == words + "((3, 0, 4), (3, 1, 4))"
    with pytest.raises(EncoderError) as flat:
        verified("mine", lambda image: np.zeros((3, 4)), [], "pil")
    assert str(flat.value) == words + "((3, 4))"


SIZES = [(width, height) for width in (1, 7, 8, 30) for height in (1, 8, 11)]


@pytest.mark.parametrize("size", SIZES)
def test_steps__sides_by_their_definition(size: tuple[int, int]) -> None:
    width, height = size

    def sides_of(step: Any) -> tuple[int, int] | None:
        try:
            return step(Image.new("RGB", size)).size
        except PhotoError:
            return None

    longer = max(size) * 6 // min(size)
    assert sides_of(ResizeShort(6, BILINEAR)) == ((6, longer) if width <= height else (longer, 6))
    assert sides_of(ResizeTo(5, 3, BILINEAR)) == (5, 3)
    scale = min(6 / width, 9 / height)
    inside = (round(width * scale), round(height * scale))
    assert sides_of(ResizeInside(6, 9, BILINEAR)) in ((inside, None) if 0 in inside else (inside,))
    long = tuple(max(2, round(side * 8 / max(size))) for side in size)
    assert sides_of(ResizeLong(8, BILINEAR, 2)) == long
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for side in (1, 2, 5, 8, 9):
        cut = transforms.CenterCrop((side, side + 1))(Image.fromarray(noise))
        np.testing.assert_array_equal(np.asarray(CenterCrop(side + 1, side, "round")(Image.fromarray(noise))), cut)
        padded = CenterPad(side + 1, side, fill=(0, 0, 0))(Image.fromarray(noise))
        np.testing.assert_array_equal(np.asarray(padded), cut)
        low = CenterCrop(side + 1, side).box(width, height)
        assert (low.left, low.top) == (int(np.floor((width - side - 1) / 2)), int(np.floor((height - side) / 2)))
        assert low.size == (side + 1, side)


@pytest.mark.parametrize(
    ("text", "mean", "std"),
    [
        ("0.5", (0.5,) * 3, (0.5,) * 3),
        ("1,2,3", (1.0, 2.0, 3.0), (1.0, 2.0, 3.0)),
        ("1,0,3", (1.0, 0.0, 3.0), "give numbers above 0"),
        ("-1", (-1.0,) * 3, "give numbers above 0"),
        *((text, *("give one number, three with commas, or imagenet, for pixels in [0, 1]",) * 2) for text in
          ("1,2", "1,2,3,4", "", "a", "inf", "1,nan,2")),
    ],
)  # fmt: skip
def test_three_numbers__of_a_mean_and_a_deviation(text: str, mean: Any, std: Any) -> None:
    for name, given in (("mean", mean), ("std", std)):
        if isinstance(given, tuple):
            assert three_numbers(name, text) == given
            continue
        with pytest.raises(UsageError) as refused:
            three_numbers(name, text)
        assert str(refused.value) == f"{name}={text}: {given}"
