"""Strips: some photos under all processings, how far each moves the embedding, and who its neighbours become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmark.tasks.queries import Asked
from benchmark.tasks.task import TaskInput
from builders.photos import hash64

NEIGHBOURS = 5
"""Named for each view; all k of the run vote."""

RANDOM, CHOSEN = 2, ("answer turned by most processings", "embedding moved most")
"""Photos that are told: drawn by a hash, the same for every encoder; and the first by either rule."""


def strip_details(
    given: TaskInput, asked: Asked, names: Sequence[str], right: np.ndarray, distances: np.ndarray, k: int
) -> dict[str, Any]:
    """``strips`` of a score: a list of four photos at most.

    Args:
        given: of the task.
        asked: the collection and the queries.
        names: of the views; the last is the photo as it is.
        right: [views, queries] in [0, 1].
        distances: [views but the last, queries], of each view's embedding to that of the photo as it is.
        k: neighbours that vote.
    """
    from benchmark.knn import nearest

    photos, chosen = given.photos, _chosen(given, asked, right, distances)
    places = np.array(list(chosen.values()))
    rows = np.concatenate([given.view(name, asked.test[places])[:] for name in names])
    found = nearest(given.view(names[-1], asked.train), rows, k, device=given.device)
    shape = (len(names), len(places), k)
    near, similar = found.indices.reshape(shape), found.similarities.reshape(shape)
    labels = photos.labels.values[asked.train]
    strips = []
    for at, (why, place) in enumerate(chosen.items()):
        seen = list(dict.fromkeys(int(i) for view in near[:, at, :NEIGHBOURS] for i in view if i >= 0))
        strips.append(
            {
                "query": photos.ids[asked.test[place]],
                "class": photos.labels.names[photos.labels.values[asked.test[place]]],
                "why": why,
                "photos": [{"id": photos.ids[asked.train[i]], "class": photos.labels.names[labels[i]]} for i in seen],
                "views": [
                    {
                        "processing": name,
                        "distance": round(float(distances[v, place]), 6) if v < len(distances) else 0.0,
                        "answer": photos.labels.names[_winner(labels[near[v, at][near[v, at] >= 0]])],
                        "right": round(float(right[v, place]), 6),
                        "neighbours": [seen.index(int(i)) for i in near[v, at, :NEIGHBOURS] if i >= 0],
                        "similarities": [round(float(s), 4) for s in similar[v, at, :NEIGHBOURS] if np.isfinite(s)],
                    }
                    for v, name in enumerate(names)
                ],
            }
        )
    return {"strips": strips}


def _chosen(given: TaskInput, asked: Asked, right: np.ndarray, distances: np.ndarray) -> dict[str, int]:
    """Places of queries by why they are told; each once."""
    hashes = [hash64(f"strip\0{given.options.seed}\0{given.photos.ids[i]}") for i in asked.test]
    drawn = sorted(range(len(hashes)), key=hashes.__getitem__)
    turned = np.abs(right[:-1] - right[-1]).sum(axis=0)
    moved = distances.mean(axis=0)
    wanted = {}
    for why, amount in zip(CHOSEN, (turned, moved), strict=True):
        first = min(drawn, key=lambda q: -amount[q])  # the first by hash among equals
        if amount[first] > 0:
            wanted[why] = first
    wanted |= {f"drawn at random, {i + 1}": q for i, q in enumerate(drawn[:RANDOM])}
    once: dict[str, int] = {}
    for why, q in wanted.items():
        if q not in once.values():
            once[why] = q
    return once


def _winner(labels: np.ndarray) -> int:
    """The label with most votes of neighbours in their order; of tied ones that of the nearest.

    >>> _winner(np.array([2, 1, 1, 2, 0]))
    2
    """
    votes = Counter(labels.tolist())
    return max(votes, key=votes.__getitem__)
