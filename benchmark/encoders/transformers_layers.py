"""Layers of a transformers model: its hidden states, asked of the module that gives them; nothing else changes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmark.encoders.tap import Forward, See, Seen, Tokens
from builders.errors import UsageError


@dataclass(frozen=True)
class HiddenStatesTap:
    """Layers of a transformers model."""

    tokens: Tokens
    seen: Seen
    read: str

    @classmethod
    def on(cls, module: nn.Module, name: str, output: Any) -> HiddenStatesTap:
        """Ask the submodule ``name``, which gave such an output, for its hidden states in every pass of this tap.

        The first hidden state, what goes into the first layer, is left out.
        """
        seen = Seen()

        def ask(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
            return (args, {**kwargs, "output_hidden_states": True}) if seen.see is not None else None

        def tell(_: nn.Module, given: Any, output: Any) -> None:
            if seen.see is not None:
                seen.last = output

        target = module.get_submodule(name)
        target.register_forward_pre_hook(ask, with_kwargs=True)
        target.register_forward_hook(tell)
        last, states = getattr(output, "last_hidden_state", None), hidden_states(output)
        normed = isinstance(last, torch.Tensor) and last.shape == states[-1].shape and torch.equal(last, states[-1])
        said = "the last is last_hidden_state" if normed else "before the final norm"
        return cls(Tokens.of(module), seen, f"hidden states of transformers, {said}")

    def __call__(self, module: nn.Module, pixels: torch.Tensor, forward: Forward, see: See) -> torch.Tensor:
        self.seen.see, self.seen.last = lambda number, output: None, None
        try:
            final = forward(module, pixels)
            states = hidden_states(self.seen.last)
        finally:
            self.seen.see = self.seen.last = None
        for number, state in enumerate(states[1:]):
            see(number, self.tokens.layer(state, len(pixels)))
        return final


def hidden_states(output: Any) -> tuple[torch.Tensor, ...]:
    """Of what a transformers model gave; empty if it gave none."""
    found = getattr(output, "hidden_states", None)
    return tuple(found) if found is not None else ()


def hidden_states_tap(module: nn.Module, pixels: torch.Tensor, forward: Forward) -> HiddenStatesTap | None:
    """Of a transformers model: the outermost module that gives hidden states when it is asked; None if none does."""
    called: list[str] = []
    with contextlib.ExitStack() as stack:
        for name, part in module.named_modules():
            if hasattr(part, "config"):
                note = partial(_note_call, called, name)
                stack.callback(part.register_forward_pre_hook(note).remove)
        forward(module, pixels)
    for name in sorted({n for n in called if called.count(n) == 1}, key=lambda n: (n.count(".") + bool(n), n)):
        output = _asked_for_states(module, name, pixels, forward)
        if len(hidden_states(output)) > 1:
            return HiddenStatesTap.on(module, name, output)
    return None


def _note_call(called: list[str], name: str, *given: Any) -> None:
    called.append(name)


def _asked_for_states(module: nn.Module, name: str, pixels: torch.Tensor, forward: Forward) -> Any:
    """What a submodule gives when it is asked for hidden states; None if it does not know them."""
    kept: list[Any] = []
    target = module.get_submodule(name)

    def ask(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        masks = [v for key, v in kwargs.items() if "mask" in key and isinstance(v, torch.Tensor)]
        if "spatial_shapes" in kwargs or not all(bool(mask.bool().all()) for mask in masks):
            raise UsageError("its sequences are padded, and --outputs does not tell patches from padding")
        return args, {**kwargs, "output_hidden_states": True}

    asks = target.register_forward_pre_hook(ask, with_kwargs=True)
    tells = target.register_forward_hook(lambda _, given, output: kept.append(output))
    try:
        forward(module, pixels)
    except TypeError:  # forward() got an unexpected keyword argument
        return None
    finally:
        asks.remove()
        tells.remove()
    return kept[0] if kept else None
