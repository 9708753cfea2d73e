"""Whole sentences about models of transformers: outputs, options, weights and inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image
from torch import nn

from benchmark.encoders.encoder import Encoder, EncoderInfo
from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.loaders.transformers import models
from benchmark.encoders.loaders.transformers.embeddings import (
    FAMILIES,
    NAMED_EMBEDDINGS,
    Call,
    Field,
    ImageFeatures,
    plain,
)
from benchmark.encoders.loaders.transformers.one_size import (
    FirstPicture,
    Packed,
    SquareFirst,
    WithConstants,
    of_one_size,
    processed,
    squares,
    way_out,
)
from builders.errors import CamtraceError

VIEWS = torch.zeros(2, 3, 4, 4)
TO_ADD = "?size=448 behind its name makes every photo a square of 448 pixels"


def refusal(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments, **named)
    return f"{type(refused.value).__name__}: {refused.value}"


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (SimpleNamespace(), "no vector for each picture"),
        (torch.zeros(3, 8), "no vector for each picture"),
        (torch.zeros(2, 4, 8), "several vectors for each picture"),
        (SimpleNamespace(pooler_output=torch.zeros(2, 2, 8)), "several vectors for each picture"),
    ],
)
def test_image_features__that_are_no_vectors(features: Any, message: str) -> None:
    model = SimpleNamespace(get_image_features=lambda pixel_values: features)
    assert refusal(ImageFeatures(plain), model, VIEWS) == f"EncoderError: its get_image_features gives {message}"


def test_image_features__of_one_vector_in_any_form() -> None:
    for features in (torch.ones(2, 8), torch.ones(2, 1, 8), SimpleNamespace(pooler_output=torch.ones(2, 8, 1, 1))):
        model = SimpleNamespace(get_image_features=lambda pixel_values, features=features: features)
        assert ImageFeatures(plain)(model, VIEWS).tolist() == [[1] * 8] * 2


def test_embeddings__in_words() -> None:
    assert NAMED_EMBEDDINGS == {
        "image_embeds": "projected image features (image_embeds)",
        "summary": "summary, as the library calls its embedding of a picture",
        "cls_token_value": "class token after the last stage (cls_token_value)",
    }
    tower = ("vision tower, not projected: pooler_output", "vision_model", [])
    hiera = ("mean over positions of the vision tower's last stage", "vision_encoder", [])
    assert {
        kind: (each.embedding.words, each.embedding.part, list(each.others)) for kind, each in FAMILIES.items()
    } == {
        "vit_mae": ("class token after the last norm, no patch masked", "", []),
        "flava": ("projected class token (token 0 of get_image_features), its contrastive one", "", []),
        "blip-2": (*tower[:2], ["projected"]),
        "instructblip": tower,
        "sam2": hiera,
        "sam2_video": hiera,
        "edgetam": hiera,
        "sam2_vision_model": ("mean over positions of the last stage", "", []),
    }
    pooler = Field(Call(plain), "pooler_output")
    assert [FAMILIES[kind].embedding.forward for kind in ("blip-2", "instructblip")] == [pooler] * 2
    projected = FAMILIES["blip-2"].others["projected"]
    assert projected.words == "mean over the projected query tokens that its language model reads"
    config = SimpleNamespace(mask_ratio=0.75)
    FAMILIES["vit_mae"].configure(config)
    FAMILIES["sam2"].configure(config)
    assert config.mask_ratio == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "pooled"}, "mine: there is no output 'pooled'; it has tower, projected"),
        *(({"patches": text}, f"mine: patches is a whole number from 1 to 65536, not {text!r}")
          for text in ("0", "65537", "1.5", "-1", "x")),
    ],
)  # fmt: skip
def test_options__that_cannot_be(options: dict[str, str], message: str) -> None:
    checkpoint = Checkpoint("mine", Path(), None, options)
    embeddings: Any = {"tower": 1, "projected": 2}

    def read() -> None:
        models._patches(checkpoint)
        models._chosen(checkpoint, embeddings)

    assert refusal(read) == f"UsageError: {message}"


def test_options__at_the_edges() -> None:
    embeddings: Any = {"tower": 1, "projected": 2}
    for options, patches, chosen in (
        ({}, None, ("tower", 1)), ({"patches": "1"}, 1, ("tower", 1)), ({"patches": "65536"}, 65536, ("tower", 1)),
        ({"output": "projected"}, None, ("projected", 2)),
    ):  # fmt: skip
        checkpoint = Checkpoint("mine", Path(), None, options)
        assert (models._patches(checkpoint), models._chosen(checkpoint, embeddings)) == (patches, chosen)


def test_require_width__names_the_embedding() -> None:
    class Network(nn.Module):
        config = SimpleNamespace(hidden_size=8)

    info = EncoderInfo("mine", "transformers", None, None, 7, {}, "mean of x", 8)
    encoder = Encoder(info, np.asarray, lambda batch: batch, "cpu", "float32")
    assert refusal(models._require_width, encoder, Network()) == (
        "EncoderError: mine: an embedding of 7 numbers (mean of x), a width that neither its configuration nor its "
        "weights name"
    )


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({"model_type": "vit", "architectures": ["ViTForImageClassification"]}, tf.AutoModel),
        ({"model_type": "clip", "architectures": ["CLIPVisionModelWithProjection"]}, tf.CLIPVisionModelWithProjection),
        ({"model_type": "mine", "architectures": ["ViTModel"]}, tf.ViTModel),
        ({"model_type": "mine", "architectures": ["Mine"]}, tf.AutoModel),
        ({"model_type": "mine", "architectures": ["ViTModel"], "auto_map": {}}, tf.AutoModel),
        ({"model_type": "vit", "architectures": None}, tf.AutoModel),
    ],
)
def test_model_class(config: dict[str, Any], kind: Any) -> None:
    assert models._model_class(SimpleNamespace(**config)) is kind


def test_quiet_library__levels_and_bars_are_as_they_were() -> None:
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    try:
        for shown in (True, False):
            (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
            logging.set_verbosity_info()
            with models.quiet_library():
                assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (logging.ERROR, False)
            assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (logging.INFO, shown)
    finally:
        logging.set_verbosity(level)
        (logging.enable_progress_bar if bars else logging.disable_progress_bar)()


class Processor:
    """An image processor that gives the same for every photo; ``more`` are further outputs by the photo's width."""

    size: Any = None

    def __init__(self, pixels: Any, **more: Any) -> None:
        self.pixels, self.more = pixels, more

    def preprocess(self) -> None: ...

    def __call__(self, images: Image.Image, return_tensors: str) -> dict[str, Any]:
        pixels = self.pixels(images) if callable(self.pixels) else self.pixels
        return {"pixel_values": pixels, **{name: value(images) for name, value in self.more.items()}}


def inputs_of(processor: Any) -> Any:
    sample = processor(images=Image.new("RGB", (9, 7)), return_tensors="np")
    return of_one_size("mine", processor, sample, "pil", {})


def test_inputs__refusals() -> None:
    plain_picture = np.zeros((1, 3, 8, 8), np.float32)
    for processor, message in (
        (Processor(np.zeros((1, 5, 3, 8, 8))),
         f"mine: its image processor cuts a photo into 5 pictures; {TO_ADD}"),
        (Processor(plain_picture, marks=lambda image: np.array([image.width])),
         f"mine: in its preprocessing marks differs between photos; {TO_ADD}"),
        (Processor(plain_picture, pixel_context=lambda image: np.array([image.width])),
         "mine: in its preprocessing pixel_context is a second picture of a photo; the nearest encoder is "
         "google/siglip2-base-patch16-256"),
        (Processor(lambda image: np.zeros((1, 3, 8, image.width))),
         "mine: its preprocessing does not give images of one size ((3, 8, 60), (3, 8, 97), (3, 8, 224), (3, 8, 333), "
         f"(3, 8, 500), (3, 8, 641)); {TO_ADD}"),
        (Processor(lambda image: np.zeros((1, image.width, 5))),
         "mine: its preprocessing does not give images of one size ((60, 5), (97, 5), (224, 5), (333, 5), (500, 5), "
         f"(641, 5)); {TO_ADD}"),
    ):  # fmt: skip
        assert refusal(inputs_of, processor) == f"EncoderError: {message}"


def test_inputs__further_outputs_that_are_the_same_for_every_photo() -> None:
    picture = np.zeros((1, 3, 8, 8), np.float32)
    processor = Processor(
        picture, mask=lambda image: np.ones((1, 4)), original_sizes=lambda image: np.array([image.width]),
        words=lambda image: np.array(["a"], object), number=lambda image: np.array(3),
    )  # fmt: skip
    arguments = inputs_of(processor).arguments
    assert isinstance(arguments, WithConstants)
    given = arguments(torch.zeros(2, 3, 8, 8))
    assert {name: value.tolist() for name, value in given.items() if name != "pixel_values"} == {
        "mask": [[1] * 4] * 2, "number": 3
    }  # fmt: skip
    assert inputs_of(Processor(picture)).arguments is plain
    assert list(inputs_of(Processor(picture[:, None])).arguments(VIEWS)["pixel_values"].shape) == [2, 1, 3, 4, 4]
    packed = inputs_of(Processor(np.arange(10.0).reshape(2, 5), row_grid=lambda image: np.array([[1, 2]])))
    assert packed.preprocessing.record == {"size": [5], "backend": "pil", "transport": "float32"}
    assert isinstance(packed.arguments, Packed)
    assert (packed.arguments.name, packed.arguments.batched) == ("pixel_values", False)
    assert packed.arguments(torch.zeros(3, 2, 5))["pixel_values"].shape == (6, 5)
    assert packed.arguments(torch.zeros(3, 2, 5))["row_grid"].tolist() == [[1, 2]] * 3
    single = inputs_of(Processor(np.zeros((1, 4, 5)))).arguments
    assert (single.batched, single(torch.zeros(3, 4, 5))["pixel_values"].shape) == (True, (3, 4, 5))


def test_first_picture__and_squares() -> None:
    tiles = np.arange(2 * 3 * 4 * 4.0).reshape(1, 2, 3, 4, 4)
    first = FirstPicture(Processor(tiles))(Image.new("RGB", (5, 5)))
    np.testing.assert_array_equal(first, np.float32(tiles[0, 0]))
    seen: list[Any] = []
    processor = Processor(lambda image: seen.append(image) or np.zeros((1, 3, 4, 4)))
    photo = Image.effect_noise((9, 7), 50).convert("RGB")
    SquareFirst(processor, 6, 0)(images=photo, return_tensors="np")
    assert seen[0] == photo.resize((6, 6), Image.Resampling.NEAREST)
    assert not SquareFirst(processor, 6, 0).do_resize
    assert refusal(squares, "mine", Processor(lambda image: 1 / 0), 6, "pil", {}) == (
        "UsageError: mine: its image processor takes no squares of 6 (ZeroDivisionError: division by zero)"
    )


@pytest.mark.parametrize(
    ("size", "side"),
    [(None, 448), ({"height": 96, "width": 64}, 64), ({"shortest_edge": 16, "longest_edge": 4096}, 448),
     ({"height": 32}, 32), ({"height": 2048}, 2048), ({"height": 31, "width": 2049}, 448), ({"height": None}, 448)],
)  # fmt: skip
def test_way_out__a_side_of_the_processor(size: Any, side: int) -> None:
    assert way_out(SimpleNamespace(size=size)) == (
        f"?size={side} behind its name makes every photo a square of {side} pixels"
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TypeError("missing 1 argument: text\nmore"), "UsageError: mine: its image processor needs more than a photo "
         "(TypeError: missing 1 argument: text); the nearest encoder is google/siglip2-base-patch16-256"),
        (TypeError("bad"), "EncoderError: mine: its preprocessing fails (TypeError: bad)"),
        (ValueError("missing"), "EncoderError: mine: its preprocessing fails (ValueError: missing)"),
    ],
)  # fmt: skip
def test_processed__errors(error: Exception, message: str) -> None:
    def fails(image: Image.Image) -> None:
        raise error

    assert refusal(processed, "mine", fails, Image.new("RGB", (3, 3))) == message
