from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from benchmark.encoders import load_encoder
from benchmark.encoders.loaders.library_model import without_classifier
from builders.errors import EncoderError, UsageError


@pytest.fixture
def own_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchvision's downloads give seeded weights of the right shape instead."""

    def state_dict(self: Any, *_: Any, **__: Any) -> Any:
        name = type(self).__name__.removesuffix("_Weights").lower()
        torch.manual_seed(0)
        return torchvision.models.get_model(name, weights=None).state_dict()

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", state_dict)


@pytest.mark.slow
@pytest.mark.usefixtures("own_weights")
@pytest.mark.parametrize(
    ("spec", "weights", "head"),
    [("resnet18", "IMAGENET1K_V1", "fc"), ("mobilenet_v3_small/IMAGENET1K_V1", "IMAGENET1K_V1", "classifier.3")],
)
def test_embedding__is_the_input_of_the_classifier(
    spec: str, weights: str, head: str, photos: list[Image.Image], embed_photos: Any, keeps_promises: Any
) -> None:
    encoder = load_encoder(f"torchvision:{spec}", device="cpu")
    name = spec.partition("/")[0]
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval()
    transform = torchvision.models.get_weight(f"{_enum_name(name)}.{weights}").transforms()
    inputs_of_head: list[torch.Tensor] = []
    model.get_submodule(head).register_forward_pre_hook(lambda _, inputs: inputs_of_head.append(inputs[0]))
    with torch.no_grad():
        model(torch.stack([transform(photo) for photo in photos]))
    np.testing.assert_allclose(embed_photos(encoder, photos), inputs_of_head[0].numpy(), atol=1e-5)
    assert encoder.info.id == f"torchvision:{name}/{weights}"
    assert encoder.info.preprocessing["transport"] == "uint8"
    assert encoder.info.group == "SUP"
    keeps_promises(encoder, views=18)


@pytest.mark.parametrize(
    ("name", "dimension"),
    [("alexnet", 4096), ("vit_b_16", 768), ("convnext_tiny", 768), ("squeezenet1_1", 512), ("swin_t", 768)],
)
def test_without_classifier__every_style_of_head(name: str, dimension: int) -> None:
    with torch.device("meta"):
        model = without_classifier(torchvision.models.get_model(name, weights=None)).eval()
        assert model(torch.zeros(2, 3, 224, 224)).flatten(1).shape == (2, dimension)


def test_without_classifier__auxiliary_heads_stay() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)
            self.aux1 = nn.Linear(3, 2)

    network = without_classifier(Network())
    assert isinstance(network.fc, nn.Identity)
    assert isinstance(network.aux1, nn.Linear)


def test_unknown_names__the_nearest() -> None:
    with pytest.raises(UsageError, match="'resnet50'"):
        load_encoder("torchvision:resnet5O")
    with pytest.raises(UsageError, match="'IMAGENET1K_V2'"):
        load_encoder("torchvision:resnet50/IMAGENET1KV2")
    with pytest.raises(UsageError, match="unknown torchvision model"):
        load_encoder("torchvision:fcn_resnet50")


def test_no_network__one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("name resolution failed")

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", fail)
    with pytest.raises(EncoderError, match="cannot be fetched"):
        load_encoder("torchvision:resnet18", device="cpu")


def _enum_name(model: str) -> str:
    return torchvision.models.get_model_weights(model).__name__
