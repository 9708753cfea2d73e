"""What timm, open_clip and torchvision are called with, and under which names their models are encoders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import open_clip
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from benchmark.encoders.admission.gate import FETCHED, NEAREST
from benchmark.encoders.loaders import libraries
from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Calls of ``library_encoder``, and of the libraries when its loader runs."""
    calls: list[Any] = []

    def library_encoder(library: str, checkpoint: Checkpoint, request: Any, load: Any, *words: str) -> str:
        calls.append((library, checkpoint, request, *words))
        load()
        return "encoder"

    monkeypatch.setattr(libraries, "library_encoder", library_encoder)
    for module, name, model in ((timm, "create_model", "timm"), (torchvision.models, "get_model", "torchvision")):
        monkeypatch.setattr(module, name, lambda *given, model=model, **named: calls.append((given, named)) or model)
    monkeypatch.setattr(
        open_clip, "create_model_from_pretrained",
        lambda *given, **named: calls.append((given, named)) or ("model", "transform"),
    )  # fmt: skip
    for name in ("timm_model", "open_clip_model", "torchvision_model"):
        monkeypatch.setattr(libraries, name, lambda *given, name=name: calls.append((name, *given)))
    return calls


def refusal(function: Any, *arguments: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments)
    return f"{type(refused.value).__name__}: {refused.value}"


@pytest.mark.parametrize(("tag", "name"), [("a1", "vit.a1"), ("", "vit")])
def test_timm__weights_that_are_on_no_hub(
    tag: str, name: str, made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SimpleNamespace(hf_hub_id="", architecture="vit", tag=tag)
    monkeypatch.setattr(timm.models, "get_pretrained_cfg", lambda name: config)
    monkeypatch.setattr(timm.models, "is_model_pretrained", lambda name: True)
    request = LoadRequest("timm:vit", "cpu", "bfloat16")
    assert libraries.load_timm(request) == "encoder"
    assert made == [
        ("timm", Checkpoint(f"timm:{name}", Path(), None), request, "timm cannot load it"),
        ((name,), {"pretrained": True, "num_classes": 0}),
        ("timm_model", f"timm:{name}", "timm"),
    ]


def test_timm__weights_on_the_hub_keep_every_option(monkeypatch: pytest.MonkeyPatch) -> None:
    requests: list[LoadRequest] = []
    monkeypatch.setattr(libraries, "load_hub", requests.append)
    request = LoadRequest("timm:resnet50.a1_in1k", "cuda", "tf32", "r", True, True)
    libraries.load_timm(request)
    assert requests == [replace(request, spec="timm/resnet50.a1_in1k")]


def test_timm__a_folder(made: list[Any], tmp_path: Path) -> None:
    checkpoint, request = Checkpoint("mine", tmp_path, "r"), LoadRequest("x")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_resnet.a1"}))
    libraries.load_timm_checkpoint(checkpoint, request)
    assert made[:2] == [
        ("timm", checkpoint, request, "timm cannot load it"),
        ((f"local-dir:{tmp_path}",), {"pretrained": True, "num_classes": 0}),
    ]
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "test_resnett"}))
    assert refusal(libraries.load_timm_checkpoint, checkpoint, request) == (
        "UsageError: unknown timm architecture of mine 'test_resnett': did you mean 'test_resnet'?"
    )


WRAPPER = {"architecture": "test_resnet", "model_type": "timm_wrapper", "num_classes": 7}


@pytest.mark.parametrize(
    ("config", "options", "overlay"),
    [
        ({}, {"pretrained_cfg": None}, {"num_classes": 7, "tag": None}),
        ({"architectures": ["TimmWrapperModel"]}, {"pretrained_cfg": None}, {"num_classes": 0, "tag": None}),
        ({"architectures": ["TimmWrapperForImageClassification"]}, {"pretrained_cfg": None},
         {"num_classes": 7, "tag": None}),
        ({"num_classes": None, "pretrained_cfg": {"mean": [1]}}, {"pretrained_cfg": {"mean": [1]}},
         {"num_classes": None}),
        ({"model_args": {"img_size": 32, "depth": 2, "num_classes": 3, "pretrained": True, "drop_rate": 0.1}},
         {"img_size": 32, "depth": 2, "drop_rate": 0.1, "pretrained_cfg": None},
         {"num_classes": 7, "tag": None, "input_size": (3, 32, 32)}),
        ({"model_args": {"img_size": [24, 32]}}, {"img_size": [24, 32], "pretrained_cfg": None},
         {"num_classes": 7, "tag": None, "input_size": (3, 24, 32)}),
        ({"model_args": {"img_size": 32}, "pretrained_cfg": {"tag": "a"}},
         {"img_size": 32, "pretrained_cfg": {"tag": "a"}}, {"num_classes": 7}),
    ],
)  # fmt: skip
def test_timm__a_folder_of_transformers_wrapper(config: Any, options: Any, overlay: Any, tmp_path: Path) -> None:
    save_file({"timm_model.a": torch.ones(1), "b": torch.zeros(1)}, tmp_path / "model.safetensors")
    given = libraries._wrapper_options(Checkpoint("mine", tmp_path, None), {**WRAPPER, **config})
    added = given.pop("pretrained_cfg_overlay")
    assert sorted(added.pop("state_dict")) == ["a", "b"]
    assert added == {"source": "", "file": None, **overlay}
    assert given == options


def test_timm__the_wrappers_options_arrive(made: list[Any], tmp_path: Path) -> None:
    save_file({"timm_model.a": torch.ones(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({**WRAPPER, "model_args": {"drop_rate": 0.1}}))
    checkpoint = Checkpoint("mine", tmp_path, None)
    libraries.load_timm_checkpoint(checkpoint, LoadRequest("x"))
    [_, (arguments, named), _] = made
    assert arguments == ("test_resnet",)
    assert {name: named[name] for name in ("pretrained", "num_classes", "drop_rate", "pretrained_cfg")} == {
        "pretrained": True, "num_classes": 0, "drop_rate": 0.1, "pretrained_cfg": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "tags", "quick", "tag"),
    [
        ("ViT-B-32/a", ["a", "b"], True, "a"),
        ("ViT-B-32/b", ["a", "b"], None, "b"),
        ("ViT-B-32", ["only"], False, "only"),
    ],
)
def test_open_clip__weights_with_the_activation_that_they_were_trained_with(
    spec: str, tags: list[str], quick: Any, tag: str, made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_clip, "list_pretrained_tags_by_model", lambda architecture: tags)
    config = {} if quick is None else {"quick_gelu": quick}
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *given: config if given == ("ViT-B-32", tag) else {})
    request = LoadRequest(f"open_clip:{spec}", "cpu")
    libraries.load_open_clip(request)
    options = {"pretrained": tag, "force_quick_gelu": bool(quick)}
    name = f"open_clip:ViT-B-32/{tag}"
    assert made == [
        ("open_clip", Checkpoint(name, Path(), None), request, "open_clip cannot load it"),
        (("ViT-B-32",), {"weights_only": True, **options}),
        ("open_clip_model", name, "model", "transform", options),
    ]


def test_open_clip__several_weights_none_or_a_folder(made: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for tags, listed in ((["a", "b"], "open_clip:ViT-B-32/a, open_clip:ViT-B-32/b"), ([], "there are none")):
        monkeypatch.setattr(open_clip, "list_pretrained_tags_by_model", lambda architecture, tags=tags: tags)
        assert refusal(libraries.load_open_clip, LoadRequest("open_clip:ViT-B-32")) == (
            f"UsageError: open_clip:ViT-B-32: name the weights: {listed}"
        )
    checkpoint, request = Checkpoint("mine", Path("here"), "r"), LoadRequest("x")
    libraries.load_open_clip_checkpoint(checkpoint, request)
    assert made == [
        ("open_clip", checkpoint, request, "open_clip cannot load it"),
        (("local-dir:here",), {"weights_only": True}),
        ("open_clip_model", "mine", "model", "transform", {}),
    ]


@pytest.mark.parametrize(
    ("spec", "weights"), [("resnet50", "IMAGENET1K_V2"), ("resnet50/IMAGENET1K_V1", "IMAGENET1K_V1")]
)
def test_torchvision__its_default_weights_or_those_named(spec: str, weights: str, made: list[Any]) -> None:
    request = LoadRequest(f"torchvision:{spec}", "cpu")
    libraries.load_torchvision(request)
    member = torchvision.models.ResNet50_Weights[weights]
    name = f"torchvision:resnet50/{weights}"
    assert made == [
        ("torchvision", Checkpoint(name, Path(), None), request, "its weights cannot be fetched", FETCHED),
        (("resnet50",), {"weights": member, "progress": False}),
        ("torchvision_model", "resnet50", name, "torchvision", member),
    ]
    assert FETCHED == "take its file out of the cache, so that it is fetched again"
    assert NEAREST == ("save it again with the library that trained it, so that config.json describes these weights")


def test_torchvision_model__what_an_encoder_needs_of_it() -> None:
    weights = SimpleNamespace(transforms=lambda: "transform", meta={"categories": ["a", "b"]}, url="https://x")
    model = torch.nn.Linear(1, 1)
    result = libraries.torchvision_model("resnet18", "mine", model, weights)
    assert (result.weights, result.transform, result.pooling) == (
        model, "transform", "the input of the last linear layer"
    )  # fmt: skip
    assert result.details == {
        "architecture": "resnet18", "url": "https://x", "torchvision": torchvision.__version__
    }  # fmt: skip
    assert result.training.group == "SUP"
    assert libraries.torchvision_model("a", "b", model, SimpleNamespace(**{**vars(weights), "meta": {}})).training == (
        "unknown", "unknown"
    )  # fmt: skip
    parts = (result.network, result.forward, result.candidates, result.stateless, dict(result.record))
    expected = (libraries.without_classifier, libraries.pooled_output, libraries.candidates_of_preset, True, {})
    assert parts == expected
