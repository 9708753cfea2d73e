"""The reader ``mlp``: one hidden layer, trained by AdamW; rate, decay and epochs are chosen on held-out photos.

The search is small and the same for every encoder and every eraser. Gradients are written out, so that all assignments,
or all candidates of the search, are trained in the same products.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.probe.problem import Problem
from benchmark.probe.readers.registry import Read, sampled
from benchmark.probe.solver.rows import Rows, features

HIDDEN = 128
"""Hidden units."""
RATES = (1e-3, 4e-3)
"""Candidate learning rates."""
DECAYS = (0.01, 1.0)
"""Candidate weight decays; AdamW multiplies them by the rate."""
EPOCHS = (15, 30, 60)
"""Candidate numbers of epochs."""
BATCH = 256
"""Rows of a step."""
BETAS, EPSILON = (0.9, 0.999), 1e-8
FITS_ROWS = 4_000
"""Photos of all assignments together, about: as many assignments are used, at least one."""


class Net(NamedTuple):
    """G networks: softmax(relu(x @ first + first_bias) @ second + second_bias)."""

    first: Tensor
    """[G, d, h]."""
    first_bias: Tensor
    """[G, 1, h]."""
    second: Tensor
    """[G, h, C]."""
    second_bias: Tensor
    """[G, 1, C]."""

    def logits(self, rows: Tensor) -> Tensor:
        """[G, m, C] of rows [G, m, d] or [m, d]."""
        hidden = torch.relu(rows @ self.first + self.first_bias)
        return hidden @ self.second + self.second_bias


def read_mlp(problem: Problem, test: Sequence[Rows], *, device: torch.device, seed: int) -> Read:
    """Search on the first assignment, then train a network on all photos of each assignment.

    Rows are brought to unit length, then each dimension to mean 0 and deviation 1 on the train photos.

    Args:
        problem: banks, assignments and labels.
        test: V arrays [m, d].
        device: where products run.
        seed: of the first weights and the order of photos.
    """
    begun = time.perf_counter()
    sample = sampled(problem, max(1, FITS_ROWS // problem.n))
    fits, classes = len(sample.which), sample.n_classes
    grid = list(itertools.product(RATES, DECAYS))
    search: list[dict[str, float]] = []
    if len(sample.validation_rows):
        rows = sample.source(sample.which[:1], sample.fit_rows)(0, len(sample.fit_rows)).to(device)
        validation = sample.source(sample.which[:1], sample.validation_rows)(0, len(sample.validation_rows)).to(device)
        centre, scale = _standard(rows)
        labels = _labels(sample.labels[:1, sample.fit_rows], device).expand(len(grid), -1)
        truth = sample.labels[0, sample.validation_rows]
        steps = ([rate for rate, _ in grid], [decay for _, decay in grid])
        stages = train(((rows - centre) / scale).expand(len(grid), -1, -1), labels, classes, *steps, EPOCHS, seed)
        for epochs, net in zip(EPOCHS, stages, strict=True):
            accuracies = (net.logits((validation - centre) / scale).argmax(2).cpu().numpy() == truth).mean(axis=1)
            search += [
                {"rate": rate, "decay": decay, "epochs": float(epochs), "validation_accuracy": float(a)}
                for (rate, decay), a in zip(grid, accuracies, strict=True)
            ]
    best = max(search, key=lambda candidate: candidate["validation_accuracy"]) if search else None
    rate, decay, epochs = (best["rate"], best["decay"], int(best["epochs"])) if best else (*grid[0], EPOCHS[1])
    searched = time.perf_counter()
    rows = sample.source(sample.which, np.arange(sample.n))(0, sample.n).to(device)
    centre, scale = _standard(rows)
    labels = _labels(sample.labels, device)
    (net,) = train((rows - centre) / scale, labels, classes, [rate] * fits, [decay] * fits, (epochs,), seed)
    loss = torch.nn.functional.cross_entropy(
        net.logits((rows - centre) / scale).flatten(0, 1), labels.flatten(), reduction="none"
    )
    predicted = np.zeros((fits, len(test), int(test[0].shape[0])), np.uint8 if classes <= 256 else np.uint16)
    for v, bank in enumerate(test):
        queries = torch.from_numpy(features(bank, bank[0 : int(bank.shape[0])])).to(device)
        for start in range(0, len(queries), 4096):
            block = (queries[start : start + 4096] - centre) / scale
            predicted[:, v, start : start + 4096] = net.logits(block).argmax(2).cpu().numpy()
    return Read(
        predicted=predicted,
        n_train=sample.n,
        chosen={"rate": rate, "decay": decay, "epochs": float(epochs)},
        search=tuple(search),
        final_loss=loss.view(fits, -1).mean(1).double().cpu().numpy(),
        gradient_norm=np.full(fits, math.nan),
        iterations=np.full(fits, epochs),
        search_s=searched - begun,
        fit_s=time.perf_counter() - searched,
        constants={
            "estimator": "one hidden layer of rectified units, trained for a fixed number of epochs by AdamW",
            "hidden": HIDDEN,
            "rates": list(RATES),
            "decays": list(DECAYS),
            "epochs_tried": list(EPOCHS),
            "batch_size": BATCH,
            "assignments": fits,
        },
    )


def train(
    rows: Tensor,
    labels: Tensor,
    n_classes: int,
    rates: Sequence[float],
    decays: Sequence[float],
    stages: Sequence[int],
    seed: int,
) -> list[Net]:
    """Train G networks, each with its rate and decay; returns them after each number of epochs in ``stages``.

    Args:
        rows: float32 [G, n, d].
        labels: int64 [G, n].
        n_classes: C.
        rates, decays: [G], learning rate and weight decay of each.
        stages: rising numbers of epochs.
        seed: of the first weights (He et al., ICCV 2015) and the order of rows, the same for all networks.
    """
    groups, n, dimension = rows.shape
    generator = torch.Generator().manual_seed(seed)
    shapes = ((dimension, HIDDEN), (1, HIDDEN), (HIDDEN, n_classes), (1, n_classes))
    sizes = (math.sqrt(2 / dimension), 0.0, math.sqrt(2 / HIDDEN), 0.0)
    first = [torch.randn(shape, generator=generator) * size for shape, size in zip(shapes, sizes, strict=True)]
    net = Net(*(w.to(rows.device).expand(groups, -1, -1).clone() for w in first))
    means, squares = [torch.zeros_like(w) for w in net], [torch.zeros_like(w) for w in net]
    rate = torch.tensor(rates, device=rows.device)[:, None, None]
    decay = torch.tensor(decays, device=rows.device)[:, None, None]
    networks, step = [], 0
    for epoch in range(1, max(stages) + 1):
        for index in torch.randperm(n, generator=generator).split(BATCH):
            step += 1
            batch = index.to(rows.device)
            for w, g, mean, square in zip(
                net, gradients(net, rows[:, batch], labels[:, batch]), means, squares, strict=True
            ):
                mean.lerp_(g, 1 - BETAS[0])
                square.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
                w.mul_(1 - rate * decay)
                scale = (square / (1 - BETAS[1] ** step)).sqrt_().add_(EPSILON)
                w.sub_(rate / (1 - BETAS[0] ** step) * mean / scale)
        if epoch in stages:
            networks.append(Net(*(w.clone() for w in net)))
    return networks


def gradients(net: Net, rows: Tensor, labels: Tensor) -> Net:
    """Gradients of the mean cross-entropy over the batch, in the shape of the network."""
    hidden = torch.relu(rows @ net.first + net.first_bias)
    residual = torch.softmax(hidden @ net.second + net.second_bias, 2)
    residual.scatter_add_(2, labels[..., None], residual.new_full((), -1).expand(*labels.shape, 1))
    residual /= labels.shape[1]
    back = (residual @ net.second.mT) * (hidden > 0)
    return Net(rows.mT @ back, back.sum(1, keepdim=True), hidden.mT @ residual, residual.sum(1, keepdim=True))


def _standard(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each dimension over the first assignment's rows; 1 instead of a deviation of 0."""
    centre, scale = rows[0].mean(0), rows[0].std(0)
    return centre, torch.where(scale > 1e-12, scale, 1.0)


def _labels(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.asarray(values, np.int64)).to(device)
