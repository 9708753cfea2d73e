"""Ranks of the targets of pairs, and every statistic of them: what a result stores and its readers need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COLLECTIONS = ("same", "different")
"""Camera type of the distractors, compared with the target; the order of the first axis of ``PairAnswers.nearer``."""


@dataclass(frozen=True, eq=False)
class PairAnswers:
    """The rank of every target, from which all statistics of ranks follow, those that resample pairs included.

    Ties are in random order, and every number is the expectation over that order: an encoder that gives all photos the
    same embedding scores at chance. Without ties the rank is ``nearer + 1``.
    """

    pair_ids: tuple[object, ...]
    """Ids of the n pairs, sorted; the order of the last axis of the arrays."""
    camera_types: tuple[object, object]
    """The two types, sorted. Direction 0 has queries of the first type and targets of the second, 1 the reverse."""
    nearer: np.ndarray
    """int32 [2 collections, 2 directions, n]: distractors (of n - 1) more similar to the query than the target."""
    tied: np.ndarray
    """int32 [2 collections, 2 directions, n]: number of distractors exactly as similar as the target."""

    @property
    def n(self) -> int:
        """Number of pairs; each collection has n candidates for each query, and there are 2 n queries."""
        return len(self.pair_ids)

    def recall(self, k: int = 1) -> np.ndarray:
        """Probability that the target is among the nearest k: float64 [2 collections, 2 directions, n]."""
        return np.clip((k - self.nearer) / (self.tied + 1), 0.0, 1.0)

    def plain_recall(self) -> np.ndarray:
        """Recall@1 among all other photos, of both types: float64 [2 directions, n].

        The distractors of both collections together are all other photos but the target, each once.
        """
        return np.clip((1 - self.nearer.sum(axis=0)) / (self.tied.sum(axis=0) + 1), 0.0, 1.0)

    def reciprocal_rank(self) -> np.ndarray:
        """Expected 1 / rank of the target: float64 [2 collections, 2 directions, n]."""
        harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, self.n + 1))])
        return (harmonic[self.nearer + self.tied + 1] - harmonic[self.nearer]) / (self.tied + 1)

    @property
    def lost(self) -> np.ndarray:
        """bool [2 directions, n]: a distractor of the query's type of camera is more similar than the target."""
        return self.nearer[1] > 0

    @property
    def lost_by_camera(self) -> np.ndarray:
        """bool [2 directions, n]: lost, with the target the nearest of its own type: only the camera is to blame."""
        return self.lost & (self.nearer[0] == 0) & (self.tied[0] == 0)

    def per_pair(self) -> dict[str, np.ndarray]:
        """Every score by pair, float64 [n] each; the score is the mean over pairs.

        ``same``, ``different``: recall@1, both directions averaged (the denominator is 2 n); ``spd``: ``same`` minus
        ``different``, signed: positive if distractors from the query's type of camera distract more (its absolute mean
        is the published SPD_a). ``same-at-5``: recall@5; ``same-mrr``: mean reciprocal rank; ``same-to-TYPE``:
        recall@1 of one direction, whose targets are of that type; so for ``different``. ``all``: recall@1 among all
        other photos of the set, whatever their camera: plain retrieval.
        """
        first, fifth, reciprocal = self.recall(1), self.recall(5), self.reciprocal_rank()
        scores = {name: first[i].mean(axis=0) for i, name in enumerate(COLLECTIONS)}
        scores["spd"] = scores["same"] - scores["different"]
        scores["all"] = self.plain_recall().mean(axis=0)
        for i, name in enumerate(COLLECTIONS):
            scores[f"{name}-at-5"] = fifth[i].mean(axis=0)
            scores[f"{name}-mrr"] = reciprocal[i].mean(axis=0)
            for direction, target_type in enumerate(reversed(self.camera_types)):
                scores[f"{name}-to-{target_type}"] = first[i, direction]
        return scores

    @property
    def values(self) -> dict[str, float]:
        """Every score of ``per_pair``, averaged over pairs."""
        return {name: float(values.mean()) for name, values in self.per_pair().items()}

    @property
    def chance(self) -> dict[str, float]:
        """Score of a random order of the candidates, for each name in ``values``."""

        def chance_of(name: str) -> float:
            if name == "spd":
                return 0.0
            if name == "all":
                return 1 / (2 * self.n - 1)
            if name.endswith("-mrr"):
                return float(np.mean(1 / np.arange(1, self.n + 1)))
            return min(1.0, (5 if name.endswith("-at-5") else 1) / self.n)

        return {name: chance_of(name) for name in self.values}
