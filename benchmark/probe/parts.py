"""Probes of parts of the train photos: learning curves, and how far a score depends on the train photos."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.probe.answers import ProbeAnswers
from benchmark.probe.probe import in_solver_space, labelled_probe, processing_probe
from benchmark.probe.problem import Features, LabelledSplits
from benchmark.probe.protocols.registry import protocol_named
from benchmark.probe.solver.projected import SharedSplits
from benchmark.probe.solver.rows import Rows, Some
from benchmark.probe.statistics import LearningCurve
from benchmark.stats import LEVEL
from builders.errors import DataError

PART_ROWS = 4_000
"""Train photos of all assignments of a part together, about: at least one assignment is used. As in the search of
``converged``, one assignment is as good as ten if photos are many."""

PartProbe = Callable[[int, float, Mapping[str, Any]], ProbeAnswers]
"""(seed of the order, share of the train photos, options of the protocol) -> the probe on that part."""


def processing_parts(
    train: Sequence[Rows],
    test: Sequence[Rows],
    assignments: Any,
    *,
    whole: ProbeAnswers | None = None,
    clusters: np.ndarray | None = None,
    **options: Any,
) -> tuple[PartProbe, int]:
    """A ``processing_probe`` of random parts of its train photos, nested for one seed, and its number of assignments.

    Args:
        train, test, assignments, clusters, options: as in ``processing_probe``; a part has whole clusters.
        whole: its result on all train photos, whose rotated training sets (if any) serve all parts.
    """
    assigned = np.atleast_2d(np.asarray(assignments))
    fits, photos = assigned.shape
    used = min(fits, max(1, PART_ROWS // max(photos, 1)))
    features = None if whole is None else whole.features
    used_features = None if features is None else features.part(slice(used), np.arange(features.n))

    def probe(seed: int, share: float, protocol_options: Mapping[str, Any]) -> ProbeAnswers:
        rows = part_rows(np.zeros(photos, np.int64), clusters, seed, share)
        part_features = None if used_features is None else Features(used_features, rows)
        banks = [Some(bank, rows) for bank in train]
        return processing_probe(
            banks,
            test,
            assigned[:used, rows],
            features=part_features,
            clusters=None if clusters is None else clusters[rows],
            **options,
            **protocol_options,
        )

    return probe, used


def labelled_parts(splits: LabelledSplits | SharedSplits, **options: Any) -> PartProbe:
    """A ``labelled_probe`` of parts of its train and val photos.

    Args:
        splits, options: as in ``labelled_probe``. A part has a share of the whole clusters; without clusters the same
            share of each class, at least one photo of it.
    """
    space_options = ("protocol", "reader", "device", "memory_bytes")
    solver_splits = in_solver_space(splits, **{name: options[name] for name in space_options if name in options})

    def probe(seed: int, share: float, protocol_options: Mapping[str, Any]) -> ProbeAnswers:
        rows = part_rows(solver_splits.train_y, solver_splits.train_clusters, seed, share)
        part_splits = replace(
            solver_splits,
            train_x=Some(solver_splits.train_x, rows),
            train_y=np.asarray(solver_splits.train_y)[rows],
            train_clusters=_some(solver_splits.train_clusters, rows),
            is_subset=True,
        )
        if solver_splits.val_x is not None and solver_splits.val_y is not None:
            rows = part_rows(solver_splits.val_y, solver_splits.val_clusters, seed, share)
            part_splits = replace(
                part_splits,
                val_x=Some(solver_splits.val_x, rows),
                val_y=np.asarray(solver_splits.val_y)[rows],
                val_clusters=_some(solver_splits.val_clusters, rows),
            )
        return labelled_probe(part_splits, **options, **protocol_options)

    return probe


def _some(clusters: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if clusters is None else np.asarray(clusters)[rows]


def part_rows(labels: Any, clusters: np.ndarray | None, seed: int, share: float) -> np.ndarray:
    """Ascending indices of a part: a share of each class of the photos, or of whole clusters of each class.

    >>> part_rows(np.zeros(6, int), np.array([0, 0, 0, 1, 1, 1]), 0, 0.5).tolist()
    [0, 1, 2]
    """
    if clusters is None:
        return part(order_of(np.asarray(labels), seed), share)
    _, first, code = np.unique(clusters, return_index=True, return_inverse=True)
    return part(order_of(np.asarray(labels)[first], seed)[code], share)


def order_of(labels: np.ndarray, seed: int) -> np.ndarray:
    """float64 [n]: an item is in every part whose share exceeds this number, by a seeded permutation of its class."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    order = np.empty(len(labels))
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        order[members] = np.arange(len(members)) / len(members)
    return order


def part(order: np.ndarray, share: float) -> np.ndarray:
    """Ascending indices of the items in a part; parts of one order are nested.

    >>> part(np.array([0.5, 0.0, 0.75, 0.25]), 0.5).tolist()
    [1, 3]
    """
    return np.flatnonzero(order < share - 1e-12)


SHARES = (1 / 8, 1 / 4, 1 / 2)
"""Shares of the train photos in the parts of a learning curve, before its last point, all of them."""

ORDER_SEED = 8
"""Seed of the order in which parts are nested."""


def processing_curve(
    train: Sequence[Rows],
    test: Sequence[Rows],
    assignments: Any,
    *,
    whole: ProbeAnswers | None = None,
    clusters: np.ndarray | None = None,
    test_clusters: np.ndarray | None = None,
    shares: Sequence[float] = SHARES,
    level: float = LEVEL,
    **options: Any,
) -> LearningCurve:
    """Learning curve of ``processing_probe`` over nested random parts of its train photos.

    Each part has its own search, near the hyper-parameters chosen on all photos (``Protocol.near``). As many
    assignments are used as have ``PART_ROWS`` train photos together, at least one; the last point, all photos, is of
    these assignments too.

    Args:
        train, test, assignments, clusters: as in ``processing_probe``; parts have whole clusters.
        test_clusters: [test photos], the unit of each.
        whole: result of the probe on all train photos; computed if it is not given.
        shares: shares of the train photos, each above 0 and below 1.
        level: coverage of the intervals.
        options: further arguments of ``processing_probe``.

    Returns:
        One point for each part and one for all train photos.

    Raises:
        UsageError, ValueError: as ``processing_probe``.
        DataError: the same, or a share is not between 0 and 1.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> photos = rng.normal(size=(60, 8))
    >>> classes = [photos + shift for shift in rng.normal(size=(3, 8))]
    >>> curve = processing_curve(
    ...     [c[:40] for c in classes], [c[40:] for c in classes], rng.integers(0, 3, (2, 40)))
    >>> curve.n_train, len(curve.accuracies)
    ((5, 10, 20, 40), 4)
    """
    probe, used = processing_parts(train, test, assignments, clusters=clusters, **options)
    whole = whole or processing_probe(train, test, assignments, clusters=clusters, **options)
    return _curve(probe, whole, used, shares, clusters=test_clusters, level=level)


def labelled_curve(
    splits: LabelledSplits | SharedSplits,
    *,
    whole: ProbeAnswers | None = None,
    shares: Sequence[float] = SHARES,
    level: float = LEVEL,
    **options: Any,
) -> LearningCurve:
    """Learning curve of ``labelled_probe`` over nested parts with the same share of each class, at least one photo.

    Args:
        splits: as in ``labelled_probe``; parts have whole clusters, and intervals are over those of the test photos.
        whole, shares, level: as in ``processing_curve``.
        options: further arguments of ``labelled_probe``.

    Returns:
        As ``processing_curve``.

    Raises:
        UsageError, DataError, ValueError: as ``processing_curve``.
    """
    whole = whole or labelled_probe(splits, **options)
    plain = splits.splits if isinstance(splits, SharedSplits) else splits
    return _curve(labelled_parts(splits, **options), whole, 1, shares, clusters=plain.test_clusters, level=level)


def _curve(
    probe: PartProbe, whole: ProbeAnswers, used: int, shares: Sequence[float], *, clusters: Any, level: float
) -> LearningCurve:
    if not all(0 < share < 1 for share in shares):
        raise DataError(f"shares of a learning curve lie between 0 and 1: {', '.join(f'{s:g}' for s in shares)}")
    near = protocol_named(whole.protocol).near(whole.chosen)
    parts = {share: probe(ORDER_SEED, share, near) for share in sorted(shares)} | {1.0: whole}
    by_size = {answers.n_train: (share, answers) for share, answers in parts.items()}
    answers_by_size = [answers for _, answers in by_size.values()]
    return LearningCurve(
        shares=tuple(share for share, _ in by_size.values()),
        n_train=tuple(by_size),
        by_photo=np.array([answers.statistics.correct[:used].mean(axis=(0, 1)) for answers in answers_by_size]),
        assignments=used,
        clusters=clusters,
        level=level,
    )


PROBES = 8
"""Number of probes. With seven degrees of freedom the deviation is known to about a quarter of itself."""

PROBE_SHARE = 3 / 4
"""Share of the train photos in each of these probes. In simulations (docs/explanation/statistics.md) the estimate with
three quarters is 0.9 to 1.9 times the truth, mostly 1.2 to 1.3; with halves 0.8 to 2.1 times."""

FIRST_SEED = 100
"""Seed of the first part; those of the others follow. None is ``ORDER_SEED`` of the learning curve."""


@dataclass(frozen=True)
class TrainingSpread:
    """How far an accuracy depends on the train photos, which resampling test photos cannot show."""

    deviation: float
    """Standard deviation of the accuracy over samples of train photos (for processing probes, of assignments too).
    Rather too large than too small."""
    probes: int
    """Number of probes that it is estimated from."""
    assignments: int
    """Assignments of each of these probes."""

    def details(self) -> dict[str, Any]:
        """As JSON values, for ``Score.details``."""
        return {
            "deviation": round(self.deviation, 6),
            "probes": self.probes,
            "kept": PROBE_SHARE,
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
    """Training spread of ``processing_probe`` by the delete-d jackknife, from probes of three quarters of the photos.

    The variance is that between these probes times ``share / (1 - share)`` (Shao and Wu, Annals of Statistics 17,
    1989). A jackknife errs upwards (Efron and Stein, Annals of Statistics 9, 1981). A photo is drawn together with its
    classes in all assignments, so the variance covers these too. If the probes have fewer assignments than the reported
    accuracy, the variance that this adds is subtracted, as estimated from the spread between the fits.

    Args:
        train, test, assignments, options: as in ``processing_probe``; with ``clusters``, whole clusters are drawn.
        whole: result of the probe on all train photos; its hyper-parameters are used without a search.
        probes: number of probes, at least two.

    Raises:
        UsageError, DataError, ValueError: as ``processing_probe``.

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
    probes: int = PROBES,
    **options: Any,
) -> TrainingSpread:
    """Training spread of ``labelled_probe``, as ``processing_spread``.

    Args:
        splits, options: as in ``labelled_probe``. Whole clusters are drawn; without clusters photos are, the same share
            of each class.
        whole, probes: as in ``processing_spread``.

    Raises:
        UsageError, DataError, ValueError: as ``labelled_probe``.
    """
    return _spread(labelled_parts(splits, **options), whole, 1, probes)


def _spread(probe: PartProbe, whole: ProbeAnswers, used: int, probes: int) -> TrainingSpread:
    at = protocol_named(whole.protocol).at(whole.chosen)
    accuracies = [probe(FIRST_SEED + i, PROBE_SHARE, at).accuracy for i in range(probes)]
    variance = PROBE_SHARE / (1 - PROBE_SHARE) * float(np.var(accuracies, ddof=1))
    if used < (fits := len(whole.predicted)):
        variance = max(variance - whole.statistics.spread**2 * (1 / used - 1 / fits), whole.statistics.spread**2 / fits)
    return TrainingSpread(math.sqrt(variance), probes, used)
