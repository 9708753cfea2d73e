"""``ignore=``: which weights of a file it leaves out where the network is of transformers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file

from benchmark.encoders.loaders.checkpoint_files import transformers_files
from benchmark.encoders.loaders.checkpoint_files.architectures import Architecture
from benchmark.encoders.loaders.checkpoint_files.reading import WeightsFile
from benchmark.encoders.loaders.checkpoint_files.request import parsed_request
from benchmark.encoders.registry import LoadRequest
from tests.encoders_by_hand.case import VIT

MORE = ("classifier.more", "vit.extra", "vitality")


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("", ()), ("&ignore=vit.", ("vit.extra",)), ("&ignore=vit,classifier.", MORE), ("&ignore=it", ()),
        ("&ignore=vitality,", ("vitality",)),
    ],
)  # fmt: skip
def test_ignore__leaves_out_only_what_the_network_does_not_have(
    ignore: str, left: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tf.ViTForImageClassification(tf.ViTConfig(**VIT, num_labels=3, architectures=["ViTForImageClassification"]))
    model.config.save_pretrained(tmp_path)
    tensors = {**model.state_dict(), **{name: torch.ones(2) for name in MORE}}
    written: list[Any] = []

    def load_from(folder: Path, checkpoint: Any, request: LoadRequest) -> Any:
        config = tf.AutoConfig.from_pretrained(folder)
        written.append((load_file(folder / "model.safetensors"), config.num_labels, checkpoint.options))
        return SimpleNamespace(info=SimpleNamespace(details={"ignored_weights": ["before"]}))

    monkeypatch.setattr(transformers_files, "load_from", load_from)
    wanted = parsed_request(f"weights:a.pt?arch=transformers:x&size=9{ignore}")
    weights = WeightsFile(tensors, {})
    architecture = Architecture("transformers", str(tmp_path))
    _, fit, ignored = transformers_files.load(weights, architecture, wanted, "mine", LoadRequest("a"))
    [(stored, classes, options)] = written
    assert tensors.keys() - stored.keys() == set(left)
    assert all(torch.equal(stored[name], tensors[name]) for name in stored)
    assert (fit.prefix, classes, options) == ("", 3, {"size": "9"})
    heads = "classifier.bias, classifier.weight: the classifier"
    assert {*ignored} == {"before", heads, *([f"{', '.join(left)}: left out as ignore= says"] if left else [])}
