"""Compiled steps of ``benchmark.probe.solver.sgd`` for CPUs, with numba: each row is read once per step.

With matrix products a step copies its batch and reads the copy twice, for few columns each time. Here four rows at a
time give their logits, residuals and part of the gradient while they are in a core's nearest cache. Runs are
independent, so each thread has some of them.

A softmax sees only how the weights of C classes differ, and its gradients sum to zero. So the C - 1 differences from
the last class are trained; the sum over the classes, which only momentum and decay change, is stored separately. These
are the same steps with less work, up to rounding of sums.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable

import numpy as np

from benchmark.compute import parallel_map
from benchmark.probe.solver.kernels import rows as rows_compiled
from benchmark.probe.solver.kernels.rows import TOGETHER, VECTOR, add_products, aligned, put_logits
from builders.kernels import SUMS_IN_ANY_ORDER, entry_point, jit

_part = functools.partial(jit, fastmath=SUMS_IN_ANY_ORDER)


def descend(
    features: np.ndarray,
    labels: np.ndarray,
    first: np.ndarray,
    learning_rates: np.ndarray,
    weight_decays: np.ndarray,
    momentum: float,
    batch_size: int,
    epochs: Iterable[tuple[float, np.ndarray]],
    threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """SGD with momentum of K runs on each of G training sets.

    Args:
        features: float32 [G, n, d].
        labels: int64 [G, K, n].
        first: float32 [C, d + 1], the start of every run, the bias last.
        learning_rates, weight_decays: float32 [K].
        momentum: of the steps.
        batch_size: rows of a step.
        epochs: for each the factor of the learning rates, and int64 [n], the rows in the order of its batches.
        threads: number of threads.

    Returns:
        weights float32 [G, K, C, d] and bias float32 [G, K, C].
    """
    groups, runs = labels.shape[:2]
    parts = -(-threads // groups)
    borders = [runs * i // parts for i in range(parts + 1)]
    pieces = [
        _Piece(features[g], labels[g, a:b], first, learning_rates[a:b], weight_decays[a:b])
        for g in range(groups)
        for a, b in itertools.pairwise(borders)
        if a < b
    ]
    for factor, order in epochs:
        work = functools.partial(_Piece.pass_over, order=order, factor=factor, momentum=momentum, batch_size=batch_size)
        parallel_map(work, pieces)
    weights = np.concatenate([piece.weights for piece in pieces]).reshape(groups, runs, *first.shape)
    return weights[..., :-1], weights[..., -1]


def try_out() -> None:
    """Compile all kernels by calling them."""
    one = np.ones(1, np.float32)
    descend(
        np.ones((1, 1, 1), np.float32),
        np.zeros((1, 1, 1), np.int64),
        np.ones((2, 2), np.float32),
        one,
        one,
        0.9,
        1,
        [(1.0, np.zeros(1, np.int64))],
        1,
    )


class _Piece:
    """State of some runs on one training set."""

    def __init__(
        self, features: np.ndarray, labels: np.ndarray, first: np.ndarray, rates: np.ndarray, decays: np.ndarray
    ) -> None:
        self._features, self._labels = features, np.ascontiguousarray(labels)
        self._rates, self._decays = rates, decays
        runs, classes, columns = len(labels), len(first), first.shape[1]
        self._shape = (runs, classes, columns - 1)
        rows, wide = runs * (classes - 1), -(-columns // VECTOR) * VECTOR
        even = rows + rows % 2  # rows of weights are worked on in pairs
        self._weights, self._velocity, self._gradient = (aligned(even, wide, np.float32) for _ in range(3))
        self._sums, self._sum_velocity = aligned(runs, wide, np.float32), aligned(runs, wide, np.float32)
        self._weights[:rows, :columns] = np.tile(first[:-1] - first[-1], (runs, 1))
        self._sums[:, :columns] = first.sum(axis=0)
        self._block = aligned(TOGETHER, wide, np.float32)
        self._block[:, columns - 1] = 1  # the bias is the weight of this

    @property
    def weights(self) -> np.ndarray:
        """[K, C, d + 1], the bias last."""
        runs, classes, dimension = self._shape
        differences = self._weights[: runs * (classes - 1), : dimension + 1].reshape(runs, classes - 1, -1)
        last = (self._sums[:, None, : dimension + 1] - differences.sum(axis=1, keepdims=True)) / np.float32(classes)
        return np.concatenate([differences + last, last], axis=1)

    def pass_over(self, order: np.ndarray, factor: float, momentum: float, batch_size: int) -> None:
        """Run one epoch."""
        rates = (self._rates * np.float32(factor)).astype(np.float32)
        constants = (self._shape[1] - 1, batch_size, np.float32(momentum), rates, self._decays)
        state = (self._weights, self._velocity, self._sums, self._sum_velocity, self._gradient, self._block)
        _epoch(self._features, self._labels, order, *constants, *state)


@jit
def _to_residuals(logits: np.ndarray, first: int, others: int, i: int, label: int) -> None:
    """Softmax of one run's logits of row ``i``, minus one for its class; the last class's logit is 0."""
    largest = np.float32(0)
    for c in range(first, first + others):
        largest = max(largest, logits[c, i])
    total = math.exp(-largest)
    for c in range(first, first + others):
        logits[c, i] = math.exp(logits[c, i] - largest)
        total += logits[c, i]
    for c in range(first, first + others):
        logits[c, i] /= total
    if label < others:
        logits[first + label, i] -= np.float32(1)


@_part
def _step(
    others: int,
    share: float,
    momentum: float,
    rates: np.ndarray,
    decays: np.ndarray,
    weights: np.ndarray,
    velocity: np.ndarray,
    sums: np.ndarray,
    sum_velocity: np.ndarray,
    gradient: np.ndarray,
) -> None:
    """Momentum and step of ``torch.optim.SGD``, for the mean gradient ``share * gradient``."""
    runs, columns = sums.shape
    total = np.empty(columns, np.float32)
    for k in range(runs):
        rate, decay = rates[k], decays[k]
        total[:] = 0
        for r in range(k * others, (k + 1) * others):
            for j in range(columns):
                total[j] += gradient[r, j]
        for r in range(k * others, (k + 1) * others):
            for j in range(columns):
                change = share * (gradient[r, j] + total[j])  # the last class's gradient is minus the total
                velocity[r, j] = momentum * velocity[r, j] + (change + decay * weights[r, j])
                weights[r, j] -= rate * velocity[r, j]
        for j in range(columns):
            sum_velocity[k, j] = momentum * sum_velocity[k, j] + decay * sums[k, j]
            sums[k, j] -= rate * sum_velocity[k, j]


@functools.partial(entry_point, fastmath=SUMS_IN_ANY_ORDER, parts=(rows_compiled,))
def _epoch(
    features: np.ndarray,
    labels: np.ndarray,
    order: np.ndarray,
    others: int,
    batch_size: int,
    momentum: float,
    rates: np.ndarray,
    decays: np.ndarray,
    weights: np.ndarray,
    velocity: np.ndarray,
    sums: np.ndarray,
    sum_velocity: np.ndarray,
    gradient: np.ndarray,
    rows: np.ndarray,
) -> None:
    n, runs, dimension = len(order), len(labels), features.shape[1]
    logits = np.zeros((len(weights), TOGETHER), np.float32)
    for start in range(0, n, batch_size):
        stop = min(start + batch_size, n)
        gradient[:] = 0
        for at in range(start, stop, TOGETHER):
            used = min(TOGETHER, stop - at)
            for i in range(used):
                row = order[at + i]
                for j in range(dimension):
                    rows[i, j] = features[row, j]
            for r in range(0, len(weights), 2):
                put_logits(weights, r, rows, 0, logits)
            for i in range(used):
                for k in range(runs):
                    _to_residuals(logits, k * others, others, i, labels[k, order[at + i]])
            logits[:, used:] = 0
            for r in range(0, len(weights), 2):
                add_products(gradient, r, rows, 0, logits)
        share = np.float32(1) / np.float32(stop - start)
        _step(others, share, momentum, rates, decays, weights, velocity, sums, sum_velocity, gradient)
