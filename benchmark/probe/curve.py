"""Learning curves: the probe again on nested parts of its train photos. Does it still learn from more of them?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.probe.answers import ProbeAnswers
from benchmark.probe.features import Rows
from benchmark.probe.problem import LabelledSplits
from benchmark.probe.protocols import labelled_probe, processing_probe
from benchmark.stats import LEVEL, Difference, paired_difference
from builders.errors import DataError

SHARES = (1 / 8, 1 / 4, 1 / 2)
"""Parts of the train photos, beside all of them."""

SMALLEST_GAIN = 0.005
"""A last step that gains less says little, however sure it is."""

ORDER_SEED = 8
"""Of the order in which parts are nested."""


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Accuracies on the same test photos, from fewer to all train photos."""

    n_train: tuple[int, ...]
    """Photos learnt from, validation included; rising. Parts that would be equal are given once."""
    accuracies: tuple[float, ...]
    gain: Difference | None
    """All photos against the part before, paired by test photo (by cluster); None if there is no part before."""

    @property
    def rises(self) -> bool:
        """Whether the last step gained half a point or more, surely more than nothing: read the accuracy as "at least".

        False does not prove that more photos would bring nothing: with few test photos a gain is hard to see.
        """
        return self.gain is not None and self.gain.low > 0 and self.gain.value >= SMALLEST_GAIN

    def details(self) -> dict[str, Any]:
        """As JSON values, for ``Score.details``."""
        gain = self.gain and {name: getattr(self.gain, name) for name in ("value", "low", "high", "p_value")}
        return {
            "n_train": list(self.n_train),
            "accuracy": [round(a, 6) for a in self.accuracies],
            "gain": gain,
            "rises": self.rises,
        }


def processing_curve(
    train: Sequence[Rows],
    test: Sequence[Rows],
    assignments: Any,
    *,
    whole: ProbeAnswers | None = None,
    shares: Sequence[float] = SHARES,
    level: float = LEVEL,
    **options: Any,
) -> LearningCurve:
    """``processing_probe`` on nested random parts of its train photos; the search is made anew on each.

    Args:
        train, test, assignments: as in ``processing_probe``.
        whole: what it answered on all train photos, if that is known; else it is asked.
        shares: of the train photos, each above 0 and below 1.
        level: of the interval of the gain.
        options: further arguments of ``processing_probe``.

    Raises:
        as ``processing_probe``; DataError: a share is not between 0 and 1.

    >>> rng = np.random.default_rng(0)
    >>> photos = rng.normal(size=(60, 8))
    >>> classes = [photos + shift for shift in rng.normal(size=(3, 8))]
    >>> curve = processing_curve(
    ...     [c[:40] for c in classes], [c[40:] for c in classes], rng.integers(0, 3, (2, 40)))
    >>> curve.n_train, len(curve.accuracies)
    ((5, 10, 20, 40), 4)
    """
    assigned = np.atleast_2d(np.asarray(assignments))
    order = _order(np.zeros(assigned.shape[1], np.int64))

    def probe(share: float) -> ProbeAnswers:
        rows = _part(order, share)
        return processing_probe([Some(bank, rows) for bank in train], test, assigned[:, rows], **options)

    return _curve(probe, whole or processing_probe(train, test, assigned, **options), shares, None, level)


def labelled_curve(
    splits: LabelledSplits,
    *,
    whole: ProbeAnswers | None = None,
    clusters: Any | None = None,
    shares: Sequence[float] = SHARES,
    level: float = LEVEL,
    **options: Any,
) -> LearningCurve:
    """``labelled_probe`` on nested parts of its train and val photos, the same share of each class (at least one).

    Args:
        splits: as in ``labelled_probe``.
        whole, shares, level: as in ``processing_curve``.
        clusters: [test photos], what test photos err together in.
        options: further arguments of ``labelled_probe``.

    Raises:
        as ``processing_curve``.
    """
    order = _order(np.asarray(splits.train_y))
    held_order = None if splits.val_y is None else _order(np.asarray(splits.val_y))

    def probe(share: float) -> ProbeAnswers:
        rows = _part(order, share)
        some = replace(splits, train_x=Some(splits.train_x, rows), train_y=np.asarray(splits.train_y)[rows])
        if splits.val_x is not None and held_order is not None:
            held = _part(held_order, share)
            some = replace(some, val_x=Some(splits.val_x, held), val_y=np.asarray(splits.val_y)[held])
        return labelled_probe(some, **options)

    whole = whole or labelled_probe(splits, **options)
    return _curve(probe, whole, shares, clusters, level)


class Some:
    """Some rows of a bank as a bank of their own, without a copy of the others."""

    def __init__(self, bank: Rows, rows: np.ndarray) -> None:
        self._bank, self._rows = bank, rows
        self.shape = (len(rows), int(bank.shape[1]))

    def __getitem__(self, wanted: slice) -> np.ndarray:
        rows = self._rows[wanted]
        if not len(rows):
            return np.empty((0, self.shape[1]), np.float32)
        low = int(rows[0])
        return np.asarray(self._bank[low : int(rows[-1]) + 1])[rows - low]


def _curve(
    probe: Callable[[float], ProbeAnswers], whole: ProbeAnswers, shares: Sequence[float], clusters: Any, level: float
) -> LearningCurve:
    if not all(0 < share < 1 for share in shares):
        raise DataError(f"shares of a learning curve lie between 0 and 1: {', '.join(f'{s:g}' for s in shares)}")
    by_size = {answers.n_train: answers for answers in (*map(probe, sorted(shares)), whole)}
    found = list(by_size.values())
    gain = None
    if len(found) > 1:
        gain = paired_difference(found[-1].photo_accuracy, found[-2].photo_accuracy, clusters=clusters, level=level)
    return LearningCurve(tuple(by_size), tuple(answers.accuracy for answers in found), gain)


def _order(labels: np.ndarray) -> np.ndarray:
    """float64 [n]: the share of its class from which on an item is in a part, by a seeded permutation."""
    shuffled = np.random.default_rng(ORDER_SEED).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        place[members] = np.arange(len(members)) / len(members)
    return place


def _part(order: np.ndarray, share: float) -> np.ndarray:
    """Ascending indices of the items in a part."""
    return np.flatnonzero(order < share - 1e-12)
