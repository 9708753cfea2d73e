"""A network as other runtimes convert it: one module from views to embeddings, and the settings for tracing it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import torch
from torch import nn

from benchmark.encoders.network import Embedder


class WholeNetwork(nn.Module):
    """An embedder as one module: normalisation and forward pass, from views to embeddings."""

    def __init__(self, embed: Embedder) -> None:
        super().__init__()
        self.module = embed.module
        self._embed = embed

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        pixels = self._embed.normalise(views) if self._embed.normalise is not None else views.float()
        return self._embed.forward(self.module, pixels)


@contextlib.contextmanager
def tracing() -> Iterator[None]:
    """Within it forward passes may be traced for another runtime: without torch's fused attention and without warnings.

    Torch warns of what tracing may get wrong; the comparison with torch's embeddings detects it.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)
