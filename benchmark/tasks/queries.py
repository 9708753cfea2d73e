"""Whose neighbours kNN asks for, and among whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmark.options import RunOptions
from benchmark.tasks.processing import train_and_test, unfit_for_splits
from benchmark.tasks.task import TaskInput
from builders.photos import UNLABELLED, PhotoSet, hash64, rank_within

if TYPE_CHECKING:
    from benchmark.knn import TieRule


class Asked(NamedTuple):
    """Whose neighbours, among whom; int64 indices of usable photos whose class is known."""

    train: np.ndarray
    test: np.ndarray
    """The queries."""
    all_test: np.ndarray
    """Those that queries were sampled from."""

    def sampled(self, options: RunOptions) -> dict[str, int]:
        """What a score's details say of it; empty where all were asked."""
        if len(self.test) == len(self.all_test):
            return {}
        counts = {"sampled_queries": len(self.test), "queries_from": len(self.all_test)}
        return {**counts, "query_seed": options.seed}


def asked_of(given: TaskInput) -> Asked:
    """The collection and the queries of a kNN task."""
    train, every = (labelled(indices, given.photos) for indices in train_and_test(given))
    test = every if given.options.queries is None else balanced_queries(given.photos, every, given.options)
    return Asked(train, test, every)


def balanced_queries(photos: PhotoSet, test: np.ndarray, options: RunOptions) -> np.ndarray:
    """int64, rising: ``options.queries`` of the photos at indices ``test``, the same for every encoder and parameter.

    Photos are ranked within their class by a hash of (seed, id) and taken rank by rank, so that classes differ by one
    photo at most where they have enough, and more queries contain fewer.
    """
    hashes = np.array([hash64(f"queries\0{options.seed}\0{photos.ids[i]}") for i in test], dtype=np.uint64)
    order = np.argsort(hashes, kind="stable")
    rank = np.empty(len(test), dtype=np.int64)
    rank[order] = rank_within(photos.labels.values[test[order]])
    return np.sort(test[np.lexsort((hashes, rank))[: options.queries]])


def tie_rule(options: RunOptions) -> TieRule:
    """How the run counts tied votes."""
    return "random" if options.ties == "random" else "nearest"


def unfit_for_plain_knn(photos: PhotoSet) -> str:
    """Why photos as they are cannot be asked about their neighbours, or an empty string."""
    if photos.stored_views:
        return "it stores photos that are processed already"
    if len(photos.labels.names) < 2:
        return "its photos have no class labels (at least two classes are needed)"
    return unfit_for_splits(photos)


def labelled(indices: np.ndarray, photos: PhotoSet) -> np.ndarray:
    """Those of some photos whose class is known."""
    return indices[photos.labels.values[indices] != UNLABELLED]
