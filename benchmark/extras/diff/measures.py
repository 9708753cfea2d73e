"""What differs between two ways to the embeddings of the same photos, photo by photo, as pure functions on arrays."""

from __future__ import annotations

import numpy as np

from benchmark.knn import ROUNDING, nearest
from builders.errors import DataError


def cosine_moved(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine distance of each row of ``first`` to the same row of ``second``, float64 [photos] in [0, 2].

    It is half the squared distance of the unit vectors: exactly 0 for equal rows, and precise where they nearly are.
    ``benchmark.knn.cosine_distances`` rounds such distances to 0. A zero vector has distance 1 to all others.

    Args:
        first, second: [photos, dimension].

    Raises:
        DataError: a value is not finite.

    >>> cosine_moved(np.array([[1.0, 0], [3, 4]]), np.array([[0, 2.0], [3, 4]])).tolist()
    [1.0, 0.0]
    """
    units = [_unit(rows) for rows in (first, second)]
    apart: np.ndarray = np.square(units[0] - units[1]).sum(axis=1) / 2
    return np.where(units[0].any(axis=1) == units[1].any(axis=1), apart, 1.0)


def _unit(rows: np.ndarray) -> np.ndarray:
    wide = np.asarray(rows, np.float64)
    norms = np.linalg.norm(wide, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise DataError(f"the embedding of photo {int((~np.isfinite(norms[:, 0])).argmax())} is not finite")
    unit: np.ndarray = wide / np.where(norms > 0, norms, 1.0)
    return unit


def neighbours_of(rows: np.ndarray, k: int, units: np.ndarray | None = None) -> np.ndarray:
    """The k nearest other photos of each photo, nearest first; of ties the first. int64 [photos, k], -1 for none.

    Args:
        rows: [photos, dimension].
        k: neighbours of each.
        units: [photos], which photos err together: they are not each other's neighbours.

    >>> neighbours_of(np.array([[1.0, 0], [0.9, 0.1], [0, 1.0]]), 1).tolist()
    [[1], [0], [1]]
    """
    code = np.arange(len(rows)) if units is None else np.unique(units, return_inverse=True)[1].reshape(-1)
    depth = min(len(rows), k + int(np.bincount(code).max()))
    near = nearest(rows, rows, depth).indices
    allowed = (near >= 0) & (code[near] != code[:, None])
    order = np.argsort(~allowed, axis=1, kind="stable")[:, :k]  # the allowed ones first, in their order
    chosen = np.where(np.take_along_axis(allowed, order, axis=1), np.take_along_axis(near, order, axis=1), -1)
    missing = k - chosen.shape[1]
    return np.pad(chosen, ((0, 0), (0, max(0, missing))), constant_values=-1)


def changed_share(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Share of the neighbours of each photo in ``first`` that ``second`` does not have, float64 [photos].

    Args:
        first, second: int64 [photos, k], as ``neighbours_of`` gives them.

    >>> changed_share(np.array([[1, 2], [3, -1]]), np.array([[2, 5], [3, -1]])).tolist()
    [0.5, 0.0]
    """
    exists = first >= 0
    stays = ((first[:, :, None] == second[:, None, :]) & exists[:, :, None]).any(axis=2).sum(axis=1)
    counts = exists.sum(axis=1)
    return np.where(counts > 0, 1 - stays / np.maximum(counts, 1), 0.0)


def answers_of(neighbours: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The label that most neighbours of each photo have; of tied labels that of the nearest. -1 without a neighbour.

    Args:
        neighbours: int64 [photos, k].
        labels: int [photos].

    >>> answers_of(np.array([[1, 2, 3]]), np.array([9, 4, 7, 7])).tolist()
    [7]
    """
    exists = neighbours >= 0
    of_neighbours = np.where(exists, labels[neighbours], -1)
    votes = ((of_neighbours[:, :, None] == of_neighbours[:, None, :]) & exists[:, None, :]).sum(axis=2)
    votes = np.where(exists, votes, -1)
    winner = votes.argmax(axis=1)  # the first of equals, which is the nearest
    answers: np.ndarray = of_neighbours[np.arange(len(winner)), winner]
    return answers


def lost_in_index(index: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """bool [photos]: another photo of an index is nearer to the query, the photo embedded in another way, than it.

    Args:
        index: [photos, dimension].
        queries: [photos, dimension], the same photos embedded in the other way.

    >>> lost_in_index(np.eye(2), np.array([[1.0, 0.2], [1.0, 0.5]])).tolist()
    [False, True]
    """
    top = nearest(index, queries, 1)
    to_itself = 1 - cosine_moved(index, queries)
    lost: np.ndarray = top.similarities[:, 0] > to_itself + ROUNDING
    return lost & (top.indices[:, 0] != np.arange(len(index)))
