"""The fields of each step of a processing file: types, limits and defaults, and the check of an untrusted value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

FORMATS: Mapping[str, str] = MappingProxyType(
    {"jpeg": "JPEG", "webp": "WEBP", "avif": "AVIF", "heic": "HEIF", "jxl": "JXL", "png": "PNG"}
)
"""Steps that save the picture as a file and open it again, and Pillow's name of the format."""

FILTERS = ("bilinear", "bicubic", "lanczos", "box", "hamming", "nearest")
CHROMA = ("4:2:0", "4:2:2", "4:4:4")
MAX_SIDE = 16_384
"""Largest side of a resize or crop that a file states in pixels."""


@dataclass(frozen=True)
class Field:
    """A field of a step."""

    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    """Whether numbers are whole."""
    random: bool = False
    """Whether ``[low, high]`` is allowed: a number drawn for each photo."""
    choices: tuple[str, ...] = ()
    """The known texts; empty for a number or a flag."""
    flag: bool = False
    tables: bool = False
    """Whether the value is one or two quantisation tables."""
    default: Any = None
    required: bool = False

    def checked(self, value: Any) -> Any:
        """The value as a processing holds it.

        Raises:
            ValueError: it is not of this form, in one clause.

        >>> Field(1, 100, whole=True, random=True).checked([70, 90])
        (70, 90)
        """
        if self.choices:
            if not isinstance(value, str) or value not in self.choices:
                raise ValueError(f"{_shown(value)} is none of {', '.join(self.choices)}")
            return value
        if self.flag:
            if not isinstance(value, bool):
                raise ValueError(f"{_shown(value)} is neither true nor false")
            return value
        if self.tables:
            return _tables(value)
        if isinstance(value, list):
            return self._range(value)
        return self._number(value)

    def _range(self, value: list[Any]) -> tuple[float, float]:
        if not self.random:
            raise ValueError("it takes one number, not a range")
        if len(value) != 2:
            raise ValueError(f"a range has two numbers, not {len(value)}")
        low, high = (self._number(end) for end in value)
        if not low < high:
            raise ValueError(f"the range {low:g} to {high:g} does not rise")
        return low, high

    def _number(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{_shown(value)} is no number")
        if self.whole and not isinstance(value, int):
            raise ValueError(f"{_shown(value)} is no whole number")
        if not self.low <= value <= self.high:
            raise ValueError(f"{_shown(value)} is not between {self.low:g} and {self.high:g}")
        return int(value) if self.whole else float(value)


def _tables(value: Any) -> tuple[tuple[int, ...], ...]:
    def is_table(table: Any) -> bool:
        return isinstance(table, list) and len(table) == 64 and all(type(v) is int and 1 <= v <= 255 for v in table)

    if not isinstance(value, list) or len(value) not in (1, 2) or not all(map(is_table, value)):
        raise ValueError("one or two lists of 64 whole numbers from 1 to 255 are needed")
    return tuple(map(tuple, value))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _quality(low: int = 1) -> Field:
    return Field(low, 100, whole=True, random=True)


def _pixels(low: int = 1, high: int = MAX_SIDE) -> Field:
    return Field(low, high, whole=True)


_FLAG = Field(flag=True, default=False)
_CHROMA = Field(choices=CHROMA, default="4:2:0")

STEP_FIELDS: Mapping[str, Mapping[str, Field]] = MappingProxyType(
    {
        "decode": {},
        "orient": {"exif": Field(1, 8, whole=True, required=True)},
        "resize": {
            "filter": Field(choices=FILTERS, default="bilinear"),
            "scale": Field(0.05, 8, random=True),
            "width": _pixels(),
            "height": _pixels(),
            "rule": Field(choices=("fit", "outside", "exact"), default="fit"),
            "enlarge": _FLAG,
        },
        "crop": {
            "share": Field(0.05, 1, random=True),
            "width": _pixels(),
            "height": _pixels(),
            **{side: _pixels(0, 4096) for side in ("left", "top", "right", "bottom")},
        },
        "sharpen": {
            "factor": Field(0, 10, random=True),
            "radius": Field(0.1, 20, random=True),
            "percent": Field(1, 500, whole=True, random=True, default=150),
            "threshold": Field(0, 255, whole=True, default=3),
        },
        "blur": {"radius": Field(0, 20, random=True, required=True)},
        "gamma": {"gamma": Field(0.2, 5, random=True, required=True)},
        "greyscale": {},
        "jpeg": {
            "quality": _quality(),
            "chroma": _CHROMA,
            "progressive": _FLAG,
            "optimise": _FLAG,
            "tables": Field(tables=True),
        },
        "webp": {"quality": _quality(0), "lossless": _FLAG, "method": Field(0, 6, whole=True, default=4)},
        "avif": {"quality": _quality(0), "chroma": _CHROMA, "speed": Field(0, 10, whole=True, default=6)},
        "heic": {"quality": _quality(0), "chroma": _CHROMA},
        "jxl": {"quality": _quality(), "lossless": _FLAG, "effort": Field(1, 9, whole=True, default=7)},
        "png": {},
    }
)
"""Fields of each step by name, in the order of canonical texts. ``docs/how-to/own-processings.md`` explains them."""


def objection(kind: str, values: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with fields that are right one by one: (field, clause); None if nothing is.

    Args:
        kind: of the step.
        values: the fields that are stated.

    >>> objection("resize", {"scale": 0.5, "width": 100})
    ('width', 'it does not go with scale')
    """
    groups = {
        "resize": (("scale",), ("width", "height", "rule", "enlarge")),
        "crop": (("share",), ("width", "height"), ("left", "top", "right", "bottom")),
        "sharpen": (("factor",), ("radius", "percent", "threshold")),
        "jpeg": (("quality",), ("tables",)),
        "webp": (("quality",), ("lossless",)),
        "jxl": (("quality",), ("lossless",)),
    }.get(kind, (("quality",),) if kind in FORMATS and kind != "png" else ())
    stated = [[name for name in group if not any(values.get(name) is no for no in (None, False))] for group in groups]
    used = [names for names in stated if names]
    if groups and not used:
        return groups[0][0], f"a {kind} needs {' or '.join(group[0] for group in groups)}"
    if len(used) > 1:
        return used[1][0], f"it does not go with {used[0][0]}"
    if kind == "resize" and "scale" not in values:
        sides = [name for name in ("width", "height") if name in values]
        if len(sides) < (1 if values.get("rule", "fit") == "fit" else 2):
            return (sides or ["width"])[0], "a size needs width or height, and both for the rules outside and exact"
    if kind == "sharpen" and "factor" not in values and "radius" not in values:
        return "radius", "an unsharp mask needs it"
    return None
