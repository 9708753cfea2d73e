"""What all ways to read layers share: the protocol ``Tap``, what hooks tell, what the positions of a sequence are."""

from __future__ import annotations

import contextlib
import inspect
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn

from benchmark.encoders.layers.pooling import Layer
from benchmark.encoders.network import pooled
from builders.errors import UsageError

Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]
"""(module, batch of views) -> embeddings [n, dimension]."""

See = Callable[[int, Layer], None]
"""Told each layer's number and what it holds."""


class Tap(Protocol):
    """One way to read layers."""

    @property
    def read(self) -> str:
        """In words, for results."""
        ...

    def __call__(self, module: nn.Module, pixels: torch.Tensor, forward: Forward, see: See) -> torch.Tensor:
        """One forward pass: the embedding [n, dimension]; ``see`` is told every layer."""
        ...


class TappedOutput(threading.local):
    """What hooks tell, each thread its own: chunks of a batch may pass a network side by side."""

    see: Callable[[int, Any], None] | None = None
    last: Any = None


@dataclass(frozen=True)
class Tokens:
    """Which positions of a sequence are no patches: class tokens come first, then those that are left out."""

    classes: int
    others: int
    """Registers, and the token of distillation."""

    @classmethod
    def of(cls, module: nn.Module) -> Tokens:
        """From the names and shapes of a network's own parameters; a query of a pooling head is none of its tokens.

        >>> holder = nn.Module()
        >>> holder.cls_token = nn.Parameter(torch.zeros(1, 1, 8))
        >>> holder.register_tokens = nn.Parameter(torch.zeros(1, 4, 8))
        >>> Tokens.of(holder)
        Tokens(classes=1, others=4)
        """
        classes = others = 0
        for name, parameter in module.named_parameters():
            place, _, last = name.rpartition(".")
            count = parameter.shape[-2] if parameter.ndim > 1 else 1
            if last in ("cls_token", "class_token", "class_embedding") and "head" not in place and "pool" not in place:
                classes = count
            elif last in ("register_tokens", "reg_token", "distillation_token", "dist_token"):
                others += count
        return cls(classes, others)

    def layer(self, features: torch.Tensor, views: int) -> Layer:
        """Features of so many views as a layer.

        Raises:
            ValueError: they are of another form.

        >>> layer = Tokens(1, 4).layer(torch.zeros(2, 9 + 5, 8), 2)
        >>> layer.patches.shape, layer.tokens.shape, layer.grid
        (torch.Size([2, 9, 8]), torch.Size([2, 1, 8]), (3, 3))
        """
        if features.ndim == 4 and len(features) == views:
            return Layer(features if not _channels_last(features) else features.permute(0, 3, 1, 2))
        if features.ndim == 3 and len(features) != views and features.shape[1] == views:
            features = features.transpose(0, 1)  # positions first, as older code of CLIP has it
        if features.ndim != 3 or len(features) != views:
            raise ValueError(f"a layer of shape {tuple(features.shape)} for {views} views")
        skip, count = self.classes + self.others, features.shape[1]
        if skip and _square(count) and not _square(count - skip):
            skip = 0  # the class token comes in a later layer
        tokens = features[:, : self.classes] if skip and self.classes else None
        return Layer(features[:, skip:], tokens, _square(count - skip))


def _square(count: int) -> tuple[int, int] | None:
    """Rows and columns of so many patches, if they may be a square."""
    side = math.isqrt(max(0, count))
    return (side, side) if side and side**2 == count else None


def _channels_last(features: torch.Tensor) -> bool:
    """Whether a map is [n, height, width, d]: its pictures are square, or nearly so, and d is another number."""
    _, a, b, c = features.shape
    return a == b != c


def first_tensor(output: Any) -> torch.Tensor:
    """What a module gives on to the next one."""
    while isinstance(output, tuple | list):
        output = output[0]
    if not isinstance(output, torch.Tensor):
        raise ValueError(f"a layer that gives {type(output).__name__}")
    return output


@dataclass(frozen=True)
class HookTap:
    """Layers by hooks on modules, which do nothing outside of a pass of this tap."""

    names: tuple[str, ...]
    """Of the modules, as ``get_submodule`` of the network takes them, in order."""
    tokens: Tokens
    read: str
    seen: TappedOutput

    @classmethod
    def on(cls, module: nn.Module, names: Sequence[str], read: str) -> HookTap:
        """Hooks on modules of a network, which stay there."""
        seen = TappedOutput()
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


@dataclass(frozen=True)
class TimmTap:
    """Layers of a timm model."""

    as_map: bool
    """It gives maps [n, d, height, width], not positions."""
    prefix: bool
    """It gives class and register tokens apart."""
    read: str = "timm's forward_intermediates, before the final norm"

    def __call__(self, module: nn.Module, pixels: torch.Tensor, forward: Forward, see: See) -> torch.Tensor:
        network: Any = module
        given = {
            "output_fmt": "NCHW" if self.as_map else "NLC",
            **({"return_prefix_tokens": True} if self.prefix else {}),
        }
        return self._call(network, pixels, given, see)

    def _call(self, network: Any, pixels: torch.Tensor, given: dict[str, Any], see: See) -> torch.Tensor:
        features, layers = network.forward_intermediates(pixels, **given)
        grid = _timm_grid(network)
        has_class = getattr(network, "cls_token", None) is not None
        for number, layer in enumerate(layers):
            patches, prefix = layer if isinstance(layer, tuple | list) else (layer, None)
            tokens = prefix[:, :1] if prefix is not None and has_class and prefix.shape[1] else None
            see(number, Layer(patches, tokens, grid if patches.ndim == 3 else None))
        return pooled(network.forward_head(features))


def _timm_grid(network: Any) -> tuple[int, int] | None:
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    return (int(grid[0]), int(grid[1])) if grid is not None else None


def timm_tap(module: Any) -> TimmTap | None:
    """Of a timm model; None where it has no ``forward_intermediates``."""
    function = getattr(module, "forward_intermediates", None)
    if function is None or not hasattr(module, "forward_head"):
        return None
    known = inspect.signature(function).parameters
    return TimmTap(as_map="return_prefix_tokens" not in known, prefix="return_prefix_tokens" in known)


@dataclass(frozen=True)
class HiddenStatesTap:
    """Layers of a transformers model."""

    tokens: Tokens
    seen: TappedOutput
    read: str

    @classmethod
    def on(cls, module: nn.Module, name: str, output: Any) -> HiddenStatesTap:
        """Ask the submodule ``name``, which gave such an output, for its hidden states in every pass of this tap.

        The first hidden state, what goes into the first layer, is left out.
        """
        seen = TappedOutput()

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


def find_tap(module: nn.Module, library: str, pixels: torch.Tensor, forward: Forward) -> TappedLayers | None:
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
            return TappedLayers(tap, [layers[number] for number in range(len(layers))])
    return None


@dataclass(frozen=True)
class TappedLayers:
    """A way to read a network's layers, and what they hold of a few views."""

    tap: Tap
    layers: Sequence[Layer]
