"""Layers of any network by hooks on its modules: which modules are layers, and which positions are patches."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmark.encoders.layers.pooling import Layer
from benchmark.encoders.network import Forward, channel_axis

OnLayer = Callable[[int, Layer], None]
"""Called with the number of each layer and its features."""


class HookState(threading.local):
    """State of hooks during a pass, per thread: chunks of a batch may pass a network in parallel."""

    on_output: Callable[[int, Any], None] | None = None
    """Called with the number and the output of each hooked module; None outside of a pass."""
    last: Any = None
    """The latest output."""


@dataclass(frozen=True)
class Tokens:
    """Numbers of positions of a sequence that are no patches: class tokens come first, then those that are left out."""

    classes: int
    others: int
    """Register tokens and the distillation token."""
    last: int = 0
    """Positions at the end: detection tokens (YOLOS)."""

    @classmethod
    def of(cls, module: nn.Module) -> Tokens:
        """From the names and shapes of a network's parameters; the query of a pooling head does not count.

        >>> holder = nn.Module()
        >>> holder.cls_token = nn.Parameter(torch.zeros(1, 1, 8))
        >>> holder.register_tokens = nn.Parameter(torch.zeros(1, 4, 8))
        >>> Tokens.of(holder)
        Tokens(classes=1, others=4, last=0)
        """
        classes = others = at_end = 0
        for name, parameter in module.named_parameters():
            parent, _, last = name.rpartition(".")
            count = parameter.shape[-2] if parameter.ndim > 1 else 1
            in_head = "head" in parent or "pool" in parent
            if last in ("cls_token", "class_token", "class_embedding") and not in_head:
                classes = count
            elif last in ("register_tokens", "reg_token", "distillation_token", "dist_token"):
                others += count
            elif last == "cls_register_token":  # RADIO: class tokens, then registers
                classes = int(getattr(getattr(module, "config", None), "num_cls_tokens", 0))
                others += count - classes
            elif last == "detection_tokens":
                at_end += count
        return cls(classes, others, at_end)

    def layer(self, features: torch.Tensor, views: int, picture: Sequence[int] | None = None) -> Layer:
        """Features of a module as a layer.

        Args:
            features: [views, positions, d], [positions, views, d], or a map with channels first or last.
            views: number of views.
            picture: height and width of the network's input; None where it is no picture.

        Raises:
            ValueError: the features have another shape.

        >>> layer = Tokens(1, 4).layer(torch.zeros(2, 9 + 5, 8), 2)
        >>> layer.patches.shape, layer.tokens.shape, layer.grid
        (torch.Size([2, 9, 8]), torch.Size([2, 1, 8]), (3, 3))

        A picture of 3 x 5 patches has 16 positions with its class token, which are no square of patches:

        >>> Tokens(1, 0).layer(torch.zeros(2, 16, 8), 2, (48, 80)).patches.shape
        torch.Size([2, 15, 8])
        """
        if features.ndim == 4 and len(features) == views:
            return Layer(features.permute(0, 3, 1, 2) if channels_last(features.shape, picture) else features)
        if features.ndim == 3 and len(features) != views and features.shape[1] == views:
            features = features.transpose(0, 1)  # positions first, as in older code of CLIP
        if features.ndim != 3 or len(features) != views:
            raise ValueError(f"a layer of shape {tuple(features.shape)} for {views} views")
        fits = partial(is_grid, picture=picture) if picture is not None else _square
        skip, end, count = self.classes + self.others, features.shape[1] - self.last, features.shape[1]
        if skip + self.last and fits(count) and not fits(end - skip):
            skip, end = 0, count  # the class token is added in a later layer
        tokens = features[:, : self.classes] if skip and self.classes else None
        return Layer(features[:, skip:end], tokens, _square(end - skip))


def is_grid(count: int, picture: Sequence[int]) -> bool:
    """True if so many patches may cover a picture: some stride gives their rows and columns.

    >>> is_grid(196, (224, 224)), is_grid(197, (224, 224)), is_grid(300, (640, 640)), is_grid(240, (48, 320))
    (True, False, False, True)
    """
    height, width = picture
    if count == 1:
        return True
    return any(
        count in (-(-height // stride) * -(-width // stride), (height // stride) * (width // stride))
        for stride in range(1, min(height, width) + 1)
    )


def _square(count: int) -> tuple[int, int] | None:
    """Rows and columns of so many patches, if they can be a square."""
    side = math.isqrt(max(0, count))
    return (side, side) if side and side**2 == count else None


def channels_last(shape: Sequence[int], picture: Sequence[int] | None) -> bool:
    """True if a map is [n, height, width, d]; False if it is [n, d, height, width], or may be both."""
    if picture is not None:
        return channel_axis(shape, picture) == 3
    _, a, b, c = shape
    return a == b != c


def picture_of(pixels: torch.Tensor) -> Sequence[int] | None:
    """Height and width of a network's input [n, 3, height, width]; None for other inputs."""
    return pixels.shape[-2:] if pixels.ndim == 4 and pixels.shape[1] == 3 else None


def first_tensor(output: Any) -> torch.Tensor:
    """The output of a module, or the first of several, which the next module reads."""
    while isinstance(output, tuple | list):
        output = output[0]
    if not isinstance(output, torch.Tensor):
        raise ValueError(f"a layer that gives {type(output).__name__}")
    return output


@dataclass(frozen=True)
class HookTap:
    """Layers by hooks on modules. The hooks do nothing outside of a pass of this tap."""

    names: tuple[str, ...]
    """Names of the modules, as ``get_submodule`` of the network takes them, in order."""
    tokens: Tokens
    read: str
    state: HookState

    @classmethod
    def on(cls, module: nn.Module, names: Sequence[str], read: str) -> HookTap:
        """Register hooks on modules of a network, permanently."""
        state = HookState()
        for number, name in enumerate(names):

            def pass_on(_: nn.Module, inputs: Any, output: Any, number: int = number) -> None:
                if state.on_output is not None:
                    state.on_output(number, output)

            module.get_submodule(name).register_forward_hook(pass_on)
        return cls(tuple(names), Tokens.of(module), read, state)

    def __call__(self, module: nn.Module, pixels: torch.Tensor, forward: Forward, on_layer: OnLayer) -> torch.Tensor:
        def on_output(number: int, output: Any) -> None:
            on_layer(number, self.tokens.layer(first_tensor(output), len(pixels), picture_of(pixels)))

        self.state.on_output = on_output
        try:
            return forward(module, pixels)
        finally:
            self.state.on_output = None


def hook_tap(module: nn.Module, pixels: torch.Tensor, forward: Forward) -> HookTap | None:
    """A tap on any network; None where fewer than two layers are recognised.

    Layers are its blocks, the longest list of modules that preserve the shape of a sequence; else its stages, the last
    module of each map size among modules that follow each other.
    """
    order, shapes = _called_once(module, pixels, forward)
    names = _blocks(module, shapes, len(pixels)) or _stages(module, order, shapes, picture_of(pixels))
    if len(names) < 2:
        return None
    return HookTap.on(module, names, f"hooks on {names[0]} ... {names[-1]}")


def _called_once(
    module: nn.Module, pixels: torch.Tensor, forward: Forward
) -> tuple[list[str], dict[str, tuple[int, ...]]]:
    """Names of the modules that are called exactly once, in order of completion, and the shapes of their outputs."""
    order: list[str] = []
    shapes: dict[str, tuple[int, ...]] = {}
    with contextlib.ExitStack() as stack:
        for name, part in module.named_modules():

            def note(_: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
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


def _stages(
    module: nn.Module, order: Sequence[str], shapes: dict[str, tuple[int, ...]], picture: Sequence[int] | None
) -> list[str]:
    """The last module of each map size among siblings; the parent is the one that gives most, from the root down."""
    best: list[str] = []
    parent: str | None = ""
    while parent is not None:
        siblings = set(_children(module, parent))
        sides = {name: _side(shapes[name], picture) for name in order if name in siblings and len(shapes[name]) == 4}
        maps = [name for name, side in sides.items() if side > 1]
        sizes = [sides[name] for name in maps]
        last = [name for i, name in enumerate(maps) if i + 1 == len(maps) or sizes[i] != sizes[i + 1]]
        best = last if len(last) > len(best) else best
        parent = max(siblings, key=lambda name: sum(1 for _ in module.get_submodule(name).modules()), default=None)
    return best


def _children(module: nn.Module, parent: str) -> Iterator[str]:
    """Names of the children of a submodule; a list of modules is replaced by its children."""
    for child, part in module.get_submodule(parent).named_children():
        name = f"{parent}.{child}".lstrip(".")
        if isinstance(part, nn.ModuleList):
            yield from _children(module, name)
        else:
            yield name


def _side(shape: tuple[int, ...], picture: Sequence[int] | None) -> int:
    """Side of a map, with channels first or last."""
    return shape[1] if channels_last(shape, picture) else shape[3]
