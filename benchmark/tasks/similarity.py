"""How far processing moves similarities: the article's first figure for some queries, two numbers for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.tasks.task import TaskInput
from builders.photos import hash64, rank_within

WORK = 1 << 35
"""Multiply-adds that a task spends on similarities at most (some seconds of one core); a GPU may spend 64 times that.
More photos are asked by a sample."""

LEAST = 16
"""Photos of a sample, whatever the work."""

RANDOM, CHOSEN = 3, ("misled most", "misled as often as not", "misled least")
"""Queries whose histograms are kept: drawn by a hash, the same for every encoder; and those whose ``beats`` is the
greatest, the median and the least."""


def similarity_details(given: TaskInput, train: np.ndarray, test: np.ndarray, views: Sequence[str]) -> dict[str, Any]:
    """``similarities`` and ``similarity_summary`` of a kNN task; empty where a processing has no other beside it.

    Args:
        train: int64, indices of the collection.
        test: int64, indices of the photos that are asked.
        views: names of the views, one for each processing.
    """
    from benchmark.knn import KINDS, histogram, similarities, similarity_counts

    if len(views) < 2:
        return {}
    labels = given.photos.labels.values
    asked, kinds = _sample(given, test, len(views), len(train)), np.arange(len(views))
    collection = [given.view(name, train) for name in views]
    of_views = [given.view(name, asked)[:] for name in views]
    photos, under = np.repeat(np.arange(len(asked)), len(views)), np.tile(kinds, len(asked))
    queries = np.stack(of_views, axis=1).reshape(len(photos), -1)
    own = labels[asked][photos]
    found = similarities(collection, queries, labels[train], own, under, device=given.device)
    known = np.flatnonzero(np.isfinite(found.beats))
    if not len(known):
        return {}
    shown = _shown(given, asked[photos[known]], under[known], found.beats[known])
    at = known[list(shown.values())]
    counts = similarity_counts(collection, queries[at], labels[train], own[at], under[at], device=given.device)
    told = []
    for why, q, one in zip(shown, at.tolist(), counts, strict=True):
        bins = histogram(one)
        told.append(
            {
                "query": given.photos.ids[asked[photos[q]]],
                "class": given.photos.labels.names[own[q]],
                "processing": views[under[q]],
                "why": why,
                "beats": float(found.beats[q]),
                "overlap": float(found.overlap[q]),
                "edges": bins.edges.tolist(),
                "counts": {kind: row.tolist() for kind, row in zip(KINDS, bins.counts, strict=True)},
            }
        )
    photos_of = photos[known]
    summary: dict[str, Any] = {
        name: _mean_over_photos(getattr(found, name)[known], photos_of, given.options.resamples)
        for name in ("beats", "overlap")
    }
    summary |= {"n": len(np.unique(photos_of)), "queries": len(known), "photos": len(test)}
    return {"similarities": told, "similarity_summary": summary | {"chance": 0.5}}


def _sample(given: TaskInput, test: np.ndarray, classes: int, collection: int) -> np.ndarray:
    """int64, rising: all of ``test``, or as many as ``WORK`` allows, balanced by class as far as there are enough."""
    work = WORK * (1 if given.device == "cpu" else 64)
    most = max(LEAST, work // (classes * classes * max(1, collection) * max(1, given.bank.dim)))
    if len(test) <= most:
        return test
    hashes = np.array([hash64(f"similarities\0{given.options.seed}\0{given.photos.ids[i]}") for i in test], np.uint64)
    order = np.argsort(hashes, kind="stable")
    rank = np.empty(len(test), np.int64)
    rank[order] = rank_within(given.photos.labels.values[test[order]])
    return np.sort(test[np.lexsort((hashes, rank))[:most]])


def _shown(given: TaskInput, photos: np.ndarray, under: np.ndarray, beats: np.ndarray) -> dict[str, int]:
    """Which queries are shown, as places in ``beats``, by why; each once."""
    order = np.lexsort((np.arange(len(beats)), beats))
    wanted = dict(zip(CHOSEN, (int(order[-1]), int(order[len(order) // 2]), int(order[0])), strict=True))
    drawn = sorted(
        range(len(beats)),
        key=lambda q: hash64(f"shown\0{given.options.seed}\0{given.photos.ids[photos[q]]}\0{under[q]}"),
    )
    wanted |= {f"drawn at random, {i + 1}": q for i, q in enumerate(drawn[:RANDOM])}
    return {why: q for why, q in wanted.items() if q not in list(wanted.values())[: list(wanted).index(why)]}


def _mean_over_photos(values: np.ndarray, photos: np.ndarray, resamples: int) -> dict[str, float]:
    """The mean of a value over queries, and its interval: queries of one photo err together."""
    from benchmark.stats import photo_interval

    _, places, times = np.unique(photos, return_inverse=True, return_counts=True)
    sums = np.bincount(places, weights=values)
    found = photo_interval(sums, times, resamples=resamples)
    return {"value": found.value, "low": found.low, "high": found.high}
