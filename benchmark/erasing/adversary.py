"""A linear adversary: a map that begins as the identity, trained against a linear classifier of the trace.

After the follow-up study (arXiv 2608.05424), written from its description: in turns, a linear classifier learns the
trace from mapped embeddings, then the map learns to stay near the identity (alpha), to push apart embeddings that share
a label of the trace (beta), and to leave the classifier without an opinion (gamma). What the text leaves open and is so
here: the map has no bias, both read rows about their mean over their root mean square length, batches hold whole photos
in all their views, and of the maps after each round the one with the least loss is kept, the identity among them.
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
"""The weights of the three parts and the temperature, as published."""

ROUNDS, EPOCHS = 10, 10
"""In turns: rounds, and epochs of each of the two in a round."""

CLASSIFIER_RATE = 1.0
"""AdamW's step for the classifier, as published."""

BATCH = 1024


@dataclass(frozen=True, eq=False)
class Trained:
    """A map and how its training went."""

    projection: Tensor
    """float64 [d, d]."""
    losses: tuple[float, ...]
    """Of the identity, and after each round, each against that round's classifier."""
    best: int
    """Which of them is kept; 0 is the identity."""


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
        source: what it learns from.
        moments: of the same rows.
        alpha, beta, gamma: weights of nearness, of pushing apart, of the classifier's indifference.
        tau: temperature of the similarities that are pushed apart.
        rounds, epochs: as in ``ROUNDS``, ``EPOCHS``.
        rate: AdamW's step for the map. The published 1.0 moves every entry of the map by one at its first step.
        classifier_rate: AdamW's step for the classifier.
        batch: rows of a step, about.
        seed: of the order of photos and the first classifier.
    """
    device = exact_device(moments.device)
    centre = moments.mean.float()
    scale = float(moments.covariance.diagonal().sum().sqrt()) or 1.0
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn((source.n_classes, moments.dimension), generator=generator) * 0.01
    parts = {"alpha": alpha, "beta": beta, "gamma": gamma, "tau": tau}
    with torch.inference_mode(False), torch.enable_grad():
        weight = torch.eye(moments.dimension, device=device).requires_grad_()
        layer, bias = first.to(device).requires_grad_(), torch.zeros(source.n_classes, device=device).requires_grad_()
        of_map = torch.optim.AdamW([weight], lr=rate, weight_decay=0.0)
        of_layer = torch.optim.AdamW([layer, bias], lr=classifier_rate)
        steps = _Steps(source, centre, scale, device, batch, seed)

        def learn_trace() -> None:
            for _ in range(epochs):
                for x, z in steps:
                    with torch.no_grad():
                        mapped = x @ weight.mT
                    loss = cross_entropy(mapped @ layer.mT + bias, z)
                    of_layer.zero_grad()
                    loss.backward()
                    of_layer.step()

        def now() -> float:
            with torch.no_grad():
                found = [(len(x), float(_loss(x, z, weight, layer, bias, **parts))) for x, z in steps]
            return sum(n * loss for n, loss in found) / sum(n for n, _ in found)

        learn_trace()
        losses, kept = [now()], [weight.detach().double().clone()]
        for _ in range(rounds):
            for _ in range(epochs):
                for x, z in steps:
                    loss = _loss(x, z, weight, layer, bias, **parts)
                    of_map.zero_grad()
                    loss.backward()
                    of_map.step()
            learn_trace()
            losses.append(now())
            if np.isfinite(losses[-1]) and losses[-1] < min(losses[:-1]):
                kept.append(weight.detach().double().clone())
    finite = [loss if np.isfinite(loss) else np.inf for loss in losses]
    return Trained(kept[-1], tuple(losses), int(np.argmin(finite)))


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
    """The three parts, weighted; 0 is a map that is the identity, on labels that nothing tells."""
    mapped = x @ weight.mT
    near = (mapped - x).square().sum(1).mean()
    indifferent = -log_softmax(mapped @ layer.mT + bias, 1).mean() - np.log(len(layer))
    return alpha * near + beta * alike(mapped, z, tau) + gamma * indifferent


def alike(rows: Tensor, labels: Tensor, tau: float) -> Tensor:
    """How much nearer rows of one label are than rows are on the whole: the mean over rows of log(mean over others of
    the same label of exp(cosine / tau)) - log(the same over all others)."""
    unit = normalize(rows, dim=1)
    similar = unit @ unit.mT / tau
    own = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    same = (labels[:, None] == labels[None]) & ~own
    some = same.any(1)
    if not some.any():
        return rows.sum() * 0
    of_same = torch.logsumexp(similar.masked_fill(~same, -torch.inf)[some], 1) - same.sum(1)[some].log()
    of_all = torch.logsumexp(similar.masked_fill(own, -torch.inf)[some], 1) - float(np.log(max(1, len(rows) - 1)))
    return (of_same - of_all).mean()


class _Steps:
    """Batches of an epoch, another order in each."""

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
