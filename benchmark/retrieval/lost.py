"""Which photo was found in place of a pair's other half: the examples behind the numbers of pair retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.retrieval.pairs import block_rows, blocks, paired_photos, unit_rows


@dataclass(frozen=True)
class Distracted:
    """One query, its target, and the most similar distractor of the query's own camera type; rows of the embeddings."""

    query: int
    target: int
    distractor: int
    target_similarity: float
    """Cosine of query and target, as ``pair_retrieval`` ranks it."""
    distractor_similarity: float
    """Cosine of query and distractor."""


def nearest_of_own_type(
    embeddings: np.ndarray,
    pair_ids: Sequence[object] | np.ndarray,
    camera_types: Sequence[object] | np.ndarray,
    queries: Sequence[tuple[int, int]],
    *,
    device: str | torch.device = "cpu",
    memory_bytes: int = 1 << 28,
) -> list[Distracted]:
    """The most similar other photo of each query's own camera type; the first of equally similar ones.

    Args:
        embeddings: [photos, dimension], any order.
        pair_ids: [photos], as ``pair_retrieval`` takes them; at least two pairs.
        camera_types: [photos], one of two types.
        queries: (direction, pair) of each, as ``PairAnswers`` counts them: few, for the similarities of
            all of them to one block are held together.
        device: where similarities are computed; it needs float64.
        memory_bytes: how much memory a block of similarities may take.

    Raises:
        DataError: as ``pair_retrieval``.

    >>> rows = np.array([[1, 0, 0], [3, 4, 0], [4, 0, 3], [0, 0, 1]])
    >>> nearest_of_own_type(rows, [7, 7, 8, 8], list("abab"), [(0, 0)])[0].distractor
    2
    """
    rows = np.asarray(embeddings)
    _, _, order = paired_photos(rows, np.asarray(pair_ids), np.asarray(camera_types))
    n, found = order.shape[1], {}
    with torch.inference_mode():
        for direction, own in enumerate(order):
            pairs = np.array(sorted({pair for asked, pair in queries if asked == direction}), np.int64)
            if not len(pairs):
                continue
            targets = order[1 - direction, pairs]
            query = unit_rows(rows, own[pairs], device)
            to_target = (query * unit_rows(rows, targets, device)).sum(dim=1).float().cpu().numpy()
            most, best = np.full(len(pairs), -np.inf, np.float32), np.zeros(len(pairs), np.int64)
            for part in blocks(n, block_rows(memory_bytes, rows.shape[1])):
                similar = (query @ unit_rows(rows, own[part], device).T).float().cpu().numpy()
                itself = np.flatnonzero((pairs >= part.start) & (pairs < part.stop))
                similar[itself, pairs[itself] - part.start] = -np.inf
                place = similar.argmax(axis=1)
                greatest = similar[np.arange(len(pairs)), place]
                best[greatest > most] = own[part][place[greatest > most]]
                most = np.maximum(most, greatest)
            for i, pair in enumerate(pairs.tolist()):
                found[direction, pair] = Distracted(
                    int(own[pair]), int(targets[i]), int(best[i]), float(to_target[i]), float(most[i])
                )
    return [found[at] for at in queries]
