"""Adversarial eraser: a linear map that starts as the identity and is trained against a linear classifier of the trace.

Written from the description in the follow-up study (arXiv 2608.05424). In turns, a linear classifier learns the trace
from mapped embeddings, and the map learns to stay close to the identity (alpha), to push apart embeddings with one
label of the trace (beta), and to make the classifier's output uniform (gamma). Choices that the text leaves open:
the map has no bias; map and classifier read rows minus their mean, divided by their root mean square length; batches
contain whole photos in all of their views; and the map with the least loss after a round, or the identity, is the
result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, normalize

from benchmark.compute import exact_device
from benchmark.erasing.moments import Moments, Source

ALPHA, BETA, GAMMA, TAU = 40.0, 20.0, 1.0, 0.1
"""Weights of the three parts of the loss and the temperature, as published."""

ROUNDS, EPOCHS = 10, 10
"""Number of rounds, and epochs of the classifier and of the map in each round."""

CLASSIFIER_RATE = 1.0
"""Learning rate of the classifier (AdamW), as published."""

BATCH = 1024
"""Rows of a step, about."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained map and its losses."""

    projection: Tensor
    """float64 [d, d]."""
    losses: tuple[float, ...]
    """Losses of the identity and after each round, against the classifier of that round."""
    best: int
    """Index of the loss of ``projection``; 0 is the identity."""


def adversary(
    source: Source,
    moments: Moments,
    *,
    alpha: float = ALPHA,
    beta: float = BETA,
    gamma: float = GAMMA,
    tau: float = TAU,
    rounds: int = ROUNDS,
    epochs: int = EPOCHS,
    rate: float = 1e-3,
    classifier_rate: float = CLASSIFIER_RATE,
    batch: int = BATCH,
    seed: int = 0,
) -> Trained:
    """Train the map.

    Args:
        source: labelled embeddings.
        moments: of the same rows.
        alpha: weight of the distance from the identity.
        beta: weight of the similarity of rows with one label.
        gamma: weight of the deviation of the classifier's output from uniform.
        tau: temperature of the similarities.
        rounds, epochs: see ``ROUNDS``, ``EPOCHS``.
        rate: learning rate of the map (AdamW). The published 1.0 moves every entry of the map by 1 in the first step.
        classifier_rate: learning rate of the classifier (AdamW).
        batch: rows of a step, about.
        seed: of the order of photos and the initial classifier.
    """
    device = exact_device(moments.device)
    centre = moments.mean.float()
    scale = float(moments.covariance.diagonal().sum().sqrt()) or 1.0
    generator = torch.Generator().manual_seed(seed)
    initial = torch.randn((source.n_classes, moments.dimension), generator=generator) * 0.01
    parts = {"alpha": alpha, "beta": beta, "gamma": gamma, "tau": tau}
    with torch.inference_mode(False), torch.enable_grad():
        weight = torch.eye(moments.dimension, device=device).requires_grad_()
        layer, bias = initial.to(device).requires_grad_(), torch.zeros(source.n_classes, device=device).requires_grad_()
        map_optimizer = torch.optim.AdamW([weight], lr=rate, weight_decay=0.0)
        classifier_optimizer = torch.optim.AdamW([layer, bias], lr=classifier_rate)
        steps = _Steps(source, centre, scale, device, batch, seed)

        def train_classifier() -> None:
            for _ in range(epochs):
                for x, z in steps:
                    with torch.no_grad():
                        mapped = x @ weight.mT
                    loss = cross_entropy(mapped @ layer.mT + bias, z)
                    classifier_optimizer.zero_grad()
                    loss.backward()
                    classifier_optimizer.step()

        def mean_loss() -> float:
            with torch.no_grad():
                parts_of = [(len(x), float(_loss(x, z, weight, layer, bias, **parts))) for x, z in steps]
            return sum(n * loss for n, loss in parts_of) / sum(n for n, _ in parts_of)

        train_classifier()
        losses, projection = [mean_loss()], weight.detach().double().clone()
        for _ in range(rounds):
            for _ in range(epochs):
                for x, z in steps:
                    loss = _loss(x, z, weight, layer, bias, **parts)
                    map_optimizer.zero_grad()
                    loss.backward()
                    map_optimizer.step()
            train_classifier()
            losses.append(mean_loss())
            if _least(losses) == len(losses) - 1:
                projection = weight.detach().double().clone()
    return Trained(projection, tuple(losses), _least(losses))


def _least(losses: list[float]) -> int:
    """Index of the least loss, of equal ones the first; a loss that is not finite is the largest."""
    return int(np.argmin([loss if np.isfinite(loss) else np.inf for loss in losses]))


def _loss(
    x: Tensor,
    z: Tensor,
    weight: Tensor,
    layer: Tensor,
    bias: Tensor,
    *,
    alpha: float,
    beta: float,
    gamma: float,
    tau: float,
) -> Tensor:
    """Weighted sum of the three parts; 0 for the identity if the classifier is uniform and no label forms a cluster."""
    mapped = x @ weight.mT
    distance = (mapped - x).square().sum(1).mean()
    nonuniform = -log_softmax(mapped @ layer.mT + bias, 1).mean() - np.log(len(layer))
    return alpha * distance + beta * label_similarity(mapped, z, tau) + gamma * nonuniform


def label_similarity(rows: Tensor, labels: Tensor, tau: float) -> Tensor:
    """How much more similar rows of one label are than all rows: the mean over rows of log(mean of exp(cosine / tau)
    over the other rows of the same label) - log(the same mean over all other rows)."""
    unit = normalize(rows, dim=1)
    similarity = unit @ unit.mT / tau
    diagonal = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    same = (labels[:, None] == labels[None]) & ~diagonal
    paired = same.any(1)
    if not paired.any():
        return rows.sum() * 0
    of_same = torch.logsumexp(similarity.masked_fill(~same, -torch.inf)[paired], 1) - same.sum(1)[paired].log()
    others = float(np.log(max(1, len(rows) - 1)))
    of_all = torch.logsumexp(similarity.masked_fill(diagonal, -torch.inf)[paired], 1) - others
    return (of_same - of_all).mean()


class _Steps:
    """Batches of an epoch, centred and scaled; each epoch has another order."""

    def __init__(
        self, source: Source, centre: Tensor, scale: float, device: torch.device, batch: int, seed: int
    ) -> None:
        self._source, self._centre, self._scale, self._device = source, centre, scale, device
        self._batch, self._seed = batch, seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self._seed += 1
        for rows, labels, _ in self._source.batches(self._seed, self._batch):
            x = torch.from_numpy(rows).to(self._device)
            yield (x - self._centre) / self._scale, torch.from_numpy(np.asarray(labels, np.int64)).to(self._device)
