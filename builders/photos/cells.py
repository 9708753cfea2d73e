"""Cells of label x group: how many photos and clusters each has, and what cannot be answered with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from builders.errors import unknown_name
from builders.photos.photo_set import CLUSTER, TERMS_OF_USE, UNLABELLED, PhotoSet
from builders.processes import notice

MOST_SHOWN = 12
"""Labels and groups up to which every cell is printed."""

MOST_CELLS = 3
"""Cells that a sentence names."""


@dataclass(frozen=True)
class GroupCells:
    """Photos and clusters of each cell of label x group. Photos without a label or without the group are in none."""

    group: str
    """Name of the group."""
    labels: tuple[str, ...]
    """Labels that photos have; one "" if the photos have no labels."""
    values: tuple[str, ...]
    """Values of the group that photos have."""
    photos: np.ndarray
    """int64 [labels, values], photos."""
    clusters: np.ndarray | None
    """int64 [labels, values], clusters; None without given clusters. A photo without one is a cluster of its own."""
    unknown: int
    """Photos without a value of the group."""

    @property
    def faults(self) -> tuple[str, ...]:
        """What cannot be answered about this group, or only with care, one sentence each; none if all is well."""
        name, sizes = self.group, self.photos[self.photos > 0]
        faults = []
        if self.unknown:
            faults.append(f"{self.unknown:,} photos have no {name}: they are left out of questions about it")
        if len(self.values) < 2:
            only = self.values[0] if self.values else "none"
            return (*faults, f"{name} has one class ({only}): there is nothing to compare")
        if len(self.labels) > 1 and (self.photos > 0).sum(axis=1).max() == 1:
            faults.append(f"each label has one {name}: effects of {name} and of the label cannot be separated")
        elif empty := self._cells(self.photos == 0):
            faults.append(f"no photo in {empty}: comparisons that need these cells leave them out")
        if self.clusters is not None and (single := self._cells(self.clusters == 1)):
            faults.append(f"one cluster in {single}: nothing there can be compared between clusters")
        if sizes.min() != sizes.max():
            faults.append(
                f"cells are unequal ({sizes.min():,} to {sizes.max():,} photos): {name} is given, not assigned"
            )
        return tuple(faults)

    def _cells(self, where: np.ndarray) -> str:
        """Names of some cells as part of a sentence; empty if there are none."""
        at = np.argwhere(where)
        named = [" x ".join(filter(None, (self.labels[label], self.values[value]))) for label, value in at[:MOST_CELLS]]
        if len(at) > MOST_CELLS:
            return f"{len(at):,} of {where.size:,} cells (the first: {named[0]})"
        return ", ".join(named)

    def text(self) -> str:
        """The cells as a table of photos (and clusters), or their range where there are many; then the faults."""
        shape = f"{len(self.labels)} label{'' if len(self.labels) == 1 else 's'} x {len(self.values)} {self.group}"
        lines = [f"{shape}: photos{' (clusters)' if self.clusters is not None else ''} in each cell"]
        if max(self.photos.shape, default=0) <= MOST_SHOWN:
            rows = [("", *self.values)]
            for label, counts in enumerate(self.photos.tolist()):
                clusters = self.clusters[label].tolist() if self.clusters is not None else [None] * len(counts)
                cells = [
                    f"{n:,}" + (f" ({c:,})" if c is not None else "") for n, c in zip(counts, clusters, strict=True)
                ]
                rows.append((self.labels[label], *cells))
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            for first, *others in rows:
                cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
                lines.append("  " + "  ".join([first.ljust(widths[0]), *cells]).rstrip())
        else:
            sizes = self.photos[self.photos > 0]
            median = int(np.median(sizes)) if len(sizes) else 0
            lines.append(
                f"  {len(sizes):,} of {self.photos.size:,} cells have photos, "
                f"{sizes.min(initial=median):,} to {sizes.max(initial=median):,} each, median {median:,}"
            )
        return "\n".join([*lines, *(f"  {fault}" for fault in self.faults)])


def group_cells(photos: PhotoSet, group: str) -> GroupCells:
    """The cells of label x group of a photo set.

    Args:
        photos: the photo set.
        group: name of one of its groups.

    Raises:
        UsageError: there is no such group.

    >>> import dataclasses
    >>> from builders.photos import Labels
    >>> photos = PhotoSet.of_bytes("toy", dict.fromkeys("abcd", b""), labels=["cat", "cat", "dog", "dog"])
    >>> site = Labels(("north", "south"), np.array([0, 0, 0, 1], dtype=np.int32))
    >>> cells = group_cells(dataclasses.replace(photos, groups={"site": site}), "site")
    >>> cells.photos.tolist(), cells.faults[0]
    ([[2, 0], [1, 1]], 'no photo in cat x south: comparisons that need these cells leave them out')
    """
    if group not in photos.groups:
        raise unknown_name(f"group of {photos.name}", group, photos.groups)
    of_group = photos.groups[group]
    label = photos.labels.values if photos.labels.names else np.zeros(len(photos), dtype=np.int32)
    names = photos.labels.names or ("",)
    at = np.flatnonzero((label != UNLABELLED) & (of_group.values != UNLABELLED))
    labels, rows = np.unique(label[at], return_inverse=True)
    values, columns = np.unique(of_group.values[at], return_inverse=True)
    shape = (len(labels), len(values))
    clusters = None
    if CLUSTER in photos.columns:
        named = photos.columns[CLUSTER].astype(str)
        code = np.unique(named, return_inverse=True)[1].astype(np.int64)
        code = np.where(named == "", len(named) + np.arange(len(named)), code)[at]
        clusters = clusters_by_cell(rows, columns, code, shape)
    return GroupCells(
        group,
        tuple(names[i] for i in labels),
        tuple(of_group.names[i] for i in values),
        photos_by_cell(rows, columns, shape),
        clusters,
        int((of_group.values == UNLABELLED).sum()),
    )


def photos_by_cell(labels: np.ndarray, groups: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """int64 ``shape`` [labels, groups]: photos of each cell, from codes [n].

    >>> photos_by_cell(np.array([0, 0, 1]), np.array([1, 1, 0]), (2, 2)).tolist()
    [[0, 2], [1, 0]]
    """
    cell = labels.astype(np.int64) * shape[1] + groups
    return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)


def clusters_by_cell(
    labels: np.ndarray, groups: np.ndarray, clusters: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """int64 ``shape`` [labels, groups]: clusters with a photo in each cell, from codes [n].

    >>> codes = np.array([0, 0, 1]), np.array([1, 1, 0]), np.array([7, 7, 7])
    >>> clusters_by_cell(*codes, (2, 2)).tolist()
    [[0, 1], [1, 0]]
    """
    cell = labels.astype(np.int64) * shape[1] + groups
    pairs = np.unique(np.stack([cell, clusters]), axis=1)[0]
    return np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)


_FACTS = ("simulated", "design", "missing", "clusters", "left out", TERMS_OF_USE)
"""Facts in ``evidence`` that stand above the cells."""


def cells_text(photos: PhotoSet) -> str:
    """The cells of every group, and what became of clusters and given splits, for people; empty without columns."""
    facts = {fact: photos.evidence[fact].removeprefix(f"{fact}: ") for fact in _FACTS if fact in photos.evidence}
    stated = [f"  {fact}: {text}" for fact, text in facts.items()]
    if not photos.groups and "clusters" not in photos.evidence:
        return ""
    return "\n".join([f"{photos.name}:", *stated, *(group_cells(photos, group).text() for group in photos.groups)])


def print_cells(photos: PhotoSet) -> None:
    """Print ``cells_text`` on standard error, before the work on the photos begins."""
    if text := cells_text(photos):
        notice(text)
