"""What earlier versions computed, as an alarm: users compare these values between versions.

A recorded value proves nothing: that it is right is what tests against references and by hand are for. A change that
is meant is recorded with the variable ``CAMTRACE_WRITE_RECORD_KEYS``; the diff of ``tests/recorded`` says what moved.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parents[1] / "recorded"


def check_recorded(name: str, made: Mapping[str, Any], *, tolerance: float = 1e-4) -> None:
    """Compare values with the recorded ones; those that are not recorded yet are not compared.

    Args:
        name: of the file in ``tests/recorded``.
        made: values by name: JSON values, dataclasses and arrays; of an array count numbers that depend on its order.
        tolerance: relative, of numbers that are not whole.
    """
    path = FOLDER / f"{name}.json"
    if os.environ.get("CAMTRACE_WRITE_RECORD_KEYS"):
        lines = [f"{json.dumps(key)}: {json.dumps(_plain(value))}" for key, value in made.items()]
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    recorded = json.loads(path.read_text("utf-8"))
    assert set(recorded) <= set(made)
    moved = [line for key in recorded for line in _differences(recorded[key], _plain(made[key]), key, tolerance)]
    assert not moved


OF_THIS_MACHINE = (
    "weights_sha256",
    "transformers",
    "timm",
    "open_clip",
    "torchvision",
    "onnxruntime",
    "processor",
    "producer",
)
"""Entries of what an encoder says of itself that follow from other software, or from drawn weights."""

OF_THIS_PROCESSOR = {"validation_accuracy"}
"""Of each strength of a search: without much penalty, photos at the border fall to either side by rounding."""


def _without(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {name: _without(each) for name, each in value.items() if name not in OF_THIS_MACHINE}


def _plain(value: Any) -> Any:
    """As JSON values, numbers to seven digits."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray) and value.size > 12 and value.dtype.kind in "biuf":
        flat = np.nan_to_num(value.astype(np.float64)).reshape(-1)
        return _plain([str(value.dtype), list(value.shape), flat.mean(), (flat * np.cos(np.arange(flat.size))).mean()])
    if isinstance(value, np.ndarray):
        return [str(value.dtype), list(value.shape), _plain(value.reshape(-1).tolist())]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _differences(old: Any, new: Any, path: str, tolerance: float) -> Iterator[str]:
    numbers = [isinstance(each, (int, float)) and not isinstance(each, bool) for each in (old, new)]
    if all(numbers):
        if not math.isclose(old, new, rel_tol=tolerance, abs_tol=1e-6):
            yield f"{path}: {old} was recorded, now {new}"
    elif isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        for key in old.keys() - OF_THIS_PROCESSOR:
            yield from _differences(old[key], new[key], f"{path}.{key}", tolerance)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (first, second) in enumerate(zip(old, new, strict=True)):
            yield from _differences(first, second, f"{path}[{i}]", tolerance)
    elif type(old) is not type(new) or old != new:
        yield f"{path}: {old!r} was recorded, now {new!r}"
