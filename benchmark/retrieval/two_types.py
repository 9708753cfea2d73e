"""Pair retrieval: each photo looks for the other photo of its subject, taken with the other type of camera.

Two collections of equal size show the effect of the camera. In ``same`` all candidates are from the other type of
camera: target and distractors share it. In ``different`` the target is from the other type and the distractors are from
the query's type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.retrieval.counts import block_rows, blocks, count_pairs, unit_rows
from benchmark.retrieval.pair_answers import PairAnswers
from builders.errors import DataError


def pair_retrieval(
    embeddings: np.ndarray,
    pair_ids: Sequence[object] | np.ndarray,
    camera_types: Sequence[object] | np.ndarray,
    *,
    device: str | torch.device = "cpu",
    memory_bytes: int = 1 << 28,
) -> PairAnswers:
    """Rank the target of each query, the other photo of its pair, in both collections and both directions.

    Similarity is the cosine, computed in float64 and rounded to float32, so that copies of a photo tie exactly. A zero
    vector has similarity 0 to everything. With one pair there are no distractors, and every rank is 1.

    Args:
        embeddings: [photos, dimension], any order.
        pair_ids: [photos], text or integers; the two photos of a pair have the same.
        camera_types: [photos], one of two types, such as ``"phone"`` and ``"camera"``.
        device: where similarities are computed; it must have float64, which Apple's ``mps`` lacks.
        memory_bytes: bound of the memory of a block of similarities, for any number of pairs.

    Returns:
        The rank of every target, by collection, direction and pair.

    Raises:
        DataError: a pair has not one photo of each type, there are not two types, lengths differ, or a value is not
            finite.

    >>> answers = pair_retrieval(np.array([[1, 0, 0], [3, 4, 0], [4, 0, 3], [0, 0, 1]]), [7, 7, 8, 8], list("abab"))
    >>> answers.nearer[:, :, 0].tolist()  # pair 7, a to b and b to a: 0.6 against 0.0 and 0.48, against 0.8 and 0.0
    [[0, 0], [1, 0]]
    >>> answers.values["same"], answers.values["different"], answers.values["spd"]
    (1.0, 0.5, 0.5)
    """
    rows = np.asarray(embeddings)
    ids, types, order = _paired_photos(rows, np.asarray(pair_ids), np.asarray(camera_types))
    counted = next(count_pairs(rows, order, device=device, memory_bytes=memory_bytes))
    return PairAnswers(ids, types, counted.nearer, counted.tied)


def _paired_photos(
    rows: np.ndarray, pair_ids: np.ndarray, camera_types: np.ndarray
) -> tuple[tuple[object, ...], tuple[object, object], np.ndarray]:
    """Check the photos. Returns the pair ids, the two types, and int64 [2 types, pairs], the photo of each."""
    if rows.ndim != 2 or pair_ids.shape != rows.shape[:1] or camera_types.shape != rows.shape[:1]:
        raise DataError(
            f"pair retrieval needs one embedding, pair id and camera type per photo, got {rows.shape}, "
            f"{pair_ids.shape} and {camera_types.shape}"
        )
    types, of_type = np.unique(camera_types, return_inverse=True)
    if len(types) != 2:
        raise DataError(f"pair retrieval needs photos of two camera types, got {len(types)}: {types[:5].tolist()}")
    pairs, of_pair = np.unique(pair_ids, return_inverse=True)
    counts = np.zeros((2, len(pairs)), np.int64)
    np.add.at(counts, (of_type, of_pair), 1)
    wrong = np.flatnonzero((counts != 1).any(axis=0))
    if len(wrong):
        first = wrong[0]
        raise DataError(
            f"pair {pairs[first]} has {counts[0, first]} photo(s) of {types[0]} and {counts[1, first]} of {types[1]}; "
            f"leave out what has not one of each ({len(wrong)} of {len(pairs)} pairs)"
        )
    order = np.zeros((2, len(pairs)), np.int64)
    order[of_type, of_pair] = np.arange(len(rows))
    return tuple(pairs.tolist()), (types[0].item(), types[1].item()), order


@dataclass(frozen=True)
class Distracted:
    """A query, its target, and the most similar distractor of the query's camera type, as rows of the embeddings."""

    query: int
    target: int
    distractor: int
    target_similarity: float
    """Cosine of query and target, as ``pair_retrieval`` ranks it."""
    distractor_similarity: float
    """Cosine of query and distractor."""


def nearest_of_same_type(
    embeddings: np.ndarray,
    pair_ids: Sequence[object] | np.ndarray,
    camera_types: Sequence[object] | np.ndarray,
    queries: Sequence[tuple[int, int]],
    *,
    device: str | torch.device = "cpu",
    memory_bytes: int = 1 << 28,
) -> list[Distracted]:
    """The most similar other photo of the camera type of each query; of ties the first.

    Args:
        embeddings: [photos, dimension], any order.
        pair_ids: [photos], as ``pair_retrieval`` takes them; at least two pairs.
        camera_types: [photos], one of two types.
        queries: (direction, pair) of each, as in ``PairAnswers``. Similarities of all of them to a block are in memory
            at once, so they should be few.
        device: where similarities are computed; it must have float64.
        memory_bytes: bound of the memory of a block of similarities.

    Returns:
        One item for each query, in their order.

    Raises:
        DataError: as ``pair_retrieval``.

    >>> rows = np.array([[1, 0, 0], [3, 4, 0], [4, 0, 3], [0, 0, 1]])
    >>> nearest_of_same_type(rows, [7, 7, 8, 8], list("abab"), [(0, 0)])[0].distractor
    2
    """
    rows = np.asarray(embeddings)
    _, _, order = _paired_photos(rows, np.asarray(pair_ids), np.asarray(camera_types))
    n, distracted = order.shape[1], {}
    with torch.inference_mode():
        for direction, same_type in enumerate(order):
            pairs = np.array(
                sorted({pair for query_direction, pair in queries if query_direction == direction}), np.int64
            )
            if not len(pairs):
                continue
            targets = order[1 - direction, pairs]
            query_rows = unit_rows(rows, same_type[pairs], device)
            to_target = (query_rows * unit_rows(rows, targets, device)).sum(dim=1).float().cpu().numpy()
            best_similarity, best = np.full(len(pairs), -np.inf, np.float32), np.zeros(len(pairs), np.int64)
            for part in blocks(n, block_rows(memory_bytes, rows.shape[1])):
                similar = (query_rows @ unit_rows(rows, same_type[part], device).T).float().cpu().numpy()
                is_candidate = np.flatnonzero((pairs >= part.start) & (pairs < part.stop))
                similar[is_candidate, pairs[is_candidate] - part.start] = -np.inf
                nearest = similar.argmax(axis=1)
                greatest = similar[np.arange(len(pairs)), nearest]
                best[greatest > best_similarity] = same_type[part][nearest[greatest > best_similarity]]
                best_similarity = np.maximum(best_similarity, greatest)
            for i, pair in enumerate(pairs.tolist()):
                distracted[direction, pair] = Distracted(
                    int(same_type[pair]), int(targets[i]), int(best[i]), float(to_target[i]), float(best_similarity[i])
                )
    return [distracted[query] for query in queries]
