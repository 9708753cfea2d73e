"""Who reads a trace: the linear layer of a protocol, nearest neighbours, or a small network.

A linear reader may stand at chance where neighbours still read the trace (LEACE does just that), so what is said to be
out must be out for all three. Each has a fixed search, on the same held-out photos as the linear one.
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
"""The reader of every protocol; the others are the same under each protocol."""

MOST_ROWS = 20_000
"""Train photos that neighbours or a network learn from, at most: a seeded sample of more."""

SAMPLE_SEED = 7
"""Of that sample."""


def chosen_readers(text: str) -> str:
    """Readers with commas between them, each once, in their order, the linear one always among them.

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
    """What a reader that is no linear layer answers."""

    predicted: np.ndarray
    """Unsigned integers [S, V, n], as in ``ProbeAnswers``; S may be fewer assignments than were asked for."""
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
        """bool, of each fit."""
        return np.isfinite(self.final_loss)


READERS: Mapping[str, str] = MappingProxyType(
    {
        LINEAR: "",
        "knn": "benchmark.probe.readers.knn:read_knn",
        "mlp": "benchmark.probe.readers.mlp:read_mlp",
    }
)
"""Where each reader is defined, ``module:name``; the linear one is the protocol's."""


def read_with(
    reader: str,
    problem: Problem,
    test: Sequence[Rows],
    *,
    device: torch.device,
    seed: int,
) -> Read:
    """What a reader other than the linear one answers to every view of the test photos.

    Raises:
        UsageError: there is no such reader.
    """
    if reader not in READERS or not READERS[reader]:
        raise unknown_name("reader", reader, READERS)
    module, _, name = READERS[reader].partition(":")
    found: Read = getattr(importlib.import_module(module), name)(problem, test, device=device, seed=seed)
    return found


def sampled(problem: Problem, fits: int) -> Problem:
    """The first assignments, and a seeded sample of the train photos where they are more than ``MOST_ROWS``.

    Args:
        problem: as asked for.
        fits: assignments, at most.
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
