"""What is asked of an engine and what it gives: numbers and types alone, known without numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

Preparation = Callable[[Image.Image], np.ndarray]
"""What an encoder does to a picture: a ``ResizeCrop``, which an engine carries out, or any function."""

Planner = Callable[[int, int], Preparation]
"""(width, height) of a processed photo -> what is done to it."""

ViewArrays = np.ndarray | list[np.ndarray]
"""The views of one photo after one preprocessing: one array [views, height, width, 3] where all are of one size and
were made by an engine, so that nobody has to stack them; else a list."""


class EngineRequest(NamedTuple):
    """One processing of one photo, its random scale decided."""

    quality: int
    subsampling: str
    sharpness: float
    size: tuple[int, int]
    """(width, height) that the photo is resized to before the encode; the photo's own if it is not."""
    resample: int
    baseline_jpeg: bool = True
    """Whether quality and subsampling are all there is to say about the encode; engines know no other."""
