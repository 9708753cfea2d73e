"""Majority votes of nearest neighbours, many at once: correct or not, tied or not.

The rule: every neighbour has one vote, the label with most votes wins, and of tied labels the one whose nearest
neighbour comes first wins (neighbours are ordered by similarity descending, then train index ascending).
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from benchmark.knn.topk import NOTHING


class Votes(NamedTuple):
    """Outcomes of votes, bool tensors of one shape."""

    correct: torch.Tensor
    """The winning label is the query's."""
    tied: torch.Tensor
    """Two labels or more had most votes, and the rule above decided."""


class Opposition(NamedTuple):
    """The votes for wrong labels after the first j negatives, j = 0 .. k; tensors [..., k + 1]."""

    most: torch.Tensor
    """int64: votes of the strongest wrong label."""
    shared: torch.Tensor
    """bool: two wrong labels or more have that many."""
    first: torch.Tensor
    """int64: key of the nearest neighbour of these labels; ``NOTHING`` where there are none."""


def tally(keys: torch.Tensor, labels: torch.Tensor) -> Opposition:
    """Count negatives one after the other.

    Args:
        keys: int64 [..., k], negatives in falling order; ``NOTHING`` may stand anywhere and has no vote.
        labels: int64 [..., k], the label of each.
    """
    k = keys.shape[-1]
    votes = torch.zeros(keys.shape, dtype=torch.int64, device=keys.device)  # so far, for each neighbour's own label
    real = keys != NOTHING
    shape = (*keys.shape[:-1], k + 1)
    most = torch.zeros(shape, dtype=torch.int64, device=keys.device)
    shared = torch.zeros(shape, dtype=torch.bool, device=keys.device)
    first = torch.full(shape, NOTHING, dtype=torch.int64, device=keys.device)
    for j in range(1, k + 1):
        newest = labels[..., j - 1 : j]
        votes += (labels == newest) & real & real[..., j - 1 : j]
        seen = torch.where(real[..., :j], votes[..., :j], 0)
        most[..., j] = seen.amax(dim=-1)
        leading = (seen == most[..., j : j + 1]) & (seen > 0)
        shared[..., j] = leading.sum(dim=-1) > most[..., j]  # each leading label shows up once per vote
        first[..., j] = torch.where(leading, keys[..., :j], NOTHING).amax(dim=-1)
    return Opposition(most, shared, first)


def vote(positives: torch.Tensor, negatives: torch.Tensor, opposition: Opposition) -> Votes:
    """The votes of the k nearest among positives and negatives together.

    Args:
        positives: int64 [..., k], falling keys of the nearest train photos of the query's label, then ``NOTHING``.
        negatives: int64 [..., k], the same of all other train photos.
        opposition: ``tally`` of the negatives. All broadcast against each other.
    """
    # The a-th positive is among the k nearest of both lists exactly if it precedes the (k - 1 - a)-th negative.
    votes = (positives > negatives.flip(-1)).sum(dim=-1)
    return decide(votes, positives[..., 0], opposition, positives.shape[-1] - votes)


def decide(votes: torch.Tensor, nearest: torch.Tensor, opposition: Opposition, against: torch.Tensor) -> Votes:
    """The outcome of ``votes`` positives, of which ``nearest`` is the first, and the first ``against`` negatives."""

    def after(counts: torch.Tensor) -> torch.Tensor:
        wide = counts.expand(*against.shape, counts.shape[-1])
        return wide.gather(-1, against[..., None])[..., 0]

    most, shared, first = (after(counts) for counts in opposition)
    level = (votes == most) & (votes > 0)
    correct = (votes > most) | (level & (nearest > first))
    return Votes(correct, level | ((votes < most) & shared))
