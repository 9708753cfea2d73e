"""A group of a photo set (scanner, site, camera): the photos that a task uses, their cells, clusters and splits.

A group is given, not assigned: what is measured about it is observational, and cells may be unequal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.options import RunOptions
from benchmark.tasks.scores import units_of
from benchmark.tasks.task import TaskInput
from builders.errors import DataError
from builders.photos import SPLITS, UNLABELLED, PhotoSet, hash64

if TYPE_CHECKING:
    from benchmark.robustness import Cells
    from benchmark.stats import ErrorUnits

ANY_GROUP = "<group>"
"""Subject of the tasks that stand for those of every group of a photo set."""

GROUP_NAME = re.compile(r"[^\s/*?\[\]<>]([^/*?\[\]<>]{0,98}[^\s/*?\[\]<>])?")
"""Names of groups that can be a part of a task's name."""

TEST_SHARE = 1 / 3
"""Share of the clusters of each cell that are tested on, where the splits of the photos do not keep clusters apart."""

VALIDATION_SHARE = 0.2
"""Share of the other clusters that the search of a probe is validated on."""

OBSERVATIONAL = (
    "The group is given, not assigned: it may differ in more than its name says, and what is measured is observational."
)
"""Details of every score of a group, for reports."""


@dataclass(frozen=True, eq=False)
class GroupData:
    """The usable photos of a set whose group is known (and whose label is, if there are labels)."""

    name: str
    photos: np.ndarray
    """int64 [n], indices into the photo set, ascending."""
    cells: Cells
    units: ErrorUnits
    label_names: tuple[str, ...]
    group_names: tuple[str, ...]

    def details(self) -> dict[str, Any]:
        """Sizes of cells, and sentences about what cannot be answered."""
        sizes, clusters = self.cells.sizes, self.cells.cluster_counts
        return {
            "group": self.name,
            "observational": OBSERVATIONAL,
            "labels": list(self.label_names),
            "groups": list(self.group_names),
            "cells": sizes.tolist(),
            "clusters": clusters.tolist(),
            "resampled": self.units.rule,
            "units": self.units.count,
            **({"notes": notes} if (notes := self._notes()) else {}),
        }

    def _notes(self) -> list[str]:
        sizes, clusters = self.cells.sizes, self.cells.cluster_counts
        notes = []
        if (empty := int((sizes == 0).sum())) > 0:
            notes.append(f"{empty} of {sizes.size} cells of label x {self.name} have no photo.")
        if (alone := int((clusters == 1).sum())) > 0:
            notes.append(
                f"{alone} of {sizes.size} cells have one {self.units.rule}: photos of these have no neighbour in their "
                "cell, and the spread in it is unknown."
            )
        filled = sizes[sizes > 0]
        if len(filled) and filled.max() > 1.5 * filled.min():
            notes.append(f"Cells have {filled.min()} to {filled.max()} photos: chance follows from these sizes.")
        if self.units.alone:
            notes.append("No column says which photos err together (cluster=COLUMN): intervals may be too short.")
        return notes


def group_data(group: str, inputs: TaskInput) -> GroupData:
    """The photos, cells and clusters of a group.

    Raises:
        DataError: fewer than two groups or labels are left among the usable photos.
    """
    from benchmark.robustness import Cells

    photos, of_group = inputs.photos, inputs.photos.groups[group]
    known = inputs.usable & (of_group.values != UNLABELLED)
    if len(photos.labels.names) > 1:
        known &= photos.labels.values != UNLABELLED
    at = np.flatnonzero(known)
    units = units_of(inputs, at)
    labels = photos.labels.values if len(photos.labels.names) > 1 else np.zeros(len(photos), np.int64)
    cells = Cells.of(labels[at], of_group.values[at], units.index)
    if cells.n_groups < 2:
        raise DataError(f"{photos.name}: the usable photos have {cells.n_groups} value(s) of {group}, two are needed")
    names = photos.labels.names if len(photos.labels.names) > 1 else ("all",)
    return GroupData(
        group,
        at,
        cells,
        units,
        tuple(names[i] for i in np.unique(labels[at])),
        tuple(of_group.names[i] for i in np.unique(of_group.values[at])),
    )


def unfit_for_group(group: str, photos: PhotoSet, *, labels: bool = False) -> str:
    """Why a group's tasks cannot be run on these photos; empty if they can.

    Args:
        group: its name.
        photos: the photo set.
        labels: whether the task needs labels, too.
    """
    if group not in photos.groups:
        known = ", ".join(photos.groups)
        return f"it has no group {group}" + (f" (its groups: {known})" if known else " (group=NAME=SOURCE gives one)")
    if photos.stored_views:
        return "it stores photos that are processed already"
    values = photos.groups[group].values
    if len(np.unique(values[values != UNLABELLED])) < 2:
        return f"its group {group} has one value, two are needed"
    if labels and len(np.unique(photos.labels.values[photos.labels.values != UNLABELLED])) < 2:
        return "its photos have no class labels (at least two classes are needed)"
    return ""


@dataclass(frozen=True, eq=False)
class ClusterSplits:
    """Photos of training, validation and test, as positions in ``GroupData.photos``; no cluster is in two of them."""

    parts: Mapping[str, np.ndarray]
    drawn: bool
    """Whether clusters were drawn because the splits of the photos do not keep them apart."""


def cluster_splits(data: GroupData, photos: PhotoSet, options: RunOptions) -> ClusterSplits:
    """Splits that keep clusters apart: those of the photos if they do, else clusters drawn in each cell by a hash.

    Raises:
        DataError: some group has fewer than two clusters, so that it cannot be in both parts.
    """
    splits = photos.splits[data.photos]
    cluster = data.cells.clusters
    is_test = splits != SPLITS.index("train")
    if splits.max(initial=0) > 1:  # val for the search, test for the score
        is_test = splits == SPLITS.index("test")
    apart = not set(cluster[is_test]) & set(cluster[~is_test])
    everywhere = all(len(np.unique(data.cells.groups[part])) == data.cells.n_groups for part in (is_test, ~is_test))
    drawn = not (apart and everywhere)
    if drawn:
        is_test = _drawn(data, np.ones(len(cluster), bool), TEST_SHARE, f"test\0{options.seed}", photos)
    for part in (is_test, ~is_test):
        if len(np.unique(data.cells.groups[part])) < data.cells.n_groups:
            few = data.group_names[int(np.argmin(np.bincount(data.cells.groups[part], minlength=data.cells.n_groups)))]
            raise DataError(
                f"{photos.name}: {data.name} {few} has one {data.units.rule}, so it cannot be trained and tested on"
            )
    is_val = _drawn(data, ~is_test, VALIDATION_SHARE, f"val\0{options.seed}", photos)
    parts = {"train": ~is_test & ~is_val, "val": is_val, "test": is_test}
    return ClusterSplits({name: np.flatnonzero(part) for name, part in parts.items()}, drawn)


def _drawn(data: GroupData, among: np.ndarray, share: float, seed: str, photos: PhotoSet) -> np.ndarray:
    """bool [n]: a share of the clusters of each cell, equal for every encoder; none of a cell with one cluster."""
    chosen = np.zeros(data.cells.n_clusters, bool)
    decided = np.zeros(data.cells.n_clusters, bool)
    first = np.full(data.cells.n_clusters, -1)
    for position in np.flatnonzero(among)[::-1]:
        first[data.cells.clusters[position]] = position
    hashes = {
        int(c): hash64(f"clusters\0{seed}\0{photos.ids[data.photos[first[c]]]}") for c in np.flatnonzero(first >= 0)
    }
    for cell in np.unique(data.cells.cell[among]):
        members = np.unique(data.cells.clusters[among & (data.cells.cell == cell)])
        members = np.array(sorted((c for c in members if not decided[c]), key=lambda c: hashes[int(c)]), dtype=np.int64)
        decided[members] = True
        count = min(max(1, round(share * len(members))), len(members) - 1)
        chosen[members[:count]] = True
    return among & chosen[data.cells.clusters]
