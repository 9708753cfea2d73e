"""Readers of traces: the linear layer of a protocol, nearest neighbours, or a small network.

A linear reader may be at chance although neighbours still read the trace (after LEACE, for example), so a trace counts
as removed only if none of the three reads it. Each has a fixed search, on the same held-out photos as the linear one.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from builders.errors import unknown_name

if TYPE_CHECKING:
    import torch

    from benchmark.probe.problem import Problem
    from benchmark.probe.solver.rows import Rows

LINEAR = "linear"
"""The reader that a protocol fits; the others do not depend on the protocol."""

MOST_ROWS = 20_000
"""Most train photos of neighbours or a network; of more photos, a seeded sample is used."""

SAMPLE_SEED = 7
"""Seed of that sample."""


def chosen_readers(text: str) -> str:
    """Normalise a list of readers, separated by commas: each once, in a fixed order, with the linear one.

    Raises:
        UsageError: there is no such reader.

    >>> chosen_readers("mlp, knn")
    'linear,knn,mlp'
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in READERS:
            raise unknown_name("reader", name, READERS)
    return ",".join(name for name in READERS if name == LINEAR or name in names)


@dataclass(frozen=True)
class Read:
    """Predictions of a reader that is not linear, and how its fits went; fields as in ``ProbeAnswers``."""

    predicted: np.ndarray
    """Unsigned integers [S, V, n], as in ``ProbeAnswers``; S may be fewer assignments than requested."""
    n_train: int
    chosen: dict[str, float]
    search: tuple[dict[str, float], ...]
    final_loss: np.ndarray
    gradient_norm: np.ndarray
    iterations: np.ndarray
    search_s: float
    fit_s: float
    constants: dict[str, Any] = field(default_factory=dict)

    @property
    def converged(self) -> np.ndarray:
        """bool [S], whether the loss is finite."""
        return np.isfinite(self.final_loss)


READERS: Mapping[str, str] = MappingProxyType(
    {
        LINEAR: "",
        "knn": "benchmark.probe.readers.knn:read_knn",
        "mlp": "benchmark.probe.readers.mlp:read_mlp",
    }
)
"""Function of each reader, ``module:name``; empty for the linear one, which the protocol fits."""


def read_with(
    reader: str,
    problem: Problem,
    test: Sequence[Rows],
    *,
    device: torch.device,
    seed: int,
) -> Read:
    """Predictions of a reader other than the linear one for every view of the test photos.

    Raises:
        UsageError: there is no such reader.
    """
    if reader not in READERS or not READERS[reader]:
        raise unknown_name("reader", reader, READERS)
    module, _, name = READERS[reader].partition(":")
    fit: Read = getattr(importlib.import_module(module), name)(problem, test, device=device, seed=seed)
    return fit


def sampled(problem: Problem, fits: int) -> Problem:
    """The problem with its first assignments, and a seeded sample of more than ``MOST_ROWS`` train photos.

    Args:
        problem: the whole problem.
        fits: most assignments.
    """
    from benchmark.probe.solver.rows import Some

    fewer = replace(problem, which=problem.which[:fits], labels=problem.labels[:fits], gathered=None)
    if problem.n <= MOST_ROWS:
        return fewer
    rows = np.sort(np.random.default_rng(SAMPLE_SEED).choice(problem.n, MOST_ROWS, replace=False))
    banks = [Some(bank, rows) for bank in problem.banks]
    fit_rows, validation = (np.flatnonzero(np.isin(rows, r)) for r in (problem.fit_rows, problem.validation_rows))
    return replace(
        fewer,
        banks=banks,
        which=fewer.which[:, rows],
        labels=fewer.labels[:, rows],
        fit_rows=fit_rows,
        validation_rows=validation,
    )
