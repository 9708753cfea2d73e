"""Multinomial logistic regression, many fits at once: truncated Newton steps by preconditioned conjugate gradients.

Every fit minimises, over weights W [d, C] and bias b [C],

    F(W, b) = mean over rows of cross-entropy(x W + b, y) + strength / 2 * ||W||^2        (the bias is not penalised)

scikit-learn's ``LogisticRegression(C=1 / (n * strength))`` for three classes and more; with two classes scikit-learn
penalises the difference of the two weight vectors once, which is ``C=2 / (n * strength)`` here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.probe.features import Design

GRADIENT_TOLERANCE = 1e-6
"""A fit has converged when the Euclidean norm of its whole gradient, and so its infinity norm, is at most this."""

MAX_NEWTON = 100
"""Newton steps after which a fit is given up as not converged."""

MAX_CONJUGATE = 400
"""Conjugate gradient steps within one Newton step."""

ARMIJO = 1e-4
"""Least share of the predicted decrease that a step must reach (Nocedal and Wright, Numerical Optimization, 3.1)."""


@dataclass(frozen=True)
class Solution:
    """Fits of G training sets times L strengths, in the coordinates of L2-normalised embeddings."""

    weights: Tensor
    """float64 [G, L, d, C]."""
    bias: Tensor
    """float64 [G, L, C]; minus infinity for a class that has no training row."""
    loss: Tensor
    """float64 [G, L], the objective F."""
    gradient_norm: Tensor
    """float64 [G, L], Euclidean: an upper bound of the infinity norm."""
    iterations: Tensor
    """int64 [G, L], Newton steps."""
    products: Tensor
    """int64 [G, L], products with the Hessian."""
    converged: Tensor
    """bool [G, L]."""


def solve(
    features: Design,
    labels: Tensor,
    strengths: Tensor,
    n_classes: int,
    *,
    start: tuple[Tensor, Tensor] | None = None,
    tolerance: float = GRADIENT_TOLERANCE,
    max_iterations: int = MAX_NEWTON,
) -> Solution:
    """Minimise F for every training set and every strength in stacked products.

    A class without a training row takes no part: its bias is minus infinity, the limit of the objective.

    Args:
        features: G training sets of n rows.
        labels: int64 [G, n], classes 0..C-1.
        strengths: float64 [L], all above 0.
        n_classes: C.
        start: weights [G or 1, L or 1, d, C] and bias [G or 1, L or 1, C] as a ``Solution`` holds them: where a fit
            starts if the objective is lower there than at zero.
        tolerance: bound of the gradient norm at which a fit is done.
        max_iterations: Newton steps at most.
    """
    state = _State(features, labels, strengths, n_classes)
    state.evaluate()
    if start is not None:
        state.begin_at(*start)
    iterations = torch.zeros_like(state.loss, dtype=torch.int64)
    products = torch.zeros_like(iterations)
    stalled = torch.zeros_like(state.loss, dtype=torch.bool)
    for _ in range(max_iterations):
        active = (state.gradient_norm() > tolerance) & ~stalled
        if not bool(active.any()):
            break
        part = state.narrowed(active)
        moving = active[part.members][:, part.columns]
        step, used = part.newton_direction(moving, tolerance)
        moved = part.line_search(step, moving)
        state.absorb(part)
        grid = (part.members[:, None], part.columns[None])
        iterations[grid] += moving.to(torch.int64)
        products[grid] += used
        stalled[grid] |= moving & ~moved
    weights, bias = features.to_embedding(
        state.weights.movedim(2, 1), state.bias.masked_fill(~state.present[:, None], 0)
    )
    norm = state.gradient_norm()
    return Solution(
        weights,
        bias.masked_fill(~state.present[:, None], -torch.inf),
        state.loss,
        norm,
        iterations,
        products,
        norm <= tolerance,
    )


class _State:
    """Iterates, probabilities and gradients of G x L fits. Weights are [G, r, L, C]: one product serves all L."""

    def __init__(
        self,
        features: Design,
        labels: Tensor,
        strengths: Tensor,
        n_classes: int,
    ) -> None:
        device = features.variances.device
        groups, count = len(labels), len(strengths)
        self.features = features
        self.labels = labels.to(device)
        self.strengths = strengths.to(device, torch.float64)
        self.present = torch.zeros((groups, n_classes), dtype=torch.bool, device=device)
        self.present.scatter_(1, self.labels, True)
        self.members = torch.arange(groups, device=device)
        self.columns = torch.arange(count, device=device)
        self.weights = torch.zeros((groups, features.dimension, count, n_classes), dtype=torch.float64, device=device)
        self.bias = torch.zeros((groups, count, n_classes), dtype=torch.float64, device=device)
        self.probabilities = torch.empty((groups, features.n, count, n_classes), dtype=features.dtype, device=device)
        self.loss = torch.zeros((groups, count), dtype=torch.float64, device=device)
        self.gradient = torch.zeros_like(self.weights)
        self.bias_gradient = torch.zeros_like(self.bias)

    def begin_at(self, weights: Tensor, bias: Tensor) -> None:
        """Move the fits to a given start, those excepted that are better off where they are."""
        groups, _, count, _ = self.weights.shape
        weights, bias = self.features.from_embedding(
            weights.to(self.weights.device).expand(groups, count, -1, -1),
            bias.to(self.weights.device).nan_to_num(neginf=0.0).expand(groups, count, -1),
        )
        before = self.weights, self.bias, self.loss
        self.weights, self.bias = weights.movedim(1, 2).contiguous(), bias * self.present[:, None]
        self.evaluate()
        worse = self.loss >= before[2]
        if bool(worse.any()):
            self.weights = torch.where(worse[:, None, :, None], before[0], self.weights)
            self.bias = torch.where(worse[..., None], before[1], self.bias)
            self.evaluate()

    def gradient_norm(self) -> Tensor:
        """[G, L]: at least the infinity norm in the embeddings' coordinates (their mean is at most 1 long)."""
        return self.gradient.square().sum((1, 3)).sqrt() + self.bias_gradient.square().sum(2).sqrt()

    def evaluate(self) -> None:
        """One pass over the rows: loss, probabilities and gradient at the iterate."""
        groups, _, count, classes = self.weights.shape
        cross_entropy = torch.zeros_like(self.loss)
        gradient, bias_gradient = torch.zeros_like(self.weights), torch.zeros_like(self.bias)
        weights = self.weights.to(self.features.dtype).flatten(2)
        bias = self.bias.masked_fill(~self.present[:, None], -torch.inf).to(self.features.dtype)
        for rows, block in self.features.blocks(self.members):
            logits = torch.bmm(block, weights).view(groups, -1, count, classes) + bias[:, None]
            truth = self.labels[:, rows, None, None].expand(-1, -1, count, 1)
            logarithm = torch.log_softmax(logits, -1)
            cross_entropy -= logarithm.gather(3, truth).sum((1, 3), dtype=torch.float64)
            probability = logarithm.exp_()
            self.probabilities[:, rows] = probability
            residual = probability.scatter_add(3, truth, torch.full_like(probability[..., :1], -1).expand(truth.shape))
            gradient += torch.bmm(block.mT, residual.flatten(2)).view_as(gradient)
            bias_gradient += residual.sum(1, dtype=torch.float64)
        n = self.features.n
        self.loss = cross_entropy / n + 0.5 * self.strengths * self.weights.square().sum((1, 3))
        self.gradient = gradient / n + self.strengths[:, None] * self.weights
        self.bias_gradient = bias_gradient / n

    def curvature(self, weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """The Hessian at the iterate times a direction."""
        groups, _, count, classes = weights.shape
        product, bias_product = torch.zeros_like(weights), torch.zeros_like(bias)
        flat, shift = weights.to(self.features.dtype).flatten(2), bias.to(self.features.dtype)[:, None]
        for rows, block in self.features.blocks(self.members):
            change = torch.bmm(block, flat).view(groups, -1, count, classes).add_(shift)
            probability = self.probabilities[:, rows]
            change.mul_(probability)
            change.addcmul_(probability, change.sum(-1, keepdim=True), value=-1)
            product += torch.bmm(block.mT, change.flatten(2)).view_as(product)
            bias_product += change.sum(1, dtype=torch.float64)
        n = self.features.n
        return product / n + self.strengths[:, None] * weights, bias_product / n

    def newton_direction(self, moving: Tensor, tolerance: float) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Solve Hessian @ step = -gradient, as exactly as the distance to the optimum deserves.

        The preconditioner is the Hessian with each class's p (1 - p) replaced by its mean over the rows: it is diagonal
        in the eigenvectors of the features' covariance, which all strengths share. (Boehning 1992 bounds the same
        factor by 1/2; the mean follows it down as the classes come apart.)
        """
        mean_curvature = torch.zeros_like(self.bias)
        for rows, _ in _row_blocks(self.features.n, self.probabilities):
            p = self.probabilities[:, rows]
            mean_curvature += (p * (1 - p)).sum(1, dtype=torch.float64)
        mean_curvature = (mean_curvature / self.features.n).clamp_min(1e-12)
        variances = self.features.variances
        axes = self.features.axes
        variances = variances[self.members] if len(variances) > 1 else variances
        scale = mean_curvature[:, None] * variances[:, :, None, None] + self.strengths[:, None]

        def precondition(weights: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
            if axes is None:
                return weights / scale, bias / mean_curvature
            own = axes[self.members] if len(axes) > 1 else axes.expand(len(weights), -1, -1)
            rotated = torch.bmm(own.mT, weights.flatten(2)).view_as(weights) / scale
            return torch.bmm(own, rotated.flatten(2)).view_as(weights), bias / mean_curvature

        residual, bias_residual = -self.gradient, -self.bias_gradient
        step, bias_step = torch.zeros_like(residual), torch.zeros_like(bias_residual)
        norm = self.gradient_norm()
        target = torch.maximum(norm * norm.sqrt().clamp_max(0.1), torch.full_like(norm, 0.2 * tolerance))
        used = torch.zeros_like(norm, dtype=torch.int64)
        weights, bias = precondition(residual, bias_residual)
        energy = _inner(residual, bias_residual, weights, bias)
        running = moving.clone()
        for _ in range(MAX_CONJUGATE):
            product, bias_product = self.curvature(weights, bias)
            bend = _inner(weights, bias, product, bias_product)
            running &= bend > 0
            length = torch.where(running, energy / bend.clamp_min(1e-300), torch.zeros_like(energy))
            step += length[:, None, :, None] * weights
            bias_step += length[..., None] * bias
            residual -= length[:, None, :, None] * product
            bias_residual -= length[..., None] * bias_product
            used += running.to(torch.int64)
            size = residual.square().sum((1, 3)).sqrt() + bias_residual.square().sum(2).sqrt()
            running &= size > target
            if not bool(running.any()):
                break
            ahead, bias_ahead = precondition(residual, bias_residual)
            fresh = _inner(residual, bias_residual, ahead, bias_ahead)
            turn = fresh / energy.clamp_min(1e-300)
            weights = ahead + turn[:, None, :, None] * weights
            bias = bias_ahead + turn[..., None] * bias
            energy = fresh
        return (step, bias_step), used

    def line_search(self, step: tuple[Tensor, Tensor], moving: Tensor) -> Tensor:
        """Take the longest of the steps 1, 1/2, 1/4, ... that lowers the objective enough. [G, L]: which fits moved."""
        old_weights, old_bias, old_loss = self.weights, self.bias, self.loss
        old_norm = self.gradient_norm()
        slope = _inner(self.gradient, self.bias_gradient, *step)
        length = moving.to(torch.float64)
        # the objective's own rounding: below it, only the gradient can tell progress
        noise = 4 * torch.finfo(self.features.dtype).eps * (1 + old_loss.abs())
        for _ in range(30):
            self.weights = old_weights + length[:, None, :, None] * step[0]
            self.bias = old_bias + length[..., None] * step[1]
            self.evaluate()
            decrease = self.loss <= old_loss + ARMIJO * length * slope
            finer = (self.loss <= old_loss + noise) & (self.gradient_norm() < old_norm)
            good = decrease | finer | (length == 0)
            if bool(good.all()):
                break
            length = torch.where(good, length, length / 2)
        else:
            length = torch.where(good, length, torch.zeros_like(length))
            self.weights = old_weights + length[:, None, :, None] * step[0]
            self.bias = old_bias + length[..., None] * step[1]
            self.evaluate()
        return length > 0

    def narrowed(self, active: Tensor) -> _State:
        """The smallest rectangle of training sets x strengths that holds every active fit."""
        rows, columns = active.any(1).nonzero()[:, 0], active.any(0).nonzero()[:, 0]
        if len(rows) == active.shape[0] and len(columns) == active.shape[1]:
            return self
        part = object.__new__(_State)
        part.features, part.labels = self.features, self.labels[rows]
        part.strengths, part.present = self.strengths[columns], self.present[rows]
        part.members, part.columns = rows, columns
        part.weights = self.weights[rows][:, :, columns]
        part.gradient = self.gradient[rows][:, :, columns]
        part.bias, part.bias_gradient = self.bias[rows][:, columns], self.bias_gradient[rows][:, columns]
        part.loss = self.loss[rows][:, columns]
        part.probabilities = self.probabilities[rows][:, :, columns]
        return part

    def absorb(self, part: _State) -> None:
        """Take a narrowed part's iterates back."""
        if part is self:
            return
        grid = (part.members[:, None], part.columns[None])
        for name in ("bias", "bias_gradient", "loss"):
            getattr(self, name)[grid] = getattr(part, name)
        for name in ("weights", "gradient"):
            getattr(self, name).movedim(2, 1)[grid] = getattr(part, name).movedim(2, 1)
        self.probabilities.movedim(2, 1)[grid] = part.probabilities.movedim(2, 1)


def _inner(weights: Tensor, bias: Tensor, other: Tensor, other_bias: Tensor) -> Tensor:
    return (weights * other).sum((1, 3)) + (bias * other_bias).sum(2)


def _row_blocks(n: int, table: Tensor) -> list[tuple[slice, None]]:
    step = max(1, (16 << 20) // max(1, table[:, :1].numel() * table.element_size()))
    return [(slice(start, min(start + step, n)), None) for start in range(0, n, step)]
