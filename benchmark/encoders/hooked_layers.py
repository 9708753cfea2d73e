"""Layers of any network, by hooks on its modules: blocks or stages, each pooled while the pass goes on, not kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmark.encoders.tap import Forward, See, Seen, Tokens, first_tensor


@dataclass(frozen=True)
class HookTap:
    """Layers by hooks on modules, which do nothing outside of a pass of this tap."""

    names: tuple[str, ...]
    """Of the modules, as ``get_submodule`` of the network takes them, in order."""
    tokens: Tokens
    read: str
    seen: Seen

    @classmethod
    def on(cls, module: nn.Module, names: Sequence[str], read: str) -> HookTap:
        """Hooks on modules of a network, which stay there."""
        seen = Seen()
        for number, name in enumerate(names):

            def tell(_: nn.Module, given: Any, output: Any, number: int = number) -> None:
                if seen.see is not None:
                    seen.see(number, output)

            module.get_submodule(name).register_forward_hook(tell)
        return cls(tuple(names), Tokens.of(module), read, seen)

    def __call__(self, module: nn.Module, pixels: torch.Tensor, forward: Forward, see: See) -> torch.Tensor:
        self.seen.see = lambda number, output: see(number, self.tokens.layer(first_tensor(output), len(pixels)))
        try:
            return forward(module, pixels)
        finally:
            self.seen.see = None


def hook_tap(module: nn.Module, pixels: torch.Tensor, forward: Forward) -> HookTap | None:
    """Of any network: its blocks (the longest list of modules that keep the shape of a sequence), or else its stages
    (the last module of each size of the map, among those that follow each other); None where there are no two."""
    order, shapes = _called(module, pixels, forward)
    names = _blocks(module, shapes, len(pixels)) or _stages(module, order, shapes)
    if len(names) < 2:
        return None
    return HookTap.on(module, names, f"hooks on {names[0]} ... {names[-1]}")


def _called(module: nn.Module, pixels: torch.Tensor, forward: Forward) -> tuple[list[str], dict[str, tuple[int, ...]]]:
    """The modules that were called once and gave one tensor first, in the order in which they were done; the shapes."""
    order: list[str] = []
    shapes: dict[str, tuple[int, ...]] = {}
    with contextlib.ExitStack() as stack:
        for name, part in module.named_modules():

            def note(_: nn.Module, given: Any, output: Any, name: str = name) -> None:
                order.append(name)
                with contextlib.suppress(ValueError, IndexError):
                    shapes[name] = tuple(first_tensor(output).shape)

            stack.callback(part.register_forward_hook(note).remove)
        forward(module, pixels)
    once = [name for name in dict.fromkeys(order) if order.count(name) == 1 and name in shapes]
    return once, {name: shapes[name] for name in once}


def _blocks(module: nn.Module, shapes: dict[str, tuple[int, ...]], views: int) -> list[str]:
    best: list[str] = []
    for name, part in module.named_modules():
        if isinstance(part, nn.ModuleList | nn.Sequential):
            children = [f"{name}.{child}".lstrip(".") for child, _ in part.named_children()]
            same = {shapes.get(child, ()) for child in children}
            if len(same) == 1 and len(next(iter(same))) == 3 and len(children) > max(1, len(best)):
                best = children
    return best


def _stages(module: nn.Module, order: Sequence[str], shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """The last map of each size among modules that stand beside each other; where they stand is where most are."""
    best: list[str] = []
    inside: str | None = ""
    while inside is not None:
        here = set(_beside(module, inside))
        maps = [name for name in order if name in here and len(shapes[name]) == 4 and _side(shapes[name]) > 1]
        sizes = [_side(shapes[name]) for name in maps]
        last = [name for i, name in enumerate(maps) if i + 1 == len(maps) or sizes[i] != sizes[i + 1]]
        best = last if len(last) > len(best) else best
        inside = max(here, key=lambda name: sum(1 for _ in module.get_submodule(name).modules()), default=None)
    return best


def _beside(module: nn.Module, inside: str) -> Iterator[str]:
    """Names of the children of a submodule; a list of modules stands for its own."""
    for child, part in module.get_submodule(inside).named_children():
        name = f"{inside}.{child}".lstrip(".")
        if isinstance(part, nn.ModuleList):
            yield from _beside(module, name)
        else:
            yield name


def _side(shape: tuple[int, ...]) -> int:
    """Of a map, wherever its channels are."""
    _, a, b, c = shape
    return a if a == b != c else c
