"""What the kNN set-ups answer, per test photo: any statistic that resamples photos is free."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

import numpy as np


class Setup(IntEnum):
    """Who may be whose neighbour; the value is the row of ``KnnAnswers.correct``.

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
        """Its name in results: ``all-same``."""
        return self.name.lower().replace("_", "-")


SPD = "spd"
"""pos-same minus neg-same, signed; positive: neighbours of the same processing attract."""


WORST = "worst"
"""Accuracy where an adversary gives each query the processing that serves it worst."""


TieRule = Literal["nearest", "random", "least", "greatest"]
"""How a tied vote is counted: for the label of the nearest neighbour, by the expectation of a random choice, never, or
whenever the query's label is among the tied ones."""


TIE_RULES: tuple[TieRule, ...] = ("nearest", "random", "least", "greatest")
"""Every rule, in the order of ``KnnAnswers.worst``."""


class Ties(NamedTuple):
    """What ties do to one score."""

    share: float
    """Of votes in which two labels or more had most votes."""
    least: float
    """The score under the rule that is worst for it."""
    greatest: float
    """The score under the rule that is best for it."""
    random: float
    """Its expectation where one of the tied labels is taken at random."""


@dataclass(frozen=True, eq=False)
class KnnAnswers:
    """Per test photo, how many of its votes in each set-up were right: any statistic that resamples photos is free."""

    correct: np.ndarray
    """int32 [6 set-ups, test photos]: correct answers among the set-up's combinations."""
    tied: np.ndarray
    """int32 [6 set-ups, test photos]: votes in which two labels or more had most votes."""
    least: np.ndarray
    """int32 [6 set-ups, test photos]: votes that are right under every tie rule."""
    greatest: np.ndarray
    """int32 [6 set-ups, test photos]: votes that are right under some tie rule."""
    random: np.ndarray
    """float64 [6 set-ups, test photos]: right answers expected where one of the tied labels is taken at random."""
    worst: np.ndarray
    """float64 [4 rules of ``TIE_RULES``, test photos]: over the C collections that have one processing each, right
    answers where the query has the processing that serves it worst in that collection."""
    best: np.ndarray
    """The same where it has the one that serves it best."""
    combinations: np.ndarray
    """int32 [6 set-ups]: queries per photo: C, C(C-1), C(C-1), C(C-1), C x seeds, C x seeds."""
    plain: np.ndarray
    """bool [C of the test photo, C of all train photos, test photos]: right or not (the cases p = n)."""
    by_seed: np.ndarray
    """int16 [2, seeds, test photos]: correct answers of uniform and uniform-test for one seed, out of C."""
    random_by_seed: np.ndarray
    """float64 [2, seeds, test photos]: the same, expected where one of the tied labels is taken at random."""
    chance: float
    """Accuracy expected of a neighbour drawn blindly from the train photos: the sum over labels of its two shares."""
    k: int
    """Neighbours that vote."""

    @property
    def values(self) -> dict[str, float]:
        """Accuracy of each set-up, ``spd`` and ``worst``. What needs two classes is left out if C = 1."""
        return {name: float(row.mean()) for name, row in self.per_photo().items()}

    @property
    def tied_share(self) -> dict[str, float]:
        """Share of votes that the tie rule decided, for the set-ups of ``values``."""
        shares = self.tied.mean(axis=1) / np.maximum(self.combinations, 1)
        return {setup.label: float(shares[setup]) for setup in Setup if self.combinations[setup]}

    @property
    def ties(self) -> dict[str, Ties]:
        """What ties do to each score of ``values``; the share of ``spd`` is of the votes of both its set-ups, that of
        ``worst`` of every pair of a query's and a collection's processing."""
        rules: tuple[TieRule, ...] = ("least", "greatest", "random")
        means = {rule: {name: float(row.mean()) for name, row in self.per_photo(rule).items()} for rule in rules}
        found = {name: Ties(share, *(means[rule][name] for rule in rules)) for name, share in self.tied_share.items()}
        if SPD in means["random"]:
            more, less = found[Setup.POS_SAME.label], found[Setup.NEG_SAME.label]
            found[SPD] = Ties(
                (more.share + less.share) / 2,
                more.least - less.greatest,
                more.greatest - less.least,
                more.random - less.random,
            )
            pairs = [Setup.ALL_SAME, Setup.ALL_DIFF]
            share = float(self.tied[pairs].sum(axis=0).mean() / self.combinations[pairs].sum())
            found[WORST] = Ties(share, *(means[rule][WORST] for rule in rules))
        return found

    @property
    def seed_values(self) -> dict[str, np.ndarray]:
        """float64 [seeds]: accuracy of ``uniform`` and ``uniform-test`` for each assignment seed."""
        return self._of_seeds(self.by_seed)

    @property
    def random_seed_values(self) -> dict[str, np.ndarray]:
        """The same, expected where one of the tied labels is taken at random."""
        return self._of_seeds(self.random_by_seed)

    def per_photo(self, rule: TieRule = "nearest") -> dict[str, np.ndarray]:
        """float64 [test photos] for each of ``values``: the share of the photo's answers that are right; ``spd``."""
        right = {"nearest": self.correct, "random": self.random, "least": self.least, "greatest": self.greatest}[rule]
        shares = setup_shares(right, self.combinations)
        return shares | {WORST: self.of_worst(rule)} if SPD in shares else shares

    def of_worst(self, rule: TieRule = "nearest") -> np.ndarray:
        """float64 [test photos]: the share of collections in which the query is answered right whatever its processing.

        An adversary who knows the collection picks the processing of each query, one at a time and the same for nobody
        else. Under ``random`` it is the expectation for the processing whose expectation is least.
        """
        return self.worst[TIE_RULES.index(rule)] / len(self.plain)

    def flipped(self, rule: TieRule = "nearest") -> np.ndarray:
        """float64 [test photos]: the share of collections in which some processing of the query changes whether it is
        answered right: best less worst."""
        at = TIE_RULES.index(rule)
        return (self.best[at] - self.worst[at]) / len(self.plain)

    def _of_seeds(self, right: np.ndarray) -> dict[str, np.ndarray]:
        accuracy = right.mean(axis=2) / len(self.plain)
        return {"uniform": accuracy[0], "uniform-test": accuracy[1]}


def setup_shares(correct: np.ndarray, combinations: np.ndarray) -> dict[str, np.ndarray]:
    """float64 [test photos] by set-up: the share of a photo's answers that are right; and ``spd``, their difference.

    Args:
        correct: [6 set-ups, test photos], as ``KnnAnswers`` has it.
        combinations: [6 set-ups]; a set-up without any is left out.

    Expected answers of random ties are sums less sums, which rounding leaves just beyond 0 or 1: what lies within 1e-9
    of either is that.

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
