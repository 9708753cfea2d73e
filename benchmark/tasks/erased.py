"""A view with an eraser in place: reads like the view itself, erased as it is read. Banks hold what encoders gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from builders.errors import DataError
from builders.photos import UNLABELLED, PhotoSet

if TYPE_CHECKING:
    from benchmark.bank import BankView
    from benchmark.erasers import Eraser


class ErasedView:
    """Embeddings of one view, erased a slice at a time."""

    reads_rows: ClassVar[bool] = True

    def __init__(self, view: BankView, eraser: Eraser, groups: np.ndarray | None = None) -> None:
        self._view, self._eraser, self._groups = view, eraser, groups
        self.shape = view.shape

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, at: slice | np.ndarray) -> np.ndarray:
        return self._eraser.apply(self._view[at], None if self._groups is None else self._groups[at])


def groups_of(eraser: Eraser, photos: PhotoSet, view: str, indices: np.ndarray) -> np.ndarray | None:
    """int64 [photos]: the group of each, for an eraser that has to be told; None for one that has not.

    Raises:
        DataError: these photos under this view have no known group.
    """
    if not eraser.needs_labels:
        return None
    views, classes = list(eraser.provenance.get("views", ())), list(eraser.provenance.get("classes", ()))
    if view in views:
        return np.full(len(indices), views.index(view), dtype=np.int64)
    labels = photos.attributes.get(str(eraser.provenance.get("column", "")))
    if labels is None or not set(labels.names) <= set(classes):
        raise DataError(f"{eraser.name} needs the label of every photo that it is applied to: {view} has none")
    code = np.array([classes.index(name) for name in labels.names], dtype=np.int64)
    values = labels.values[indices]
    if (values == UNLABELLED).any():
        raise DataError(f"{eraser.name} needs the label of every photo: {int((values == UNLABELLED).sum())} have none")
    return code[values]
