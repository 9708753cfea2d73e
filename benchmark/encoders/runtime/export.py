"""A network as other runtimes convert it: one module from views to embeddings, and what holds while it is traced."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import torch
from torch import nn

from benchmark.encoders.network import Embedder


class WholeNetwork(nn.Module):
    """An embedder as one module, from views as loaders make them to embeddings: what other runtimes convert."""

    def __init__(self, embed: Embedder) -> None:
        super().__init__()
        self.module = embed.module
        self._embed = embed

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        pixels = self._embed.normalise(views) if self._embed.normalise is not None else views.float()
        return self._embed.forward(self.module, pixels)


@contextlib.contextmanager
def tracing() -> Iterator[None]:
    """Within, forward passes may be traced for another runtime: no fused attention that only torch has, no warnings.

    What tracing gets wrong, of which it warns, the comparison with torch finds.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)
