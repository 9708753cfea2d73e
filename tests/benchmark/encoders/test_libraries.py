"""Models of timm, open_clip and torchvision: what their records become, heads that are cut, and refusals."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torchvision import transforms

from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.loaders.libraries import open_clip_model, quiet, timm_model
from benchmark.encoders.loaders.library_model import ImageTower, LibraryModel, library_encoder, without_classifier
from benchmark.encoders.provenance import Training
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError, UsageError


def refusal(function: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments, **named)
    assert "\n" not in str(refused.value)
    return f"{type(refused.value).__name__}: {refused.value}"


def test_timm_model__what_its_configuration_becomes() -> None:
    model = timm.create_model("test_resnet", pretrained=False, num_classes=0)
    model.train()
    model.pretrained_cfg.update({"tag": "a1", "state_dict": {}, "classifier": ("fc", "more.head"), "num_classes": 7})
    result = timm_model("mine", model, mean=(0.1, 0.2, 0.3))
    assert result.pooling == f"features before the classifier (num_classes=0, global_pool={model.global_pool!r})"
    assert (model.training, "state_dict" in model.pretrained_cfg, result.weights is model) == (False, False, True)
    assert result.details == {"architecture": "test_resnet", "tag": "a1", "timm": timm.__version__}
    assert result.training == Training("SUP", "unknown")
    config = result.record["data_config"]
    assert config["mean"] == [0.1, 0.2, 0.3]
    assert all(not isinstance(value, tuple) for value in config.values())
    assert {key: result.outside(key) for key in ("fc.weight", "more.bias", "head_dist.weight", "fcx.w",
    "attn_pool.q")} == {
        "fc.weight": "the classifier", "more.bias": "the classifier", "head_dist.weight": "the classifier", "fcx.w": "",
        "attn_pool.q": "",
    }  # fmt: skip
    model.attn_pool = None
    model.pretrained_cfg.update(classifier="head.fc", num_classes=None)
    result = timm_model("mine", model)
    assert result.outside("attn_pool.q") == "attention pooling, which this variant leaves out"
    assert (result.outside("head.x"), result.outside("fc.weight")) == ("the classifier", "")
    assert result.training == Training("unknown", "unknown")
    model.pretrained_cfg.update(classifier=None)
    assert timm_model("mine", model).outside("fc.weight") == ""


class Tower:
    """An image tower as open_clip has it."""

    def __init__(self) -> None:
        self.visual = nn.Flatten()

    def encode_image(self, image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        return self.visual(image)


class NormalisedTower(Tower):
    """One that normalises by default."""

    def encode_image(self, image: torch.Tensor, normalize: bool = True) -> torch.Tensor:
        return self.visual(image)


def test_open_clip_model__normalised_where_its_call_is() -> None:
    import open_clip

    for tower, words, length in ((Tower(), "", 5.0), (NormalisedTower(), ", normalised", 1.0)):
        result = open_clip_model("mine", tower, len, {"pretrained": "x"})
        assert result.pooling == f"projected image features (encode_image{words})"
        assert (result.stateless, result.training) == (False, Training("CVL", "unknown"))
        assert result.details == {
            "architecture": type(tower).__name__, "open_clip": open_clip.__version__, "pretrained": "x",
        }  # fmt: skip
        vectors = result.network(result.weights)(torch.tensor([[3.0, 4.0]]))
        assert vectors.norm().item() == pytest.approx(length)
    tokens = ImageTower(_Both())
    assert tokens(torch.ones(1, 2)).tolist() == [[1, 1]]


class _Both(nn.Module):
    """Vectors and tokens, as CoCa's tower."""

    def forward(self, pixels: torch.Tensor) -> Any:
        return pixels, pixels[:, None]


def test_without_classifier__the_last_layer_that_is_no_auxiliary_one() -> None:
    model = nn.Module()
    model.body, model.fc = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)), nn.Linear(2, 5)
    model.aux1, model.AuxLogits = nn.Linear(4, 5), nn.Sequential(nn.Linear(4, 5))
    without_classifier(model)
    assert [name for name, part in model.named_modules() if isinstance(part, nn.Identity)] == ["fc"]
    nested = without_classifier(nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.Linear(3, 2), nn.ReLU())))
    assert [name for name, part in nested.named_modules() if isinstance(part, nn.Identity)] == ["1.0"]
    squeeze = nn.Module()
    squeeze.classifier = nn.Conv2d(3, 5, 1)
    assert without_classifier(squeeze).classifier(torch.ones(1, 3, 4, 4)).shape == (1, 3, 1, 1)


def loaded(**more: Any) -> LibraryModel:
    def forward(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        return module(pixels.mean((2, 3)))

    transform = transforms.Compose([transforms.Resize((8, 8)), transforms.ToTensor()])
    weights = nn.Linear(3, 2)
    weights.load_state_dict({**nn.Linear(3, 2).state_dict(), **more.pop("state", {})}, strict=False)
    return LibraryModel(weights, forward, "p", transform, Training("SSL", "t"), {"a": 1}, **more)


def test_library_encoder__what_a_result_records() -> None:
    checkpoint = Checkpoint("mine", Path(), "r")

    def encoder_of(**more: Any) -> Any:
        return library_encoder("timm", checkpoint, LoadRequest("x", "cpu"), lambda: loaded(**more), "it fails")

    info = encoder_of(record={"data_config": 3}).info
    assert (info.id, info.library, info.revision, info.group, info.training_data) == ("mine", "timm", "r", "SSL", "t")
    assert (info.details, info.pooling, info.preprocessing["data_config"]) == ({"a": 1}, "p", 3)
    assert info.preprocessing["transport"] == "uint8"
    with_head = encoder_of(state={"head.w": torch.ones(1)}, outside=lambda key: "head" if "head" in key else "")
    assert with_head.info.details == {"a": 1, "ignored_weights": ["head.w: head"]}
    refused = refusal(encoder_of, state={"head.w": torch.ones(1)})
    assert "EncoderError" in refused
    assert "config.json" in refused
    stated = encoder_of(restate=lambda known: SimpleNamespace(preprocess=known.preprocess, normalise=known.normalise,
                                                              record={"x": 1}))  # fmt: skip
    assert stated.info.preprocessing == {"x": 1}
    assert "EncoderError" in refusal(encoder_of, state={"bias": torch.tensor([1.0, torch.nan])})


def test_library_encoder__errors_of_the_library(tmp_path: Path) -> None:
    checkpoint = Checkpoint("mine", tmp_path, None)

    def encoder_of(error: Exception, state: Any = None, checkpoint: Checkpoint = checkpoint) -> str:
        def load() -> LibraryModel:
            if state is not None:
                nn.Linear(3, 2).load_state_dict(state, strict=False)
            raise error

        return refusal(library_encoder, "timm", checkpoint, LoadRequest("x", "cpu"), load, "it fails", "do this")

    assert encoder_of(OSError(f"no {tmp_path}/a\nmore")) == "EncoderError: mine: it fails (OSError: no mine/a)"
    assert encoder_of(UsageError("as it is")) == "UsageError: as it is"
    whole = nn.Linear(3, 2).state_dict()
    assert encoder_of(ValueError("x"), whole) == "EncoderError: mine: it fails (ValueError: x)"
    assert encoder_of(ValueError("in ."), None, Checkpoint("mine", Path(), None)).endswith("(ValueError: in .)")


@pytest.mark.parametrize("before", [logging.NOTSET, logging.INFO, logging.CRITICAL])
def test_quiet__leaves_logging_and_warnings_as_they_were(before: int) -> None:
    manager = logging.root.manager
    previous, filters = manager.disable, list(warnings.filters)
    logging.disable(before)

    def noisy(*, fails: bool) -> None:
        with quiet():
            assert manager.disable == logging.WARNING
            warnings.warn("not shown", stacklevel=1)
            if fails:
                raise ValueError("inside")

    try:
        noisy(fails=False)
        assert (manager.disable, list(warnings.filters)) == (before, filters)
        with pytest.raises(ValueError, match="inside"):
            noisy(fails=True)
        assert (manager.disable, list(warnings.filters)) == (before, filters)
    finally:
        logging.disable(previous)
