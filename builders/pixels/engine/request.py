"""What is asked of an engine: numbers alone, known without numba."""

from __future__ import annotations

from typing import NamedTuple


class Request(NamedTuple):
    """One processing of one photo, its random scale decided."""

    quality: int
    subsampling: str
    sharpness: float
    size: tuple[int, int]
    """(width, height) that the photo is resized to before the encode; the photo's own if it is not."""
    resample: int
