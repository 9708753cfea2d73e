"""Protocol ``converged``: penalised logistic regression solved to its optimum, the penalty chosen on held-out data."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmark.compute import parallel_map
from benchmark.probe.problem import Fit, Layers, Problem, Protocol, predict
from benchmark.probe.solver.design import STACK_BYTES, Axes, Design, design, joined, resident_bytes, stack_size
from benchmark.probe.solver.newton import GRADIENT_TOLERANCE, Solution, solve
from benchmark.probe.solver.products import in_one

STRENGTHS = tuple(10.0**-k for k in range(1, 10))
"""L2 strengths of the search. On unit-length embeddings 0.1 leaves little but the direction between the class means;
with 1e-9 every training set of fewer rows than dimensions is fitted perfectly."""

SEARCH_ROWS = 4_000
"""Photos of all assignments of the search together, about: at least one assignment is used. With few photos, the
validation accuracy of one assignment is too noisy for a choice; with many, one is enough (the study has one)."""

SEARCH_TOLERANCE = 1e-4
"""Bound of the gradient norm in the search, whose fits only rank strengths; the reported fits have their own. Against
1e-6 it takes a third of the time (756 photos of 1280 dimensions, 6, 9 and 27 classes) and chose the same strengths."""

STRONGER = (1.0, 10.0, 100.0)
"""Factors of the strength chosen on all train photos, for the search on parts of them: fewer photos need no weaker
penalty."""

CPU_STACK_BYTES = 16 << 20
"""Largest stack of training sets in the refit on a CPU: in a stack all wait for the slowest, and rows of large sets
come from memory either way."""

EXTENSION = 3
"""If the best strength is the weakest of the path, at most this many weaker ones follow, a factor of ten apart."""


def converged(
    problem: Problem,
    *,
    device: torch.device,
    seed: int,
    memory_bytes: int,
    strengths: Sequence[float] = STRENGTHS,
    tolerance: float = GRADIENT_TOLERANCE,
    dtype: torch.dtype | None = None,
    extend: bool = True,
) -> Fit:
    """Search one strength for all assignments, then refit every assignment on all photos with it.

    The same photos are held out from every assignment of the search, and tested like test photos, each in every class.
    The best strength has the highest mean validation accuracy; of equal ones the strongest is chosen. ``at_edge`` in
    the constants means that it was the strongest, or the weakest even after the path was extended.

    Args:
        problem: banks, assignments and labels.
        device: where the products run.
        seed: recorded; nothing here is random.
        memory_bytes: bound of the gathered training features.
        strengths: the path, at least one.
        tolerance: bound of the gradient norm, see ``solver.newton``.
        dtype: of the products; by default float64 for small fits and float32 for large ones. Sums are float64.
        extend: try weaker strengths if the weakest of the path is best.

    Returns:
        One linear layer per assignment.
    """
    begun = time.perf_counter()
    path = sorted({float(s) for s in strengths}, reverse=True)
    if not path or path[-1] <= 0:
        raise ValueError("strengths must be positive")
    stack = stack_size(len(problem.which), problem.n, problem.dimension, memory_bytes, dtype)
    pooled = min(stack, max(1, SEARCH_ROWS // problem.n))
    search = _search(problem, pooled, path, device, memory_bytes, tolerance, dtype, EXTENSION if extend else 0)
    searched = time.perf_counter()

    # on a CPU as many stacks run in parallel as there are threads, which share the memory: small products gain
    # nothing from a second thread
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    threads = threads if stack >= threads else 1
    step = min(stack // threads, -(-len(problem.which) // threads))
    if device.type == "cpu":
        set_bytes = resident_bytes(problem.n, problem.dimension, dtype)
        step = min(step, max(1, CPU_STACK_BYTES // set_bytes))

    keep_features = device.type == "cpu" and stack == len(problem.which) and problem.features is None

    def refit(first: int) -> tuple[Solution, torch.dtype, Design | None]:
        fits = slice(first, first + step)
        features = _design(problem, fits, np.arange(problem.n), device, memory_bytes // threads, dtype, search.axes)
        labels = torch.from_numpy(problem.labels[fits])
        strength = torch.tensor([search.strength], dtype=torch.float64)
        fit_start = None
        if search.start is not None:  # an assignment that was not searched starts from the weights of the first
            searched_fits = torch.arange(first, first + len(labels), device=device)
            searched_fits = torch.where(searched_fits < pooled, searched_fits, 0)
            fit_start = (search.start[0][searched_fits], search.start[1][searched_fits])
        solutions = solve(features, labels, strength, problem.n_classes, start=fit_start, tolerance=tolerance)
        return solutions, features.dtype, features if keep_features and features.basis is not None else None

    firsts = range(0, len(problem.which), step)
    solutions = parallel_map(refit, firsts) if threads > 1 else [refit(first) for first in firsts]
    parts, dtype_used = [part for part, _, _ in solutions], solutions[-1][1]
    ends = [torch.stack([p.loss, p.gradient_norm, p.iterations.double(), p.converged.double()])[..., 0] for p in parts]
    loss, norm, iterations, is_converged = torch.cat(ends, 1).cpu().numpy()  # in one copy
    constants: dict[str, Any] = {
        "estimator": "multinomial logistic regression, mean cross-entropy + strength / 2 * ||W||^2, bias free",
        "strength_shared_by": "all assignments",
        "assignments_searched": pooled,
        "gradient_tolerance": tolerance,
        "search_gradient_tolerance": max(tolerance, SEARCH_TOLERANCE),
        "path": path,
        "at_edge": search.at_edge,
        "precision": str(dtype_used).removeprefix("torch."),
    }
    return Fit(
        weights=in_one([p.weights[:, 0] for p in parts]),
        bias=in_one([p.bias[:, 0] for p in parts]),
        chosen={"strength": search.strength},
        search=search.table,
        final_loss=loss,
        gradient_norm=norm,
        iterations=iterations.astype(np.int64),
        converged=is_converged > 0,
        constants=constants,
        search_s=searched - begun,
        fit_s=time.perf_counter() - searched,
        features=joined([features for _, _, features in solutions]),
    )


class _Search(NamedTuple):
    """Result of the search."""

    table: tuple[dict[str, float], ...]
    strength: float
    start: tuple[torch.Tensor, torch.Tensor] | None
    """Weights and bias of the searched assignments at that strength, to start the refit from."""
    at_edge: bool
    axes: Axes | None = None
    """Principal axes of the first assignment's photos, where these were not rotated."""


def _search(
    problem: Problem,
    pooled: int,
    path: list[float],
    device: torch.device,
    memory_bytes: int,
    tolerance: float,
    dtype: torch.dtype | None,
    extensions: int,
) -> _Search:
    if not len(problem.validation_rows) or len(path) == 1:
        return _Search((), path[0], None, len(path) > 1)
    features = _design(problem, slice(pooled), problem.fit_rows, device, memory_bytes, dtype)
    labels = torch.from_numpy(problem.labels[:pooled, problem.fit_rows])
    table: list[dict[str, float]] = []
    starts = []
    candidates = path
    start = None
    for extension in range(extensions + 1):
        solution = solve(
            features,
            labels,
            torch.tensor(candidates, dtype=torch.float64),
            problem.n_classes,
            start=start,
            tolerance=max(tolerance, SEARCH_TOLERANCE),
        )
        predicted = predict(
            problem.banks, problem.validation_rows, solution.weights.flatten(0, 1), solution.bias.flatten(0, 1)
        )
        correct = (predicted == _validation_truth(problem)).mean(axis=(1, 2))
        accuracy = correct.reshape(pooled, len(candidates)).mean(axis=0)
        ends = torch.stack([solution.loss, solution.iterations.double(), solution.converged.double()])
        loss, iterations, done = ends.cpu()  # in one copy
        for i, strength in enumerate(candidates):
            table.append(
                {
                    "strength": strength,
                    "validation_accuracy": float(accuracy[i]),
                    "loss": float(loss[:, i].mean()),
                    "iterations": int(iterations[:, i].max()),
                    "converged": bool(done[:, i].all()),
                }
            )
            starts.append((solution.weights[:, i : i + 1], solution.bias[:, i : i + 1]))
        best = int(np.argmax([row["validation_accuracy"] for row in table]))
        if best < len(table) - 1 or extension == extensions:
            break
        candidates, start = [table[-1]["strength"] / 10], starts[-1]
    at_edge = best in (0, len(table) - 1)
    axes = None if features.basis is not None else features.axes.select(slice(1))
    return _Search(tuple(table), table[best]["strength"], starts[best], at_edge, axes)


def _validation_truth(problem: Problem) -> np.ndarray:
    """[V, m]: the class of a processing's bank is its index; a single bank has one label per photo."""
    if len(problem.banks) > 1:
        return np.arange(problem.n_classes)[:, None]
    return problem.labels[:1, problem.validation_rows]


def _design(
    problem: Problem,
    fits: slice,
    rows: np.ndarray,
    device: torch.device,
    memory_bytes: int,
    dtype: torch.dtype | None,
    axes: Axes | None = None,
) -> Design:
    if problem.features is not None:
        return problem.features.whole.part(fits, problem.features.rows[rows])
    which = problem.which[fits]
    return design(
        problem.source(which, rows),
        len(which),
        len(rows),
        problem.dimension,
        device=device,
        memory_bytes=memory_bytes,
        dtype=dtype,
        axes=axes,
        frame=problem.frame,
    )


def _refit(problem: Problem, chosen: Mapping[str, float], device: torch.device, memory_bytes: int) -> Layers:
    """Refit one training set with many labels: all fits share its products, as strengths do in the search."""
    first_set = problem.which[:1]
    features = design(
        problem.source(first_set, problem.fit_rows),
        1,
        problem.n,
        problem.dimension,
        device=device,
        memory_bytes=memory_bytes,
        frame=problem.frame,
    )
    step = max(1, STACK_BYTES // (problem.n * problem.n_classes * features.dtype.itemsize))
    for start in range(0, len(problem.labels), step):
        labels = torch.from_numpy(problem.labels[start : start + step].T[None])
        strengths = torch.full((labels.shape[2],), chosen["strength"], dtype=torch.float64)
        solution = solve(features, labels, strengths, problem.n_classes, tolerance=SEARCH_TOLERANCE)
        yield solution.weights[0], solution.bias[0]


CONVERGED = Protocol(
    name="converged",
    summary="the optimum of L2-regularised logistic regression, its strength chosen on validation photos",
    fit=converged,
    refit=_refit,
    permutations=100,
    rotation_invariant=True,
    near=lambda chosen: {"strengths": [chosen["strength"] * more for more in STRONGER], "extend": False},
    at=lambda chosen: {"strengths": [chosen["strength"]]},
)
