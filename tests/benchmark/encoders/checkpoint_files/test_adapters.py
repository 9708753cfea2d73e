"""Adapters of PEFT: which base, what is merged and what is left out, what a result names, and every refusal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from benchmark.encoders import Encoder, EncoderInfo
from benchmark.encoders.loaders.checkpoint_files import adapters
from benchmark.encoders.loaders.hub import Checkpoint
from benchmark.encoders.registry import LoadRequest
from builders.errors import CamtraceError, EncoderError
from tests.encoders_by_hand.case import VIT
from tests.encoders_by_hand.trainers import _peft

MERGE = "merge it where it was trained: model.merge_and_unload().save_pretrained(FOLDER), then --model ./FOLDER"


def refusal(function: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments)
    return f"{type(refused.value).__name__}: {refused.value}"


def folder_of(folder: Path, **config: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Fetching, merging, copying and loading, recorded; nothing is merged."""
    info = EncoderInfo("merged", "transformers", None, "0123456789" + 54 * "0", 2, {}, "mean", 8, details={"a": 1})
    encoder = Encoder(info, np.asarray, lambda batch: batch, "cpu", "float32", notices=("before",))
    record = SimpleNamespace(fetched=[], merged=[], copied=[], loaded=[], encoder=encoder, info=info)

    def fetch(*given: Any) -> tuple[Path, str]:
        record.fetched.append(given)
        return tmp_path / "fetched", "commit"

    def merge(base: Path, adapter: Path, target: Path, label: str) -> None:
        assert target.is_dir()
        record.merged.append((base, adapter, label))

    def load(merged: Path, checkpoint: Checkpoint, request: LoadRequest) -> Encoder:
        assert (checkpoint.folder, merged.name.startswith("camtrace-")) == (merged, True)
        record.loaded.append((checkpoint.name, checkpoint.revision, dict(checkpoint.options), request))
        return encoder

    monkeypatch.setattr(adapters, "fetch", fetch)
    monkeypatch.setattr(adapters, "_merge", merge)
    monkeypatch.setattr(adapters, "copy_descriptions", lambda source, target: record.copied.append(source))
    monkeypatch.setattr(adapters, "load_from", load)
    return record


def test_load_adapter__of_a_base_on_the_hub(calls: SimpleNamespace, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", base_model_name_or_path="org/base", peft_type="LORA", revision="v1")
    request = LoadRequest("weights:a?size=9&output=tokens", "cpu", trust_remote_code=True)
    encoder = adapters.load_adapter(folder, "weights:a", request)
    assert calls.fetched == [("org/base", "v1", True)]
    assert calls.merged == [(tmp_path / "fetched", folder, "weights:a")]
    assert calls.copied == [folder, tmp_path / "fetched"]  # the adapter's own files first
    assert calls.loaded == [("weights:a", None, {"size": "9", "output": "tokens"}, request)]
    info = replace(
        calls.info, id="weights:a@01234567?output=tokens&size=9",
        details={"a": 1, "adapter": "LORA", "base": "org/base"},
    )  # fmt: skip
    notices = ("before", "weights:a: LORA adapter, merged into org/base")
    assert encoder == replace(calls.encoder, info=info, notices=notices)
    folder_of(folder, base_model_name_or_path="org/base", revision=3)
    encoder = adapters.load_adapter(folder, "weights:a", LoadRequest("weights:a"))
    assert calls.fetched[1:] == [("org/base", None, False)]
    assert (encoder.info.id, encoder.info.details["adapter"]) == ("weights:a@01234567", "None")


@pytest.mark.parametrize("base", ["./base", "here/base", "~/base", "/base"])
def test_load_adapter__of_a_base_in_a_folder_names_no_path(
    base: str, calls: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "root" / "base" if base == "/base" else Path(base.replace("~", str(tmp_path)))
    name = str(path) if base == "/base" else base
    folder = folder_of(tmp_path / "a", base_model_name_or_path=name, peft_type="LORA")
    if not base.startswith("here"):  # which without a folder would be a repo of the Hub
        assert refusal(adapters.load_adapter, folder, "weights:a", LoadRequest("a")) == (
            f"UsageError: weights:a is an adapter of base, a folder that is not there; {MERGE}"
        )
    path.mkdir(parents=True)
    encoder = adapters.load_adapter(folder, "weights:a", LoadRequest("a"))
    assert (calls.fetched, calls.merged) == ([], [(path, folder, "weights:a")])
    assert encoder.info.details["base"] == "base"
    assert encoder.notices[1:] == ("weights:a: LORA adapter, merged into base",)


def test_load_adapter__refusals(calls: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for base in (None, "", 3):
        folder = folder_of(tmp_path / "a", base_model_name_or_path=base)
        assert refusal(adapters.load_adapter, folder, "weights:a", LoadRequest("a")) == (
            "UsageError: weights:a is an adapter whose adapter_config.json names no base (base_model_name_or_path); "
            + MERGE
        )
    folder = folder_of(tmp_path / "a", base_model_name_or_path="org/base")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "peft", None)
        assert refusal(adapters.load_adapter, folder, "weights:a", LoadRequest("a")) == (
            "UsageError: weights:a, an adapter, needs the package peft, which is not installed: pip install "
            "'camtrace[peft]'"
        )

    def absent(*_: Any) -> None:
        raise EncoderError("org/base: there is no network")

    monkeypatch.setattr(adapters, "fetch", absent)
    assert refusal(adapters.load_adapter, folder, "weights:a", LoadRequest("a")) == (
        "EncoderError: weights:a is an adapter of org/base, which cannot be loaded (org/base: there is no network); "
        + MERGE
    )


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of transformers, by PEFT
def test_merge__the_adapted_network_with_the_classes_of_the_adapter(tmp_path: Path) -> None:
    adapted: Any = _peft(tmp_path)  # seven classes on a base of two
    adapters._merge(tmp_path / "base", tmp_path / "adapter", tmp_path / "merged", "mine")
    tensors = load_file(tmp_path / "merged" / "model.safetensors")
    adapted.merge_and_unload().save_pretrained(tmp_path / "expected")
    expected = load_file(tmp_path / "expected" / "model.safetensors")
    assert tensors.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(tensors[name], expected[name])
    assert tf.AutoConfig.from_pretrained(tmp_path / "merged").num_labels == 7
    file = tmp_path / "base" / "model.safetensors"
    base = load_file(file)
    base.pop("vit.layernorm.bias")
    save_file(base, file, {"format": "pt"})
    adapters._merge(tmp_path / "base", tmp_path / "adapter", tmp_path / "less", "mine")
    less = load_file(tmp_path / "less" / "model.safetensors")
    assert tensors.keys() - less.keys() == {"vit.layernorm.bias"}  # a random number would look as if it were trained
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    changed = load_file(weights)
    first = min(name for name in changed if "lora_A" in name)
    changed[first] = torch.zeros(2, 2)
    save_file(changed, weights)
    assert first in refusal(adapters._merge, tmp_path / "base", tmp_path / "adapter", tmp_path / "x", "mine")
    weights.write_bytes(b"damaged")
    message = refusal(adapters._merge, tmp_path / "base", tmp_path / "adapter", tmp_path / "x", "mine")
    assert message.startswith("EncoderError: mine: PEFT cannot merge the adapter (SafetensorError: ")
    assert message.endswith(f"); {MERGE}")


A, B = torch.zeros(2, 3), torch.zeros(4)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["a.classifier.weight", "a.classifier.bias"], 5),
        (["a.fc.weight"], 5),
        (["a.fc.weight", "b.classifier.weight"], 6),
        (["a.classifier.bias", "classifier.weight.lora_A"], None),
        ([], None),
    ],
)
def test_classes__of_the_last_head_in_the_adapter(names: list[str], labels: int | None) -> None:
    tensors = {name: torch.zeros(5 + i, 3) for i, name in enumerate(names)}
    expected = {} if labels is None else {"num_labels": labels, "ignore_mismatched_sizes": True}
    assert adapters._classes(tensors) == expected


@pytest.mark.parametrize(
    ("mapping", "architectures", "kind"),
    [
        (None, ["ViTForImageClassification"], tf.ViTForImageClassification),
        ({"base_model_class": "ViTModel"}, ["ViTForImageClassification"], tf.ViTModel),
        ({"base_model_class": "Mine"}, ["ViTForImageClassification"], tf.ViTForImageClassification),
        ({}, ["ViTConfig", "AutoConfig", "ViTModel"], tf.ViTModel),  # not every class is a model
        ({}, ["Mine", "logging"], tf.AutoModel),
        ({}, None, tf.AutoModel),
    ],
)
def test_class__that_the_adapter_was_trained_on(mapping: Any, architectures: Any, kind: Any, tmp_path: Path) -> None:
    tf.ViTConfig(**VIT, architectures=architectures).save_pretrained(tmp_path)
    assert adapters._class(tmp_path, SimpleNamespace(auto_mapping=mapping)) is kind
