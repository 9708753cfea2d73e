"""Files of weights -> the names and shapes of a network: by timm's own conversion, or by the order of its parts."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from benchmark.encoders.loaders.checkpoint_files.architectures import Architecture
from benchmark.encoders.loaders.checkpoint_files.fitting import LEAST, is_whole_somewhere
from benchmark.encoders.loaders.libraries import quiet

DEEPEST = 4
"""Largest number of components of a prefix before the names of a network."""

CHUNK = re.compile(r"(^|\.)blocks\.\d+\.(\d+)\.")
"""A block in a chunk of blocks, as DINOv2's training groups them; the second number counts all blocks."""


def in_names_of_timm(
    architecture: Architecture, module: Any, tensors: Mapping[str, torch.Tensor]
) -> Mapping[str, torch.Tensor]:
    """Tensors of a file, each group that timm converts to a network in the names of that network.

    Args:
        architecture: of timm.
        module: the network.
        tensors: of the file.

    Returns:
        The converted tensors under their prefix in the file, and all others; the file's tensors where timm converts
        none to the whole network.
    """
    shapes = {name: tensor.shape for name, tensor in module.state_dict().items()}
    renamed = dict(tensors)
    if not any(CHUNK.match(name) for name in shapes):
        renamed = {CHUNK.sub(r"\1blocks.\2.", name): tensor for name, tensor in tensors.items()}
    whole: dict[str, Mapping[str, torch.Tensor]] = {}
    children = {name for name, _ in module.named_children()}
    for prefix in _prefixes(renamed, children, LEAST * len(shapes)):
        if not prefix.startswith(tuple(whole)):
            group = {name.removeprefix(prefix): each for name, each in renamed.items() if name.startswith(prefix)}
            attempts = _conversions(architecture, module, group)
            if found := next((each for each in attempts if is_whole_somewhere(shapes, each)), None):
                whole[prefix] = {**found, **_lost(group, found, children)}
    others = {name: tensor for name, tensor in renamed.items() if not name.startswith(tuple(whole))}
    return {**others, **{prefix + name: each for prefix, found in whole.items() for name, each in found.items()}}


def in_names_of_children(
    shapes: Mapping[str, torch.Size], module: Any, tensors: Mapping[str, torch.Tensor]
) -> Mapping[str, torch.Tensor]:
    """Tensors of ``nn.Sequential(*network.children())``, as lightly and fastai make it, in the network's names.

    Returns:
        The file's tensors where their numbers are not those of the children of a whole network.
    """
    children = [name for name, _ in module.named_children()]

    def named(key: str, place: int) -> str:
        parts = key.split(".")
        if len(parts) <= place or not parts[place].isdecimal() or int(parts[place]) >= len(children):
            return key
        name = ".".join([children[int(parts[place])], *parts[place + 1 :]])
        return ".".join([*parts[:place], name]) if name in shapes else key

    for place in range(DEEPEST):
        renamed = {named(key, place): tensor for key, tensor in tensors.items()}
        if is_whole_somewhere(shapes, renamed):
            return renamed
    return tensors


def _prefixes(names: Mapping[str, Any], children: set[str], least: float) -> list[str]:
    """Prefixes, the shortest first, of as many names as a network may have, which lead into no child of it."""
    counts: Counter[str] = Counter({"": len(names)})
    for name in names:
        parts = name.split(".")[:-1]
        for i, part in enumerate(parts[:DEEPEST]):
            if part in children or part.isdecimal():
                break
            counts[".".join(parts[: i + 1]) + "."] += 1
    return sorted((prefix for prefix, count in counts.items() if count >= least), key=len)


def _lost(
    group: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], children: set[str]
) -> Mapping[str, torch.Tensor]:
    """Weights of the network's parts that a conversion left out though they are not zero, such as biases that another
    variant of the architecture has: the check of all loads refuses them."""
    kept = {tensor.untyped_storage().data_ptr() for tensor in found.values()}
    lost = (name for name, each in group.items() if name not in found and each.untyped_storage().data_ptr() not in kept)
    return {
        name: group[name]
        for name in lost
        if name.endswith((".weight", ".bias")) and name.partition(".")[0] in children and group[name].any()
    }


def _conversions(
    architecture: Architecture, module: Any, group: Mapping[str, torch.Tensor]
) -> Iterator[Mapping[str, torch.Tensor]]:
    """What timm's conversion makes of a group of tensors, by each of its variants."""
    import timm

    entrypoint = timm.models.model_entrypoint(architecture.name.partition(".")[0])
    convert: Callable[..., Any] | None = getattr(sys.modules[entrypoint.__module__], "checkpoint_filter_fn", None)
    yield group
    if convert is None:
        return
    for options in ({}, {"adapt_layer_scale": True}):
        # It raises where names are not those that it was made for, and prints.
        with contextlib.suppress(Exception), quiet(), contextlib.redirect_stdout(io.StringIO()):
            yield convert(dict(group), module, **options)
