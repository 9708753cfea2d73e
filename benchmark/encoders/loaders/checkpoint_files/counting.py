"""Sizes that a checkpoint's configuration states, counted before a library takes memory for them.

A configuration of 1 KB may ask for 10 million layers, or a processor for pictures of a million pixels a side. The count
is a lower bound: a layer of width d has at least one matrix d x d, and so on. A network of which the file can hold only
a part, and that is too large to be built and refused, is refused at once.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmark.compute import free_on_host, memory_limited, out_of_memory
from builders.errors import EncoderError
from builders.untrusted import UntrustedInputError, read_untrusted_text

MOST_LAYERS = 1000
"""Largest number of layers, blocks or heads; networks in use have up to 200."""
LARGEST_SIDE = 8192
"""Largest side of a view, a crop or a patch in pixels."""
MOST_PIXELS = 1 << 25
"""Largest budget of pixels, or of the pixels of patches, of a processor that states one."""
USUAL_PATCH = 16
"""Side in pixels of a patch where a processor states none."""
SMALL = 1 << 24
"""Number of parameters of a network that may be built before its weights are compared with it."""
NUMBERS_PER_BYTE = 4
"""Parameters that a byte of a file may stand for: two of 4 bits, and as many again that the file need not hold."""

LOADING_BYTES, THREAD_BYTES, MEMORY_PER_BYTE = 3 << 28, 1 << 24, 32
"""Memory that loading may take: of libraries and a first forward pass, of each core's thread, and per byte of weights,
which a quantised network needs several times over."""

MOST_MODULES, BYTES_PER_MODULE = 10_000, 64
"""Modules that may be built of any file, and bytes of weights for each one more."""
MOST_TOKENS = 1 << 16
"""Longest sequence of learned tokens or positions that a picture's own are added to."""

CONFIGS = ("config.json", "open_clip_config.json")
PROCESSORS = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")

_WIDTH = ("hidden_size", "embed_dim", "d_model", "width", "dim", "embedding_size", "n_embd", "projection_dim")
_SIDES = ("image_size", "img_size")
_LAYERS = ("num_hidden_layers", "num_layers", "layers", "depth", "n_layer", "encoder_layers")
_INNER = re.compile(r"(^|_)(sizes?|dims?|ratios?|rank|labels|experts)$")
"""In a name of something that is multiplied with the width in a layer."""
_ONCE = re.compile(r"vocab|labels|pool|proj|image|patch")
"""In a name of something that is in one layer only."""
_COUNT = re.compile(r"(^|_)(layers|depths?|blocks|heads|stages|experts|outputs|point_embeddings)(_|$)|^n_layer$")
"""In a name of something that is counted."""
_EXTENT = re.compile(r"(^|_)(size|dim)(_|$)")
"""In a name of something that is measured, though it has a count in it, such as ``dim_head``."""


def check_sizes(folder: Path, name: str, weights_bytes: int) -> None:
    """Refuse a checkpoint whose configuration states sizes that its files cannot fit.

    Args:
        folder: of the checkpoint.
        name: of the encoder, for messages.
        weights_bytes: of all files of weights.

    Raises:
        EncoderError: the network would have more parameters than the files can hold, or views would be too large.
    """
    for file in CONFIGS:
        if config := _read(folder / file):
            for reason in _of_network(config, NUMBERS_PER_BYTE * weights_bytes + SMALL):
                raise EncoderError(f"{name}: {file} states {reason}, which its {weights_bytes:,} bytes cannot hold")
            for reason in _of_views(config.get("pretrained_cfg"), ("input_size", "test_input_size")):
                raise EncoderError(f"{name}: {file} states {reason}; views have up to {LARGEST_SIDE:,} pixels a side")
    for file in PROCESSORS:
        for reason in _of_views(_read(folder / file), ()):
            raise EncoderError(f"{name}: {file} states {reason}; views have up to {LARGEST_SIDE:,} pixels a side")


@contextlib.contextmanager
def loading_limit(name: str, weights_bytes: int) -> Iterator[None]:
    """A context around loading and a first forward pass, which may take memory in proportion to the weights.

    Configurations have sizes that no arithmetic of ours knows (padding, kernels, queries, repeats). See
    ``memory_limited`` for where memory has a limit.

    Raises:
        EncoderError: it takes more.
    """
    most = LOADING_BYTES + MEMORY_PER_BYTE * weights_bytes + THREAD_BYTES * (os.cpu_count() or 1)
    try:
        with memory_limited(most), _building_limit(name, weights_bytes):
            yield
    except Exception as error:
        if not out_of_memory(error) or free_on_host() < most:
            raise
        stated = f"loading it takes over {most / 1e9:.1f} GB for {weights_bytes:,} bytes of weights"
        raise EncoderError(f"{name}: {stated}; its configuration states sizes that its weights do not have") from None


@contextlib.contextmanager
def _building_limit(name: str, weights_bytes: int) -> Iterator[None]:
    """A context in which this thread may build networks of a size in proportion to the weights."""
    from torch.nn.modules.module import (
        register_module_module_registration_hook,
        register_module_parameter_registration_hook,
    )

    here, built = threading.get_ident(), itertools.count(1)
    most = MOST_MODULES + weights_bytes // BYTES_PER_MODULE
    stated = "its configuration states sizes that its weights do not have"

    def count_module(*_: Any) -> None:
        if threading.get_ident() == here and next(built) > most:
            raise EncoderError(f"{name}: it has over {most:,} modules for {weights_bytes:,} bytes of weights; {stated}")

    def look_at_tokens(_: Any, key: str, parameter: Any) -> None:
        if threading.get_ident() != here or parameter is None or parameter.ndim != 3:
            return
        if parameter.shape[0] == 1 and parameter.shape[1] > MOST_TOKENS:
            raise EncoderError(f"{name}: {key} is a sequence of {parameter.shape[1]:,} tokens; {stated}")

    hooks = (
        register_module_module_registration_hook(count_module),
        register_module_parameter_registration_hook(look_at_tokens),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _read(file: Path) -> dict[str, Any]:
    """A configuration; empty if there is none that can be read, which the library then says."""
    try:
        config = json.loads(read_untrusted_text(file))
    except (UntrustedInputError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}


def _of_network(config: Mapping[str, Any], most: int) -> Iterator[str]:
    """What one part of a configuration and the parts within it state that is too much, in words."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _of_network(value, most)
            continue
        for number in _whole(value):
            if _COUNT.search(key) and not _EXTENT.search(key) and number > MOST_LAYERS:
                yield f"{key} = {number:,}"
    layers = max((number for key in _LAYERS for number in _whole(config.get(key))), default=1)
    width_key, width = max(
        ((key, number) for key in _WIDTH for number in _whole(config.get(key))), key=lambda one: one[1], default=("", 1)
    )
    if width * width * layers > most:
        yield f"{width_key} = {width:,}"
    for key in filter(_INNER.search, config):
        for number in _whole(config[key]):
            rows = number * width if "ratio" in key else number
            if rows * min(width, 64) * (1 if _ONCE.search(key) else layers) > most:
                yield f"{key} = {number:,}"
    sizes = _whole(config.get("hidden_sizes")) or _whole(config.get("channels")) or _whole(config.get("embed_dims"))
    for first, second in pairwise(sizes):
        if first * second > most:
            yield f"hidden sizes of {first:,} and {second:,}"
    yield from _of_patches(config, min(width, 64), most)


def _of_patches(config: Mapping[str, Any], width: int, most: int) -> Iterator[str]:
    """The first convolution, and the embeddings of positions."""
    patch = max(_whole(config.get("patch_size")), default=1)
    channels = max(_whole(config.get("num_channels")), default=3)
    image = max((number for key in _SIDES for number in _whole(config.get(key))), default=0)
    if image > LARGEST_SIDE or (image // max(1, patch)) ** 2 * width > most:
        yield f"image_size = {image:,}"
    if patch * patch * channels * width > most:
        yield f"patch_size = {patch:,} and {channels:,} channels"


def _of_views(config: Any, keys: tuple[str, ...], *, budgets: bool = False) -> Iterator[str]:
    """What a processor states that is too much, in words."""
    if not isinstance(config, dict):
        return
    kinds = [value for key, value in config.items() if key.endswith("processor_type")]
    budgets = budgets or any(map(_has_budget, kinds))
    patch = max(_whole(config.get("patch_size")), default=USUAL_PATCH)
    for key, value in config.items():
        if isinstance(value, dict):
            inner = {f"{key}.{name}": part for name, part in value.items()}
            yield from _of_views(inner, keys, budgets=budgets)
            continue
        is_limit = key.endswith("longest_edge") and key.replace("longest", "shortest") in config  # not enlarged to it
        is_budget = "pixels" in key or is_limit or (budgets and key.endswith("_edge"))
        sized = any(word in key for word in ("size", "height", "width", "edge", "pixels", "patches", "tiles", "crop"))
        for number in _whole(value) if sized and (not keys or key in keys) else ():
            if "patches" in key and number * patch**2 <= MOST_PIXELS:
                continue
            if number > (MOST_PIXELS if is_budget else LARGEST_SIDE):
                yield f"{key} = {number:,}"


def _has_budget(kind: Any) -> bool:
    """True if the edges of a processor of transformers are numbers of pixels: of all that merge patches."""
    try:
        import transformers
    except ImportError:
        return False
    return hasattr(getattr(transformers, str(kind), None), "merge_size")


def _whole(value: Any) -> list[int]:
    """The whole numbers in a value: a number, or a list of some."""
    values = value if isinstance(value, list) else [value]
    return [int(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < float("inf")]
