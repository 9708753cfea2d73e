"""Where one patch of a part of a picture is read: at a place of the photo's own, in every view, part and layer.

All patches of every view would be some hundred vectors, so one of each part is kept. Photos read at different places
cover the whole part together, and the views of one photo show the same place under each processing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

STEPS = 1 << 16
"""Places on each side of a part."""

MIDDLE = STEPS // 2

ONE_PATCH = "; one patch of each view, at a place drawn by the photo's id (draw 0)"
"""How such outputs are read, for banks and results: another draw has another number."""

_SEED = b"patch, draw 0"
"""It is fixed: a bank's rows do not depend on options of a run."""


def photo_places(photo_ids: Sequence[str]) -> np.ndarray:
    """int64 [photos, 2]: how far down and how far right in a part each photo is read, in 65,536ths of its sides.

    Drawn by the SHA-256 of a photo's id, so that a photo has its place in whatever set it is.

    >>> photo_places(["a", "b", "a"]).tolist()
    [[56490, 754], [22127, 64310], [56490, 754]]
    """
    digests = b"".join(
        hashlib.sha256(_SEED + b"\0" + name.encode("utf-8", "surrogateescape")).digest()[:4] for name in photo_ids
    )
    return np.frombuffer(digests, ">u2").reshape(-1, 2).astype(np.int64)


def index_at(first: int, count: int, places: torch.Tensor) -> torch.Tensor:
    """int64 [n]: which of ``count`` patches from index ``first`` lies at each place of a side.

    >>> index_at(4, 3, torch.tensor([0, MIDDLE, STEPS - 1])).tolist()
    [4, 5, 6]
    """
    return first + (places * count).div(STEPS, rounding_mode="floor")
