"""Toy copies of the folder layouts of real data sets: paths with choices in braces, and a tiny picture at each."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path

from PIL import Image


def picture(shade: int = 0) -> bytes:
    """A tiny PNG."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade % 256, 90, 120)).save(buffer, "PNG")
    return buffer.getvalue()


def expanded(pattern: str) -> list[str]:
    """Every path of a pattern: ``{a,b}`` is a choice, ``{0..3}`` a range.

    >>> expanded("{train,val}/{0..1}.png")
    ['train/0.png', 'train/1.png', 'val/0.png', 'val/1.png']
    """
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = []
    for i, part in enumerate(parts):
        span = re.fullmatch(r"(\d+)\.\.(\d+)", part)
        if i % 2 == 0:
            choices.append([part])
        else:
            choices.append([str(n) for n in range(int(span[1]), int(span[2]) + 1)] if span else part.split(","))
    return ["".join(combination) for combination in itertools.product(*choices)]


def write_layout(root: Path, *patterns: str) -> list[str]:
    """Write a picture at every path of the patterns; the paths."""
    paths = [path for pattern in patterns for path in expanded(pattern)]
    for shade, path in enumerate(paths):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(picture(shade))
    return paths
