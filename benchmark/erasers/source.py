"""What an eraser is fitted on: views of photos, the label of each view, and the class of each photo, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from builders.errors import DataError

BATCH_BYTES = 32 << 20
"""Of the float32 rows of one batch."""


class Rows(Protocol):
    """Embeddings [n, d]: an array, a memory map, or anything that reads rows when it is sliced or indexed."""

    @property
    def shape(self) -> Sequence[int]: ...

    def __getitem__(self, rows: Any) -> Any: ...


class Batch(NamedTuple):
    """Rows of some photos in all their views."""

    rows: np.ndarray
    """float32 [m, d]."""
    labels: np.ndarray
    """int64 [m], what is to be erased."""
    kept: np.ndarray | None
    """int64 [m], what is to be kept, where it is known."""


@dataclass(frozen=True, eq=False)
class Source:
    """n photos in V views each. A plain matrix of embeddings is one view."""

    views: Sequence[Rows]
    """V arrays [n, d]."""
    labels: np.ndarray
    """int [V, n]: the class of each view of each photo."""
    n_classes: int
    kept: np.ndarray | None = None
    """int [n]: the class of each photo that is to stay readable."""
    n_kept: int = 0
    unit_rows: bool = False
    """Whether rows are brought to unit length as they are read."""

    def __post_init__(self) -> None:
        shapes = {tuple(int(side) for side in view.shape) for view in self.views}
        if len(shapes) != 1 or len(next(iter(shapes))) != 2:
            raise ValueError(f"views must be [n, d] and alike, not {sorted(shapes)}")
        n = shapes.pop()[0]
        if np.shape(self.labels) != (len(self.views), n):
            raise ValueError(f"labels of shape {np.shape(self.labels)} for {len(self.views)} views of {n} photos")
        for name, values, count in (("labels", self.labels, self.n_classes), ("kept", self.kept, self.n_kept)):
            if values is not None and np.size(values) and not 0 <= np.min(values) <= np.max(values) < count:
                raise ValueError(f"{name} hold a class outside 0..{count - 1}")

    @property
    def photos(self) -> int:
        return int(self.views[0].shape[0])

    @property
    def dimension(self) -> int:
        return int(self.views[0].shape[1])

    def batches(self, seed: int | None = None, rows: int | None = None) -> Iterator[Batch]:
        """Every view of every photo once, photos in order or in a seeded one; views of a photo stay together.

        Args:
            seed: of the order.
            rows: of a batch, about; by default as many as ``BATCH_BYTES`` hold.

        Raises:
            DataError: an embedding is not finite.
        """
        wanted = rows or BATCH_BYTES // (4 * max(1, self.dimension))
        step = max(1, wanted // len(self.views))
        order = np.arange(self.photos) if seed is None else np.random.default_rng(seed).permutation(self.photos)
        for start in range(0, self.photos, step):
            some = order[start : start + step] if seed is None else np.sort(order[start : start + step])
            at: Any = slice(start, start + len(some)) if seed is None else some
            found = np.concatenate([np.asarray(view[at], dtype=np.float32) for view in self.views])
            if not np.isfinite(found).all():
                raise DataError("an embedding holds a value that is not finite: embed the photos again")
            kept = None if self.kept is None else np.tile(np.asarray(self.kept)[some], len(self.views))
            yield Batch(unit_length(found) if self.unit_rows else found, np.asarray(self.labels)[:, some].ravel(), kept)


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Rows at unit Euclidean length, as float32; a zero row stays zero.

    >>> unit_length(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    wide = np.asarray(rows, dtype=np.float64)
    length = np.linalg.norm(wide, axis=-1, keepdims=True)
    return (wide / np.where(length > 0, length, 1)).astype(np.float32)
