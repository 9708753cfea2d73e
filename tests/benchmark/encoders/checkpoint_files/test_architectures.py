"""``arch=LIBRARY:NAME``: what each library is called with, which options it has, and every refusal."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import open_clip
import pytest
import torch
from torch import nn

from benchmark.encoders.loaders.checkpoint_files.architectures import (
    Architecture,
    without_weights,
)
from benchmark.encoders.provenance import Training
from builders.errors import CamtraceError


def refusal(function: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments)
    return f"{type(refused.value).__name__}: {refused.value}"


class Made:
    """A library's constructor, recorded; it fails for sizes where ``fails`` says so."""

    def __init__(self, model: Any, fails: Exception | None = None) -> None:
        self.model, self.fails, self.calls = model, fails, []  # type: ignore[var-annotated]

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls.append((arguments, named))
        warnings.warn("of the library", stacklevel=1)
        if self.fails is not None and "img_size" in named:
            raise self.fails
        return self.model


class Tower(nn.Module):
    """An image tower as open_clip has it."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = nn.Flatten()

    def encode_image(self, image: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        result: torch.Tensor = self.visual(image)
        return result


@pytest.mark.parametrize(
    ("options", "size", "given"),
    [
        ({}, None, {}),
        ({}, (9, 8), {"force_image_size": (9, 8)}),
        ({"force_image_size": 7, "force_quick_gelu": True}, (9, 8), {"force_image_size": 7, "force_quick_gelu": True}),
    ],
)
def test_open_clip__what_its_constructor_is_given(
    options: dict[str, Any], size: Any, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Made((Tower(), "of training", "of evaluation"))
    monkeypatch.setattr(open_clip, "create_model_and_transforms", create)
    architecture = Architecture("open_clip", "RN50", options, {"image_mean": [0.5] * 3})
    result = without_weights("mine", architecture, size)
    assert create.calls == [
        (("RN50",), {"pretrained": None, "pretrained_hf": False, **given, "image_mean": [0.5] * 3})
    ]  # fmt: skip
    assert result.transform == "of evaluation"
    version = {"open_clip": open_clip.__version__, "architecture": "open_clip:RN50"}
    assert result.details == {**version, **given}
    assert result.training == Training("CVL", "unknown")


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (Architecture("timm", "test_resnett"), "unknown timm architecture 'test_resnett': did you mean 'test_resnet'?"),
        (Architecture("timm", "9"), "unknown timm architecture '9': timm.list_models() lists them"),
        (Architecture("torchvision", "9"),
         "unknown torchvision model '9': torchvision.models.list_models() lists them"),
        (Architecture("torchvision", "fcn_resnet50"), "unknown torchvision model 'fcn_resnet50': "),
        (Architecture("open_clip", "9"), "unknown open_clip model '9': open_clip.list_models() lists them"),
        (Architecture("open_clip", "RN50", {"pretrained": 1}), "mine: arch.pretrained is no option of open_clip:RN50"),
    ],
)  # fmt: skip
def test_names__that_a_library_does_not_have(architecture: Architecture, message: str) -> None:
    assert refusal(without_weights, "mine", architecture, None).startswith(f"UsageError: {message}")
