"""Forward passes by ``torch.compile``: each encoder for itself, one graph for every size of batch, or an error."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch
from torch import nn

Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def compiled_forward(forward: Forward, **options: Any) -> Forward:
    """``forward`` compiled for one encoder.

    Torch keeps what it compiles with the code of a function, eight graphs at most, and then goes on uncompiled without
    a word: several encoders that share the lines of a ``forward`` would take each other's places. So each gets code of
    its own, the number of views is marked as one that changes, and a graph too many is an error.

    Args:
        forward: (module, pixels [n, ...]) -> [n, dimension].
        options: of ``torch.compile``.
    """

    def own(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        return forward(module, pixels)

    compiled = torch.compile(
        FunctionType(own.__code__.replace(), own.__globals__, own.__name__, None, own.__closure__), **options
    )

    def run(module: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        count = len(pixels)
        if count == 1:  # a size of one is a graph of its own
            pixels = torch.cat([pixels, pixels])
        torch._dynamo.maybe_mark_dynamic(pixels, 0)
        with torch._dynamo.config.patch({_limit(): True}):
            return compiled(module, pixels)[:count]

    return run


@functools.cache
def _limit() -> str:
    """The setting of torch that makes a graph too many an error. Asked for when it is needed: ``torch._dynamo`` takes
    a second to import."""
    new = "fail_on_recompile_limit_hit"
    return new if hasattr(torch._dynamo.config, new) else "fail_on_cache_limit_hit"  # before torch 2.6
