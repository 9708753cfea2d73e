"""Adapters of PEFT: which base, what is merged and what is left out, what a result names, and every refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from benchmark.encoders.loaders.checkpoint_files import adapters
from builders.errors import CamtraceError
from tests.encoders_by_hand.trainers import _peft

MERGE = "merge it where it was trained: model.merge_and_unload().save_pretrained(FOLDER), then --model ./FOLDER"


def refusal(function: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(CamtraceError) as refused:
        function(*arguments)
    return f"{type(refused.value).__name__}: {refused.value}"


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
    assert "SafetensorError" in message
    assert message.endswith(f"); {MERGE}")
