"""Majority votes of nearest neighbours, many at once: correct or not, tied or not.

The rule: every neighbour has one vote, the label with most votes wins, and of tied labels the one whose nearest
neighbour comes first wins (neighbours are ordered by similarity descending, then train index ascending). What other
rules would have answered is kept beside it: the study's code takes whichever tied label an unstable sort puts first,
which is as good as a random one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from benchmark.knn.search import NOTHING


class Votes(NamedTuple):
    """Outcomes of votes, tensors of one shape."""

    correct: torch.Tensor
    """bool: the winning label is the query's."""
    tied: torch.Tensor
    """bool: two labels or more had most votes, and the rule above decided."""
    leaders: torch.Tensor
    """int64: how many labels had most votes, if the query's is among them; else 0, and no rule makes it right."""


class Outcomes(NamedTuple):
    """What votes count for, whatever decides ties; tensors of one shape."""

    correct: torch.Tensor
    """bool: right by the rule above."""
    tied: torch.Tensor
    """bool"""
    least: torch.Tensor
    """bool: right by every rule."""
    greatest: torch.Tensor
    """bool: right by some rule."""
    random: torch.Tensor
    """Probability to be right where one of the tied labels is taken at random: 1 / leaders, or 0."""


class Opposition(NamedTuple):
    """The votes for wrong labels after the first j negatives, j = 0 .. k; tensors [..., k + 1]."""

    most: torch.Tensor
    """int64: votes of the strongest wrong label."""
    labels: torch.Tensor
    """int64: how many wrong labels have that many; 0 where there is none."""
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
    strongest = torch.zeros(shape, dtype=torch.int64, device=keys.device)
    first = torch.full(shape, NOTHING, dtype=torch.int64, device=keys.device)
    for j in range(1, k + 1):
        newest = labels[..., j - 1 : j]
        votes += (labels == newest) & real & real[..., j - 1 : j]
        seen = torch.where(real[..., :j], votes[..., :j], 0)
        most[..., j] = seen.amax(dim=-1)
        leading = (seen == most[..., j : j + 1]) & (seen > 0)
        # each leading label shows up once per vote
        strongest[..., j] = leading.sum(dim=-1) // most[..., j].clamp(min=1)
        first[..., j] = torch.where(leading, keys[..., :j], NOTHING).amax(dim=-1)
    return Opposition(most, strongest, first)


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

    most, labels, first = (after(counts) for counts in opposition)
    ahead, level = votes > most, (votes == most) & (votes > 0)
    correct = ahead | (level & (nearest > first))
    tied = level | ((votes < most) & (labels > 1))
    return Votes(correct, tied, torch.where(level, labels + 1, ahead.long()))


def outcomes(votes: Votes) -> Outcomes:
    """What votes count for under each rule.

    >>> found = outcomes(Votes(*map(torch.tensor, ([True, False, False], [True, True, True], [2, 4, 0]))))
    >>> found.least.tolist(), found.greatest.tolist(), found.random.tolist()
    ([False, False, False], [True, True, False], [0.5, 0.25, 0.0])
    """
    exact = torch.float32 if votes.leaders.device.type == "mps" else torch.float64  # mps has no float64
    greatest = votes.leaders > 0
    chance = torch.where(greatest, 1 / votes.leaders.clamp(min=1).to(exact), 0.0)
    return Outcomes(votes.correct, votes.tied, votes.leaders == 1, greatest, chance)
