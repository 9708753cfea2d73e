"""Files of torchvision's networks whose constructor, version or auxiliary classifiers decide how they load."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from benchmark.encoders import Encoder, load_encoder
from tests.encoders_by_hand.case import randomise
from tests.encoders_by_hand.trial import relative_error

pytestmark = pytest.mark.slow

AUXILIARY = {"googlenet": "aux1.fc2.weight", "inception_v3": "AuxLogits.fc.weight"}
"""A weight of an auxiliary classifier whose shape depends on the number of classes."""


def made(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    more = {"init_weights": False} if name in AUXILIARY else {}
    model = torchvision.models.get_model(name, num_classes=7, **more, **options)
    randomise(model)
    return model.eval()


def load(spec: str) -> Encoder:
    return load_encoder(spec, device="cpu", runtime="torch")


def by_hand(model: Any, photos: list[Image.Image], last: str, side: int, mean: Any, std: Any) -> np.ndarray:
    """Inputs of a model's last layer, for photos that torchvision resizes and crops to ``side``."""
    setattr(model, last, torch.nn.Identity())
    preset = torchvision.transforms._presets.ImageClassification(crop_size=side, resize_size=side, mean=mean, std=std)
    with torch.no_grad():
        return model(torch.stack([preset(photo) for photo in photos])).numpy()


@pytest.mark.parametrize("name", AUXILIARY)
def test_auxiliary_classifiers__of_any_number_of_classes_take_no_part(
    name: str, tmp_path: Path, photos: list[Image.Image], embed_photos: Any
) -> None:
    model = made(name)
    assert len(model.state_dict()[AUXILIARY[name]]) == 7
    torch.save(model.state_dict(), tmp_path / "a.pth")
    stated = f"{tmp_path}/a.pth?arch=torchvision:{name}&size=96&resize=96&mean=0.5&std=0.5"
    encoders = [load(f"{stated}{more}") for more in ("", "&arch.aux_logits=false")]
    expected = by_hand(model, photos, "fc", 96, (0.5,) * 3, (0.5,) * 3)
    for encoder in encoders:
        assert relative_error(embed_photos(encoder, photos), expected) < 1e-4
        [sentence] = encoder.info.details["ignored_weights"]
        assert sentence.endswith(": the classifier")
    assert encoders[0].info.weights_sha256 == encoders[1].info.weights_sha256


@pytest.mark.parametrize(
    ("recorded", "option", "transformed"),
    [
        ({"weights": "GoogLeNet_Weights.IMAGENET1K_V1"}, "", True),
        ({"pretrained": True}, "", True),  # torchvision before 0.13
        ({"weights": None}, "", False),
        ({"weights": "GoogLeNet_Weights.IMAGENET1K_V1"}, "?arch.transform_input=false", False),
        ({"weights": "GoogLeNet_Weights.IMAGENET1K_V1"}, "?arch.transform_input=False", False),  # as in an id
        ({"weights": None}, "?arch.transform_input=true", True),
    ],
)
def test_record__of_pretrained_weights_means_that_the_input_is_transformed(
    recorded: Any, option: str, transformed: bool, tmp_path: Path, photos: list[Image.Image], embed_photos: Any
) -> None:
    model = made("googlenet", aux_logits=False, transform_input=transformed)
    data = {"val_crop_size": 96, "val_resize_size": 96, "interpolation": "bilinear"}
    arguments = argparse.Namespace(model="googlenet", **data, **recorded)
    torch.save({"model": model.state_dict(), "args": arguments}, tmp_path / "a.pth")
    encoder = load(f"{tmp_path}/a.pth{option}")
    expected = by_hand(model, photos, "fc", 96, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert relative_error(embed_photos(encoder, photos), expected) < 1e-4
    assert f"arch.transform_input={transformed}" in encoder.info.id
    assert "arch.transform_input=true" not in encoder.notices[-1]


@pytest.mark.parametrize(
    ("name", "content", "noted"),
    [
        ("googlenet", {}, True),
        ("inception_v3", {}, True),
        ("googlenet", {"arch": "googlenet", "best_acc1": 1.0}, True),  # PyTorch's example records no weights
        ("shufflenet_v2_x0_5", {}, False),
    ],
)
def test_notice__says_where_nothing_is_recorded(name: str, content: Any, noted: bool, tmp_path: Path) -> None:
    torch.save({"state_dict": made(name).state_dict(), **content}, tmp_path / "a.pth")
    spec = f"{tmp_path}/a.pth?{'' if content else f'arch=torchvision:{name}&'}"
    assert ("arch.transform_input=true" in load(f"{spec}group=SSL").notices[-1]) == noted
    if noted:
        told = load(f"{spec}arch.transform_input=true")
        assert "not recorded" not in told.notices[-1]


def test_mnasnet__whose_version_is_not_among_its_tensors(
    tmp_path: Path, photos: list[Image.Image], embed_photos: Any
) -> None:
    model = made("mnasnet0_5")
    torch.save({"model": model.state_dict()}, tmp_path / "a.pth")
    encoder = load(f"{tmp_path}/a.pth?arch=torchvision:mnasnet0_5&size=64&resize=64&mean=0.5&std=0.5")
    expected = by_hand(model, photos, "classifier", 64, (0.5,) * 3, (0.5,) * 3)
    assert relative_error(embed_photos(encoder, photos), expected) < 1e-4
