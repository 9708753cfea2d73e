"""Multinomial logistic regression, many fits at once: truncated Newton steps by preconditioned conjugate gradients.

What is minimised, and which setting of scikit-learn it equals, is told in ``objective``. On a GPU the host waits once
for a Newton step and, where conjugate gradients are short, for none of those: ``flags`` reads theirs a step late.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from benchmark.compute import compiled_module, parallel_map, threads_of_work, uploaded
from benchmark.probe.solver.bounds import ARMIJO, MAX_CONJUGATE, MAX_HALVINGS
from benchmark.probe.solver.design import Design
from benchmark.probe.solver.objective import Iterates, at_zero, gradient_norm, put_fits, take_fits
from benchmark.probe.solver.rows import QUIET_BAR
from benchmark.probe.solver.sgd import Flags, rectangle
from builders.kernels import BackgroundKernels

AS_FAST = 3
"""Threads of stacked products that one thread of compiled fits is at least as fast as."""

_KERNELS = BackgroundKernels(
    "benchmark.probe.solver.kernels.newton:try_out", "probes", Path(__file__).parent, "kernels/*.py", "bounds.py"
)


def begin_compiling_probes() -> None:
    """Begin to compile the solver in a process of its own, where this machine does not have it; returns at once."""
    _KERNELS.begin()


def compiled_fits(features: Design, fits: int) -> ModuleType | None:
    """``solver.kernels.newton`` where it pays: on the CPU, with numba, for rows in memory and fits enough."""
    pays = features.mean.device.type == "cpu" and features.resident is not None
    if not pays or torch.get_num_threads() > AS_FAST * fits:
        return None
    return _compiled()


@functools.cache
def _compiled() -> ModuleType | None:
    _KERNELS.wait()
    kernels = compiled_module("benchmark.probe.solver.kernels.newton", "The solver of probes")
    if kernels is not None:
        _KERNELS.note()
    return kernels


def fit_alone(
    kernels: ModuleType,
    features: Design,
    labels: np.ndarray,
    strengths: np.ndarray,
    n_classes: int,
    start: tuple[Tensor, Tensor] | None,
    tolerance: float,
    max_iterations: int,
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Every fit, as many at a time as torch has threads.

    Args:
        kernels: ``benchmark.probe.solver.kernels.newton``.
        features: G training sets of n rows.
        labels: int64 [G, n, L], or [G, n, 1].
        strengths: float64 [L].
        n_classes: C.
        start: as in ``solve``, in the features' coordinates and for every fit.
        tolerance, max_iterations: as in ``solve``.

    Returns:
        Points float64 [G, L, r + 1, C], the bias last; bool [G, C], which classes have a row; and for each further
        field of ``Solution`` its values [G, L].
    """
    groups, count = len(labels), len(strengths)
    assert features.resident is not None
    rows, axes = features.resident.numpy(), features.axes
    present = np.stack([np.bincount(own[:, 0], minlength=n_classes) > 0 for own in labels])
    points = np.zeros((groups, count, features.dimension + 1, n_classes))
    told = {name: np.zeros((groups, count)) for name in ("loss", "gradient_norm", "iterations", "products")}

    sets: list[Any] = [
        kernels.prepared(
            rows[g],
            None if axes.vectors is None else axes.vectors[g].numpy(),
            axes.variances[g].numpy(),
            float(axes.rest[g]),
        )
        for g in range(groups)
    ]

    def fit(place: tuple[int, int]) -> None:
        g, k = place
        there = np.flatnonzero(present[g])
        if len(there) > 1:  # of one class alone, zero is the optimum
            compact = np.cumsum(present[g]) - 1
            first = None if start is None else _start(start, g, k, there)
            found: Any = kernels.newton(
                sets[g],
                compact[labels[g, :, min(k, labels.shape[2] - 1)]],
                strengths[k],
                len(there),
                first,
                tolerance,
                max_iterations,
            )
            points[g, k][:, there] = found.point.T
            for name, table in told.items():
                table[g, k] = getattr(found, name)
        bar.update()

    # the weakest penalties take longest: first, so that no thread is left with one at the end
    order = np.argsort(strengths, kind="stable")
    with tqdm(total=groups * count, desc="solving", unit="fit", **QUIET_BAR) as bar:
        parallel_map(fit, [(g, int(k)) for k, g in itertools.product(order, range(groups))])
    tables = {name: torch.from_numpy(table) for name, table in told.items()}
    tables |= {name: tables[name].to(torch.int64) for name in ("iterations", "products")}
    return torch.from_numpy(points), torch.from_numpy(present), tables


def _start(start: tuple[Tensor, Tensor], g: int, k: int, there: np.ndarray) -> np.ndarray:
    """float64 [C, r + 1] of the classes that are there."""
    weights, bias = start
    return np.concatenate([weights[g, k].numpy(), bias[g, k].numpy()[None]]).T[there]


GRADIENT_TOLERANCE = 1e-6
"""A fit has converged when the Euclidean norm of its whole gradient, and so its infinity norm, is at most this."""

MAX_NEWTON = 100
"""Newton steps after which a fit is given up as not converged."""


@dataclass(frozen=True)
class Solution:
    """Fits of G training sets times L strengths, in the coordinates of L2-normalised embeddings."""

    weights: Tensor
    """float64 [G, L, d, C]."""
    bias: Tensor
    """float64 [G, L, C]; minus infinity for a class that has no training row."""
    loss: Tensor
    """float64 [G, L], the objective F of ``objective``."""
    gradient_norm: Tensor
    """float64 [G, L], Euclidean: an upper bound of the infinity norm."""
    iterations: Tensor
    """int64 [G, L], Newton steps."""
    products: Tensor
    """int64 [G, L], products with the Hessian."""
    converged: Tensor
    """bool [G, L]."""


def solve(
    features: Design,
    labels: Tensor,
    strengths: Tensor,
    n_classes: int,
    *,
    start: tuple[Tensor, Tensor] | None = None,
    tolerance: float = GRADIENT_TOLERANCE,
    max_iterations: int = MAX_NEWTON,
) -> Solution:
    """Minimise F for every training set and every strength in stacked products.

    A class without a training row takes no part: its bias is minus infinity, the limit of the objective.

    Args:
        features: G training sets of n rows.
        labels: int64 [G, n], classes 0..C-1; or [G, n, L], where the L fits of a training set learn labels of their
            own, which must then have the same classes among them.
        strengths: float64 [L], all above 0.
        n_classes: C.
        start: weights [G or 1, L or 1, d, C] and bias [G or 1, L or 1, C] as a ``Solution`` holds them: where a fit
            starts if the objective is lower there than at zero.
        tolerance: bound of the gradient norm at which a fit is done.
        max_iterations: Newton steps at most.
    """
    kernels = compiled_fits(features, len(labels) * len(strengths))
    if kernels is not None:
        return _solve_alone(kernels, features, labels, strengths, n_classes, start, tolerance, max_iterations)
    state = at_zero(features, labels, strengths, n_classes)
    with threads_of_work(state.work):
        state.evaluate()
        if start is not None:
            state.begin_at(*start)
    iterations = torch.zeros_like(state.loss, dtype=torch.int64)
    products = torch.zeros_like(iterations)
    device = state.loss.device
    active = gradient_norm(state.gradient) > tolerance
    known = active.cpu()  # the host's copy
    stalled = torch.zeros_like(known)
    bar = tqdm(range(max_iterations), desc="solving", unit="step", **QUIET_BAR)
    for _ in bar:
        if not bool(known.any()):
            break
        grid = rectangle(known, device)
        part = state.narrowed(*grid)
        moving = active[grid[0]][:, grid[1]]
        with threads_of_work(part.work):
            step, used = _newton_direction(part, moving, tolerance)
            ahead, moved = _line_search(part, step, moving, tolerance)
        if part is not state:
            state.absorb(part, *grid)
        where = (grid[0][:, None], grid[1][None])
        iterations[where] += moving.to(torch.int64)
        products[where] += used
        rows, columns = known.any(1), known.any(0)
        inside = rows[:, None] & columns
        stalled[inside] |= known[inside] & ~moved.flatten()
        known[inside] = ahead.flatten()
        known &= ~stalled
        active = uploaded(known, device)
    bar.close()
    weights, bias = features.to_embedding(state.point[:, :-1].movedim(2, 1), state.point[:, -1])
    norm = gradient_norm(state.gradient)
    return Solution(
        weights,
        bias.masked_fill(~state.present[:, None], -torch.inf),
        state.loss,
        norm,
        iterations,
        products,
        norm <= tolerance,
    )


def _solve_alone(
    kernels: ModuleType,
    features: Design,
    labels: Tensor,
    strengths: Tensor,
    n_classes: int,
    start: tuple[Tensor, Tensor] | None,
    tolerance: float,
    max_iterations: int,
) -> Solution:
    groups, count = len(labels), len(strengths)
    if start is not None:
        weights, bias = start
        start = features.from_embedding(
            weights.expand(groups, count, -1, -1), bias.nan_to_num(neginf=0.0).expand(groups, count, -1)
        )
    points, present, told = fit_alone(
        kernels,
        features,
        labels.view(groups, features.n, -1).numpy(),
        strengths.numpy(),
        n_classes,
        start,
        tolerance,
        max_iterations,
    )
    weights, bias = features.to_embedding(points[:, :, :-1], points[:, :, -1])
    return Solution(
        weights,
        bias.masked_fill(~present[:, None], -torch.inf),
        converged=told["gradient_norm"] <= tolerance,
        **told,
    )


def _newton_direction(state: Iterates, moving: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """Solve Hessian @ step = -gradient by conjugate gradients, as exactly as the distance to the optimum deserves.

    Fits that are done leave the stack as soon as that makes it a quarter smaller.

    A fit that is done takes steps of length 0, so that it does not matter whether the host learns of it a step late.

    Returns:
        step [G, r + 1, L, C], 0 for fits that are not ``moving``, and the number of products [G, L].
    """
    running = moving
    step, used = torch.zeros_like(state.gradient), torch.zeros_like(state.loss, dtype=torch.int64)
    device = moving.device
    place = (torch.arange(len(moving), device=device), torch.arange(moving.shape[1], device=device))
    own_step, own_used = torch.zeros_like(step), torch.zeros_like(used)
    curvature, residual = state.mean_curvature(), -state.gradient
    norm = gradient_norm(state.gradient)
    target = torch.maximum(norm * norm.sqrt().clamp_max(0.1), torch.full_like(norm, 0.2 * tolerance))
    direction = state.preconditioned(residual, curvature)
    energy = (residual * direction).sum((1, 3))
    flags = Flags(device, 2 * state.features.n * state.point[:, :-1].numel())
    for _ in range(MAX_CONJUGATE):
        bent = state.curvature(direction)
        bend = (direction * bent).sum((1, 3))
        running = running & (bend > 0)
        length = torch.where(running, energy / bend.clamp_min(1e-300), torch.zeros_like(energy))[:, None, :, None]
        own_step += length * direction
        residual -= length * bent
        own_used += running.to(torch.int64)
        running = running & (gradient_norm(residual) > target)
        known = flags.read(running)
        if known is not None and not bool(known.any()):
            break
        ahead = state.preconditioned(residual, curvature)
        fresh = (residual * ahead).sum((1, 3))
        direction = ahead + (fresh / energy.clamp_min(1e-300))[:, None, :, None] * direction
        energy = fresh
        if known is not None and int(known.any(1).sum() * known.any(0).sum()) <= 0.75 * known.numel():
            rows, columns = rectangle(known, device)
            flags.forget()
            put_fits(step, own_step, *place)
            used[place[0][:, None], place[1]] = own_used
            place = (place[0][rows], place[1][columns])
            state = state.narrowed(rows, columns)
            running, energy, target, own_used, curvature = (
                table[rows][:, columns] for table in (running, energy, target, own_used, curvature)
            )
            own_step, residual, direction = (
                take_fits(table, rows, columns) for table in (own_step, residual, direction)
            )
    put_fits(step, own_step, *place)
    used[place[0][:, None], place[1]] = own_used
    return step, used


def _line_search(state: Iterates, step: Tensor, moving: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """Take the longest of the steps 1, 1/2, 1/4, ... that lowers the objective enough.

    Returns:
        bool [G, L] each, on the host: which fits are not at their optimum, and which moved.
    """
    old_point, old_loss, old_norm = state.point, state.loss, gradient_norm(state.gradient)
    slope = (state.gradient * step).sum((1, 3))
    length = moving.to(torch.float64)
    # the objective's own rounding: below it, only the gradient can tell progress
    noise = 4 * torch.finfo(state.features.dtype).eps * (1 + old_loss.abs())
    for halving in range(MAX_HALVINGS + 1):
        state.point = old_point + length[:, None, :, None] * step
        state.evaluate()
        norm = gradient_norm(state.gradient)
        decrease = state.loss <= old_loss + ARMIJO * length * slope
        finer = (state.loss <= old_loss + noise) & (norm < old_norm)
        good = decrease | finer | (length == 0)
        known = torch.stack([good, norm > tolerance, length > 0]).cpu()  # all that the host asks, in one copy
        if bool(known[0].all()):
            break
        length = torch.where(good, length, length / 2 if halving < MAX_HALVINGS - 1 else 0 * length)
    return known[1], known[2]
