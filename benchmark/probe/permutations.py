"""What a probe makes of shuffled labels: the same estimator at the same setting, each photo with another photo's class.

The accuracies are the null distribution of a permutation test (Ojala and Garriga, JMLR 11, 2010). They say how far a
probe that cannot know anything strays from chance on these very test photos, whatever groups these come in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from benchmark.probe.converged import SEARCH_TOLERANCE
from benchmark.probe.design import STACK_BYTES, design
from benchmark.probe.features import Rows, gather
from benchmark.probe.logistic import solve
from benchmark.probe.problem import Problem, predict
from benchmark.probe.protocols import LABELLED_SEED, default_memory, usable_device, with_validation
from benchmark.probe.sgd import BATCH_SIZE, descend, reader
from builders.errors import unknown_name

PERMUTATIONS: Mapping[str, int] = MappingProxyType({"converged": 100, "iccv2025": 20})
"""Shufflings by protocol: a converged fit at one strength costs little, a full descent does not."""


def shuffled_accuracies(
    train_x: Rows,
    train_y: np.ndarray,
    val_x: Rows | None,
    val_y: np.ndarray | None,
    test_x: Rows,
    test_y: np.ndarray,
    n_classes: int,
    *,
    chosen: Mapping[str, float],
    protocol: str = "converged",
    permutations: int | None = None,
    device: str | torch.device = "cpu",
    seed: int = LABELLED_SEED,
    memory_bytes: int | None = None,
) -> np.ndarray:
    """Test accuracies of probes that learnt from train and val photos whose labels were shuffled among all of them.

    By symmetry their expectation is chance where every class has equally many photos, in training or in the test.

    Args:
        train_x, train_y, val_x, val_y, test_x, test_y, n_classes: as in ``labelled_probe``.
        chosen: what the probe's own search chose (``ProbeAnswers.chosen``); it is not searched again.
        protocol: the probe's.
        permutations: how many; by default ``PERMUTATIONS``.
        device, memory_bytes: as in ``processing_probe``.
        seed: of the shuffling.

    Returns:
        float64 [permutations].

    Raises:
        UsageError: unknown protocol.

    >>> x, y = np.random.default_rng(0).normal(size=(90, 5)), np.arange(90) % 3
    >>> null = shuffled_accuracies(x[:60], y[:60], None, None, x[60:], y[60:], 3, chosen={"strength": 1e-3})
    >>> null.shape, bool(abs(null.mean() - 1 / 3) < 0.05)
    ((100,), True)
    """
    if protocol not in _REFITS:
        raise unknown_name("probe protocol", protocol, _REFITS)
    bank, labels = with_validation(train_x, train_y, val_x, val_y)
    rng = np.random.default_rng(seed)
    count = PERMUTATIONS[protocol] if permutations is None else permutations
    shuffled = np.stack([rng.permutation(labels) for _ in range(count)])
    where = usable_device(device)
    rows = np.arange(len(labels))
    problem = Problem([bank], np.zeros_like(shuffled), shuffled, n_classes, rows, rows[:0])
    found = []
    with torch.inference_mode():
        for weights, bias in _REFITS[protocol](problem, chosen, where, memory_bytes or default_memory(where)):
            predicted = predict([test_x], np.arange(test_x.shape[0]), weights, bias)[:, 0]
            found.append((predicted == np.asarray(test_y)).mean(axis=1))
    return np.concatenate(found)


_Layers = Iterator[tuple[Tensor, Tensor]]
"""Weights [P, d, C] and bias [P, C] of some of the fits, in order."""


def _converged(problem: Problem, chosen: Mapping[str, float], device: torch.device, memory_bytes: int) -> _Layers:
    """One training set, many labels: all fits share its products, as strengths do in the search."""
    one = problem.which[:1]
    features = design(
        gather(problem.banks, one, problem.fit_rows),
        1,
        problem.n,
        problem.dimension,
        device=device,
        memory_bytes=memory_bytes,
    )
    step = max(1, STACK_BYTES // (problem.n * problem.n_classes * features.dtype.itemsize))
    for start in range(0, len(problem.labels), step):
        labels = torch.from_numpy(problem.labels[start : start + step].T[None])
        strengths = torch.full((labels.shape[2],), chosen["strength"], dtype=torch.float64)
        solution = solve(features, labels, strengths, problem.n_classes, tolerance=SEARCH_TOLERANCE)
        yield solution.weights[0], solution.bias[0]


def _descents(problem: Problem, chosen: Mapping[str, float], device: torch.device, memory_bytes: int) -> _Layers:
    read = reader(problem, problem.which[:1], problem.fit_rows, device, memory_bytes, torch.float32)
    step = max(1, STACK_BYTES // (4 * BATCH_SIZE * problem.n_classes))
    for start in range(0, len(problem.labels), step):
        labels = torch.from_numpy(problem.labels[None, start : start + step]).to(device)
        rates, decays = ([chosen[name]] * labels.shape[1] for name in ("learning_rate", "weight_decay"))
        run = descend(
            read, labels, rates, decays, n_classes=problem.n_classes, in_rows=read.in_rows, resident=read.resident
        )
        yield run.weights[0], run.bias[0]


_REFITS: Mapping[str, Callable[[Problem, Mapping[str, float], torch.device, int], _Layers]] = MappingProxyType(
    {"converged": _converged, "iccv2025": _descents}
)
