from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import benchmark.encoders.loaders.python as callables
from benchmark.encoders import as_encoder, load_encoder
from builders.errors import EncoderError, UsageError

CODE = """
import numpy as np
import torch
from torch import nn

def encode(image):
    pixels = np.asarray(image, dtype=np.float32)
    return np.r_[pixels.mean((0, 1)), pixels.std((0, 1))]

def keyed(image):
    return [float(image.width), 1.0]
keyed.cache_key = "width, 1"
keyed.group = "SSL"

class Mean(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((3,), 2.0))
    def forward(self, x):
        return x.mean((2, 3)) * self.scale

class Own(Mean):
    cache_key = "own, 1"
    pooling = "mean colour"
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    def preprocess(self, image):
        return np.array(image.resize((4, 4)))

def own_pixels(image):
    return torch.from_numpy(np.array(image.resize((4, 4)), dtype=np.float32)).permute(2, 0, 1)

def build():
    module = Mean()
    module.preprocess = own_pixels
    return module

class Shared(Mean):
    from benchmark.encoders.loaders.bundled import LITE0_PIXELS as preprocess
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

ready = Mean()

def as_encoder():
    from benchmark.encoders import load_encoder
    return load_encoder("control:jpeg-statistics")

def varying(image):
    return np.ones(image.width)

def matrix(image):
    return np.ones((2, 2))

def endless(image):
    return [float("nan")]

def fails(image):
    raise ValueError("no luck")

def two(image, other):
    return image

class Spatial(nn.Module):
    def forward(self, x):
        return x

number = 3
"""


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module of the user in the working folder."""
    (tmp_path / "my_encoders.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    yield
    sys.modules.pop("my_encoders", None)


def test_function__image_to_vector(photos: list[Image.Image], embed_photos: Any, keeps_promises: Any) -> None:
    encoder = load_encoder("my_encoders:encode", device="cpu")
    expected = [np.r_[np.asarray(p, float).mean((0, 1)), np.asarray(p, float).std((0, 1))] for p in photos]
    np.testing.assert_allclose(embed_photos(encoder, photos), expected, rtol=1e-4)
    assert encoder.info.id == "my_encoders:encode"
    assert encoder.info.library == "callable"
    assert encoder.info.dimension == 6
    keeps_promises(encoder)


def test_cache_key__is_what_makes_it_cacheable() -> None:
    assert load_encoder("my_encoders:encode").info.weights_sha256 is None
    assert not load_encoder("my_encoders:encode").info.cacheable
    keyed = load_encoder("my_encoders:keyed").info
    assert keyed.cacheable
    assert keyed.group == "SSL"


@pytest.mark.parametrize("name", ["Mean", "ready"])
def test_module__default_preprocessing_is_imagenets(name: str, photos: list[Image.Image], keeps_promises: Any) -> None:
    encoder = load_encoder(f"my_encoders:{name}", device="cpu")
    assert encoder.preprocess(photos[0]).shape == (224, 224, 3)
    white = torch.full((1, 224, 224, 3), 255, dtype=torch.uint8)
    expected = [2 * (1 - m) / s for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)]
    assert encoder.embed(white)[0].tolist() == pytest.approx(expected, abs=1e-5)
    assert not encoder.info.cacheable
    keeps_promises(encoder)


def test_module__own_pixels_with_mean_and_std() -> None:
    encoder = load_encoder("my_encoders:Own", device="cpu")
    assert encoder.embed(
        torch.from_numpy(encoder.preprocess(Image.new("RGB", (9, 9), (255, 0, 51))))[None]
    ).tolist() == [pytest.approx([2, 0, 0.4])]
    assert encoder.info.pooling == "mean colour"
    assert encoder.info.cacheable


def test_module__pixels_as_plain_data_are_those_of_other_encoders() -> None:
    encoder, bundled = (load_encoder(s, device="cpu") for s in ("my_encoders:Shared", "bundled:efficientnet-lite0"))
    assert encoder.preprocess == bundled.preprocess
    assert encoder.info.preprocessing["steps"] == bundled.info.preprocessing["steps"]
    assert encoder.embed(torch.full((1, 4, 4, 3), 255, dtype=torch.uint8)).tolist() == [[2, 2, 2]]


def test_factory__module_with_its_own_tensors(photos: list[Image.Image], keeps_promises: Any) -> None:
    encoder = load_encoder("my_encoders:build", device="cpu")
    assert encoder.preprocess(photos[0]).shape == (3, 4, 4)
    assert encoder.embed(torch.full((2, 3, 4, 4), 3.0)).tolist() == [[6, 6, 6], [6, 6, 6]]
    keeps_promises(encoder)


def test_factory__encoder_as_it_is() -> None:
    assert load_encoder("my_encoders:as_encoder").info.id == "control:jpeg-statistics"


def test_explicit_prefix__for_modules_named_like_a_prefix() -> None:
    assert load_encoder("callable:my_encoders:encode").info.dimension == 6


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("varying", EncoderError, "different lengths"),
        ("matrix", EncoderError, "expected"),
        ("endless", EncoderError, "not finite"),
        ("fails", EncoderError, "ValueError: no luck"),
        ("two", UsageError, "not an encoder"),
        ("number", UsageError, "not an encoder"),
        ("Spatial", EncoderError, r"expected embeddings \[1, dimension\]"),
        ("nothing", UsageError, "has no 'nothing'"),
    ],
)
def test_not_an_encoder__one_sentence(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_encoder(f"my_encoders:{name}", device="cpu")


def test_module_that_fails__is_distinguished_from_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text("import not_installed_anywhere\n")
    with pytest.raises(EncoderError, match="'not_installed_anywhere'"):
        load_encoder("half:encode")
    with pytest.raises(UsageError, match="'absent_module'"):
        load_encoder("absent_module:encode")


def test_documented_example__runs(tmp_path: Path) -> None:
    """The example in the module's docstring, as printed."""
    lines = str(callables.__doc__).split("::\n", 1)[1].splitlines()
    (tmp_path / "brightness.py").write_text("\n".join(line[4:] for line in lines))
    encoder = load_encoder("brightness:encode", device="cpu")
    vector = encoder.preprocess(Image.new("RGB", (5, 5), (10, 20, 30)))
    assert vector.tolist() == [10, 20, 30, 0, 0, 0]
    assert encoder.info.cacheable
    sys.modules.pop("brightness", None)


@pytest.mark.parametrize("width", [320, 200])
def test_module__a_preprocess_that_is_random_for_some_pictures_is_refused(width: int) -> None:
    calls = itertools.count()

    def preprocess(image: Image.Image) -> torch.Tensor:
        return torch.full((3, 4, 4), float(next(calls)) if image.width == width else 1.0)

    with pytest.raises(EncoderError, match="different"):
        as_encoder(torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Flatten()), preprocess=preprocess, device="cpu")
