"""A group of a photo set (scanner, site, camera): the photos that a task uses, their cells, clusters and splits.

A group is given, not assigned: what is measured about it is observational, and cells may be unequal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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

FOLDS = 3
"""Parts that the clusters are divided into, where the splits of the photos do not keep clusters apart."""

VALIDATION_SHARE = 0.2
"""Share of the training clusters of each cell that the search of a probe is validated on."""

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
    cluster_names: tuple[str, ...]
    """Names of the clusters, by the code in ``cells``. What is drawn depends on them alone."""
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
        DataError: fewer than two groups are left among the usable photos.
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
        _cluster_names(photos, at, cells.clusters, units),
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
    several = len(np.unique(photos.labels.values[photos.labels.values != UNLABELLED])) > 1
    if labels and not several:
        return "its photos have no class labels (at least two classes are needed)"
    return _unfit_cells(group, photos, both=labels) if several else ""


def _unfit_cells(group: str, photos: PhotoSet, *, both: bool) -> str:
    """Why label and group cannot be told apart; ``both``: neighbours need photos of one group and two labels, too."""
    known = (photos.labels.values != UNLABELLED) & (photos.groups[group].values != UNLABELLED)
    pairs = np.unique(np.stack([photos.labels.values[known], photos.groups[group].values[known]]), axis=1)
    of_label, of_group = (np.unique(codes, return_counts=True)[1].max(initial=0) for codes in pairs)
    if of_label < 2:
        return f"photos of one label are all of one {group}, so nothing tells the {group} from the label"
    if both and of_group < 2:
        return f"photos of one {group} are all of one label, so nothing tells what the {group} does from the label"
    return ""


def no_control(group: str) -> str:
    """Why a group has no control of shuffled groups, for reports."""
    return f"no control is possible, because clusters of one label that differ in their {group} are too few to shuffle."


def _cluster_names(photos: PhotoSet, at: np.ndarray, clusters: np.ndarray, units: ErrorUnits) -> tuple[str, ...]:
    """The value of the column that makes clusters; the id of the first photo where a cluster has no such value."""
    first = np.unique(clusters, return_index=True)[1]
    values = photos.columns.get(units.rule)
    ids = [photos.ids[i] for i in at[first]]
    return tuple(ids if values is None else [str(values[i]) or ids[c] for c, i in enumerate(at[first])])


Parts = Mapping[str, np.ndarray]
"""Positions in ``GroupData.photos`` of ``train``, ``val`` and ``test``; no cluster is in two of them."""


@dataclass(frozen=True, eq=False)
class ClusterSplits:
    """Where a reader of a group is trained and tested."""

    folds: tuple[Parts, ...]
    """One, by the splits of the photos; or several, of which each photo is in the test of one."""
    drawn: bool
    """Whether clusters were drawn because the splits of the photos do not keep them apart."""

    @property
    def tested(self) -> np.ndarray:
        """int64, positions of the photos of all tests, fold by fold."""
        return np.concatenate([parts["test"] for parts in self.folds])


def cluster_splits(data: GroupData, photos: PhotoSet, options: RunOptions) -> ClusterSplits:
    """The splits that the photos were given if they keep clusters apart, else a cross-fit over clusters.

    In a cross-fit every cluster is tested on once, by a reader that was trained on the other two thirds: the score is
    of all photos, and does not depend on which third was drawn. Draws depend on the names of clusters and on the seed.

    Raises:
        DataError: some group has fewer than two clusters, so that it cannot be in both parts.
    """
    splits = photos.splits[data.photos]
    cluster, groups = data.cells.clusters, data.cells.groups
    is_test = splits != SPLITS.index("train")
    if splits.max(initial=0) > 1:  # val for the search, test for the score
        is_test = splits == SPLITS.index("test")
    apart = not set(cluster[is_test]) & set(cluster[~is_test])
    everywhere = all(len(np.unique(groups[part])) == data.cells.n_groups for part in (is_test, ~is_test))
    drawn = photos.drawn_splits or not (apart and everywhere)
    tests = [is_test]
    if drawn:
        fold = _folds(data, f"test\0{options.seed}")[cluster]
        tests = [fold == i for i in range(FOLDS) if (fold == i).any()]
    for is_test in tests:
        if len(np.unique(groups[~is_test])) < data.cells.n_groups:
            few = data.group_names[int(np.argmin(np.bincount(groups[~is_test], minlength=data.cells.n_groups)))]
            raise DataError(
                f"{photos.name}: {data.name} {few} has one {data.units.rule}, so it cannot be trained and tested on"
            )
    return ClusterSplits(tuple(_parts(data, is_test, options) for is_test in tests), drawn)


def _parts(data: GroupData, is_test: np.ndarray, options: RunOptions) -> Parts:
    """Training, validation and test, where some of the training clusters of each cell are for validation."""
    chosen = np.zeros(data.cells.n_clusters, bool)
    for members in _by_cell(data, ~is_test, f"val\0{options.seed}"):
        chosen[members[: min(max(1, round(VALIDATION_SHARE * len(members))), len(members) - 1)]] = True
    is_val = ~is_test & chosen[data.cells.clusters]
    parts = {"train": ~is_test & ~is_val, "val": is_val, "test": is_test}
    return {name: np.flatnonzero(part) for name, part in parts.items()}


def _folds(data: GroupData, seed: str) -> np.ndarray:
    """int64 [clusters], the fold of each: those of each group are dealt in turn, cell by cell."""
    fold, dealt = np.zeros(data.cells.n_clusters, np.int64), [0] * data.cells.n_groups
    group_of = np.zeros(data.cells.n_clusters, np.int64)
    group_of[data.cells.clusters[::-1]] = data.cells.groups[::-1]
    for members in _by_cell(data, np.ones(len(data.cells), bool), seed):
        for cluster in members:
            fold[cluster] = dealt[group_of[cluster]] % FOLDS
            dealt[group_of[cluster]] += 1
    return fold


def _by_cell(data: GroupData, among: np.ndarray, seed: str) -> Iterator[np.ndarray]:
    """The clusters of each cell in the order of a hash of their names; each in the first of its cells only."""
    decided = np.zeros(data.cells.n_clusters, bool)
    for cell in np.unique(data.cells.cell[among]):
        members = np.unique(data.cells.clusters[among & (data.cells.cell == cell)])
        names = [(hash64(f"clusters\0{seed}\0{data.cluster_names[c]}"), c) for c in members if not decided[c]]
        decided[members] = True
        yield np.array([c for _, c in sorted(names)], dtype=np.int64)
