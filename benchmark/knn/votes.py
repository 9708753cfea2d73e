"""Majority votes of nearest neighbours, many at once: correct or not, tied or not.

They come from two lists of each query, its nearest photos of its own label and its nearest others, merged here.
The rule: every neighbour has one vote, the label with most votes wins, and of tied labels the one whose nearest
neighbour comes first wins (neighbours are ordered by similarity descending, then train index ascending). Results of
other rules are recorded too: the study's code takes the tied label that an unstable sort puts first, which is as good
as a random one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from benchmark.knn.keys import NOTHING


class Votes(NamedTuple):
    """Outcomes of votes, tensors of one shape."""

    correct: torch.Tensor
    """bool: the winning label is the query's."""
    tied: torch.Tensor
    """bool: two labels or more had most votes, so that the rule above decided."""
    leaders: torch.Tensor
    """int64: number of labels with most votes, if the query's is among them; else 0: wrong by every rule."""


class Outcomes(NamedTuple):
    """Correctness of votes under each tie rule; tensors of one shape."""

    correct: torch.Tensor
    """bool: correct by the rule above."""
    tied: torch.Tensor
    """bool: two labels or more had most votes."""
    least: torch.Tensor
    """bool: correct by every rule."""
    greatest: torch.Tensor
    """bool: correct by some rule."""
    random: torch.Tensor
    """Probability of being correct if one of the tied labels is chosen at random: 1 / leaders, or 0."""


class Opposition(NamedTuple):
    """The votes for wrong labels after the first j negatives, j = 0 .. k; tensors [..., k + 1]."""

    most: torch.Tensor
    """int64: votes of the strongest wrong label."""
    labels: torch.Tensor
    """int64: number of wrong labels with that many votes; 0 if there are none."""
    first: torch.Tensor
    """int64: key of the nearest neighbour with one of these labels; ``NOTHING`` if there are none."""


def tally(keys: torch.Tensor, labels: torch.Tensor) -> Opposition:
    """Count the votes of negatives one after the other.

    Args:
        keys: int64 [..., k], negatives in falling order; ``NOTHING`` may be anywhere and has no vote.
        labels: int64 [..., k], the label of each.
    """
    k = keys.shape[-1]
    votes = torch.zeros(keys.shape, dtype=torch.int64, device=keys.device)  # so far, for the label of each neighbour
    real = keys != NOTHING
    shape = (*keys.shape[:-1], k + 1)
    most = torch.zeros(shape, dtype=torch.int64, device=keys.device)
    strongest = torch.zeros(shape, dtype=torch.int64, device=keys.device)
    first = torch.full(shape, NOTHING, dtype=torch.int64, device=keys.device)
    for j in range(1, k + 1):
        newest = labels[..., j - 1 : j]
        votes += (labels == newest) & real & real[..., j - 1 : j]
        seen = torch.where(real[..., :j], votes[..., :j], 0)
        most[..., j] = seen.amax(dim=-1)
        leading = (seen == most[..., j : j + 1]) & (seen > 0)
        # each leading label appears once per vote
        strongest[..., j] = leading.sum(dim=-1) // most[..., j].clamp(min=1)
        first[..., j] = torch.where(leading, keys[..., :j], NOTHING).amax(dim=-1)
    return Opposition(most, strongest, first)


def opposition_of(keys: torch.Tensor, labels: torch.Tensor) -> Opposition:
    """The last column [..., 1] of ``tally``: the votes of all negatives, without those of the first ones alone.

    >>> keys, labels = torch.tensor([[9, 8, 7, NOTHING]]), torch.tensor([[2, 1, 2, 5]])
    >>> [counts.tolist() for counts in opposition_of(keys, labels)]
    [[[2]], [[1]], [[9]]]
    """
    real = keys != NOTHING
    same = (labels[..., :, None] == labels[..., None, :]) & real[..., None, :]
    seen = same.sum(dim=-1, dtype=torch.int32) * real
    most = seen.amax(dim=-1, keepdim=True)
    leading = (seen == most) & real
    strongest = leading.sum(dim=-1, keepdim=True) // most.clamp(min=1)  # each leading label appears once per vote
    first = torch.where(leading, keys, NOTHING).amax(dim=-1, keepdim=True)
    return Opposition(most.long(), strongest, first)


def vote(positives: torch.Tensor, negatives: torch.Tensor, opposition: Opposition) -> Votes:
    """Outcomes of the votes of the k nearest among positives and negatives together.

    Args:
        positives: int64 [..., k], falling keys of the nearest train photos of the query's label, then ``NOTHING``.
        negatives: int64 [..., k], the same of all other train photos.
        opposition: ``tally`` of the negatives. All broadcast against each other.
    """
    # The a-th positive is among the k nearest of both lists if and only if it precedes the (k - 1 - a)-th negative.
    votes = (positives > negatives.flip(-1)).sum(dim=-1)
    return decide(votes, positives[..., 0], opposition, positives.shape[-1] - votes)


def decide(votes: torch.Tensor, nearest: torch.Tensor, opposition: Opposition, against: torch.Tensor) -> Votes:
    """The outcome of ``votes`` positives, of which ``nearest`` is the first, and the first ``against`` negatives."""

    def after(counts: torch.Tensor) -> torch.Tensor:
        wide = counts.expand(*against.shape, counts.shape[-1])
        return wide.gather(-1, against[..., None])[..., 0]

    most, labels, first = (after(counts) for counts in opposition)
    ahead, level = votes > most, (votes == most) & (votes > 0)
    correct = ahead | (level & (nearest > first))
    tied = level | ((votes < most) & (labels > 1))
    return Votes(correct, tied, torch.where(level, labels + 1, ahead.long()))


def outcomes(votes: Votes) -> Outcomes:
    """Correctness of votes under each tie rule.

    >>> counted = outcomes(Votes(*map(torch.tensor, ([True, False, False], [True, True, True], [2, 4, 0]))))
    >>> counted.least.tolist(), counted.greatest.tolist(), counted.random.tolist()
    ([False, False, False], [True, True, False], [0.5, 0.25, 0.0])
    """
    exact = torch.float32 if votes.leaders.device.type == "mps" else torch.float64  # mps has no float64
    greatest = votes.leaders > 0
    chance = torch.where(greatest, 1 / votes.leaders.clamp(min=1).to(exact), 0.0)
    return Outcomes(votes.correct, votes.tied, votes.leaders == 1, greatest, chance)
