"""Photos of one view that several labelled probes learn from and are tested on: turned once for all of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from benchmark.probe.features import Rows
from benchmark.probe.problem import LabelledSplits
from benchmark.probe.turned import Turned, all_rows, pays, turned_rows

SHARE = 3 / 4
"""Of the photos that all probes learn from, what a probe has at least to learn among them. Of 918, a probe of 306 took
five times as long as alone, of 612 half as long again (processor time of its fits, one run each on a busy machine)."""


class Together:
    """Embeddings of which each probe has some.

    Rows keep the zeros of turned ones where a probe has not all of them. Photos that come first in ``order`` have most:
    those that searches learn from should.

    Args:
        learnt: [n, d], all that any of the probes learns from.
        tested: [m, d], all that any is tested on.
        order: int64 [n], the learnt photos as they are turned one after the other.
        n_classes: of all probes together.

    >>> rng = np.random.default_rng(0)
    >>> together = Together(rng.normal(size=(4, 9)), rng.normal(size=(2, 9)), np.array([3, 1, 0, 2]), 4)
    >>> (np.abs(together.turned().learnt) > 1e-6).sum(axis=1).tolist()
    [4, 3, 4, 2]
    """

    def __init__(self, learnt: Rows, tested: Rows, order: np.ndarray, n_classes: int) -> None:
        self._learnt, self._tested, self._order, self._n_classes = learnt, tested, order, n_classes
        self._lock = threading.Lock()
        self._turned: Turned | None = None

    @property
    def values(self) -> int:
        """Of the embeddings that are learnt from."""
        n, dimension = self._learnt.shape
        return int(n * dimension)

    def pays(self, count: int) -> bool:
        """Whether a probe of so many of the photos learns among all of them, and all probes save more than it takes."""
        n, dimension = (int(side) for side in self._learnt.shape)
        return count >= SHARE * n and pays(n, dimension, int(self._tested.shape[0]), self._n_classes)

    def turned(self) -> Turned:
        """Rows in the order they were given in. The first who asks makes them, others wait.

        Raises:
            DataError: an embedding is not finite.
        """
        with self._lock:
            if self._turned is None:
                found = turned_rows(all_rows(self._learnt)[self._order], all_rows(self._tested))
                learnt = np.empty_like(found.learnt)
                learnt[self._order] = found.learnt
                self._turned = found._replace(learnt=learnt)
            return self._turned


class Among(NamedTuple):
    """Where the photos of a probe are among those of several."""

    of: Together
    learnt: np.ndarray
    """int64 [n + m], train photos and, after them, validation photos."""
    tested: np.ndarray
    """int64 [test photos]."""


@dataclass(frozen=True, eq=False)
class SharedSplits:
    """Splits whose photos other probes learn from too: they may be turned with the photos of all probes."""

    splits: LabelledSplits
    among: Among


def turned_together(shared: SharedSplits) -> LabelledSplits:
    """The same splits, their photos turned with those of other probes."""
    splits, (of, learnt, tested) = shared.splits, shared.among
    found = of.turned()
    train = splits.train_x.shape[0]
    return replace(
        splits,
        train_x=found.learnt[learnt[:train]],
        val_x=None if splits.val_x is None else found.learnt[learnt[train:]],
        test_x=found.tested[tested],
        frame=found.frame,
    )
