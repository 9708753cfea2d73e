"""Global settings and functions that a run relies on, watched around code of others that runs in the same process."""

from __future__ import annotations

import builtins
import json
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

_FUNCTIONS: dict[Any, tuple[str, ...]] = {
    builtins: ("open", "len", "sorted", "sum", "min", "max", "zip", "isinstance"),
    os: ("fsync", "getpid", "listdir", "makedirs", "open", "read", "remove", "replace", "scandir", "stat", "write"),
    json: ("dumps", "loads"),
    warnings: ("warn", "catch_warnings"),
    Image: ("open", "new", "fromarray"),
    Image.Image: ("convert", "copy", "crop", "load", "resize", "save", "tobytes", "transpose"),
    ImageOps: ("exif_transpose",),
    np: (
        *("abs", "all", "any", "argmax", "argpartition", "argsort", "array", "asarray", "concatenate", "cumsum"),
        *("diff", "dot", "einsum", "empty", "exp", "flatnonzero", "full", "isfinite", "log", "matmul", "maximum"),
        *("mean", "median", "minimum", "nonzero", "ones", "percentile", "quantile", "save", "load", "searchsorted"),
        *("sort", "sqrt", "stack", "std", "sum", "take", "unique", "where", "zeros"),
    ),
    np.linalg: ("norm", "eigh", "svd", "solve", "lstsq"),
    np.random: ("default_rng",),
    torch: (
        *("argsort", "as_tensor", "bincount", "cat", "empty", "from_numpy", "isfinite", "matmul", "mm", "ones", "sort"),
        *("stack", "tensor", "topk", "where", "zeros"),
    ),
    torch.Tensor: ("argsort", "cpu", "float", "matmul", "numpy", "sort", "sum", "to", "topk"),
}
"""By module or class, names of what the run calls."""

_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "the default dtype of torch": (torch.get_default_dtype, torch.set_default_dtype),
    "the default device of torch": (
        getattr(torch, "get_default_device", lambda: None),  # since torch 2.3
        lambda device: torch.set_default_device(None if device is None or device.type == "cpu" else device),
    ),
    "the errors of NumPy": (np.geterr, lambda errors: np.seterr(**errors)),
}
"""By name, how a setting is read and set."""


class ReliedOn:
    """The functions and settings at one moment."""

    def __init__(self) -> None:
        self._functions = [
            (holder, name, getattr(holder, name), name in vars(holder))
            for holder, names in _FUNCTIONS.items()
            for name in names
        ]
        self._settings = {name: read() for name, (read, _) in _SETTINGS.items()}

    def restored(self) -> Iterator[str]:
        """What has been changed, in words; it is changed back."""
        for holder, name, before, is_own in self._functions:
            if getattr(holder, name, None) is not before:
                if is_own:
                    setattr(holder, name, before)
                else:  # inherited
                    delattr(holder, name)
                yield f"it replaced {holder.__name__}.{name}"
        for name, (read, write) in _SETTINGS.items():
            if read() != self._settings[name]:
                write(self._settings[name])
                yield f"it changed {name}"
