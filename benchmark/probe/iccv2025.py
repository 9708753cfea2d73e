"""Protocol ``iccv2025``: the published study's stochastic gradient descent and its search, many runs in one product.

Ramos et al., "Processing and acquisition traces in visual encoders", ICCV 2025: SGD with momentum 0.9, batches of 1024,
100 epochs, cosine schedule; 30 trials of TPE over learning rate and weight decay, judged by the last epoch's validation
top-1; refit on train + validation. Written from that description.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.probe.features import Source, gather
from benchmark.probe.problem import Fit, Problem, predict
from benchmark.probe.tpe import suggest

LEARNING_RATES = (0.1, 100.0)
"""Log-uniform range of the search."""

WEIGHT_DECAYS = (1e-12, 1e-4)
"""Log-uniform range of the search; decays weights and bias, as ``torch.optim.SGD`` does."""

MOMENTUM = 0.9
BATCH_SIZE = 1024
EPOCHS = 100

ROUNDS = (10, 10, 10)
"""Trials by round, 30 in all. The trials of a round run together and know the results of earlier rounds only. The first
round is random: TPE, too, starts with 10 random trials (Optuna's default). On smooth test functions three rounds found
optima as good as thirty do, because the points of a round repel one another (see ``tpe``)."""


class Descent(NamedTuple):
    """K runs on each of G training sets after their last epoch."""

    weights: Tensor
    """[G, K, d, C]."""
    bias: Tensor
    """[G, K, C]."""


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
) -> Fit:
    """Search once, on the first assignment, then refit every assignment on all photos.

    The study's text leaves open, and here: the schedule falls once per epoch, to zero after the last; the last, smaller
    batch of an epoch is kept; the layer starts as ``torch.nn.Linear`` does, the same for every run; the validation
    photos count in their assigned class.

    Args:
        problem: who learns from what.
        device: where the products run.
        seed: of the first weights, the order of the photos and the search.
        memory_bytes: bound of the gathered training features; where not even one training set fits, batches are read
            from the banks as they come.
        rounds: trials by round; ``(1,) * 30`` is the sequential search, one trial at a time.
        epochs, batch_size: the study's by default.
        dtype: of the features and products.
    """
    begun = time.perf_counter()
    rng = np.random.default_rng(seed)
    fit_which, fit_labels = problem.which[:1], torch.from_numpy(problem.labels[:1, problem.fit_rows])
    schedule = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "n_classes": problem.n_classes}
    read = _reader(problem, fit_which, problem.fit_rows, device, memory_bytes, dtype)
    tried: list[tuple[float, float]] = []
    accuracies: list[float] = []
    for trials in rounds if len(problem.validation_rows) else ():
        points = suggest(tried, accuracies, (LEARNING_RATES, WEIGHT_DECAYS), trials, rng)
        runs = descend(read, fit_labels.to(device), [p[0] for p in points], [p[1] for p in points], **schedule)
        tried += [(float(p[0]), float(p[1])) for p in points]
        accuracies += _validation_accuracy(problem, runs)
    # without a validation photo: the middle of both ranges
    best = int(np.argmax(accuracies)) if accuracies else -1
    middle = (math.sqrt(math.prod(LEARNING_RATES)), math.sqrt(math.prod(WEIGHT_DECAYS)))
    rate, decay = tried[best] if accuracies else middle
    del read
    searched = time.perf_counter()

    every = np.arange(problem.n)
    together = max(1, min(len(problem.which), memory_bytes // (problem.n * problem.dimension * dtype.itemsize)))
    weights, biases, losses, norms = [], [], [], []
    for first in range(0, len(problem.which), together):
        which = problem.which[first : first + together]
        labels = torch.from_numpy(problem.labels[first : first + together]).to(device)
        read = _reader(problem, which, every, device, memory_bytes, dtype)
        run = descend(read, labels, [rate], [decay], **schedule)
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
        weights=torch.cat(weights),
        bias=torch.cat(biases),
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


class _Reader(NamedTuple):
    """Rows of G training sets by index."""

    resident: Tensor | None
    banks: Any
    which: np.ndarray
    rows: np.ndarray
    device: torch.device
    dtype: torch.dtype

    def __call__(self, index: Tensor) -> Tensor:
        """Features [G, b, d] of ascending row indices [b]."""
        if self.resident is not None:
            return self.resident.index_select(1, index.to(self.device))
        part = gather(self.banks, self.which, self.rows[index.numpy()])
        return part(0, len(index)).to(self.device, self.dtype)


def descend(
    read: Any,
    labels: Tensor,
    learning_rates: Sequence[float],
    weight_decays: Sequence[float],
    *,
    n_classes: int,
    epochs: int = EPOCHS,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
) -> Descent:
    """SGD of K = len(learning_rates) runs on each of G training sets; no run depends on another.

    Args:
        read: ascending row indices [b] -> features [G, b, d].
        labels: int64 [G, n] on the device of the products.
        learning_rates, weight_decays: one of each per run.
        n_classes: C.
        epochs, batch_size: as in the protocol.
        seed: of the first weights and the order of the rows, the same for all runs.
    """
    groups, n = labels.shape
    runs = len(learning_rates)
    probe = read(torch.zeros(1, dtype=torch.int64))
    dimension, device, dtype = probe.shape[2], probe.device, probe.dtype
    generator = torch.Generator().manual_seed(seed)
    bound = 1 / math.sqrt(dimension)
    first = (torch.rand((dimension + 1, n_classes), generator=generator) * 2 - 1) * bound
    # [G, d, K, C]: one product serves all runs
    weights = first[:-1].to(device, dtype)[None, :, None].repeat(groups, 1, runs, 1)
    bias = first[-1].to(device, dtype)[None, None].repeat(groups, runs, 1)
    velocity, bias_velocity = torch.zeros_like(weights), torch.zeros_like(bias)
    rate = torch.tensor(learning_rates, dtype=dtype, device=device)[:, None]
    decay = torch.tensor(weight_decays, dtype=dtype, device=device)[:, None]
    for epoch in range(epochs):
        now = rate * (0.5 * (1 + math.cos(math.pi * epoch / epochs)))
        order = torch.randperm(n, generator=generator)
        for start in range(0, n, batch_size):
            index = order[start : start + batch_size].sort().values
            block = read(index)
            truth = labels[:, index.to(device)]
            logits = torch.bmm(block, weights.flatten(2)).view(groups, -1, runs, n_classes) + bias[:, None]
            residual = torch.softmax(logits, -1)
            residual.scatter_add_(
                3,
                truth[:, :, None, None].expand(-1, -1, runs, 1),
                residual.new_full((), -1).expand(*residual.shape[:3], 1),
            )
            residual /= len(index)
            gradient = torch.bmm(block.mT, residual.flatten(2)).view_as(weights)
            velocity.mul_(MOMENTUM).add_(gradient).add_(decay * weights)
            bias_velocity.mul_(MOMENTUM).add_(residual.sum(1)).add_(decay * bias)
            weights -= now * velocity
            bias -= now * bias_velocity
    return Descent(weights.movedim(2, 1), bias)


def _reader(
    problem: Problem,
    which: np.ndarray,
    rows: np.ndarray,
    device: torch.device,
    memory_bytes: int,
    dtype: torch.dtype,
) -> _Reader:
    source: Source = gather(problem.banks, which, rows)
    resident = None
    if len(which) * len(rows) * problem.dimension * dtype.itemsize <= memory_bytes:
        resident = torch.empty((len(which), len(rows), problem.dimension), dtype=dtype, device=device)
        step = max(1, (64 << 20) // (len(which) * problem.dimension * 4))
        for start in range(0, len(rows), step):
            resident[:, start : start + step] = source(start, min(start + step, len(rows))).to(device)
    return _Reader(resident, problem.banks, which, rows, device, dtype)


def _validation_accuracy(problem: Problem, runs: Descent) -> list[float]:
    """Top-1 of each run on the validation photos in their assigned class; 0 for a run that diverged."""
    rows = problem.validation_rows
    predicted = predict(problem.banks, rows, runs.weights[0], runs.bias[0])
    own = predicted[:, problem.which[0, rows], np.arange(len(rows))]
    accuracy = (own == problem.labels[0, rows]).mean(axis=1)
    finite = runs.weights[0].isfinite().all(-1).all(-1).cpu().numpy()
    return [float(a) if f else 0.0 for a, f in zip(accuracy, finite, strict=True)]


def _objective(read: Any, labels: Tensor, run: Descent, decay: float, batch_size: int) -> tuple[Tensor, Tensor]:
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
        logarithm = torch.log_softmax(torch.bmm(block, weights) + bias[:, None], -1)
        total -= logarithm.gather(2, truth).sum((1, 2), dtype=torch.float64)
        residual = logarithm.exp_()
        residual.scatter_add_(2, truth, residual.new_full((), -1).expand(truth.shape))
        gradient += torch.bmm(block.mT, residual)
        bias_gradient += residual.sum(1, dtype=torch.float64)
    gradient = gradient / n + decay * weights
    bias_gradient = bias_gradient / n + decay * bias
    penalty = 0.5 * decay * (weights.double().square().sum((1, 2)) + bias.double().square().sum(1))
    return total / n + penalty, (gradient.square().sum((1, 2)) + bias_gradient.square().sum(1)).sqrt()
