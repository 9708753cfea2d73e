"""An eraser: an affine map of embeddings, or one per group, and its provenance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmark.erasing.moments import Rows, unit_length
from builders.errors import DataError, disk_error, notice_of_old_spelling
from builders.files import write_bytes_atomically, write_text_atomically

BLOCK_ROWS = 8192
"""Rows that are mapped at a time."""


TENSORS, FIT_PHOTOS, ABOUT, CARD = "eraser.safetensors", "fit_photos.safetensors", "eraser.json", "README.md"

ERASER_FILES = (TENSORS, FIT_PHOTOS, CARD, ABOUT)
"""The files of a folder in the order of writing."""

SCHEMA = 1
"""Version of the form of ``eraser.json``."""


@dataclass(frozen=True, eq=False)
class FitSet:
    """The photos of a fit, as hashes that reveal neither names nor pictures."""

    ids: np.ndarray
    """uint64 [n], hashes of (data set, photo id)."""
    pictures: np.ndarray
    """uint64 [n], perceptual hashes; 0 if a picture has none."""

    @staticmethod
    def id_hashes(data: str, photo_ids: Any) -> np.ndarray:
        """uint64 [n], hashes of photo ids and the name of their data set, so that equal ids of two sets differ.

        >>> FitSet.id_hashes("folder:a", ["1.jpg"]) == FitSet.id_hashes("folder:b", ["1.jpg"])
        array([False])
        """
        texts = (f"{data}\0{photo}".encode("utf-8", "surrogateescape") for photo in photo_ids)
        return np.array([int.from_bytes(hashlib.sha256(t).digest()[:8], "big") for t in texts], dtype=np.uint64)

    def digest(self) -> str:
        """Hash of the photos of the fit, independent of their order, 16 hex digits."""
        return hashlib.sha256(np.sort(self.ids).astype("<u8").tobytes()).hexdigest()[:16]


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
    fit: FitSet | None = None
    """The photos of the fit, as hashes; None if they are not recorded."""

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

    def save(self, folder: str | Path) -> Path:
        """Write a folder that ``camtrace.load_eraser`` and ``camtrace score --eraser`` read.

        Raises:
            DiskError: a file cannot be written.
        """
        use = f"`camtrace.load_eraser(FOLDER).apply(embeddings)`, float32 [n, {self.dimension}]"
        card = f"# {self.name}\n\nAn eraser: {use}.\n"
        save_eraser(Path(folder), self, self.fit, about={}, card=card)
        return Path(folder)

    def __iter__(self) -> Iterator[Any]:
        """The pair (eraser, photos of its fit), which ``load_eraser`` gave in earlier versions."""
        notice_of_old_spelling("load_eraser", "gives the eraser; the photos of its fit are its attribute fit")
        return iter((self, self.fit))

    def __getitem__(self, index: int) -> Any:
        return tuple(self)[index]

    def apply(self, embeddings: Any, labels: Any | None = None) -> np.ndarray:
        """The embeddings without the trace.

        Args:
            embeddings: [n, d], or one embedding [d].
            labels: int [n], the group of each row, if ``needs_labels``.

        Returns:
            float32 of the same shape. Rows are not scaled to unit length afterwards.

        Raises:
            DataError: the dimension differs, a value is not finite, or labels are missing or of no group of the fit.
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
        if self.group_means is not None and groups is not None and len(groups):
            least, most, count = int(groups.min()), int(groups.max()), len(self.group_means)
            if least < 0 or most >= count:
                bad = least if least < 0 else most
                raise DataError(f"label {bad}: {self.method} was fitted on {count} groups, 0 to {count - 1}")
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


class ErasedView:
    """Embeddings of one view that are erased when they are read, one slice at a time."""

    reads_rows: ClassVar[bool] = True

    def __init__(self, view: Rows, eraser: Eraser, groups: np.ndarray | None = None) -> None:
        self._view, self._eraser, self._groups = view, eraser, groups
        self.shape = view.shape
        self.as_given = eraser.unit_rows
        """Whether probes read rows as the eraser gives them: scaling them again would not be linear."""

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, at: slice | np.ndarray) -> np.ndarray:
        return self._eraser.apply(self._view[at], None if self._groups is None else self._groups[at])


def save_eraser(folder: Path, eraser: Eraser, fit: FitSet | None, *, about: Mapping[str, Any], card: str) -> None:
    """Write the folder. A kill leaves the old folder, or one that is recognised as incomplete.

    Args:
        folder: created if it does not exist.
        eraser: the eraser.
        fit: the photos that it was fitted on.
        about: fields of ``eraser.json`` in addition to ``eraser_record``.
        card: text of ``README.md``.

    Raises:
        DiskError: a file cannot be written.
    """
    from safetensors.numpy import save

    files = {TENSORS: save({name: np.ascontiguousarray(array) for name, array in eraser.tensors().items()})}
    if fit is not None:
        files[FIT_PHOTOS] = save({"ids": fit.ids, "pictures": fit.pictures})
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    text = json.dumps({**eraser_record(eraser), "files_sha256": hashes, **about}, indent=2, ensure_ascii=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ABOUT).unlink(missing_ok=True)
        for name, data in files.items():
            write_bytes_atomically(folder / name, data)
        write_text_atomically(folder / CARD, card)
        write_text_atomically(folder / ABOUT, text + "\n", durable=True)
    except OSError as error:
        raise disk_error(error, folder) from None


def eraser_record(eraser: Eraser) -> dict[str, Any]:
    """The description of an eraser in ``eraser.json`` and in every result that it was applied in."""
    return {
        "schema_version": SCHEMA,
        "method": eraser.method,
        "name": eraser.name,
        "sha256": eraser.sha256,
        "rank": eraser.rank,
        "dimension": eraser.dimension,
        "dtype": str(eraser.mean.dtype),
        "unit_rows": eraser.unit_rows,
        "labels_at_test_time": eraser.needs_labels,
        **eraser.provenance,
    }
