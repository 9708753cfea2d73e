"""An eraser: an affine map of embeddings, or one per group, and its provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from benchmark.erasing.moments import unit_length
from builders.errors import DataError

BLOCK_ROWS = 8192
"""Rows that are mapped at a time."""


@dataclass(frozen=True, eq=False)
class Eraser:
    """An affine map of embeddings to embeddings of the same length: ``mean + (x - mean) @ projection.T``."""

    method: str
    """A name in ``METHODS``."""
    mean: np.ndarray
    """float32 [d]."""
    projection: np.ndarray
    """float32 [d, d]."""
    rank: int
    """Number of directions that are removed."""
    unit_rows: bool = False
    """Whether rows are scaled to unit length first."""
    group_means: np.ndarray | None = None
    """float32 [G, d], subtracted from the rows of each group before the map, for a method that needs the groups."""
    group_scales: np.ndarray | None = None
    """float32 [G, d], by which the difference is divided."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """How and on which photos it was fitted; JSON values."""

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return len(self.mean)

    @property
    def needs_labels(self) -> bool:
        """Whether it can be applied only to rows whose label is known."""
        return self.group_means is not None

    @cached_property
    def sha256(self) -> str:
        """Hash of the arrays of the map."""
        digest = hashlib.sha256(f"camtrace eraser 1 {self.unit_rows}".encode())
        for array in self.tensors().values():
            digest.update(repr(array.shape).encode() + np.ascontiguousarray(array, dtype="<f4").tobytes())
        return digest.hexdigest()

    @property
    def name(self) -> str:
        """Method, attribute and first digits of the hash: ``leace-jpeg@0a1b2c3d``. It also says if test labels are
        needed, which every table must show."""
        trace = self.provenance.get("attribute")
        note = " (given test labels)" if self.needs_labels else ""
        return f"{self.method}{f'-{trace}' if trace else ''}@{self.sha256[:8]}{note}"

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays of the map by name, as a file stores them."""
        arrays = {"mean": self.mean, "projection": self.projection}
        if self.group_means is not None and self.group_scales is not None:
            arrays |= {"group_means": self.group_means, "group_scales": self.group_scales}
        return arrays

    def apply(self, embeddings: Any, labels: Any | None = None) -> np.ndarray:
        """The embeddings without the trace.

        Args:
            embeddings: [n, d], or one embedding [d].
            labels: int [n], the group of each row, if ``needs_labels``.

        Returns:
            float32 of the same shape. Rows are not scaled to unit length afterwards.

        Raises:
            DataError: the dimension differs, a value is not finite, or labels are missing.
        """
        rows = np.atleast_2d(np.asarray(embeddings, dtype=np.float32))
        if rows.ndim != 2 or rows.shape[1] != self.dimension:
            raise DataError(
                f"embeddings of shape {np.shape(embeddings)}: this eraser is for {self.dimension} dimensions"
            )
        if not np.isfinite(rows).all():
            raise DataError("an embedding holds a value that is not finite: an eraser cannot map it")
        groups = None if labels is None else np.asarray(labels, dtype=np.int64).ravel()
        if self.needs_labels and (groups is None or len(groups) != len(rows)):
            raise DataError(f"{self.method} needs the label of every row that it is applied to")
        out = np.empty_like(rows)
        for start in range(0, len(rows), BLOCK_ROWS):
            part = slice(start, start + BLOCK_ROWS)
            out[part] = self._mapped(rows[part], None if groups is None else groups[part])
        return out[0] if np.ndim(embeddings) == 1 else out

    def _mapped(self, rows: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
        rows = unit_length(rows) if self.unit_rows else rows
        if self.group_means is not None and self.group_scales is not None:
            deviation = (rows - self.group_means[groups]) / self.group_scales[groups]
        else:
            deviation = rows - self.mean
        return self.mean + deviation @ self.projection.T
