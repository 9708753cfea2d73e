"""Which tensors of a file are a network's weights, on names made by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmark.encoders.loaders.checkpoint_files.fitting import fitted
from builders.errors import EncoderError, UsageError

NETWORK = {
    "conv.weight": torch.Size([4, 3]),
    "norm.weight": torch.Size([4]),
    "norm.num_batches_tracked": torch.Size([]),
    "blocks.0.weight": torch.Size([4, 4]),
    "cls_token": torch.Size([4]),
}


def copy(prefix: str = "", value: float = 1.0, without: str = "") -> dict[str, torch.Tensor]:
    return {f"{prefix}{name}": torch.full(shape, value) for name, shape in NETWORK.items() if name != without}


@pytest.mark.parametrize(
    ("file", "options", "prefix"),
    [
        (copy(), {}, ""),
        (copy("module."), {}, "module."),
        (copy("state_dict.model.backbone."), {}, "state_dict.model.backbone."),
        (copy("a.", without="norm.num_batches_tracked"), {}, "a."),
        (copy("state_dict.") | copy("state_dict_ema.", 2), {}, "state_dict."),
        (copy("state_dict.") | copy("state_dict_ema.module.", 2), {"ema": True}, "state_dict_ema.module."),
        (copy("ema.net.") | copy("net.", 2), {}, "net."),
        (copy("params.") | copy("params_ema.", 2), {"ema": True}, "params_ema."),
        (copy("emanation.") | copy("swa_model.", 2), {}, "emanation."),
        (copy("student.net.") | copy("teacher.net.", 2), {"prefix": "teacher.net"}, "teacher.net."),
        (copy("student.net.") | copy("teacher.net.", 2), {"prefix": "student.net."}, "student.net."),
        (copy("long.alias.") | copy("net."), {}, "net."),
        (copy() | copy("momentum.", 2), {"prefix": "momentum"}, "momentum."),
        (copy("subnet.") | copy("a.net.", 2), {"prefix": "net"}, "a.net."),
        (copy("b.") | copy("a.") | {"a.conv.weight": torch.ones(3, 4)}, {}, "b."),
    ],
)
def test_fitted__the_one_prefix_with_all_weights(file: Any, options: Any, prefix: str) -> None:
    fit = fitted("mine", NETWORK, file | {"head.bias": torch.ones(1)}, "net", **options)
    assert fit.prefix == prefix
    assert {name: fit.tensors[name].shape for name in NETWORK if name in fit.tensors}.items() <= NETWORK.items()
    assert ("head.bias" in fit.tensors) == (prefix == "")
    assert ("head.bias" in fit.elsewhere) == (prefix != "")
    assert len(fit.tensors) + len(fit.elsewhere) == len(file) + 1


def test_fitted__another_copy_below_an_empty_prefix_is_elsewhere() -> None:
    file = copy() | copy("model_ema.", 2) | {"head.bias": torch.ones(1)}
    fit = fitted("mine", NETWORK, file, "net")
    assert fit.prefix == ""
    assert sorted(fit.elsewhere) == sorted(copy("model_ema."))
    assert "head.bias" in fit.tensors


@pytest.mark.parametrize(
    ("file", "options", "kind", "words"),
    [
        (copy("a.") | copy("b.", 2), {}, UsageError, r"2 times: say which, by prefix= .'a.' and 'b.'"),
        (copy("x.model_ema."), {}, UsageError, "averaged weights .EMA. alone: add ema=true"),
        (copy("a."), {"ema": True}, UsageError, "no averaged weights .EMA.: leave ema=true out"),
        (copy("a."), {"prefix": "b"}, UsageError, "stand under prefix=b; its names begin a.conv.weight"),
        ({"fc.weight": torch.ones(2)}, {}, EncoderError, "none of its 1 weights belongs to net .fc.weight"),
    ],
)
def test_fitted__refusals(file: Any, options: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        fitted("mine", NETWORK, file, "net", **options)


def test_fitted__a_copy_that_lacks_a_weight_is_returned_for_the_check_of_weights() -> None:
    fit = fitted("mine", NETWORK, copy("a.", without="cls_token"), "net")
    assert fit.prefix == "a."
    assert "cls_token" not in fit.tensors
