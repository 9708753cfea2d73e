"""Ways to read the layers of a network (``Tap``): by hooks, by timm, by transformers; ``find_tap`` chooses one."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn

from benchmark.encoders.layers.hooks import HookState, OnLayer, Tokens, first_tensor, hook_tap, picture_of
from benchmark.encoders.layers.pooling import Layer
from benchmark.encoders.network import Forward, pooled
from builders.errors import UsageError


class Tap(Protocol):
    """One way to read the layers of a network."""

    @property
    def read(self) -> str:
        """How layers are read, in words, for results."""
        ...

    def __call__(self, module: nn.Module, pixels: torch.Tensor, forward: Forward, on_layer: OnLayer) -> torch.Tensor:
        """One forward pass that calls ``on_layer`` for every layer; returns the embedding [n, dimension]."""
        ...


@dataclass(frozen=True)
class TappedLayers:
    """A way to read a network's layers, and their features of a few views."""

    tap: Tap
    layers: Sequence[Layer]


def find_tap(module: nn.Module, library: str, pixels: torch.Tensor, forward: Forward) -> TappedLayers | None:
    """The way to read a network's layers, tried on a batch; None where none works.

    timm's ``forward_intermediates``, transformers' hidden states, or hooks where there is neither or where they change
    the embedding of ``forward`` in any bit.

    Args:
        module: the network.
        library: that loaded it, of ``encoder.LIBRARIES``.
        pixels: two or more views.
        forward: (module, pixels) -> embeddings.
    """
    expected = forward(module, pixels)
    candidates: list[Callable[[], Tap | None]] = [lambda: hook_tap(module, pixels, forward)]
    if library == "timm":
        candidates.insert(0, lambda: timm_tap(module))
    if library == "transformers":
        candidates.insert(0, lambda: hidden_states_tap(module, pixels, forward))
    for candidate in candidates:
        tap = candidate()
        layers: dict[int, Layer] = {}
        if tap is None:
            continue
        try:
            final = tap(module, pixels, forward, layers.__setitem__)
        except (TypeError, ValueError, RuntimeError, AssertionError, AttributeError, NotImplementedError):
            continue  # a model whose layers the library does not give
        if torch.equal(final, expected) and len(layers) > 1:
            return TappedLayers(tap, [layers[number] for number in range(len(layers))])
    return None


@dataclass(frozen=True)
class TimmTap:
    """Layers of a timm model by its ``forward_intermediates``."""

    as_map: bool
    """It gives maps [n, d, height, width], not sequences."""
    prefix: bool
    """It gives class and register tokens separately."""
    read: str = "timm's forward_intermediates, before the final norm"

    def __call__(self, module: nn.Module, pixels: torch.Tensor, forward: Forward, on_layer: OnLayer) -> torch.Tensor:
        network: Any = module
        options: dict[str, Any] = {"output_fmt": "NCHW" if self.as_map else "NLC"}
        if self.prefix:
            options["return_prefix_tokens"] = True
        features, layers = network.forward_intermediates(pixels, **options)
        grid = _timm_grid(network)
        has_class = getattr(network, "cls_token", None) is not None
        for number, layer in enumerate(layers):
            patches, prefix = layer if isinstance(layer, tuple | list) else (layer, None)
            tokens = prefix[:, :1] if prefix is not None and has_class and prefix.shape[1] else None
            on_layer(number, Layer(patches, tokens, grid if patches.ndim == 3 else None))
        return pooled(network.forward_head(features), picture=pixels.shape[-2:])


def _timm_grid(network: Any) -> tuple[int, int] | None:
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    return (int(grid[0]), int(grid[1])) if grid is not None else None


def timm_tap(module: Any) -> TimmTap | None:
    """A tap on a timm model; None where it has no ``forward_intermediates``."""
    function = getattr(module, "forward_intermediates", None)
    if function is None or not hasattr(module, "forward_head"):
        return None
    gives_prefix = "return_prefix_tokens" in inspect.signature(function).parameters
    return TimmTap(as_map=not gives_prefix, prefix=gives_prefix)


@dataclass(frozen=True)
class HiddenStatesTap:
    """Layers of a transformers model by its hidden states."""

    tokens: Tokens
    state: HookState
    read: str
    first: int
    """Number of the hidden state that is the first layer's output: 1 where the input of the first layer is one too."""

    @classmethod
    def on(cls, module: nn.Module, name: str, output: Any, first: int) -> HiddenStatesTap:
        """Request the hidden states of a submodule in every pass of this tap.

        Args:
            module: the network; hooks are registered permanently.
            name: of the submodule.
            output: one of its outputs, with hidden states.
            first: as of the class.
        """
        state = HookState()

        def request_states(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
            return (args, {**kwargs, "output_hidden_states": True}) if state.on_output is not None else None

        def store(_: nn.Module, inputs: Any, output: Any) -> None:
            if state.on_output is not None:
                state.last = output

        target = module.get_submodule(name)
        target.register_forward_pre_hook(request_states, with_kwargs=True)
        target.register_forward_hook(store)
        last, states = getattr(output, "last_hidden_state", None), hidden_states(output)
        normed = isinstance(last, torch.Tensor) and last.shape == states[-1].shape and torch.equal(last, states[-1])
        norm = "the last is last_hidden_state" if normed else "before the final norm"
        which = "hidden states" if first else "all hidden states"
        return cls(Tokens.of(module), state, f"{which} of transformers, {norm}", first)

    def __call__(self, module: nn.Module, pixels: torch.Tensor, forward: Forward, on_layer: OnLayer) -> torch.Tensor:
        self.state.on_output, self.state.last = lambda number, output: None, None
        try:
            final = forward(module, pixels)
            states = hidden_states(self.state.last)
        finally:
            self.state.on_output = self.state.last = None
        for number, features in enumerate(states[self.first :]):
            on_layer(number, self.tokens.layer(features, len(pixels), picture_of(pixels)))
        return final


def hidden_states(output: Any) -> tuple[torch.Tensor, ...]:
    """Hidden states in the output of a transformers model; empty if there are none."""
    states = getattr(output, "hidden_states", None)
    return tuple(states) if states is not None else ()


def hidden_states_tap(module: nn.Module, pixels: torch.Tensor, forward: Forward) -> HiddenStatesTap | None:
    """A tap on the outermost module of a transformers model that can return hidden states; None if there is none."""
    called: list[str] = []
    with contextlib.ExitStack() as stack:
        for name, part in module.named_modules():
            if hasattr(part, "config"):
                note = partial(_note_call, called, name)
                stack.callback(part.register_forward_pre_hook(note).remove)
        forward(module, pixels)
    for name in sorted({n for n in called if called.count(n) == 1}, key=lambda n: (n.count(".") + bool(n), n)):
        sums: dict[str, Sums] = {}
        output = _output_with_states(module, name, pixels, forward, sums)
        states = hidden_states(output)
        if len(states) > 1:
            return HiddenStatesTap.on(module, name, output, _first_layer(states, sums))
    return None


Sums = tuple[int, float, float]
"""Number of values of a tensor, their sum and the sum of their squares: the same in any layout."""


def _sums(tensor: torch.Tensor) -> Sums:
    values = tensor.detach().double()
    return values.numel(), float(values.sum()), float(values.square().sum())


def _first_layer(states: Sequence[torch.Tensor], sums: dict[str, Sums]) -> int:
    """0 where the first hidden state is a layer's output, as in SegFormer, PVT v2 or MobileNet; else 1.

    It is one if it comes from a module that stands in a list before the one that gives the second hidden state.

    Args:
        states: of a batch.
        sums: of the outputs of the modules in lists, by name.
    """
    first, second = ([name for name, s in sums.items() if _same(s, _sums(state))] for state in states[:2])
    return 0 if any(_stands_before(a, b) for a in first for b in second) else 1


def _same(a: Sums, b: Sums) -> bool:
    return a[0] == b[0] and all(
        math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9) for x, y in zip(a[1:], b[1:], strict=True)
    )


def _stands_before(name: str, other: str) -> bool:
    """True for names that differ in one number alone, which is smaller in the first.

    >>> _stands_before("stages.0", "stages.1"), _stands_before("block.0.0", "block.1.0"), _stands_before("a.0", "b.1")
    (True, True, False)
    """
    parts, others = name.split("."), other.split(".")
    if len(parts) != len(others):
        return False
    different = [(a, b) for a, b in zip(parts, others, strict=True) if a != b]
    return (
        len(different) == 1
        and all(part.isdecimal() for part in different[0])
        and int(different[0][0]) < int(different[0][1])
    )


def _note_call(called: list[str], name: str, *arguments: Any) -> None:
    called.append(name)


def _output_with_states(
    module: nn.Module, name: str, pixels: torch.Tensor, forward: Forward, sums: dict[str, Sums]
) -> Any:
    """Output of a submodule that is called with ``output_hidden_states``; None if it has no such argument.

    Args:
        sums: gets those of the outputs of the modules in its lists, by name.
    """
    outputs: list[Any] = []
    target = module.get_submodule(name)

    def request_states(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        masks = [v for key, v in kwargs.items() if "mask" in key and isinstance(v, torch.Tensor)]
        if "spatial_shapes" in kwargs or not all(bool(mask.bool().all()) for mask in masks):
            raise UsageError("its sequences are padded, and --outputs does not tell patches from padding")
        return args, {**kwargs, "output_hidden_states": True}

    def store_sums(_: nn.Module, inputs: Any, output: Any, name: str) -> None:
        with contextlib.suppress(ValueError, IndexError):
            sums[name] = _sums(first_tensor(output))

    with contextlib.ExitStack() as stack:
        stack.callback(target.register_forward_pre_hook(request_states, with_kwargs=True).remove)
        stack.callback(target.register_forward_hook(lambda _, inputs, output: outputs.append(output)).remove)
        for part, layer in target.named_modules():
            if part.rpartition(".")[2].isdecimal():
                stack.callback(layer.register_forward_hook(partial(store_sums, name=part)).remove)
        try:
            forward(module, pixels)
        except TypeError:  # forward() got an unexpected keyword argument
            return None
    return outputs[0] if outputs else None
