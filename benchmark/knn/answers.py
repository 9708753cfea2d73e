"""Results of the kNN set-ups by test photo, from which any statistic that resamples photos follows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

import numpy as np


class Setup(IntEnum):
    """Which processings query and neighbours have; the value is the row of ``KnnAnswers.correct``.

    >>> [setup.label for setup in Setup][:2], int(Setup.POS_SAME)
    (['all-same', 'all-diff'], 2)
    """

    ALL_SAME = 0
    """Query and all neighbours under one processing."""
    ALL_DIFF = 1
    """All neighbours under one processing, not the query's."""
    POS_SAME = 2
    """Only neighbours of the query's class share its processing."""
    NEG_SAME = 3
    """Only neighbours of other classes share the query's processing."""
    UNIFORM = 4
    """Each train photo under a random processing."""
    UNIFORM_TEST = 5
    """Each query under a random processing, the train photos under one."""

    @property
    def label(self) -> str:
        """Name in results, such as ``all-same``."""
        return self.name.lower().replace("_", "-")


SPD = "spd"
"""Name of pos-same minus neg-same, signed; positive: neighbours of the same processing attract."""


WORST = "worst"
"""Name of the accuracy if an adversary gives each query the processing that is worst for it."""


TieRule = Literal["nearest", "random", "least", "greatest"]
"""How a tied vote counts: for the label of the nearest neighbour, by the expectation of a random choice, as wrong, or
as correct if the query's label is among the tied ones."""


TIE_RULES: tuple[TieRule, ...] = ("nearest", "random", "least", "greatest")
"""Every rule, in the order of ``KnnAnswers.worst``."""


class Ties(NamedTuple):
    """Effect of ties on one score."""

    share: float
    """Share of votes in which two labels or more had most votes."""
    least: float
    """The score under the rule that is worst for it."""
    greatest: float
    """The score under the rule that is best for it."""
    random: float
    """Expectation of the score if one of the tied labels is chosen at random."""


@dataclass(frozen=True, eq=False)
class KnnAnswers:
    """Number of correct votes of each test photo in each set-up, from which statistics over photos follow."""

    correct: np.ndarray
    """int32 [6 set-ups, test photos]: correct votes among the set-up's combinations."""
    tied: np.ndarray
    """int32 [6 set-ups, test photos]: votes in which two labels or more had most votes."""
    least: np.ndarray
    """int32 [6 set-ups, test photos]: votes that are correct under every tie rule."""
    greatest: np.ndarray
    """int32 [6 set-ups, test photos]: votes that are correct under some tie rule."""
    random: np.ndarray
    """float64 [6 set-ups, test photos]: expected correct votes if one of the tied labels is chosen at random."""
    worst: np.ndarray
    """float64 [4 rules of ``TIE_RULES``, test photos]: correct votes, over the C collections with one processing each,
    if the query has the processing that is worst for it in that collection."""
    best: np.ndarray
    """The same with the processing that is best for it."""
    combinations: np.ndarray
    """int32 [6 set-ups], votes per photo: C, C(C-1), C(C-1), C(C-1), C x seeds, C x seeds."""
    plain: np.ndarray
    """bool [C of the test photo, C of all train photos, test photos]: correct or not (the cases p = n)."""
    by_seed: np.ndarray
    """int16 [2, seeds, test photos]: correct votes (of C) in uniform and uniform-test for each seed."""
    random_by_seed: np.ndarray
    """float64 [2, seeds, test photos]: the same, expected if one of the tied labels is chosen at random."""
    chance: float
    """Expected accuracy of a random train photo as neighbour: sum over labels of the product of both shares."""
    k: int
    """Number of neighbours that vote."""

    @property
    def values(self) -> dict[str, float]:
        """Accuracy of each set-up, ``spd`` and ``worst``; without those that need two classes if C = 1."""
        return {name: float(row.mean()) for name, row in self.per_photo().items()}

    @property
    def tied_share(self) -> dict[str, float]:
        """Share of votes that the tie rule decided, for the set-ups of ``values``."""
        shares = self.tied.mean(axis=1) / np.maximum(self.combinations, 1)
        return {setup.label: float(shares[setup]) for setup in Setup if self.combinations[setup]}

    @property
    def ties(self) -> dict[str, Ties]:
        """Effect of ties on each score of ``values``.

        The share of ``spd`` is over the votes of both its set-ups, that of ``worst`` over every pair of a query's and a
        collection's processing.
        """
        rules: tuple[TieRule, ...] = ("least", "greatest", "random")
        means = {rule: {name: float(row.mean()) for name, row in self.per_photo(rule).items()} for rule in rules}
        ties = {name: Ties(share, *(means[rule][name] for rule in rules)) for name, share in self.tied_share.items()}
        if SPD in means["random"]:
            pos_same, neg_same = ties[Setup.POS_SAME.label], ties[Setup.NEG_SAME.label]
            ties[SPD] = Ties(
                (pos_same.share + neg_same.share) / 2,
                pos_same.least - neg_same.greatest,
                pos_same.greatest - neg_same.least,
                pos_same.random - neg_same.random,
            )
            pairs = [Setup.ALL_SAME, Setup.ALL_DIFF]
            share = float(self.tied[pairs].sum(axis=0).mean() / self.combinations[pairs].sum())
            ties[WORST] = Ties(share, *(means[rule][WORST] for rule in rules))
        return ties

    def per_photo(self, rule: TieRule = "nearest") -> dict[str, np.ndarray]:
        """float64 [test photos] for each of ``values``: the share of the photo's votes that are correct."""
        correct = {"nearest": self.correct, "random": self.random, "least": self.least, "greatest": self.greatest}[rule]
        shares = setup_shares(correct, self.combinations)
        return shares | {WORST: self.of_worst(rule)} if SPD in shares else shares

    def of_worst(self, rule: TieRule = "nearest") -> np.ndarray:
        """float64 [test photos]: the share of collections in which the query is correct in every processing.

        An adversary who knows the collection chooses the processing of each query separately. Under the rule ``random``
        it is the expectation for the processing whose expectation is least.
        """
        return self.worst[TIE_RULES.index(rule)] / len(self.plain)

    def flipped(self, rule: TieRule = "nearest") -> np.ndarray:
        """float64 [test photos]: the share of collections in which the processing of the query decides whether it is
        classified correctly: best minus worst."""
        at = TIE_RULES.index(rule)
        return (self.best[at] - self.worst[at]) / len(self.plain)


def setup_shares(correct: np.ndarray, combinations: np.ndarray) -> dict[str, np.ndarray]:
    """float64 [test photos] by set-up: the share of a photo's votes that are correct; and ``spd``, pos-same - neg-same.

    Args:
        correct: [6 set-ups, test photos], as in ``KnnAnswers``.
        combinations: [6 set-ups]; a set-up without any is left out.

    Expected votes of random ties are differences of sums, which rounding may leave just beyond 0 or 1: shares within
    1e-9 of either are set to it.

    >>> setup_shares(np.array([[1], [0], [2], [1], [0], [0]]), np.array([2, 0, 2, 2, 0, 0]))["spd"].tolist()
    [0.5]
    """
    shares = {s.label: _snapped(correct[s] / combinations[s]) for s in Setup if combinations[s]}
    if combinations[Setup.POS_SAME]:
        shares[SPD] = shares[Setup.POS_SAME.label] - shares[Setup.NEG_SAME.label]
    return shares


def _snapped(shares: np.ndarray) -> np.ndarray:
    whole = np.rint(shares)
    return np.where(np.abs(shares - whole) < 1e-9, whole, shares)


def worst_of(right: np.ndarray) -> np.ndarray:
    """float64 [photos]: the minimum of ``right`` [views, photos]: an adversary chooses the view of each photo.

    >>> worst_of(np.array([[1, 1, 0], [1, 0, 0]])).tolist()
    [1.0, 0.0, 0.0]
    """
    worst: np.ndarray = np.asarray(right, np.float64).min(axis=0)
    return worst


def flipped_by(right: np.ndarray) -> np.ndarray:
    """float64 [photos]: maximum minus minimum of ``right`` [views, photos].

    It is 1 if a photo is classified correctly in one view and wrongly in another.

    >>> flipped_by(np.array([[1, 1, 0], [1, 0, 0]])).tolist()
    [0.0, 1.0, 0.0]
    """
    return np.asarray(right, np.float64).max(axis=0) - worst_of(right)
