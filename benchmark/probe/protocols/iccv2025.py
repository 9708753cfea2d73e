"""Protocol ``iccv2025``: the published study's stochastic gradient descent and its search, many runs in one product.

Ramos et al., "Processing and acquisition traces in visual encoders", ICCV 2025: SGD with momentum 0.9, batches of 1024,
100 epochs, cosine schedule; 30 trials of TPE over learning rate and weight decay, judged by the last epoch's validation
top-1; refit on train + validation. Written from that description.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import logsumexp, ndtr, ndtri
from torch import Tensor

from benchmark.compute import threads_of_work
from benchmark.probe.problem import Fit, Layers, Problem, Protocol, predict
from benchmark.probe.solver.design import STACK_BYTES
from benchmark.probe.solver.products import in_one, product
from benchmark.probe.solver.sgd import BATCH_SIZE, EPOCHS, MOMENTUM, Descent, Read, descend, reader, stack_size

RANDOM_FIRST = 10
"""Number of trials up to which points are random."""

CANDIDATES = 24
"""Candidates of which the best becomes the next point."""

GOOD_SHARE = 0.1
"""Share of the trials that count as good."""

MOST_GOOD = 25
"""Most trials that count as good."""


def suggest(
    tried: Sequence[Sequence[float]],
    values: Sequence[float],
    ranges: Sequence[tuple[float, float]],
    count: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """The next ``count`` points, float64 [count, P], given points ``tried`` with their ``values`` (larger is better).

    A point whose value is not known yet counts as poor for the next one (Optuna's ``constant_liar``), so that the
    points of a round differ.

    Args:
        tried: points [P] of earlier rounds.
        values: their values.
        ranges: least and greatest value of each of P parameters, which are searched on a logarithmic scale.
        count: number of points.
        rng: source of randomness.

    >>> points = suggest([], [], [(0.1, 100.0)], 3, np.random.default_rng(0))
    >>> points.shape, bool((points >= 0.1).all() and (points <= 100).all())
    ((3, 1), True)
    """
    low = np.log([r[0] for r in ranges])
    high = np.log([r[1] for r in ranges])
    if len(tried) < RANDOM_FIRST:
        return np.clip(np.exp(rng.uniform(low, high, (count, len(ranges)))), np.exp(low), np.exp(high))
    log_points = np.log(np.asarray(tried, dtype=np.float64))
    order = np.argsort(-np.asarray(values), kind="stable")
    good = order[: min(math.ceil(GOOD_SHARE * len(order)), MOST_GOOD)]
    poor = order[len(good) :]
    points = np.empty((count, len(ranges)))
    for p in range(len(ranges)):
        better = _Parzen(log_points[good, p], low[p], high[p])
        for k in range(count):
            worse = _Parzen(np.append(log_points[poor, p], points[:k, p]), low[p], high[p])
            candidates = better.sample((CANDIDATES,), rng)
            gain = better.log_density(candidates) - worse.log_density(candidates)
            points[k, p] = candidates[gain.argmax()]
    return np.clip(np.exp(points), np.exp(low), np.exp(high))


class _Parzen:
    """Equal mixture of normals truncated to [low, high]: one at each point, with the distance of its farther neighbour
    as width, and a wide one as prior."""

    def __init__(self, points: np.ndarray, low: float, high: float) -> None:
        self.low, self.high = low, high
        order = np.argsort(points, kind="stable")
        edges = np.concatenate([[low], points[order], [high]])
        gaps = np.diff(edges)
        width = np.maximum(gaps[:-1], gaps[1:])
        if len(points) > 1:  # the ends of the range do not count as neighbours
            width[0], width[-1] = gaps[1], gaps[-2]
        widths = np.empty(len(points))
        widths[order] = np.clip(width, (high - low) / min(100, 2 + len(points)), high - low)
        self.centres = np.append(points, (low + high) / 2)
        self.widths = np.append(widths, high - low)

    def sample(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        chosen = rng.integers(len(self.centres), size=shape)
        centre, width = self.centres[chosen], self.widths[chosen]
        below, above = ndtr((self.low - centre) / width), ndtr((self.high - centre) / width)
        quantile = below + rng.random(shape) * (above - below)
        return np.clip(centre + width * ndtri(quantile), self.low, self.high)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        z = (x[..., None] - self.centres) / self.widths
        mass = ndtr((self.high - self.centres) / self.widths) - ndtr((self.low - self.centres) / self.widths)
        log_normal = -0.5 * z**2 - np.log(self.widths * math.sqrt(2 * math.pi) * mass * len(self.centres))
        return logsumexp(log_normal, axis=-1)


LEARNING_RATES = (0.1, 100.0)
"""Log-uniform range of the search."""

WEIGHT_DECAYS = (1e-12, 1e-4)
"""Log-uniform range of the search; decays weights and bias, as ``torch.optim.SGD`` does."""

ROUNDS = (10, 10, 10)
"""Trials by round, 30 in all. The trials of a round run together and use the results of earlier rounds only. The first
round is random: TPE, too, starts with 10 random trials (Optuna's default). On smooth test functions three rounds found
optima as good as thirty do, because the points of a round repel one another (see ``suggest``)."""


def iccv2025(
    problem: Problem,
    *,
    device: torch.device,
    seed: int,
    memory_bytes: int,
    rounds: Sequence[int] = ROUNDS,
    epochs: int = EPOCHS,
    batch_size: int = BATCH_SIZE,
    dtype: torch.dtype = torch.float32,
    fixed: tuple[float, float] | None = None,
) -> Fit:
    """Search once, on the first assignment, then refit every assignment on all photos.

    The study's text leaves some choices open. Here the schedule falls once per epoch, to zero after the last; the last,
    smaller batch of an epoch is used; the layer starts as ``torch.nn.Linear``, with the same weights for every run;
    validation photos count in their assigned class.

    Args:
        problem: banks, assignments and labels.
        device: where the products run.
        seed: of the first weights, the order of the photos and the search.
        memory_bytes: bound of the gathered training features; if not even one training set fits, batches are read
            from the banks one by one.
        rounds: trials by round; ``(1,) * 30`` is the sequential search, one trial at a time.
        epochs, batch_size: the study's by default.
        dtype: of the features and products.
        fixed: learning rate and weight decay to use instead of a search.

    Returns:
        One linear layer per assignment.
    """
    begun = time.perf_counter()
    rng = np.random.default_rng(seed)
    fit_which, fit_labels = problem.which[:1], torch.from_numpy(problem.labels[:1, problem.fit_rows])
    schedule = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "n_classes": problem.n_classes}
    read = reader(problem, fit_which, problem.fit_rows, device, memory_bytes, dtype)
    tried: list[tuple[float, float]] = []
    accuracies: list[float] = []
    for trials in rounds if len(problem.validation_rows) and fixed is None else ():
        points = suggest(tried, accuracies, (LEARNING_RATES, WEIGHT_DECAYS), trials, rng)
        rates, decays = [p[0] for p in points], [p[1] for p in points]
        runs = descend(
            read, fit_labels.to(device), rates, decays, in_rows=read.in_rows, resident=read.resident, **schedule
        )
        tried += [(float(p[0]), float(p[1])) for p in points]
        accuracies += _validation_accuracy(problem, runs)
    # without a validation photo: the middle of both ranges
    best = int(np.argmax(accuracies)) if accuracies else -1
    middle = (math.sqrt(math.prod(LEARNING_RATES)), math.sqrt(math.prod(WEIGHT_DECAYS)))
    rate, decay = tried[best] if accuracies else fixed or middle
    del read
    searched = time.perf_counter()

    all_rows = np.arange(problem.n)
    stack = stack_size(len(problem.which), problem.n, problem.dimension, batch_size, memory_bytes, device)
    weights, biases, losses, norms = [], [], [], []
    for first in range(0, len(problem.which), stack):
        which = problem.which[first : first + stack]
        labels = torch.from_numpy(problem.labels[first : first + stack]).to(device)
        read = reader(problem, which, all_rows, device, memory_bytes, dtype)
        run = descend(read, labels, [rate], [decay], in_rows=read.in_rows, resident=read.resident, **schedule)
        with threads_of_work(run.weights.numel() * min(problem.n, batch_size)):
            loss, norm = _objective(read, labels, run, decay, batch_size)
        weights.append(run.weights[:, 0])
        biases.append(run.bias[:, 0])
        losses.append(loss.cpu().numpy())
        norms.append(norm.cpu().numpy())
        del read
    final_loss = np.concatenate(losses)
    constants: dict[str, Any] = {
        "estimator": "linear layer after a fixed number of SGD steps on mean cross-entropy; not an optimum",
        "search_algorithm": "univariate TPE in rounds, a round's unknown values counted as poor (constant liar)",
        "rounds": list(rounds),
        "learning_rates": list(LEARNING_RATES),
        "weight_decays": list(WEIGHT_DECAYS),
        "momentum": MOMENTUM,
        "batch_size": batch_size,
        "epochs": epochs,
        "schedule": "cosine, once per epoch",
        "hyper_parameters_shared_by": "all assignments, searched on the first",
        "precision": str(dtype).removeprefix("torch."),
    }
    return Fit(
        weights=in_one(weights),
        bias=in_one(biases),
        chosen={"learning_rate": rate, "weight_decay": decay},
        search=tuple(
            {"learning_rate": p[0], "weight_decay": p[1], "validation_accuracy": a}
            for p, a in zip(tried, accuracies, strict=True)
        ),
        final_loss=final_loss,
        gradient_norm=np.concatenate(norms),
        iterations=np.full(len(problem.which), epochs),
        converged=np.isfinite(final_loss),
        constants=constants,
        search_s=searched - begun,
        fit_s=time.perf_counter() - searched,
    )


class _Assigned:
    """The validation photos, each in its class of the first assignment, as a bank."""

    def __init__(self, problem: Problem) -> None:
        self.shape = (len(problem.validation_rows), problem.dimension)
        self._source = problem.source(problem.which[:1], problem.validation_rows)

    def __getitem__(self, rows: slice) -> Tensor:
        start, stop, _ = rows.indices(self.shape[0])
        return self._source(start, stop)[0]


def _validation_accuracy(problem: Problem, runs: Descent) -> list[float]:
    """Top-1 of each run on the validation photos in their assigned class; 0 for a run that diverged."""
    rows = problem.validation_rows
    predicted = predict([_Assigned(problem)], np.arange(len(rows)), runs.weights[0], runs.bias[0])[:, 0]
    accuracy = (predicted == problem.labels[0, rows]).mean(axis=1)
    with threads_of_work(runs.weights[0].numel()):
        finite = runs.weights[0].isfinite().all(-1).all(-1).cpu().numpy()
    return [float(a) if f else 0.0 for a, f in zip(accuracy, finite, strict=True)]


def _objective(read: Read, labels: Tensor, run: Descent, decay: float, batch_size: int) -> tuple[Tensor, Tensor]:
    """Loss and gradient norm [G] of the last weights on the training rows, weight decay's penalty included."""
    weights, bias = run.weights[:, 0], run.bias[:, 0]
    groups, n = labels.shape
    total = torch.zeros(groups, dtype=torch.float64, device=labels.device)
    gradient = torch.zeros(weights.shape, dtype=torch.float64, device=labels.device)
    bias_gradient = torch.zeros(bias.shape, dtype=torch.float64, device=labels.device)
    for start in range(0, n, batch_size):
        index = torch.arange(start, min(start + batch_size, n))
        block = read(index)
        truth = labels[:, start : start + len(index), None]
        logarithm = torch.log_softmax(product(block, weights) + bias[:, None], -1)
        total -= logarithm.gather(2, truth).sum((1, 2), dtype=torch.float64)
        residual = logarithm.exp_()
        residual.scatter_add_(2, truth, residual.new_full((), -1).expand(truth.shape))
        gradient += product(block.mT, residual)
        bias_gradient += residual.sum(1, dtype=torch.float64)
    gradient = gradient / n + decay * weights
    bias_gradient = bias_gradient / n + decay * bias
    penalty = 0.5 * decay * (weights.double().square().sum((1, 2)) + bias.double().square().sum(1))
    return total / n + penalty, (gradient.square().sum((1, 2)) + bias_gradient.square().sum(1)).sqrt()


def _refit(problem: Problem, chosen: Mapping[str, float], device: torch.device, memory_bytes: int) -> Layers:
    read = reader(problem, problem.which[:1], problem.fit_rows, device, memory_bytes, torch.float32)
    step = max(1, STACK_BYTES // (4 * BATCH_SIZE * problem.n_classes))
    for start in range(0, len(problem.labels), step):
        labels = torch.from_numpy(problem.labels[None, start : start + step]).to(device)
        rates, decays = ([chosen[name]] * labels.shape[1] for name in ("learning_rate", "weight_decay"))
        run = descend(
            read, labels, rates, decays, n_classes=problem.n_classes, in_rows=read.in_rows, resident=read.resident
        )
        yield run.weights[0], run.bias[0]


def _fixed(chosen: Mapping[str, float]) -> Mapping[str, Any]:
    """Options that skip the search for parts of the photos, because a search takes thirty descents."""
    return {"fixed": (chosen["learning_rate"], chosen["weight_decay"])}


ICCV2025 = Protocol(
    name="iccv2025",
    summary="the published study's stochastic gradient descent with its search",
    fit=iccv2025,
    refit=_refit,
    permutations=20,
    near=_fixed,
    at=_fixed,
)
