"""Encoders with a name in this package: their sources, what a result records of them, downloads, and every refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.encoders import MODERN, STUDY, InstalledLists, installed_lists, list_encoders
from benchmark.encoders.catalogue import study_row
from benchmark.encoders.loaders import bundled, study_weights
from benchmark.encoders.loaders.study_weights import SOURCES, read_encoder
from benchmark.encoders.preprocess.pixels import IMAGENET_MEAN, IMAGENET_STD
from benchmark.encoders.registry import NAMED
from builders.errors import CamtraceError

URL = "https://dl.fbaipublicfiles.com"
CLASS_TOKEN = "class token after the last norm"


def refusal(function: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments, **named)
    return f"{type(refused.value).__name__}: {refused.value}"


AUTHORS = {
    "checkpoint:dino-resnet50": (
        "dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth", "resnet50", "global average pooling", "bicubic"),
    "checkpoint:mocov3-resnet50": (
        "moco-v3/r-50-1000ep/r-50-1000ep.pth.tar", "resnet50", "global average pooling", "bilinear"),
    "checkpoint:mocov3-vit-small": (
        "moco-v3/vit-s-300ep/vit-s-300ep.pth.tar", "mocov3-vit-small", CLASS_TOKEN, "bilinear"),
    "checkpoint:mocov3-vit-base": (
        "moco-v3/vit-b-300ep/vit-b-300ep.pth.tar", "mocov3-vit-base", CLASS_TOKEN, "bilinear"),
}  # fmt: skip
"""Specification -> path on the server, architecture, pooling, filter."""


@pytest.mark.parametrize("spec", AUTHORS)
def test_study_weights__what_a_result_records(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, architecture, pooling, resample = AUTHORS[spec]
    tiny = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    read: list[Any] = []
    downloads: list[Any] = []
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *given, **named: downloads.append((given, named)))
    monkeypatch.setattr(study_weights, "read_encoder", lambda *given: read.append(given) or tiny)
    encoder = NAMED[spec].load(study_weights.LoadRequest(spec, "cpu"))
    file = tmp_path / "checkpoints" / path.rpartition("/")[2]
    assert downloads == [((f"{URL}/{path}", str(file)), {"progress": False})]
    assert read == [(spec, file)]
    file.write_bytes(b"")
    NAMED[spec].load(study_weights.LoadRequest(spec, "cpu"))
    assert len(downloads) == 1  # it is there
    info, row = encoder.info, study_row(spec)
    assert row is not None
    assert (info.id, info.library, info.revision, info.pooling) == (spec, "checkpoint", None, pooling)
    assert (info.group, info.training_data) == (row.group, row.training_data) == ("SSL", "ImageNet-1k")
    assert info.details == {"architecture": architecture, "url": f"{URL}/{path}"}
    assert info.preprocessing == {
        "size": [224, 224],
        "steps": [
            {"step": "ResizeShort", "size": 256, "resample": resample},
            {"step": "CenterCrop", "width": 224, "height": 224, "margin": "round"},
        ],
        "scale": "1/255",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "backend": "pil",
        "transport": "uint8",
    }
    embed: Any = encoder.embed
    assert (embed.normalise.mean, embed.normalise.std, embed.parallel) == (IMAGENET_MEAN, IMAGENET_STD, True)


def test_study_weights__which_tensors_of_a_file_are_the_encoders() -> None:
    base = "module.base_encoder."
    assert {spec: (source.prefix, source.head) for spec, source in SOURCES.items()} == {
        "checkpoint:dino-resnet50": ("", ("fc.",)),
        "checkpoint:mocov3-resnet50": (base, ("fc.",)),
        "checkpoint:mocov3-vit-small": (base, ("head.",)),
        "checkpoint:mocov3-vit-base": (base, ("head.",)),
    }
    assert all(NAMED[spec].row == study_row(spec) for spec in AUTHORS)


def test_read_encoder__damaged_files_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **named: Any) -> None:
        assert named == {"map_location": "cpu", "weights_only": True}
        raise RuntimeError("bad\nmore")

    file = tmp_path / "x.pth"
    monkeypatch.setattr(torch, "load", fails)
    assert "checkpoint:dino-resnet50" in refusal(read_encoder, "checkpoint:dino-resnet50", file)
    assert "bundled:x" in refusal(bundled.read_tensors, "bundled:x", file)


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"a": torch.zeros(1), "b": 1}])
def test_bundled__files_that_hold_no_tensors(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "x.pth")
    assert "bundled:x" in refusal(bundled.read_tensors, "bundled:x", tmp_path / "x.pth")
    torch.save({"a": torch.ones(1)}, tmp_path / "x.pth")
    assert bundled.read_tensors("bundled:x", tmp_path / "x.pth") == {"a": torch.ones(1)}


def test_lite0__norms_and_paddings_are_folded() -> None:
    module: Any = bundled.faster_lite(bundled.load_lite0_classifier())
    layers = list(module.modules())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in layers)
    pads = [layer for layer in layers if isinstance(layer, nn.ZeroPad2d)]
    assert all(len(set(layer.padding)) > 1 for layer in pads)
    assert all(isinstance(block._swish, nn.ReLU6) and block._swish.inplace for block in module._blocks)


def test_list_encoders__those_with_a_name_first_then_the_study_then_later_ones() -> None:
    specs = [row.spec for row in list_encoders()]
    study = [row.spec for row in STUDY]
    count = len(NAMED) - len(AUTHORS)
    assert specs[:count] == [spec for spec in NAMED if spec not in AUTHORS]
    assert specs[count : count + 47] == study
    assert len(specs) == count + 47 + 25
    assert study_row("mine") is None


def test_confirming__every_library_that_is_not_installed() -> None:
    none = InstalledLists(None, None)
    assert none.confirming("org/x") == "no installed list; timm is not installed; open_clip is not installed"
    assert none.confirming("open_clip:a/b") == "not searched: open_clip is not installed"
    lists = InstalledLists(frozenset({"org/x"}), {})
    assert lists.confirming("org/x") == "no installed list"
    assert lists.confirming("open_clip:a/b") == "no: open_clip.list_pretrained() does not know it"
    assert lists.confirming("timm/timm/x") == "no: timm.list_pretrained() does not know it"


def test_installed_lists__of_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    timm = SimpleNamespace(list_pretrained=lambda: ["a.b", "a.c"])
    configs = {"one": {"hf_hub": "org/one/"}, "two": {"hf_hub": "org/one"}, "three": {"hf_hub": None}, "four": None}
    open_clip = SimpleNamespace(
        list_pretrained=lambda: [("ViT", tag) for tag in configs],
        get_pretrained_cfg=lambda architecture, tag: configs[tag] if architecture == "ViT" else {},
    )
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setitem(sys.modules, "open_clip", open_clip)
    names = {f"ViT/{tag}": f"ViT/{tag}" for tag in configs}
    assert installed_lists() == InstalledLists(frozenset({"a.b", "a.c"}), {**names, "org/one": "ViT/one"})
    for name in ("timm", "open_clip"):
        monkeypatch.setitem(sys.modules, name, None)
    assert installed_lists() == InstalledLists(None, None)


def test_modern__numbers_of_parameters_to_the_last_digit() -> None:
    """Records of numbers are compared with a tolerance; these are printed, and weighted by their place in the list."""
    assert sum(place * row.parameters for place, row in enumerate(MODERN, 1)) == 109_246_505_024  # type: ignore[operator]
