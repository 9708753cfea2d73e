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

from benchmark.probe.features import BLOCK_BYTES, Design
from benchmark.probe.products import product

GRADIENT_TOLERANCE = 1e-6
"""A fit has converged when the Euclidean norm of its whole gradient, and so its infinity norm, is at most this."""

MAX_NEWTON = 100
"""Newton steps after which a fit is given up as not converged."""

MAX_CONJUGATE = 400
"""Conjugate gradient steps within one Newton step."""

MAX_HALVINGS = 30
"""Halvings of a step after which a fit has stalled."""

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
        labels: int64 [G, n], classes 0..C-1; or [G, n, L], where the L fits of a training set learn labels of their
            own, which must then have the same classes among them.
        strengths: float64 [L], all above 0.
        n_classes: C.
        start: weights [G or 1, L or 1, d, C] and bias [G or 1, L or 1, C] as a ``Solution`` holds them: where a fit
            starts if the objective is lower there than at zero.
        tolerance: bound of the gradient norm at which a fit is done.
        max_iterations: Newton steps at most.
    """
    state = _begin(features, labels, strengths, n_classes)
    state.evaluate()
    if start is not None:
        state.begin_at(*start)
    iterations = torch.zeros_like(state.loss, dtype=torch.int64)
    products = torch.zeros_like(iterations)
    stalled = torch.zeros_like(state.loss, dtype=torch.bool)
    for _ in range(max_iterations):
        active = (_norm(state.gradient) > tolerance) & ~stalled
        if not bool(active.any()):
            break
        grid = _rectangle(active)
        part = state.narrowed(*grid)
        moving = active[grid[0]][:, grid[1]]
        step, used = part.newton_direction(moving, tolerance)
        moved = part.line_search(step, moving)
        if part is not state:
            state.absorb(part, *grid)
        where = (grid[0][:, None], grid[1][None])
        iterations[where] += moving.to(torch.int64)
        products[where] += used
        stalled[where] |= moving & ~moved
    weights, bias = features.to_embedding(state.point[:, :-1].movedim(2, 1), state.point[:, -1])
    norm = _norm(state.gradient)
    return Solution(
        weights,
        bias.masked_fill(~state.present[:, None], -torch.inf),
        state.loss,
        norm,
        iterations,
        products,
        norm <= tolerance,
    )


@dataclass
class _State:
    """Iterates of G x L fits. Points and gradients are [G, r + 1, L, C], the bias last: one product serves all L."""

    features: Design
    labels: Tensor
    """int64 [G, n, L], or [G, n, 1] for labels that all L fits share."""
    strengths: Tensor
    present: Tensor
    """bool [G, C]: the class has a training row."""
    point: Tensor
    gradient: Tensor
    loss: Tensor
    probabilities: Tensor
    """[G, n, L, C] at the point."""

    def begin_at(self, weights: Tensor, bias: Tensor) -> None:
        """Move the fits to a given start, those excepted that are better off where they are."""
        groups, _, count, _ = self.point.shape
        weights, bias = self.features.from_embedding(
            weights.to(self.point.device).expand(groups, count, -1, -1),
            bias.to(self.point.device).nan_to_num(neginf=0.0).expand(groups, count, -1),
        )
        old, old_loss = self.point, self.loss
        # a class without a row stays at zero: its optimum, as the penalty alone holds it
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
        for rows, block in self.features.blocks():
            logits = product(block, weights).view(groups, -1, count, classes) + bias
            truth = self.labels[:, rows].expand(-1, -1, count)[..., None]
            logarithm = torch.log_softmax(logits, -1)
            cross_entropy -= logarithm.gather(3, truth).sum((1, 3), dtype=torch.float64)
            probability = logarithm.exp_()
            self.probabilities[:, rows] = probability
            residual = probability.scatter_add(3, truth, probability.new_full((), -1).expand(truth.shape))
            gradient[:, :-1] += product(block.mT, residual.flatten(2)).view(groups, -1, count, classes)
            gradient[:, -1] += residual.sum(1, dtype=torch.float64)
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
        for rows, block in self.features.blocks():
            change = product(block, weights).view(groups, -1, count, classes).add_(bias)
            probability = self.probabilities[:, rows]
            change.mul_(probability)
            change.addcmul_(probability, change.sum(-1, keepdim=True), value=-1)
            total[:, :-1] += product(block.mT, change.flatten(2)).view(groups, -1, count, classes)
            total[:, -1] += change.sum(1, dtype=torch.float64)
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
        return (mean / self.features.n).clamp_min(1e-12)  # a class that is never in doubt has none

    def preconditioned(self, direction: Tensor, mean_curvature: Tensor) -> Tensor:
        """The inverse preconditioner times a direction: diagonal in the features' axes, which all strengths share."""
        axes = self.features.axes
        curvature = mean_curvature[:, None]
        scale = curvature * axes.variances[..., None, None] + self.strengths[:, None]
        weights, bias = direction[:, :-1], direction[:, -1:] / curvature
        if axes.vectors is None:
            return torch.cat([weights / scale, bias], 1)
        rest = curvature * axes.rest[:, None, None, None] + self.strengths[:, None]
        inner = product(axes.vectors.mT, weights.flatten(2)).view_as(scale) * (1 / scale - 1 / rest)
        return torch.cat([weights / rest + product(axes.vectors, inner.flatten(2)).view_as(weights), bias], 1)

    def newton_direction(self, moving: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
        """Solve Hessian @ step = -gradient by conjugate gradients, as exactly as the distance to the optimum deserves.

        Fits that are done leave the stack as soon as that makes it a quarter smaller.

        Returns:
            step [G, r + 1, L, C], 0 for fits that are not ``moving``, and the number of products [G, L].
        """
        state, running = self, moving
        step, used = torch.zeros_like(self.gradient), torch.zeros_like(self.loss, dtype=torch.int64)
        place = _rectangle(torch.ones_like(moving))
        own_step, own_used = torch.zeros_like(step), torch.zeros_like(used)
        curvature, residual = self.mean_curvature(), -self.gradient
        norm = _norm(self.gradient)
        target = torch.maximum(norm * norm.sqrt().clamp_max(0.1), torch.full_like(norm, 0.2 * tolerance))
        direction = self.preconditioned(residual, curvature)
        energy = (residual * direction).sum((1, 3))
        for _ in range(MAX_CONJUGATE):
            bent = state.curvature(direction)
            bend = (direction * bent).sum((1, 3))
            running = running & (bend > 0)
            length = torch.where(running, energy / bend.clamp_min(1e-300), torch.zeros_like(energy))[:, None, :, None]
            own_step += length * direction
            residual -= length * bent
            own_used += running.to(torch.int64)
            running = running & (_norm(residual) > target)
            if not bool(running.any()):
                break
            ahead = state.preconditioned(residual, curvature)
            fresh = (residual * ahead).sum((1, 3))
            direction = ahead + (fresh / energy.clamp_min(1e-300))[:, None, :, None] * direction
            energy = fresh
            rows, columns = _rectangle(running)
            if len(rows) * len(columns) <= 0.75 * running.numel():
                _put(step, own_step, *place)
                used[place[0][:, None], place[1]] = own_used
                place = (place[0][rows], place[1][columns])
                state = state.narrowed(rows, columns)
                running, energy, target, own_used, curvature = (
                    table[rows][:, columns] for table in (running, energy, target, own_used, curvature)
                )
                own_step, residual, direction = (
                    _take(table, rows, columns) for table in (own_step, residual, direction)
                )
        _put(step, own_step, *place)
        used[place[0][:, None], place[1]] = own_used
        return step, used

    def line_search(self, step: Tensor, moving: Tensor) -> Tensor:
        """Take the longest of the steps 1, 1/2, 1/4, ... that lowers the objective enough. [G, L]: which fits moved."""
        old_point, old_loss, old_norm = self.point, self.loss, _norm(self.gradient)
        slope = (self.gradient * step).sum((1, 3))
        length = moving.to(torch.float64)
        # the objective's own rounding: below it, only the gradient can tell progress
        noise = 4 * torch.finfo(self.features.dtype).eps * (1 + old_loss.abs())
        for halving in range(MAX_HALVINGS + 1):
            self.point = old_point + length[:, None, :, None] * step
            self.evaluate()
            decrease = self.loss <= old_loss + ARMIJO * length * slope
            finer = (self.loss <= old_loss + noise) & (_norm(self.gradient) < old_norm)
            good = decrease | finer | (length == 0)
            if bool(good.all()):
                break
            length = torch.where(good, length, length / 2 if halving < MAX_HALVINGS - 1 else 0 * length)
        return length > 0

    def narrowed(self, rows: Tensor, columns: Tensor) -> _State:
        """The fits of some training sets and some strengths alone."""
        if (len(rows), len(columns)) == self.loss.shape:
            return self
        return _State(
            features=self.features.narrowed(rows),
            labels=self.labels[rows] if self.labels.shape[2] == 1 else self.labels[rows][:, :, columns],
            strengths=self.strengths[columns],
            present=self.present[rows],
            point=_take(self.point, rows, columns),
            gradient=_take(self.gradient, rows, columns),
            loss=self.loss[rows][:, columns],
            probabilities=_take(self.probabilities, rows, columns),
        )

    def absorb(self, part: _State, rows: Tensor, columns: Tensor) -> None:
        """Take the iterates of ``narrowed(rows, columns)`` back."""
        self.loss[rows[:, None], columns] = part.loss
        for name in ("point", "gradient", "probabilities"):
            _put(getattr(self, name), getattr(part, name), rows, columns)


def _begin(features: Design, labels: Tensor, strengths: Tensor, n_classes: int) -> _State:
    """All fits at zero."""
    device = features.mean.device
    groups, count = len(labels), len(strengths)
    labels = labels.to(device).view(groups, features.n, -1)
    present = torch.zeros((groups, n_classes), dtype=torch.bool, device=device).scatter_(1, labels[..., 0], True)
    point = torch.zeros((groups, features.dimension + 1, count, n_classes), dtype=torch.float64, device=device)
    probabilities = torch.empty((groups, features.n, count, n_classes), dtype=features.dtype, device=device)
    loss = torch.zeros((groups, count), dtype=torch.float64, device=device)
    strengths = strengths.to(device, torch.float64)
    return _State(features, labels, strengths, present, point, torch.zeros_like(point), loss, probabilities)


def _norm(gradient: Tensor) -> Tensor:
    """[G, L]: at least the infinity norm in the embeddings' coordinates, whose mean is at most 1 long."""
    return gradient[:, :-1].square().sum((1, 3)).sqrt() + gradient[:, -1].square().sum(2).sqrt()


def _rectangle(active: Tensor) -> tuple[Tensor, Tensor]:
    """The training sets and the strengths that hold every active fit."""
    return active.any(1).nonzero()[:, 0], active.any(0).nonzero()[:, 0]


def _take(table: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Fits of a table [G, :, L, C]."""
    return table[rows][:, :, columns]


def _put(table: Tensor, part: Tensor, rows: Tensor, columns: Tensor) -> None:
    """The inverse of ``_take``, in place."""
    table.movedim(2, 1)[rows[:, None], columns] = part.movedim(2, 1)
