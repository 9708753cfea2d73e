"""An eraser: one affine map of embeddings (or one for each group), and where it comes from."""

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
"""Rows that are mapped at once."""


@dataclass(frozen=True, eq=False)
class Eraser:
    """Embeddings in, embeddings of the same length out: ``mean + (x - mean) @ projection.T``."""

    method: str
    """A name in ``METHODS``."""
    mean: np.ndarray
    """float32 [d]."""
    projection: np.ndarray
    """float32 [d, d]."""
    rank: int
    """Directions that it takes out."""
    unit_rows: bool = False
    """Whether rows are brought to unit length first."""
    group_means: np.ndarray | None = None
    """float32 [G, d] of a method that needs to know each row's group: what is subtracted before the map."""
    group_scales: np.ndarray | None = None
    """float32 [G, d]: what the rest is divided by."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """What it was fitted on, and how; JSON values."""

    @property
    def dimension(self) -> int:
        return len(self.mean)

    @property
    def needs_labels(self) -> bool:
        """Whether it can be applied only to rows whose label is known already."""
        return self.group_means is not None

    @cached_property
    def sha256(self) -> str:
        """Of the numbers that decide what it does."""
        digest = hashlib.sha256(f"camtrace eraser 1 {self.unit_rows}".encode())
        for array in self.tensors().values():
            digest.update(repr(array.shape).encode() + np.ascontiguousarray(array, dtype="<f4").tobytes())
        return digest.hexdigest()

    @property
    def name(self) -> str:
        """Method, attribute and the first digits of its hash: ``leace-jpeg@0a1b2c3d``; and that it needs test labels,
        which no table may hide."""
        trace = self.provenance.get("attribute")
        told = " (given test labels)" if self.needs_labels else ""
        return f"{self.method}{f'-{trace}' if trace else ''}@{self.sha256[:8]}{told}"

    def tensors(self) -> dict[str, np.ndarray]:
        """By name, what a file of it holds."""
        found = {"mean": self.mean, "projection": self.projection}
        if self.group_means is not None and self.group_scales is not None:
            found |= {"group_means": self.group_means, "group_scales": self.group_scales}
        return found

    def apply(self, embeddings: Any, labels: Any | None = None) -> np.ndarray:
        """The embeddings without the trace.

        Args:
            embeddings: [n, d], or one embedding [d].
            labels: int [n], the group of each row, where ``needs_labels``.

        Returns:
            float32, of the same shape. Rows are not brought to unit length afterwards.

        Raises:
            DataError: another dimension than it was fitted on, a value that is not finite, or labels are missing.
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
