"""Training spread: how far the accuracy would move with as many other train photos, by leaving some out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.probe.answers import ProbeAnswers
from benchmark.probe.features import Rows
from benchmark.probe.parts import NO_CLUSTERS, Clusters, PartProbe, labelled_parts, processing_parts
from benchmark.probe.problem import LabelledSplits
from benchmark.probe.registry import protocol_named
from benchmark.probe.together import SharedSplits

PROBES = 8
"""Seven degrees of freedom: the deviation is known to about a quarter."""

KEPT = 3 / 4
"""Of the train photos, in each of these probes. In simulations (docs/statistics.md) the estimate with three quarters is
0.9 to 1.9 times the truth, mostly 1.2 to 1.3; with halves 0.8 to 2.1 times."""

FIRST_SEED = 100
"""Of the parts: this one and those after it. Not ``ORDER_SEED`` of the learning curve."""


@dataclass(frozen=True)
class TrainingSpread:
    """What test photos cannot tell: how much hangs on which train photos there were."""

    deviation: float
    """Standard deviation of the accuracy over other train photos (and, of processing probes, other assignments), rather
    too large than too small."""
    probes: int
    """Behind it."""
    assignments: int
    """Of each of these probes."""

    def details(self) -> dict[str, Any]:
        """As JSON values, for ``Score.details``."""
        return {
            "deviation": round(self.deviation, 6),
            "probes": self.probes,
            "kept": KEPT,
            "assignments": self.assignments,
            "method": "delete-d jackknife at the chosen hyper-parameters",
        }


def processing_spread(
    train: Sequence[Rows],
    test: Sequence[Rows],
    assignments: Any,
    *,
    whole: ProbeAnswers,
    probes: int = PROBES,
    **options: Any,
) -> TrainingSpread:
    """Of ``processing_probe``, by the delete-d jackknife: from the variance between probes of random three quarters.

    ``kept / (1 - kept)`` times that variance (Shao and Wu, Annals of Statistics 17, 1989). A jackknife errs upwards
    (Efron and Stein, Annals of Statistics 9, 1981). A photo is drawn with its classes in every assignment, so that
    these are in it too. Where fewer assignments take part than the accuracy is a mean of, what this adds is taken off
    again, by the spread between the fits themselves.

    Args:
        train, test, assignments, options: as in ``processing_probe``.
        whole: what it answered on all train photos; its hyper-parameters are used, not searched again.
        probes: at least two.

    Raises:
        as ``processing_probe``.

    >>> from benchmark.probe import processing_probe
    >>> rng = np.random.default_rng(0)
    >>> photos = rng.normal(size=(60, 8))
    >>> classes = [photos + shift for shift in rng.normal(size=(3, 8))]
    >>> given = [c[:40] for c in classes], [c[40:] for c in classes], rng.integers(0, 3, (2, 40))
    >>> 0 < processing_spread(*given, whole=processing_probe(*given)).deviation < 0.1
    True
    """
    probe, used = processing_parts(train, test, assignments, whole=whole, **options)
    return _spread(probe, whole, used, probes)


def labelled_spread(
    splits: LabelledSplits | SharedSplits,
    *,
    whole: ProbeAnswers,
    clusters: Clusters = NO_CLUSTERS,
    probes: int = PROBES,
    **options: Any,
) -> TrainingSpread:
    """Of ``labelled_probe``, as ``processing_spread``; parts hold the same share of each class, or whole clusters.

    Args:
        splits, options: as in ``labelled_probe``.
        clusters: scenes or owners, where photos of one are alike: other train photos are then those of others.
        whole, probes: as in ``processing_spread``.

    Raises:
        as ``labelled_probe``.
    """
    return _spread(labelled_parts(splits, clusters, **options), whole, 1, probes)


def _spread(probe: PartProbe, whole: ProbeAnswers, used: int, probes: int) -> TrainingSpread:
    at = protocol_named(whole.protocol).at(whole.chosen)
    accuracies = [probe(FIRST_SEED + i, KEPT, at).accuracy for i in range(probes)]
    variance = KEPT / (1 - KEPT) * float(np.var(accuracies, ddof=1))
    if used < (fits := len(whole.predicted)):
        variance = max(variance - whole.spread**2 * (1 / used - 1 / fits), whole.spread**2 / fits)
    return TrainingSpread(math.sqrt(variance), probes, used)
