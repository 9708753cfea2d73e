"""Fits of ``logistic`` one by one, each on one thread, where that is faster: on CPUs, compiled."""

from __future__ import annotations

import functools
import itertools
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from benchmark.compute import compiled_module, side_by_side
from benchmark.probe.design import Design
from benchmark.probe.features import QUIET_BAR
from builders.pixels import CompiledBeside

AS_FAST = 3
"""Threads of stacked products that one thread of compiled fits is at least as fast as."""


_KERNELS = CompiledBeside(
    "benchmark.probe.newton_compiled:try_out", "probes", Path(__file__).parent, "newton_*.py", "rows_compiled.py"
)


def begin_compiling_probes() -> None:
    """Begin to compile the solver in a process of its own, where this machine does not have it; returns at once."""
    _KERNELS.begin()


def compiled_fits(features: Design, fits: int) -> ModuleType | None:
    """``benchmark.probe.newton_compiled`` where it pays: on the CPU, with numba, for rows in memory and fits enough."""
    pays = features.mean.device.type == "cpu" and features.resident is not None
    if not pays or torch.get_num_threads() > AS_FAST * fits:
        return None
    return _compiled()


@functools.cache
def _compiled() -> ModuleType | None:
    _KERNELS.wait()
    kernels = compiled_module("benchmark.probe.newton_compiled", "The solver of probes")
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
        kernels: ``benchmark.probe.newton_compiled``.
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
        side_by_side(fit, [(g, int(k)) for k, g in itertools.product(order, range(groups))])
    tables = {name: torch.from_numpy(table) for name, table in told.items()}
    tables |= {name: tables[name].to(torch.int64) for name in ("iterations", "products")}
    return torch.from_numpy(points), torch.from_numpy(present), tables


def _start(start: tuple[Tensor, Tensor], g: int, k: int, there: np.ndarray) -> np.ndarray:
    """float64 [C, r + 1] of the classes that are there."""
    weights, bias = start
    return np.concatenate([weights[g, k].numpy(), bias[g, k].numpy()[None]]).T[there]
