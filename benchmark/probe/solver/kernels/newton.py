"""Compiled fits of ``benchmark.probe.solver.newton`` for CPUs, with numba: each on one thread.

In torch each step of conjugate gradients is some twenty operations on small arrays and two products of few columns.
``objective`` and ``solver.newton`` define the objective and the steps; the optimum is the same, to the tolerance of its
gradient.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from benchmark.probe.solver import bounds
from benchmark.probe.solver.bounds import ARMIJO, MAX_CONJUGATE, MAX_HALVINGS
from benchmark.probe.solver.kernels import rows as rows_compiled
from benchmark.probe.solver.kernels.rows import (
    TOGETHER,
    VECTOR,
    add_products,
    aligned,
    begins_of,
    curvature,
    evaluate,
    put_logits,
    squares,
)
from builders.kernels import SUMS_IN_ANY_ORDER, entry_point, jit

_part = functools.partial(jit, fastmath=SUMS_IN_ANY_ORDER)


class Alone(NamedTuple):
    """Result of one fit, in the coordinates of its features."""

    point: np.ndarray
    """float64 [C, r + 1], the bias last."""
    loss: float
    gradient_norm: float
    iterations: int
    products: int


class Prepared(NamedTuple):
    """A training set in the form that the kernels read, for all its fits."""

    features: np.ndarray
    """float32 or float64 [n, r], centred."""
    begins: np.ndarray
    """int64 [n / 4, rounded up], see ``begins_of``."""
    axes: np.ndarray
    """[k or none, w] of the features' type, the principal axes that precondition."""
    variances: np.ndarray
    """float64 [k] or [r], of the rows along the axes."""
    rest: float
    """Mean variance outside the axes."""


def prepared(features: np.ndarray, vectors: np.ndarray | None, variances: np.ndarray, rest: float) -> Prepared:
    """Prepare a training set for its fits.

    Args:
        features: float32 or float64 [n, r], centred.
        vectors: float64 [r, k], the principal axes; None if the features' coordinates are the axes.
        variances, rest: as in ``Prepared``.
    """
    count = 0 if vectors is None else vectors.shape[1]
    axes = aligned(-(-count // TOGETHER) * TOGETHER, _wide(features), features.dtype)
    if vectors is not None:
        axes[:count, : features.shape[1]] = vectors.T
    features = np.ascontiguousarray(features)
    return Prepared(features, begins_of(features), axes, np.ascontiguousarray(variances), float(rest))


def newton(
    given: Prepared,
    labels: np.ndarray,
    strength: float,
    n_classes: int,
    start: np.ndarray | None,
    tolerance: float,
    max_iterations: int,
) -> Alone:
    """Solve one fit by truncated Newton steps.

    Args:
        given: the training set, n rows of r features.
        labels: int64 [n], classes 0..C-1, each of which has a row.
        strength: above 0.
        n_classes: C, two or more.
        start: float64 [C, r + 1], the start if the objective is lower there than at zero.
        tolerance: bound of the gradient norm.
        max_iterations: Newton steps at most.
    """
    features = given.features
    columns, wide = features.shape[1] + 1, _wide(features)
    point = np.zeros((n_classes, wide))
    if start is not None:
        point[:, :columns] = start
    even = n_classes + n_classes % 2  # rows of weights are worked on in pairs
    narrow, sums, rows = (aligned(height, wide, features.dtype) for height in (even, even, TOGETHER))
    loss, norm, iterations, products = _newton(
        features,
        given.begins,
        np.ascontiguousarray(labels),
        float(strength),
        given.axes,
        given.variances,
        given.rest,
        point,
        narrow,
        sums,
        rows,
        float(np.finfo(features.dtype).eps),
        float(tolerance),
        max_iterations,
    )
    return Alone(point[:, :columns], loss, norm, iterations, products)


def _wide(features: np.ndarray) -> int:
    """Columns of a table of weights: the features, one for the bias, and zeros up to a whole vector."""
    return -(-(features.shape[1] + 1) // VECTOR) * VECTOR


def try_out() -> None:
    """Compile all kernels by calling them."""
    for dtype in (np.float32, np.float64):
        rows, labels = np.array([[1.0], [-1.0]], dtype), np.array([0, 1])
        newton(prepared(rows, np.ones((1, 1)), np.ones(1), 1.0), labels, 1.0, 2, None, 1e-6, 1)


@_part
def _mean_curvature(probabilities: np.ndarray, mean: np.ndarray) -> None:
    """Each class's p (1 - p), the mean over the rows, at least 1e-12."""
    n, others = probabilities.shape
    mean[:] = 0
    for i in range(n):
        last = 1.0
        for c in range(others):
            p = float(probabilities[i, c])
            last -= p
            mean[c] += p - p * p
        mean[others] += last - last * last
    for c in range(others + 1):
        mean[c] = max(mean[c] / n, 1e-12)


@_part
def _precondition(
    residual: np.ndarray,
    ahead: np.ndarray,
    dimension: int,
    strength: float,
    mean_curvature: np.ndarray,
    axes: np.ndarray,
    variances: np.ndarray,
    rest: float,
    narrow: np.ndarray,
    sums: np.ndarray,
    inner: np.ndarray,
) -> None:
    """The inverse preconditioner times ``residual``, into ``ahead``; see ``objective.Iterates.preconditioned``."""
    classes = len(residual)
    for c in range(classes):
        ahead[c, dimension] = residual[c, dimension] / mean_curvature[c]
    if not len(axes):
        for c in range(classes):
            for j in range(dimension):
                ahead[c, j] = residual[c, j] / (mean_curvature[c] * variances[j] + strength)
        return
    sums[:] = 0
    for c in range(classes):
        for j in range(dimension):
            narrow[c, j] = residual[c, j]
        narrow[c, dimension] = 0
    for a in range(0, len(axes), TOGETHER):
        some = axes[a : a + TOGETHER]
        for r in range(0, classes, 2):
            put_logits(narrow, r, some, 0, inner)
        for i in range(min(TOGETHER, len(variances) - a)):
            for c in range(classes):
                axis_scale = 1 / (mean_curvature[c] * variances[a + i] + strength)
                inner[c, i] *= axis_scale - 1 / (mean_curvature[c] * rest + strength)
        for r in range(0, classes, 2):
            add_products(sums, r, some, 0, inner)
    for c in range(classes):
        scale = 1 / (mean_curvature[c] * rest + strength)
        for j in range(dimension):
            ahead[c, j] = residual[c, j] * scale + sums[c, j]


@_part
def _product(left: np.ndarray, right: np.ndarray) -> float:
    """Sum of the products of two tables."""
    total = 0.0
    for c in range(left.shape[0]):
        for j in range(left.shape[1]):
            total += left[c, j] * right[c, j]
    return total


@jit
def _norm(gradient: np.ndarray, dimension: int) -> float:
    """As ``objective.gradient_norm``."""
    of_bias = 0.0
    for c in range(len(gradient)):
        of_bias += gradient[c, dimension] * gradient[c, dimension]
    return math.sqrt(squares(gradient, dimension)) + math.sqrt(of_bias)


@_part
def _put_sum(into: np.ndarray, one: np.ndarray, other: np.ndarray, factor: float) -> None:
    """Write ``one + factor * other``. (For ``into[:] = ...`` numba would compile error messages for ten seconds.)"""
    for c in range(into.shape[0]):
        for j in range(into.shape[1]):
            into[c, j] = one[c, j] + factor * other[c, j]


@functools.partial(entry_point, fastmath=SUMS_IN_ANY_ORDER, parts=(bounds, rows_compiled))
def _newton(
    features: np.ndarray,
    begins: np.ndarray,
    labels: np.ndarray,
    strength: float,
    axes: np.ndarray,
    variances: np.ndarray,
    rest: float,
    point: np.ndarray,
    narrow: np.ndarray,
    sums: np.ndarray,
    rows: np.ndarray,
    rounding: float,
    tolerance: float,
    max_iterations: int,
) -> tuple[float, float, int, int]:
    n, dimension = features.shape
    classes, wide = point.shape
    others = classes - 1
    probabilities = np.empty((n, others), features.dtype)
    factors = np.zeros((len(narrow), TOGETHER), features.dtype)
    gradient, step, residual, ahead = (
        np.zeros_like(point),
        np.zeros_like(point),
        np.zeros_like(point),
        np.zeros_like(point),
    )
    direction, bent, old = np.zeros_like(point), np.zeros_like(point), np.zeros_like(point)
    mean_curvature = np.zeros(classes)
    _put_sum(old, point, step, 0.0)
    loss = norm = old_norm = slope = noise = 0.0
    old_loss, length, halvings, iterations, products = math.log(classes), 1.0, -1, 0, 0
    while True:
        _put_sum(point, old, step, length)
        loss = evaluate(features, begins, labels, strength, point, gradient, probabilities, narrow, sums, factors, rows)
        norm = _norm(gradient, dimension)
        if halvings < 0:  # the start
            if loss > old_loss and squares(point, wide) > 0:
                old[:] = 0
                continue
        elif length > 0:  # the longest of the steps 1, 1/2, 1/4, ... that lowers the objective enough
            enough = loss <= old_loss + ARMIJO * length * slope
            if not enough and not (loss <= old_loss + noise and norm < old_norm):
                halvings += 1
                length = length / 2 if halvings < MAX_HALVINGS else 0.0
                continue
        if iterations == max_iterations or not norm > tolerance or length == 0:
            return loss, norm, iterations, products
        iterations += 1
        halvings, length = 0, 1.0
        _put_sum(old, point, step, 0.0)
        old_loss, old_norm, noise = loss, norm, 4 * rounding * (1 + abs(loss))
        _mean_curvature(probabilities, mean_curvature)
        target = max(norm * min(math.sqrt(norm), 0.1), 0.2 * tolerance)
        step[:] = 0
        direction[:] = 0
        _put_sum(residual, direction, gradient, -1.0)
        energy = 1.0
        for _ in range(MAX_CONJUGATE):
            _precondition(
                residual, ahead, dimension, strength, mean_curvature, axes, variances, rest, narrow, sums, factors
            )
            fresh = _product(residual, ahead)
            _put_sum(direction, ahead, direction, fresh / max(energy, 1e-300))  # of nothing, at first
            energy = fresh
            curvature(features, begins, labels, strength, direction, bent, probabilities, narrow, sums, factors, rows)
            bend = _product(direction, bent)
            if not bend > 0:
                break
            products += 1
            _put_sum(step, step, direction, energy / bend)
            _put_sum(residual, residual, bent, -energy / bend)
            if not _norm(residual, dimension) > target:
                break
        slope = _product(gradient, step)
