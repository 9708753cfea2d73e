"""Where the layers of a network are read, in the forward pass that gives its embedding: one way for each library.

A tap (``tap.py``) calls the network once, as its ``forward`` does, and hands each layer on as soon as it can:
``TimmTap`` (``timm_layers.py``), ``HiddenStatesTap`` (``transformers_layers.py``) or, for everything else, ``HookTap``
(``hooked_layers.py``). ``find_tap`` chooses, tries on two pictures, and takes no way whose embedding differs from the
network's own in one bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from benchmark.encoders.hooked_layers import hook_tap
from benchmark.encoders.output_pooling import Layer
from benchmark.encoders.tap import Forward, Tap
from benchmark.encoders.timm_layers import timm_tap
from benchmark.encoders.transformers_layers import hidden_states_tap


def find_tap(module: nn.Module, library: str, pixels: torch.Tensor, forward: Forward) -> Found | None:
    """The way to read a network's layers, tried on a batch of two or more views; None where none is right.

    Of timm ``forward_intermediates``, of transformers hidden states, and hooks where there is neither, or where they
    give another embedding than ``forward`` in any bit.
    """
    expected = forward(module, pixels)
    ways: list[Callable[[], Tap | None]] = [lambda: hook_tap(module, pixels, forward)]
    if library == "timm":
        ways.insert(0, lambda: timm_tap(module))
    if library == "transformers":
        ways.insert(0, lambda: hidden_states_tap(module, pixels, forward))
    for way in ways:
        tap = way()
        layers: dict[int, Layer] = {}
        if tap is None:
            continue
        try:
            final = tap(module, pixels, forward, layers.__setitem__)
        except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, NotImplementedError):
            continue  # a model that its library does not read so
        if torch.equal(final, expected) and len(layers) > 1:
            return Found(tap, [layers[number] for number in range(len(layers))])
    return None


@dataclass(frozen=True)
class Found:
    """A way to read a network's layers, and what they hold of a few views."""

    tap: Tap
    layers: Sequence[Layer]
