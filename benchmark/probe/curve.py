"""Learning curves: the probe again on nested parts of its train photos. Does it still learn from more of them?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.probe.answers import ProbeAnswers
from benchmark.probe.features import Rows
from benchmark.probe.parts import PartProbe, labelled_parts, processing_parts
from benchmark.probe.problem import LabelledSplits
from benchmark.probe.protocols import labelled_probe, processing_probe
from benchmark.probe.registry import protocol_named
from benchmark.probe.together import SharedSplits
from benchmark.stats import LEVEL, Difference, Interval, paired_difference, photo_interval
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

    shares: tuple[float, ...]
    """Of the train photos, rising to 1. Parts that hold equally many are given once."""
    n_train: tuple[int, ...]
    """Photos learnt from, validation included."""
    intervals: tuple[Interval, ...]
    """The accuracy of each, with what the test photos say about it."""
    gain: Difference | None
    """All photos against the part before, paired by test photo (by cluster) and of the same assignments; None if there
    is no part before."""
    assignments: int
    """Behind each part; all photos have theirs all."""

    @property
    def accuracies(self) -> tuple[float, ...]:
        return tuple(interval.value for interval in self.intervals)

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
            "share": list(self.shares),
            "n_train": list(self.n_train),
            "accuracy": [round(i.value, 6) for i in self.intervals],
            "low": [round(i.low, 6) for i in self.intervals],
            "high": [round(i.high, 6) for i in self.intervals],
            "assignments": self.assignments,
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
    """``processing_probe`` on nested random parts of its train photos.

    Each part is searched anew, near what the search on all photos chose (``Protocol.near``). Of the assignments as
    many take part as have ``PART_ROWS`` train photos together.

    Args:
        train, test, assignments: as in ``processing_probe``.
        whole: what it answered on all train photos, if that is known; else it is asked.
        shares: of the train photos, each above 0 and below 1.
        level: of the intervals.
        options: further arguments of ``processing_probe``.

    Raises:
        as ``processing_probe``; DataError: a share is not between 0 and 1.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> photos = rng.normal(size=(60, 8))
    >>> classes = [photos + shift for shift in rng.normal(size=(3, 8))]
    >>> curve = processing_curve(
    ...     [c[:40] for c in classes], [c[40:] for c in classes], rng.integers(0, 3, (2, 40)))
    >>> curve.n_train, len(curve.accuracies)
    ((5, 10, 20, 40), 4)
    """
    probe, used = processing_parts(train, test, assignments, **options)
    return _curve(
        probe, whole or processing_probe(train, test, assignments, **options), used, shares, clusters=None, level=level
    )


def labelled_curve(
    splits: LabelledSplits | SharedSplits,
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
    whole = whole or labelled_probe(splits, **options)
    return _curve(labelled_parts(splits, **options), whole, 1, shares, clusters=clusters, level=level)


def _curve(
    probe: PartProbe, whole: ProbeAnswers, used: int, shares: Sequence[float], *, clusters: Any, level: float
) -> LearningCurve:
    if not all(0 < share < 1 for share in shares):
        raise DataError(f"shares of a learning curve lie between 0 and 1: {', '.join(f'{s:g}' for s in shares)}")
    near = protocol_named(whole.protocol).near(whole.chosen)
    parts = {share: probe(ORDER_SEED, share, near) for share in sorted(shares)} | {1.0: whole}
    by_size = {answers.n_train: (share, answers) for share, answers in parts.items()}
    found = [answers for _, answers in by_size.values()]
    gain = None
    if len(found) > 1:
        same = whole.correct[:used].mean(axis=(0, 1))
        gain = paired_difference(same, found[-2].photo_accuracy, clusters=clusters, level=level)
    return LearningCurve(
        shares=tuple(share for share, _ in by_size.values()),
        n_train=tuple(by_size),
        intervals=tuple(photo_interval(a.photo_accuracy, clusters=clusters, level=level) for a in found),
        gain=gain,
        assignments=used,
    )
