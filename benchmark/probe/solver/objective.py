"""The objective of multinomial logistic regression for many fits at once: its value, gradient and curvature.

Every fit minimises, over weights W [d, C] and bias b [C],

    F(W, b) = mean over rows of cross-entropy(x W + b, y) + strength / 2 * ||W||^2        (the bias is not penalised)

This is scikit-learn's ``LogisticRegression(C=1 / (n * strength))`` for three classes and more. With two classes
scikit-learn penalises the difference of the two weight vectors once, so that ``C=2 / (n * strength)`` is the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.compute import uploaded
from benchmark.probe.solver.design import BLOCK_BYTES, Design
from benchmark.probe.solver.products import product


@dataclass
class Iterates:
    """Iterates of G x L fits. To move them, set ``point`` and call ``evaluate``.

    Points, gradients and directions are [G, r + 1, L, C], the bias last: one product serves all L.
    """

    features: Design
    labels: Tensor
    """int64 [G, n, L], or [G, n, 1] for labels that all L fits share."""
    strengths: Tensor
    """float64 [L]."""
    present: Tensor
    """bool [G, C]: the class has a training row."""
    point: Tensor
    """float64 [G, r + 1, L, C]."""
    gradient: Tensor
    """float64 [G, r + 1, L, C], at the point."""
    loss: Tensor
    """float64 [G, L], F at the point."""
    probabilities: Tensor
    """[G, n, L, C] at the point, in the features' type."""

    @property
    def work(self) -> int:
        """Multiply-adds of both products of a pass over one block of rows; threads start for each block."""
        return 2 * self.features.block_rows * self.point[:, :-1].numel()

    def begin_at(self, weights: Tensor, bias: Tensor) -> None:
        """Move the fits to a given start, except those whose loss is no higher where they are."""
        groups, _, count, _ = self.point.shape
        weights, bias = self.features.from_embedding(
            weights.to(self.point.device).expand(groups, count, -1, -1),
            bias.to(self.point.device).nan_to_num(neginf=0.0).expand(groups, count, -1),
        )
        old, old_loss = self.point, self.loss
        # a class without a row stays at zero, its optimum: only the penalty acts on it
        self.point = torch.cat([weights, bias[:, :, None]], 2).movedim(2, 1) * self.present[:, None, None]
        self.evaluate()
        worse = self.loss >= old_loss
        if bool(worse.any()):
            self.point = torch.where(worse[:, None, :, None], old, self.point)
            self.evaluate()

    def evaluate(self) -> None:
        """One pass over the rows: loss, probabilities and gradient at the point."""
        groups, _, count, classes = self.point.shape
        dtype = self.features.dtype
        cross_entropy = torch.zeros_like(self.loss)
        gradient = torch.zeros_like(self.point)
        weights = self.point[:, :-1].to(dtype).flatten(2)
        bias = self.point[:, -1:].masked_fill(~self.present[:, None, None], -torch.inf).to(dtype)

        def work(rows: slice, block: Tensor, cross_entropy: Tensor, gradient: Tensor) -> None:
            logits = product(block, weights).view(groups, -1, count, classes) + bias
            truth = self.labels[:, rows].expand(-1, -1, count)[..., None]
            logarithm = torch.log_softmax(logits, -1)
            cross_entropy -= logarithm.gather(3, truth).sum((1, 3), dtype=torch.float64)
            probability = logarithm.exp_()
            self.probabilities[:, rows] = probability
            residual = probability.scatter_add(3, truth, probability.new_full((), -1).expand(truth.shape))
            gradient[:, :-1] += product(block.mT, residual.flatten(2)).view(groups, -1, count, classes)
            gradient[:, -1] += residual.sum(1, dtype=torch.float64)

        self.features.add_up(work, cross_entropy, gradient)
        weights = self.point[:, :-1]
        self.loss = cross_entropy / self.features.n + 0.5 * self.strengths * weights.square().sum((1, 3))
        self.gradient = gradient / self.features.n
        self.gradient[:, :-1] += self.strengths[:, None] * weights

    def curvature(self, direction: Tensor) -> Tensor:
        """The Hessian at the point times a direction."""
        groups, _, count, classes = direction.shape
        total = torch.zeros_like(direction)
        narrow = direction.to(self.features.dtype)
        weights, bias = narrow[:, :-1].flatten(2), narrow[:, -1:]

        def work(rows: slice, block: Tensor, total: Tensor) -> None:
            change = product(block, weights).view(groups, -1, count, classes).add_(bias)
            probability = self.probabilities[:, rows]
            change.mul_(probability)
            change.addcmul_(probability, change.sum(-1, keepdim=True), value=-1)
            total[:, :-1] += product(block.mT, change.flatten(2)).view(groups, -1, count, classes)
            total[:, -1] += change.sum(1, dtype=torch.float64)

        self.features.add_up(work, total)
        total /= self.features.n
        total[:, :-1] += self.strengths[:, None] * direction[:, :-1]
        return total

    def mean_curvature(self) -> Tensor:
        """[G, L, C]: each class's p (1 - p), the mean over the rows.

        The preconditioner is the Hessian with this in place of the p (1 - p) of each row. (Boehning, Annals of the
        Institute of Statistical Mathematics 44, 1992, bounds the same factor by 1/2; the mean follows it down as the
        classes come apart.)
        """
        mean = torch.zeros_like(self.point[:, -1])
        step = max(1, BLOCK_BYTES // (self.probabilities[:, :1].numel() * self.probabilities.element_size()))
        for start in range(0, self.features.n, step):
            p = self.probabilities[:, start : start + step]
            mean += (p - p.square()).sum(1, dtype=torch.float64)
        return (mean / self.features.n).clamp_min(1e-12)  # zero if all probabilities are 0 or 1

    def preconditioned(self, direction: Tensor, mean_curvature: Tensor) -> Tensor:
        """The inverse preconditioner (diagonal in the features' axes, which all strengths share) times a direction."""
        axes = self.features.axes
        curvature = mean_curvature[:, None]
        scale = curvature * axes.variances[..., None, None] + self.strengths[:, None]
        weights, bias = direction[:, :-1], direction[:, -1:] / curvature
        if axes.vectors is None:
            return torch.cat([weights / scale, bias], 1)
        rest = curvature * axes.rest[:, None, None, None] + self.strengths[:, None]
        inner = product(axes.vectors.mT, weights.flatten(2)).view_as(scale) * (1 / scale - 1 / rest)
        return torch.cat([weights / rest + product(axes.vectors, inner.flatten(2)).view_as(weights), bias], 1)

    def narrowed(self, rows: Tensor, columns: Tensor) -> Iterates:
        """The fits of some training sets at some strengths."""
        if (len(rows), len(columns)) == self.loss.shape:
            return self
        return Iterates(
            features=self.features if len(rows) == len(self.loss) else self.features.select(rows),
            labels=self.labels[rows] if self.labels.shape[2] == 1 else self.labels[rows][:, :, columns],
            strengths=self.strengths[columns],
            present=self.present[rows],
            point=take_fits(self.point, rows, columns),
            gradient=take_fits(self.gradient, rows, columns),
            loss=self.loss[rows][:, columns],
            probabilities=take_fits(self.probabilities, rows, columns),
        )

    def absorb(self, part: Iterates, rows: Tensor, columns: Tensor) -> None:
        """Write the iterates of ``narrowed(rows, columns)`` back."""
        self.loss[rows[:, None], columns] = part.loss
        for name in ("point", "gradient", "probabilities"):
            put_fits(getattr(self, name), getattr(part, name), rows, columns)


def at_zero(features: Design, labels: Tensor, strengths: Tensor, n_classes: int) -> Iterates:
    """Iterates of all fits at zero, not evaluated yet; arguments as in ``solve``."""
    device = features.mean.device
    groups, count = len(labels), len(strengths)
    labels = uploaded(labels, device).view(groups, features.n, -1)
    present = torch.zeros((groups, n_classes), dtype=torch.bool, device=device).scatter_(1, labels[..., 0], True)
    point = torch.zeros((groups, features.dimension + 1, count, n_classes), dtype=torch.float64, device=device)
    probabilities = torch.empty((groups, features.n, count, n_classes), dtype=features.dtype, device=device)
    loss = torch.zeros((groups, count), dtype=torch.float64, device=device)
    strengths = uploaded(strengths.to(torch.float64), device)
    return Iterates(features, labels, strengths, present, point, torch.zeros_like(point), loss, probabilities)


def gradient_norm(gradient: Tensor) -> Tensor:
    """[G, L]: at least the infinity norm in the embeddings' coordinates, as the length of their mean is at most 1."""
    return gradient[:, :-1].square().sum((1, 3)).sqrt() + gradient[:, -1].square().sum(2).sqrt()


def take_fits(table: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Fits of a table [G, :, L, C]."""
    return table[rows][:, :, columns]


def put_fits(table: Tensor, part: Tensor, rows: Tensor, columns: Tensor) -> None:
    """The inverse of ``take_fits``, in place."""
    table.movedim(2, 1)[rows[:, None], columns] = part.movedim(2, 1)
