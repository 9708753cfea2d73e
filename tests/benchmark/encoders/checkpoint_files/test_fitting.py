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
    ("file", "options", "kind", "words"),
    [
        (copy("a.") | copy("b.", 2), {}, UsageError, "prefix"),
        (copy("x.model_ema."), {}, UsageError, "ema=true"),
        (copy("a."), {"ema": True}, UsageError, "ema=true"),
        (copy("a."), {"prefix": "b"}, UsageError, "prefix=b"),
        ({"fc.weight": torch.ones(2)}, {}, EncoderError, "weights"),
    ],
)
def test_fitted__refusals(file: Any, options: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        fitted("mine", NETWORK, file, "net", **options)
