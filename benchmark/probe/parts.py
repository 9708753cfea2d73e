"""Parts of the train photos, and the probe on one: what learning curves and training spread are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from benchmark.probe.answers import ProbeAnswers
from benchmark.probe.features import Rows, Some
from benchmark.probe.problem import Features, LabelledSplits
from benchmark.probe.protocols import as_learnt, labelled_probe, processing_probe
from benchmark.probe.together import SharedSplits

PART_ROWS = 4_000
"""A part learns from as many assignments as have about so many train photos together, at least one, as the search of
``converged`` does: where photos are many, one assignment says as much as ten."""

PartProbe = Callable[[int, float, Mapping[str, Any]], ProbeAnswers]
"""(seed of the order, share of the train photos, options of the protocol) -> the probe on that part."""


class Clusters(NamedTuple):
    """What train and val photos come in, one name a photo; None where they stand alone."""

    train: np.ndarray | None
    val: np.ndarray | None


NO_CLUSTERS = Clusters(None, None)


def processing_parts(
    train: Sequence[Rows],
    test: Sequence[Rows],
    assignments: Any,
    *,
    whole: ProbeAnswers | None = None,
    **options: Any,
) -> tuple[PartProbe, int]:
    """``processing_probe`` on random parts of its train photos, nested for one seed, and its number of assignments.

    Args:
        train, test, assignments, options: as in ``processing_probe``.
        whole: what it answered on all train photos: what it learnt from, if that was rotated, holds that of all parts.
    """
    assigned = np.atleast_2d(np.asarray(assignments))
    fits, photos = assigned.shape
    used = min(fits, max(1, PART_ROWS // max(photos, 1)))
    found = None if whole is None else whole.features
    learnt = None if found is None else found.part(slice(used), np.arange(found.n))

    def probe(seed: int, share: float, more: Mapping[str, Any]) -> ProbeAnswers:
        rows = part(order_of(np.zeros(photos, np.int64), seed), share)
        features = None if learnt is None else Features(learnt, rows)
        banks = [Some(bank, rows) for bank in train]
        return processing_probe(banks, test, assigned[:used, rows], features=features, **options, **more)

    return probe, used


def labelled_parts(
    splits: LabelledSplits | SharedSplits, clusters: Clusters = NO_CLUSTERS, **options: Any
) -> PartProbe:
    """``labelled_probe`` on parts of its train and val photos.

    Args:
        splits, options: as in ``labelled_probe``.
        clusters: where given, a part holds so many whole clusters; else the same share of each class, at least one
            photo of it.
    """
    of_probe = ("protocol", "reader", "device", "memory_bytes")
    learnt = as_learnt(splits, **{name: options[name] for name in of_probe if name in options})

    def some(labels: Any, groups: np.ndarray | None, seed: int, share: float) -> np.ndarray:
        if groups is None:
            return part(order_of(np.asarray(labels), seed), share)
        code = np.unique(groups, return_inverse=True)[1]
        return part(order_of(np.zeros(code.max() + 1, np.int64), seed)[code], share)

    def probe(seed: int, share: float, more: Mapping[str, Any]) -> ProbeAnswers:
        rows = some(learnt.train_y, clusters.train, seed, share)
        given = replace(
            learnt, train_x=Some(learnt.train_x, rows), train_y=np.asarray(learnt.train_y)[rows], of_others=True
        )
        if learnt.val_x is not None and learnt.val_y is not None:
            rows = some(learnt.val_y, clusters.val, seed, share)
            given = replace(given, val_x=Some(learnt.val_x, rows), val_y=np.asarray(learnt.val_y)[rows])
        return labelled_probe(given, **options, **more)

    return probe


def order_of(labels: np.ndarray, seed: int) -> np.ndarray:
    """float64 [n]: the share of its class from which on an item is in a part, by a seeded permutation."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        place[members] = np.arange(len(members)) / len(members)
    return place


def part(order: np.ndarray, share: float) -> np.ndarray:
    """Ascending indices of the items in a part; parts of one order are nested.

    >>> part(np.array([0.5, 0.0, 0.75, 0.25]), 0.5).tolist()
    [1, 3]
    """
    return np.flatnonzero(order < share - 1e-12)
