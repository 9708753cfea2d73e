"""Effect of processing on similarities: histograms of some queries (the article's first figure), and two means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.tasks.scores import units_of
from benchmark.tasks.task import TaskInput
from builders.photos import hash64, rank_within

WORK = 1 << 35
"""Most multiply-adds that a task spends on similarities (some seconds of a core); 64 times as many on a GPU. If all
photos need more, a sample is used."""

LEAST = 16
"""Least number of photos of a sample."""

RANDOM, CHOSEN = 3, ("misled most", "misled as often as not", "misled least")
"""Queries whose histograms are stored: some drawn by a hash, equal for every encoder; and those whose ``beats`` is the
greatest, the median and the least."""


def similarity_details(inputs: TaskInput, train: np.ndarray, test: np.ndarray, views: Sequence[str]) -> dict[str, Any]:
    """``similarities`` and ``similarity_summary`` of a kNN task; empty if there is only one view.

    Args:
        inputs: of the task.
        train: int64, indices of the collection.
        test: int64, indices of the queries' photos.
        views: names of the views, one per processing.
    """
    from benchmark.knn import KINDS, histogram, similarities, similarity_counts

    if len(views) < 2:
        return {}
    labels = inputs.photos.labels.values
    sample, kinds = sampled_queries(inputs, test, len(views), len(train)), np.arange(len(views))
    collection = [inputs.view(name, train) for name in views]
    of_views = [inputs.view(name, sample)[:] for name in views]
    photos, under = np.repeat(np.arange(len(sample)), len(views)), np.tile(kinds, len(sample))
    queries = np.stack(of_views, axis=1).reshape(len(photos), -1)
    query_labels = labels[sample][photos]
    measured = similarities(collection, queries, labels[train], query_labels, under, device=inputs.device)
    known = np.flatnonzero(np.isfinite(measured.beats))
    if not len(known):
        return {}
    shown = _shown(inputs, sample[photos[known]], under[known], measured.beats[known])
    at = known[list(shown.values())]
    counts = similarity_counts(
        collection, queries[at], labels[train], query_labels[at], under[at], device=inputs.device
    )
    histograms = []
    for why, q, of_query in zip(shown, at.tolist(), counts, strict=True):
        bins = histogram(of_query)
        histograms.append(
            {
                "query": inputs.photos.ids[sample[photos[q]]],
                "class": inputs.photos.labels.names[query_labels[q]],
                "processing": views[under[q]],
                "why": why,
                "beats": float(measured.beats[q]),
                "overlap": float(measured.overlap[q]),
                "edges": bins.edges.tolist(),
                "counts": {kind: row.tolist() for kind, row in zip(KINDS, bins.counts, strict=True)},
            }
        )
    photos_of = photos[known]
    summary: dict[str, Any] = {
        name: _mean_over_photos(inputs, getattr(measured, name)[known], sample[photos_of])
        for name in ("beats", "overlap")
    }
    summary |= {"n": len(np.unique(photos_of)), "queries": len(known), "photos": len(test)}
    return {"similarities": histograms, "similarity_summary": summary | {"chance": 0.5}}


def sampled_queries(
    inputs: TaskInput, test: np.ndarray, classes: int, collection: int, *, least: int = 0
) -> np.ndarray:
    """int64, ascending: all of ``test``, or as many as ``WORK`` allows, balanced by class as far as possible.

    Args:
        inputs: of the task.
        test: int64, indices of photos.
        classes: processings of the queries and of the collection.
        collection: photos in it.
        least: photos that the sample has at least, whatever the work; ``LEAST`` if that is more.
    """
    work = WORK * (1 if inputs.device == "cpu" else 64)
    most = max(least, LEAST, work // (classes * classes * max(1, collection) * max(1, inputs.bank.dim)))
    if len(test) <= most:
        return test
    hashes = np.array([hash64(f"similarities\0{inputs.options.seed}\0{inputs.photos.ids[i]}") for i in test], np.uint64)
    order = np.argsort(hashes, kind="stable")
    rank = np.empty(len(test), np.int64)
    rank[order] = rank_within(inputs.photos.labels.values[test[order]])
    return np.sort(test[np.lexsort((hashes, rank))[:most]])


def _shown(inputs: TaskInput, photos: np.ndarray, under: np.ndarray, beats: np.ndarray) -> dict[str, int]:
    """By reason, the index in ``beats`` of a query that is shown; each query once."""
    order = np.lexsort((np.arange(len(beats)), beats))
    wanted = dict(zip(CHOSEN, (int(order[-1]), int(order[len(order) // 2]), int(order[0])), strict=True))
    drawn = sorted(
        range(len(beats)),
        key=lambda q: hash64(f"shown\0{inputs.options.seed}\0{inputs.photos.ids[photos[q]]}\0{under[q]}"),
    )
    wanted |= {f"drawn at random, {i + 1}": q for i, q in enumerate(drawn[:RANDOM])}
    return {why: q for why, q in wanted.items() if q not in list(wanted.values())[: list(wanted).index(why)]}


def _mean_over_photos(inputs: TaskInput, values: np.ndarray, photos: np.ndarray) -> dict[str, float]:
    """Mean of a value over queries and its interval; the queries of a photo, and of one error unit, err together."""
    from benchmark.stats import photo_interval

    of_photos, rows, times = np.unique(photos, return_inverse=True, return_counts=True)
    sums = np.bincount(rows, weights=values)
    units = units_of(inputs, of_photos)
    interval = photo_interval(sums, times, clusters=units.clusters, resamples=inputs.options.resamples)
    return {"value": interval.value, "low": interval.low, "high": interval.high}
