"""Compiled passes of linear classifiers over rows of features, for CPUs: four rows at a time.

As products, a pass reads its rows twice, for few columns each time. Here four rows give their logits, residuals and
part of the gradient while they are in a core's nearest cache. A softmax sees only how the weights of C classes differ,
so C - 1 rows of weights are multiplied, two at a time. Columns that begin with zeros in all four rows are not read.

Tables of weights, points and gradients are [C, w]: w columns are the dimension, one for the bias, and zeros up to a
multiple of ``VECTOR``.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from builders.kernels import SUMS_IN_ANY_ORDER, jit

TOGETHER = 4
"""Rows processed at once; the kernels are written for four."""

VECTOR = 16
"""Values of a vector of 512 bits, in float32."""

SUMMED = 1024
"""Rows whose gradients are summed in the features' precision before they are added to the sum in float64."""

_part = functools.partial(jit, fastmath=SUMS_IN_ANY_ORDER)


def aligned(rows: int, columns: int, dtype: Any) -> np.ndarray:
    """Zeros whose rows (a multiple of ``VECTOR`` long) are aligned to vectors, which is a fifth faster."""
    size = np.dtype(dtype).itemsize
    flat = np.zeros(rows * columns + VECTOR, dtype)
    skipped = -flat.ctypes.data % (VECTOR * 4) // size
    return flat[skipped : skipped + rows * columns].reshape(rows, columns)


def begins_of(features: np.ndarray) -> np.ndarray:
    """int64: for every four successive rows the column, a multiple of ``VECTOR``, before which all of them are zero.

    Half of the values of projected rows (``solver.projected``) are zeros.

    >>> rows = np.eye(40, 64)[::-1]
    >>> begins_of(rows)[:3].tolist(), int(begins_of(rows)[-1])
    ([32, 32, 16], 0)
    """
    n, dimension = features.shape
    begins = np.zeros(-(-n // TOGETHER), np.int64)
    if dimension and not features[:, 0].all():  # else there is nothing to look for
        first = np.full(len(begins) * TOGETHER, dimension)
        present = features != 0
        first[:n] = np.where(present.any(1), present.argmax(1), dimension)
        begins = first.reshape(-1, TOGETHER).min(1) // VECTOR * VECTOR
    return begins


@_part
def put_logits(weights: np.ndarray, r: int, rows: np.ndarray, begin: int, logits: np.ndarray) -> None:
    """Two rows of ``weights`` [., w] times the four ``rows`` [4, w] from ``begin`` on, into ``logits`` [., 4]."""
    wa, wb = weights[r, begin:], weights[r + 1, begin:]
    x0, x1, x2, x3 = rows[0, begin:], rows[1, begin:], rows[2, begin:], rows[3, begin:]
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = logits.dtype.type(0)
    for j in range(len(x0)):
        a0 += wa[j] * x0[j]
        a1 += wa[j] * x1[j]
        a2 += wa[j] * x2[j]
        a3 += wa[j] * x3[j]
        b0 += wb[j] * x0[j]
        b1 += wb[j] * x1[j]
        b2 += wb[j] * x2[j]
        b3 += wb[j] * x3[j]
    logits[r, 0], logits[r, 1], logits[r, 2], logits[r, 3] = a0, a1, a2, a3
    logits[r + 1, 0], logits[r + 1, 1], logits[r + 1, 2], logits[r + 1, 3] = b0, b1, b2, b3


@_part
def add_products(sums: np.ndarray, r: int, rows: np.ndarray, begin: int, factors: np.ndarray) -> None:
    """Two rows of ``sums`` [., w] grow by the four ``rows`` [4, w], from ``begin`` on, times ``factors`` [., 4]."""
    ga, gb = sums[r, begin:], sums[r + 1, begin:]
    x0, x1, x2, x3 = rows[0, begin:], rows[1, begin:], rows[2, begin:], rows[3, begin:]
    a0, a1, a2, a3 = factors[r, 0], factors[r, 1], factors[r, 2], factors[r, 3]
    b0, b1, b2, b3 = factors[r + 1, 0], factors[r + 1, 1], factors[r + 1, 2], factors[r + 1, 3]
    for j in range(len(x0)):
        ga[j] += a0 * x0[j] + a1 * x1[j] + a2 * x2[j] + a3 * x3[j]
        gb[j] += b0 * x0[j] + b1 * x1[j] + b2 * x2[j] + b3 * x3[j]


@_part
def _load(features: np.ndarray, at: int, begin: int, rows: np.ndarray) -> int:
    """Load up to four rows from ``at`` on, columns from ``begin`` on, then a 1 for the bias; returns their number."""
    n, dimension = features.shape
    used = min(TOGETHER, n - at)
    for i in range(used):
        given, into = features[at + i, begin:], rows[i, begin:]  # a loop from ``begin`` on is not made of vectors
        for j in range(len(given)):
            into[j] = given[j]
        rows[i, dimension] = 1
    for i in range(used, TOGETHER):
        rows[i] = 0
    return used


@jit
def _to_residuals(logits: np.ndarray, others: int, i: int, label: int, probability: np.ndarray) -> float:
    """Softmax of row ``i``, whose last logit is 0: returns its cross-entropy, writes residuals to ``logits``."""
    largest = logits.dtype.type(0)
    for c in range(others):
        largest = max(largest, logits[c, i])
    label_logit = logits[label, i] if label < others else logits.dtype.type(0)
    total = math.exp(-largest)
    for c in range(others):
        logits[c, i] = math.exp(logits[c, i] - largest)
        total += logits[c, i]
    for c in range(others):
        logits[c, i] /= total
        probability[c] = logits[c, i]
    if label < others:
        logits[label, i] -= logits.dtype.type(1)
    return float(largest) - float(label_logit) + math.log(float(total))


@_part
def _to_changes(logits: np.ndarray, others: int, i: int, probability: np.ndarray) -> None:
    """Replace changes ``logits`` of row ``i``'s logits by the changes of its residuals."""
    mean = logits.dtype.type(0)
    for c in range(others):
        logits[c, i] *= probability[c]
        mean += logits[c, i]
    for c in range(others):
        logits[c, i] -= probability[c] * mean


@_part
def _differences(vectors: np.ndarray, narrow: np.ndarray) -> None:
    """Rows of ``vectors`` float64 [C, w] minus the last one, to ``narrow`` [., w] in the features' precision."""
    others = len(vectors) - 1
    for c in range(others):
        for j in range(vectors.shape[1]):
            narrow[c, j] = vectors[c, j] - vectors[others, j]
    for c in range(others, len(narrow)):
        narrow[c] = 0


@_part
def _flush(sums: np.ndarray, total: np.ndarray) -> None:
    """Add the sums to ``total`` float64 [C, w] and reset them."""
    for c in range(len(total) - 1):
        for j in range(total.shape[1]):
            total[c, j] += sums[c, j]
            sums[c, j] = 0


@_part
def _finish(total: np.ndarray, n: int, strength: float, point: np.ndarray, dimension: int) -> None:
    """Turn sums over rows, of all classes but the last, into means of all classes, and add the penalty's part."""
    others = len(total) - 1
    for j in range(total.shape[1]):
        of_last = 0.0
        for c in range(others):
            total[c, j] /= n
            of_last -= total[c, j]
        total[others, j] = of_last
    for c in range(others + 1):
        for j in range(dimension):
            total[c, j] += strength * point[c, j]


@_part
def squares(table: np.ndarray, columns: int) -> float:
    """Sum of the squares of the first columns."""
    total = 0.0
    for c in range(table.shape[0]):
        for j in range(columns):
            total += table[c, j] * table[c, j]
    return total


@jit
def _sweep(
    features: np.ndarray,
    begins: np.ndarray,
    labels: np.ndarray,
    fresh: bool,
    vectors: np.ndarray,
    total: np.ndarray,
    probabilities: np.ndarray,
    narrow: np.ndarray,
    sums: np.ndarray,
    logits: np.ndarray,
    rows: np.ndarray,
) -> float:
    """One pass over the rows. Writes to ``total`` the sums of features times residuals at ``vectors`` and stores their
    probabilities (``fresh``), or times the changes of residuals along ``vectors``. Returns the cross-entropy."""
    others = len(vectors) - 1
    total[:] = 0
    sums[:] = 0
    _differences(vectors, narrow)
    cross_entropy = 0.0
    for at in range(0, len(features), TOGETHER):
        begin = begins[at // TOGETHER]
        used = _load(features, at, begin, rows)
        for r in range(0, others, 2):
            put_logits(narrow, r, rows, begin, logits)
        for i in range(used):
            if fresh:
                cross_entropy += _to_residuals(logits, others, i, labels[at + i], probabilities[at + i])
            else:
                _to_changes(logits, others, i, probabilities[at + i])
        for r in range(0, others, 2):
            add_products(sums, r, rows, begin, logits)
        if at % SUMMED == SUMMED - TOGETHER:
            _flush(sums, total)
    _flush(sums, total)
    return cross_entropy


@jit
def evaluate(
    features: np.ndarray,
    begins: np.ndarray,
    labels: np.ndarray,
    strength: float,
    point: np.ndarray,
    gradient: np.ndarray,
    probabilities: np.ndarray,
    narrow: np.ndarray,
    sums: np.ndarray,
    logits: np.ndarray,
    rows: np.ndarray,
) -> float:
    """The objective at ``point``; writes its gradient and the probabilities."""
    n, dimension = features.shape
    cross_entropy = _sweep(features, begins, labels, True, point, gradient, probabilities, narrow, sums, logits, rows)
    _finish(gradient, n, strength, point, dimension)
    return cross_entropy / n + 0.5 * strength * squares(point, dimension)


@jit
def curvature(
    features: np.ndarray,
    begins: np.ndarray,
    labels: np.ndarray,
    strength: float,
    direction: np.ndarray,
    bent: np.ndarray,
    probabilities: np.ndarray,
    narrow: np.ndarray,
    sums: np.ndarray,
    logits: np.ndarray,
    rows: np.ndarray,
) -> None:
    """Write the Hessian times ``direction`` to ``bent``."""
    n, dimension = features.shape
    _sweep(features, begins, labels, False, direction, bent, probabilities, narrow, sums, logits, rows)
    _finish(bent, n, strength, direction, dimension)
