"""Parts of the train photos, and the probe on one: what learning curves and training spread are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmark.compute import with_less_memory
from benchmark.probe.answers import ProbeAnswers
from benchmark.probe.probe import (
    LABELLED_SEED,
    default_memory,
    in_solver_space,
    labelled_probe,
    processing_probe,
    usable_device,
    with_validation,
)
from benchmark.probe.problem import Features, LabelledSplits, Problem, predict
from benchmark.probe.protocols.registry import protocol_named
from benchmark.probe.solver.projected import SharedSplits
from benchmark.probe.solver.rows import Rows, Some
from benchmark.stats import LEVEL, Difference, Interval, paired_difference, photo_interval
from builders.errors import DataError

PART_ROWS = 4_000
"""A part learns from as many assignments as have about so many train photos together, at least one, as the search of
``converged`` does: where photos are many, one assignment says as much as ten."""

PartProbe = Callable[[int, float, Mapping[str, Any]], ProbeAnswers]
"""(seed of the order, share of the train photos, options of the protocol) -> the probe on that part."""


class Clusters(NamedTuple):
    """What train and val photos come in, one name a photo; None where they stand alone."""

    train: np.ndarray | None
    val: np.ndarray | None


NO_CLUSTERS = Clusters(None, None)


def processing_parts(
    train: Sequence[Rows],
    test: Sequence[Rows],
    assignments: Any,
    *,
    whole: ProbeAnswers | None = None,
    **options: Any,
) -> tuple[PartProbe, int]:
    """``processing_probe`` on random parts of its train photos, nested for one seed, and its number of assignments.

    Args:
        train, test, assignments, options: as in ``processing_probe``.
        whole: what it answered on all train photos: what it learnt from, if that was rotated, holds that of all parts.
    """
    assigned = np.atleast_2d(np.asarray(assignments))
    fits, photos = assigned.shape
    used = min(fits, max(1, PART_ROWS // max(photos, 1)))
    found = None if whole is None else whole.features
    learnt = None if found is None else found.part(slice(used), np.arange(found.n))

    def probe(seed: int, share: float, more: Mapping[str, Any]) -> ProbeAnswers:
        rows = part(order_of(np.zeros(photos, np.int64), seed), share)
        features = None if learnt is None else Features(learnt, rows)
        banks = [Some(bank, rows) for bank in train]
        return processing_probe(banks, test, assigned[:used, rows], features=features, **options, **more)

    return probe, used


def labelled_parts(
    splits: LabelledSplits | SharedSplits, clusters: Clusters = NO_CLUSTERS, **options: Any
) -> PartProbe:
    """``labelled_probe`` on parts of its train and val photos.

    Args:
        splits, options: as in ``labelled_probe``.
        clusters: where given, a part holds so many whole clusters; else the same share of each class, at least one
            photo of it.
    """
    of_probe = ("protocol", "reader", "device", "memory_bytes")
    learnt = in_solver_space(splits, **{name: options[name] for name in of_probe if name in options})

    def some(labels: Any, groups: np.ndarray | None, seed: int, share: float) -> np.ndarray:
        if groups is None:
            return part(order_of(np.asarray(labels), seed), share)
        code = np.unique(groups, return_inverse=True)[1]
        return part(order_of(np.zeros(code.max() + 1, np.int64), seed)[code], share)

    def probe(seed: int, share: float, more: Mapping[str, Any]) -> ProbeAnswers:
        rows = some(learnt.train_y, clusters.train, seed, share)
        given = replace(
            learnt, train_x=Some(learnt.train_x, rows), train_y=np.asarray(learnt.train_y)[rows], of_others=True
        )
        if learnt.val_x is not None and learnt.val_y is not None:
            rows = some(learnt.val_y, clusters.val, seed, share)
            given = replace(given, val_x=Some(learnt.val_x, rows), val_y=np.asarray(learnt.val_y)[rows])
        return labelled_probe(given, **options, **more)

    return probe


def order_of(labels: np.ndarray, seed: int) -> np.ndarray:
    """float64 [n]: the share of its class from which on an item is in a part, by a seeded permutation."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        place[members] = np.arange(len(members)) / len(members)
    return place


def part(order: np.ndarray, share: float) -> np.ndarray:
    """Ascending indices of the items in a part; parts of one order are nested.

    >>> part(np.array([0.5, 0.0, 0.75, 0.25]), 0.5).tolist()
    [1, 3]
    """
    return np.flatnonzero(order < share - 1e-12)


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


def shuffled_accuracies(
    splits: LabelledSplits | SharedSplits,
    *,
    chosen: Mapping[str, float],
    protocol: str = "converged",
    permutations: int | None = None,
    device: str | torch.device = "cpu",
    seed: int = LABELLED_SEED,
    memory_bytes: int | None = None,
) -> np.ndarray:
    """Test accuracies of probes that learnt from train and val photos whose labels were shuffled among all of them.

    By symmetry their expectation is chance where every class has equally many photos, in training or in the test.

    Args:
        splits: as in ``labelled_probe``.
        chosen: what the probe's own search chose (``ProbeAnswers.chosen``); it is not searched again.
        protocol: the probe's.
        permutations: how many; by default what the protocol says.
        device, memory_bytes: as in ``processing_probe``.
        seed: of the shuffling.

    Returns:
        float64 [permutations].

    Raises:
        UsageError: unknown protocol.

    >>> x, y = np.random.default_rng(0).normal(size=(90, 5)), np.arange(90) % 3
    >>> splits = LabelledSplits(x[:60], y[:60], None, None, x[60:], y[60:], 3)
    >>> null = shuffled_accuracies(splits, chosen={"strength": 1e-3})
    >>> null.shape, bool(abs(null.mean() - 1 / 3) < 0.05)
    ((100,), True)
    """
    chosen_protocol = protocol_named(protocol)
    learnt = in_solver_space(splits, protocol=protocol, device=device, memory_bytes=memory_bytes)
    bank, labels = with_validation(learnt)
    rng = np.random.default_rng(seed)
    count = chosen_protocol.permutations if permutations is None else permutations
    shuffled = np.stack([rng.permutation(labels) for _ in range(count)])
    where = usable_device(device)
    rows = np.arange(len(labels))
    problem = Problem([bank], np.zeros_like(shuffled), shuffled, learnt.n_classes, rows, rows[:0], frame=learnt.frame)

    def accuracies(now: int) -> np.ndarray:
        found = []
        with torch.inference_mode():
            for weights, bias in chosen_protocol.refit(problem, chosen, where, now):
                predicted = predict([learnt.test_x], np.arange(learnt.test_x.shape[0]), weights, bias)[:, 0]
                found.append((predicted == np.asarray(learnt.test_y)).mean(axis=1))
        return np.concatenate(found)

    return with_less_memory("permuted probe", accuracies, memory_bytes or default_memory(where))


PROBES = 8
"""Seven degrees of freedom: the deviation is known to about a quarter."""

KEPT = 3 / 4
"""Of the train photos, in each of these probes. In simulations (docs/explanation/statistics.md) the estimate with three
quarters is 0.9 to 1.9 times the truth, mostly 1.2 to 1.3; with halves 0.8 to 2.1 times."""

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
