"""Which tensors of a network came from a checkpoint: the tensors themselves, whatever their names are in the file.

Libraries rename, split and join weights while they load. So their conversion runs first, and then the tensors of the
network are asked, not the names of the file. ``Module.load_state_dict`` is recorded for timm, open_clip and
torchvision; transformers marks every tensor that it has read.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

MARK = "_is_hf_initialized"
"""Attribute that transformers sets on tensors that it has read from a file."""

QUANTISED = "is integers without their scale"
"""Words about a tensor of integers in the place of one of floating-point numbers."""


@dataclass
class Sources:
    """What a library read from a checkpoint, gathered while it loads."""

    filled: dict[int, torch.Tensor] = field(default_factory=dict)
    """Tensors of networks that were read, by ``id``."""
    unfit: dict[int, str] = field(default_factory=dict)
    """``id`` of a tensor -> words about what the file has in its place: another shape, or integers."""
    superfluous: list[tuple[nn.Module, str]] = field(default_factory=list)
    """Names in the file for which a network has no place, each with the network that was loaded."""
    prefixes: tuple[str, ...] = ()
    """First components that names in the file may have before those of the network."""


@contextlib.contextmanager
def recorded_sources() -> Iterator[Sources]:
    """Within it, each ``Module.load_state_dict`` of this thread is recorded, for libraries that report nothing.

    A load is carried out whether or not the library wants it strict; the caller decides about what is missing. A weight
    of another shape is recorded too, and torch's error is raised.
    """
    sources = Sources()
    before = getattr(_recording, "sources", None)
    _recording.sources = sources
    with _guard:
        _recorders.append(sources)
        nn.Module.load_state_dict = _recorded  # type: ignore[method-assign,assignment]
    try:
        yield sources
    finally:
        _recording.sources = before
        with _guard:
            _recorders[:] = [other for other in _recorders if other is not sources]
            if not _recorders:
                nn.Module.load_state_dict = _load_state_dict  # type: ignore[method-assign]


_load_state_dict = nn.Module.load_state_dict
_recording = threading.local()
_recorders: list[Sources] = []
_guard = threading.Lock()


def _recorded(module: nn.Module, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
    """``Module.load_state_dict`` that adds to the sources of its thread."""
    sources = getattr(_recording, "sources", None)
    if sources is None:  # a thread that does not record
        return _load_state_dict(module, state_dict, strict=strict, assign=assign)
    failed, missing = True, module.state_dict().keys() - state_dict.keys()
    try:
        result = _load_state_dict(module, state_dict, strict=False, assign=assign)
        failed, missing = False, set(result.missing_keys)
        sources.superfluous += [(module, name) for name in result.unexpected_keys]
    finally:
        for name, tensor in tensors_of(module).items():
            value = state_dict.get(name, tensor)  # a module may rename its tensors while it loads
            if name in missing or not isinstance(value, torch.Tensor):
                continue
            if failed and value.shape != tensor.shape:
                sources.unfit[id(tensor)] = shape_words(name, value.shape, tensor.shape)
            elif tensor.is_floating_point() and not (value.is_floating_point() or value.is_complex()):
                sources.unfit[id(tensor)] = f"{name} {QUANTISED}"
            else:
                sources.filled[id(tensor)] = tensor
    return result


def sources_of_pretrained(model: Any, report: Mapping[str, Any], integers: Sequence[str] = ()) -> Sources:
    """What transformers read.

    Args:
        model: of ``from_pretrained``.
        report: of ``output_loading_info``.
        integers: names of weights that the files hold as integers without a scale.
    """
    tensors, sources = tensors_of(model), Sources()
    unfit = {name: f"{name} {QUANTISED}" for name in integers if name in tensors and tensors[name].is_floating_point()}
    unfit |= {name: shape_words(name, of_file, shape) for name, of_file, shape in report["mismatched_keys"]}
    # Its report leaves out what a class lets pass; the mark does not. Quantised tensors and older versions have none.
    marked = any(getattr(tensor, MARK, False) for tensor in tensors.values())
    for name, tensor in tensors.items():
        if name in unfit:
            sources.unfit[id(tensor)] = unfit[name]
        elif name not in report["missing_keys"] and (getattr(tensor, MARK, False) or not marked):
            sources.filled[id(tensor)] = tensor
    sources.superfluous = [(model, name) for name in report["unexpected_keys"]]
    return sources


def tensors_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and stored buffers by name, as they are in the network."""
    stored = module.state_dict(keep_vars=True)
    return {name: tensor for name, tensor in stored.items() if isinstance(tensor, torch.Tensor)}


def shape_words(name: str, of_file: Sequence[int], of_network: Sequence[int]) -> str:
    """A weight of another shape, for messages.

    >>> shape_words("fc.weight", (7, 32), (5, 32))
    'fc.weight is 7 x 32 instead of 5 x 32'
    """
    words = (" x ".join(map(str, shape)) or "a number" for shape in (of_file, of_network))
    return f"{name} is {' instead of '.join(words)}"
