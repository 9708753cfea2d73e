"""``--preprocess``: steps, constants, records and later loads of each mode, for encoders with known steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmark.encoders import Encoder, Pixels, with_preprocessing
from benchmark.encoders.network import Network, Normalisation, network_encoder
from benchmark.encoders.placement import Placement
from benchmark.encoders.preprocess.modes import checked_mode
from benchmark.encoders.preprocess.pixels import CenterCrop, ResizeShort, ResizeTo, describe
from builders.errors import UsageError

NEAREST, BOX, BICUBIC = (int(Image.Resampling[name]) for name in ("NEAREST", "BOX", "BICUBIC"))
MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
STUDY = "timm/resnet50.a1_in1k"


def means(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    return pixels.mean((2, 3))


def encoder_of(*steps: Any, name: str = "mine", mean: Any = MEAN, std: Any = STD) -> Encoder:
    pixels = Pixels(steps)
    network = Network(
        name, "callable", nn.Identity(), pixels, describe(pixels, mean, std, "mine", source="x"),
        Normalisation(mean, std), means, "mean",
    )  # fmt: skip
    return network_encoder(network, Placement("cpu", "float32"))


def steps_of(encoder: Encoder) -> Any:
    assert isinstance(encoder.preprocess, Pixels)
    return encoder.preprocess.steps


@pytest.mark.parametrize(
    ("native", "mode", "steps"),
    [
        ((ResizeShort(40, BOX), CenterCrop(32, 32)), "squash", (ResizeTo(32, 32, BOX),)),
        ((ResizeShort(40, BOX), CenterCrop(32, 32)), "short-side", (ResizeShort(32, BOX), CenterCrop(32, 32, "round"))),
        ((ResizeShort(40, BOX), CenterCrop(32, 32)), "study", (ResizeShort(32, BOX), CenterCrop(32, 32, "round"))),
        ((ResizeTo(64, 48, BOX), ResizeShort(9, NEAREST), CenterCrop(10, 8)), "squash", (ResizeTo(10, 8, NEAREST),)),
        ((CenterCrop(32, 24),), "squash", (ResizeTo(32, 24, BICUBIC),)),
    ],
)
def test_mode__steps_with_the_filter_and_constants_of_the_encoder(native: Any, mode: str, steps: Any) -> None:
    encoder = encoder_of(*native)
    changed = with_preprocessing(encoder, mode)
    assert steps_of(changed) == steps
    assert changed.embed is encoder.embed
    record = changed.info.preprocessing
    assert (record["preprocess"], record["own"], record["backend"]) == (mode, encoder.info.preprocessing, "pil")
    assert (record["mean"], record["std"], record["steps"]) == ([*MEAN], [*STD], Pixels(steps).describe())
    assert (changed.info.id, changed.in_float32, changed.in_torch) == ("mine", None, None)
    assert with_preprocessing(encoder, "own") is encoder
    with pytest.raises(UsageError, match="unknown preprocess 'squeeze'"):
        checked_mode("squeeze")


def test_mode__that_changes_nothing_is_the_encoder_itself_and_so_its_bank() -> None:
    encoder = encoder_of(ResizeTo(32, 24, BOX))
    assert with_preprocessing(encoder, "squash") is encoder
    other = with_preprocessing(encoder_of(ResizeShort(40, BOX), CenterCrop(32, 32)), "squash")
    again = with_preprocessing(other, "short-side").info.preprocessing["own"]  # of a mode on a mode
    assert not {"preprocess", "own"} & set(again)


def test_mode__short_side_of_an_input_that_is_no_square() -> None:
    with pytest.raises(UsageError) as refused:
        with_preprocessing(encoder_of(CenterCrop(32, 24)), "short-side")
    assert "--preprocess" in str(refused.value)


def test_mode__is_applied_to_later_loads_of_the_encoder() -> None:
    """In float32 for the precision gate, and in torch for layers."""
    wide, narrow = (encoder_of(ResizeShort(side, BOX), CenterCrop(32, 32)) for side in (40, 50))
    changed = with_preprocessing(replace(wide, in_float32=lambda: wide, in_torch=lambda: narrow), "squash")
    assert changed.in_float32 is not None
    assert changed.in_torch is not None
    for load, loaded in ((changed.in_float32, wide), (changed.in_torch, narrow)):
        later = load()
        assert steps_of(later) == (ResizeTo(32, 32, BOX),)
        assert later.info.preprocessing["own"] == loaded.info.preprocessing


def test_study__of_its_own_encoders_with_its_constants() -> None:
    encoder = encoder_of(ResizeShort(50, BOX), CenterCrop(32, 32), name=f"{STUDY}@main")
    changed = with_preprocessing(encoder, "study")
    assert steps_of(changed) == (ResizeShort(224, BICUBIC), CenterCrop(224, 224, "round"))
    embed: Any = changed.embed
    assert embed.normalise == Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert steps_of(with_preprocessing(replace(encoder, info=replace(encoder.info, id="mine")), "study"))[0].size == 32

    def plain(batch: torch.Tensor) -> torch.Tensor:
        return batch.flatten(1).float()

    with pytest.raises(UsageError) as refused:
        with_preprocessing(replace(encoder, embed=plain), "study")
    assert f"{STUDY}" in str(refused.value)
    squashed = with_preprocessing(replace(encoder, embed=plain), "squash")  # with the constants of its record
    assert squashed.info.preprocessing["mean"] == [*MEAN]
    assert squashed.embed is plain


@pytest.mark.parametrize("record", [{"mean": [0.1, 0.2]}, {"std": None}, {"mean": "0.5"}])
def test_mode__constants_that_no_record_has(record: Any) -> None:
    encoder = encoder_of(ResizeShort(40, BOX), CenterCrop(32, 32))
    info = replace(encoder.info, preprocessing={**encoder.info.preprocessing, **record})
    with pytest.raises(UsageError, match="--pre"):
        with_preprocessing(replace(encoder, info=info, embed=lambda batch: batch.flatten(1).float()), "squash")


def of_any_size(image: Image.Image) -> np.ndarray:
    return np.zeros(3, np.float32)


def test_mode__of_an_encoder_that_reads_photos_of_any_size() -> None:
    encoder = replace(encoder_of(CenterCrop(32, 32)), preprocess=of_any_size)
    assert with_preprocessing(encoder, "study") is encoder
    for mode in ("squash", "short-side"):
        with pytest.raises(UsageError) as refused:
            with_preprocessing(encoder, mode)
        assert f"{mode}" in str(refused.value)


class Own:
    """Preprocessing as a user writes it: floats, around a transform under some name, or without one."""

    def __init__(self, transform: Any, name: str) -> None:
        setattr(self, name, transform)
        self.call = transform

    def __call__(self, image: Image.Image) -> np.ndarray:
        return np.asarray(self.call(image), np.float32)


@pytest.mark.parametrize("name", ["transform", "function", "other"])
def test_mode__steps_of_a_transform_are_verified(name: str) -> None:
    from torchvision import transforms

    parts = [transforms.Resize(40), transforms.CenterCrop(32), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    encoder = encoder_of(CenterCrop(32, 32))
    embed: Any = encoder.embed
    preprocess = Own(transforms.Compose(parts), name)
    encoder = replace(encoder, preprocess=preprocess, embed=replace(embed, normalise=None))
    if name == "other":
        with pytest.raises(UsageError, match="CenterCrop"):
            with_preprocessing(encoder, "squash")
        return
    changed = with_preprocessing(encoder, "squash")
    changed_embed: Any = changed.embed
    assert steps_of(changed) == (ResizeTo(32, 32, int(Image.Resampling.BILINEAR)),)
    assert changed_embed.normalise == Normalisation(MEAN, STD)
