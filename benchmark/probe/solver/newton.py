"""Multinomial logistic regression, many fits at once: truncated Newton steps by preconditioned conjugate gradients.

``objective`` defines what is minimised, and the equivalent setting of scikit-learn. On a GPU the host waits once per
Newton step, and not for short steps of conjugate gradients: ``sgd.Flags`` reads their flags one step late.
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

from benchmark.compute import compiled_module, parallel_map, threads_of_work, uploaded
from benchmark.probe.solver.bounds import ARMIJO, MAX_CONJUGATE, MAX_HALVINGS
from benchmark.probe.solver.design import Design
from benchmark.probe.solver.objective import Iterates, at_zero, gradient_norm, put_fits, take_fits
from benchmark.probe.solver.sgd import Flags, rectangle
from builders.kernels import BackgroundKernels
from builders.processes import step_bar

AS_FAST = 3
"""One thread of compiled fits is at least as fast as this many threads of stacked products."""

_KERNELS = BackgroundKernels(
    "benchmark.probe.solver.kernels.newton:try_out", "probes", Path(__file__).parent, "kernels/*.py", "bounds.py"
)


def begin_compiling_probes() -> None:
    """Start a process that compiles the solver if this machine does not have it compiled; returns at once."""
    _KERNELS.begin()


def compiled_fits(features: Design, fits: int) -> ModuleType | None:
    """``solver.kernels.newton`` if it is faster (on the CPU, with numba, resident rows and enough fits), else None."""
    is_supported = features.mean.device.type == "cpu" and features.resident is not None
    if not is_supported or torch.get_num_threads() > AS_FAST * fits:
        return None
    return _compiled()


@functools.cache
def _compiled() -> ModuleType | None:
    _KERNELS.wait()
    kernels = compiled_module("benchmark.probe.solver.kernels.newton", "The solver of probes")
    if kernels is not None:
        _KERNELS.note()
    return kernels


def _fit_each(
    kernels: ModuleType,
    features: Design,
    labels: np.ndarray,
    strengths: np.ndarray,
    n_classes: int,
    start: tuple[Tensor, Tensor] | None,
    tolerance: float,
    max_iterations: int,
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Solve each fit by itself with the compiled solver, as many at a time as torch has threads.

    Args:
        kernels: ``benchmark.probe.solver.kernels.newton``.
        features: G training sets of n rows.
        labels: int64 [G, n, L], or [G, n, 1].
        strengths: float64 [L].
        n_classes: C.
        start: as in ``solve``, for every fit and in the features' coordinates.
        tolerance, max_iterations: as in ``solve``.

    Returns:
        Points float64 [G, L, r + 1, C], the bias last; bool [G, C], whether a class has a row; and the values [G, L]
        of each further field of ``Solution``.
    """
    groups, count = len(labels), len(strengths)
    assert features.resident is not None
    rows, axes = features.resident.numpy(), features.axes
    present = np.stack([np.bincount(set_labels[:, 0], minlength=n_classes) > 0 for set_labels in labels])
    points = np.zeros((groups, count, features.dimension + 1, n_classes))
    tables = {name: np.zeros((groups, count)) for name in ("loss", "gradient_norm", "iterations", "products")}

    prepared_sets: list[Any] = [
        kernels.prepared(
            rows[g],
            None if axes.vectors is None else axes.vectors[g].numpy(),
            axes.variances[g].numpy(),
            float(axes.rest[g]),
        )
        for g in range(groups)
    ]

    def fit(indices: tuple[int, int]) -> None:
        g, k = indices
        present_classes = np.flatnonzero(present[g])
        if len(present_classes) > 1:  # with one class, zero is the optimum
            compact = np.cumsum(present[g]) - 1
            first = None if start is None else _start(start, g, k, present_classes)
            result: Any = kernels.newton(
                prepared_sets[g],
                compact[labels[g, :, min(k, labels.shape[2] - 1)]],
                strengths[k],
                len(present_classes),
                first,
                tolerance,
                max_iterations,
            )
            points[g, k][:, present_classes] = result.point.T
            for name, table in tables.items():
                table[g, k] = getattr(result, name)
        bar.update()

    # the weakest penalties take longest, so they come first: no thread then ends with a long fit
    order = np.argsort(strengths, kind="stable")
    with step_bar(total=groups * count, desc="solving", unit="fit") as bar:
        parallel_map(fit, [(g, int(k)) for k, g in itertools.product(order, range(groups))])
    tensors = {name: torch.from_numpy(table) for name, table in tables.items()}
    tensors |= {name: tensors[name].to(torch.int64) for name in ("iterations", "products")}
    return torch.from_numpy(points), torch.from_numpy(present), tensors


def _start(start: tuple[Tensor, Tensor], g: int, k: int, present_classes: np.ndarray) -> np.ndarray:
    """Start of one fit: float64 [present classes, r + 1]."""
    weights, bias = start
    return np.concatenate([weights[g, k].numpy(), bias[g, k].numpy()[None]]).T[present_classes]


GRADIENT_TOLERANCE = 1e-6
"""A fit has converged if the Euclidean norm of its whole gradient, and thus its infinity norm, is at most this."""

MAX_NEWTON = 100
"""Most Newton steps of a fit; after them it counts as not converged."""


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
    """int64 [G, L], number of products with the Hessian."""
    converged: Tensor
    """bool [G, L], whether the gradient norm is within the tolerance."""


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

    A class without a training row is left out: its bias is minus infinity, the limit of the optimum.

    Args:
        features: G training sets of n rows.
        labels: int64 [G, n], classes 0..C-1; or [G, n, L], other labels for each of the L fits of a training set,
            which must all have the same classes.
        strengths: float64 [L], all above 0.
        n_classes: C.
        start: weights [G or 1, L or 1, d, C] and bias [G or 1, L or 1, C] as in ``Solution``. A fit starts there if the
            objective is lower than at zero.
        tolerance: bound of the gradient norm of a converged fit.
        max_iterations: Newton steps at most.

    Returns:
        Weights, bias and diagnostics of all G x L fits.
    """
    kernels = compiled_fits(features, len(labels) * len(strengths))
    if kernels is not None:
        return _solve_compiled(kernels, features, labels, strengths, n_classes, start, tolerance, max_iterations)
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
    bar = step_bar(range(max_iterations), desc="solving", unit="step")
    for _ in bar:
        if not bool(known.any()):
            break
        grid = rectangle(known, device)
        part = state.narrowed(*grid)
        moving = active[grid[0]][:, grid[1]]
        with threads_of_work(part.work):
            step, used = _newton_direction(part, moving, tolerance)
            unfinished, moved = _line_search(part, step, moving, tolerance)
        if part is not state:
            state.absorb(part, *grid)
        positions = (grid[0][:, None], grid[1][None])
        iterations[positions] += moving.to(torch.int64)
        products[positions] += used
        rows, columns = known.any(1), known.any(0)
        in_grid = rows[:, None] & columns
        stalled[in_grid] |= known[in_grid] & ~moved.flatten()
        known[in_grid] = unfinished.flatten()
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


def _solve_compiled(
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
    points, present, diagnostics = _fit_each(
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
        converged=diagnostics["gradient_norm"] <= tolerance,
        **diagnostics,
    )


def _newton_direction(state: Iterates, moving: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """Solve Hessian @ step = -gradient by conjugate gradients, more exactly the closer a fit is to its optimum.

    Finished fits leave the stack as soon as this makes it a quarter smaller. Until then their steps have length 0, so
    that the host may read their flags one step late.

    Returns:
        step [G, r + 1, L, C], 0 for fits that are not ``moving``, and the number of products [G, L].
    """
    running = moving
    step, used = torch.zeros_like(state.gradient), torch.zeros_like(state.loss, dtype=torch.int64)
    device = moving.device
    positions = (torch.arange(len(moving), device=device), torch.arange(moving.shape[1], device=device))
    stack_step, stack_used = torch.zeros_like(step), torch.zeros_like(used)
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
        stack_step += length * direction
        residual -= length * bent
        stack_used += running.to(torch.int64)
        running = running & (gradient_norm(residual) > target)
        known = flags.read(running)
        if known is not None and not bool(known.any()):
            break
        preconditioned = state.preconditioned(residual, curvature)
        new_energy = (residual * preconditioned).sum((1, 3))
        direction = preconditioned + (new_energy / energy.clamp_min(1e-300))[:, None, :, None] * direction
        energy = new_energy
        if known is not None and int(known.any(1).sum() * known.any(0).sum()) <= 0.75 * known.numel():
            rows, columns = rectangle(known, device)
            flags.forget()
            put_fits(step, stack_step, *positions)
            used[positions[0][:, None], positions[1]] = stack_used
            positions = (positions[0][rows], positions[1][columns])
            state = state.narrowed(rows, columns)
            running, energy, target, stack_used, curvature = (
                table[rows][:, columns] for table in (running, energy, target, stack_used, curvature)
            )
            stack_step, residual, direction = (
                take_fits(table, rows, columns) for table in (stack_step, residual, direction)
            )
    put_fits(step, stack_step, *positions)
    used[positions[0][:, None], positions[1]] = stack_used
    return step, used


def _line_search(state: Iterates, step: Tensor, moving: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """Take the longest of the steps 1, 1/2, 1/4, ... that lowers the objective enough.

    Returns:
        bool [G, L] each, on the host: whether a fit is not at its optimum yet, and whether it moved.
    """
    old_point, old_loss, old_norm = state.point, state.loss, gradient_norm(state.gradient)
    slope = (state.gradient * step).sum((1, 3))
    length = moving.to(torch.float64)
    # the objective's rounding error: below it, only the gradient shows progress
    noise = 4 * torch.finfo(state.features.dtype).eps * (1 + old_loss.abs())
    for halving in range(MAX_HALVINGS + 1):
        state.point = old_point + length[:, None, :, None] * step
        state.evaluate()
        norm = gradient_norm(state.gradient)
        decrease = state.loss <= old_loss + ARMIJO * length * slope
        finer = (state.loss <= old_loss + noise) & (norm < old_norm)
        good = decrease | finer | (length == 0)
        known = torch.stack([good, norm > tolerance, length > 0]).cpu()  # all flags for the host in one copy
        if bool(known[0].all()):
            break
        length = torch.where(good, length, length / 2 if halving < MAX_HALVINGS - 1 else 0 * length)
    return known[1], known[2]
