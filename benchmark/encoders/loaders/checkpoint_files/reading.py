"""Files of weights -> tensors by name, by ``torch.load(weights_only=True)`` or safetensors; no code of a file runs.

Trainers store other objects with the weights: arguments, configurations, states of callbacks. Torch refuses a file with
a class that it does not know. Here such a class stands for nothing: its objects are made without their contents, by the
same restricted reader, and the record names them. A file whose weights are inside such objects (a whole module) is
refused with what to run.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.encoders.loaders.checkpoint_files.formats import STATE_DICT, format_of, refuse
from builders.errors import EncoderError, UsageError
from builders.untrusted import UntrustedInputError, first_line, read_untrusted_json, readable

DEEPEST = 6
"""Largest depth of dictionaries in dictionaries that is searched for weights; trainers use up to 3."""

NO_WEIGHTS = re.compile(
    r"optim\w*|lr_sched\w*|scheduler\w*|\w*scaler|callbacks|loops|rng_state\w*|hyper_parameters|saver"
)
"""Entries of a checkpoint whose tensors are the state of the training, not weights."""

WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Components of names that torch.compile, FSDP and activation checkpointing insert anywhere in a network."""

SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.safetensors|\.bin)")


@dataclass(frozen=True)
class WeightsFile:
    """Contents of a file of weights."""

    tensors: Mapping[str, torch.Tensor]
    """By name; names of dictionaries in dictionaries are joined by dots."""
    facts: Mapping[str, Any]
    """Entries of the outermost dictionary that are neither weights nor dictionaries, such as ``arch``."""
    unread: tuple[str, ...] = ()
    """Classes of objects that were not read."""
    wrappers: tuple[str, ...] = ()
    """Those of ``WRAPPERS`` that were taken out of names."""


def read_weights(path: Path, label: str) -> WeightsFile:
    """Read one file of weights, or all shards that it belongs to.

    Args:
        path: of the file; of a shard, or of the index of shards.
        label: of the encoder, for messages.

    Raises:
        UsageError: a format that is not read here, with what to run.
        EncoderError: the file cannot be read, or shards are missing.
    """
    contents = [_read_one(file, label) for file in shards(path, label)]
    content, unread = contents[0]
    if len(contents) > 1:
        content = {name: value for part, _ in contents if isinstance(part, Mapping) for name, value in part.items()}
    tensors: dict[str, torch.Tensor] = {}
    wrappers: set[str] = set()
    if isinstance(content, Mapping) and any("_packed_params" in str(name) for name in content):
        raise UsageError(f"{label} was quantised by torch, and holds packed integers; score it from before that")
    for name, tensor in _tensors(content, ()):
        parts = name.split(".")
        wrappers.update(part for part in parts if part in WRAPPERS)
        tensors[".".join(part for part in parts if part not in WRAPPERS)] = tensor
    if not tensors or not isinstance(content, Mapping):
        raise _no_tensors(path, label, content, unread)
    facts = {str(key): value for key, value in content.items() if not isinstance(value, Mapping) and _is_fact(value)}
    return WeightsFile(tensors, facts, unread, tuple(sorted(wrappers)))


def shards(path: Path, label: str) -> list[Path]:
    """The file, or all files that hold the weights together.

    Args:
        path: of a file of weights, or of the index of shards.
        label: of the encoder, for messages.

    Raises:
        EncoderError: a shard is missing, or the index has another form.
    """
    if path.name.endswith(".index.json"):
        try:
            index = read_untrusted_json(path)
            names = sorted({Path(str(name)).name for name in index["weight_map"].values()})
        except (UntrustedInputError, LookupError, TypeError, AttributeError) as error:
            raise EncoderError(f"{label}: it is no index of weights ({first_line(error)})") from None
        files = [path.parent / name for name in names]
    elif match := SHARD.fullmatch(path.name):
        stem, _, count, suffix = match.groups()
        files = [path.parent / f"{stem}-{i:05d}-of-{count}{suffix}" for i in range(1, min(int(count), 10_000) + 1)]
    else:
        return [path]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        what = f"{len(missing)} of its {len(files)} parts are missing ({', '.join(missing[:3])})"
        raise EncoderError(f"{label}: {what}: copy them into the same folder")
    return files


def require_shards(name: str, files: Sequence[Path]) -> None:
    """Refuse a checkpoint of transformers in parts of which one is missing.

    Args:
        name: of the encoder.
        files: of its folder.

    Raises:
        EncoderError: as of ``shards``.
    """
    by_name = {file.name: file for file in files}
    for whole in ("model.safetensors", "pytorch_model.bin"):  # in the order in which the library looks for them
        if whole in by_name:
            return
        if index := by_name.get(f"{whole}.index.json"):
            shards(index, name)
            return


def _read_one(path: Path, label: str) -> tuple[Any, tuple[str, ...]]:
    """Contents of one file, and the classes of objects in it that were not read."""
    kind = format_of(path, label)
    if kind == "safetensors":
        from safetensors import safe_open

        try:
            with safe_open(path, "pt") as file:
                return {**(file.metadata() or {}), **{name: file.get_tensor(name) for name in file.keys()}}, ()  # noqa: SIM118
        except Exception as error:  # SafetensorError is a direct subclass of Exception
            raise EncoderError(f"{label}: the file is cut short or damaged ({first_line(error)})") from None
    if kind != "torch":
        raise refuse(kind, path, label)
    with _inert(path) as unread:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about pickles of another protocol, which it may still read
                content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # UnpicklingError, RuntimeError, EOFError, OSError, AttributeError, ...
            raise _refusal(path, label, error) from None
    return content, unread


@contextlib.contextmanager
def _inert(path: Path) -> Iterator[tuple[str, ...]]:
    """Within it, torch's restricted reader makes empty objects for the classes in a file that it does not know."""
    try:
        names = tuple(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)))
    except Exception:  # an older format, a damaged file, or torch before 2.6
        names = ()
    other = [name for name in names if name != "argparse.Namespace"]
    with torch.serialization.safe_globals([argparse.Namespace, *map(_placeholder, other)]):
        yield tuple(readable(name) for name in other)


class _Unread:
    """Stands for an object that is not read. Its class has the name of the object's class, and no behaviour."""

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None: ...

    def __setstate__(self, state: Any) -> None: ...


def _placeholder(name: str) -> type:
    module, _, last = name.rpartition(".")
    return type(last, (_Unread,), {"__module__": module, "__qualname__": last})


def _tensors(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield ".".join(path), value.detach()
    elif isinstance(value, Mapping) and len(path) <= DEEPEST:
        for key, item in value.items():
            if isinstance(key, str) and not (isinstance(item, Mapping) and NO_WEIGHTS.fullmatch(key)):
                yield from _tensors(item, (*path, key))


def _is_fact(value: Any) -> bool:
    return not isinstance(value, torch.Tensor) or value.ndim == 0


def _refusal(path: Path, label: str, error: Exception) -> Exception:
    """The error of a file that torch's restricted reader refuses."""
    text = str(error)
    if blocked := re.search(r"unsupported GLOBAL ([\w.]+) whose module", text):
        what = f"holds {readable(blocked[1])}, which no weights need and which can run commands: do not open this file"
        return EncoderError(f"{label} {what}; fetch it again from its authors")
    code = re.search(r"(?:GLOBAL|global|function|class) '?([\w.]+\.\w+)", text)
    if "weights_only" in text or "Weights only" in text or code:
        return _code(path, label, readable(code[1]) if code else "objects of Python")
    return EncoderError(f"{label}: the file is cut short or damaged ({first_line(error)})")


def _code(path: Path, label: str, what: str) -> UsageError:
    saved = STATE_DICT.format("model")
    return UsageError(
        f"{label} holds {what}, and reading that runs code; where you trained it, run: import torch; model = "
        f"torch.load({path.name!r}, weights_only=False); {saved}, then --model 'weights:weights.pth?arch=timm:NAME'"
    )


def _no_tensors(path: Path, label: str, content: Any, unread: tuple[str, ...]) -> Exception:
    """The error of a file without weights in dictionaries."""
    if isinstance(content, torch.Tensor):
        return UsageError(f"{label} holds one tensor, not weights by name")
    if isinstance(content, _Unread):
        return _code(path, label, f"a whole model ({type(content).__module__}.{type(content).__qualname__})")
    if isinstance(content, Mapping):
        models = [str(key) for key, value in content.items() if isinstance(value, _Unread)]
        if models and any(name.startswith("torch.nn.") for name in unread):
            return _code(path, label, f"a whole model (its entry {readable(models[0])!r})")
        names = ", ".join(readable(str(key)) for key in list(content)[:5])
        if any(name.startswith("numpy") for name in unread):
            how = "torch.save({name: torch.as_tensor(array) for name, array in arrays.items()}, 'weights.pth')"
            return UsageError(f"{label} holds arrays of NumPy ({names}), not tensors; where it was made, run: {how}")
        return UsageError(f"{label} holds no weights: its entries are {names or 'none'}")
    return UsageError(f"{label} holds {type(content).__name__}, not weights by name")
