"""Repair of an index without encoding again: an affine map, and what it takes away, measured on unseen photos."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from benchmark.erasing import ErasedView, Eraser, Source, fit_method, moments_of, part_of, unit_length
from benchmark.index.measure import Measured, control_of, measured_group, nearest_of
from benchmark.index.opened import OpenedIndex
from benchmark.judgement import ErasedReader, dimensions_text, erased_text, judge, judge_loss, retrieval_text
from benchmark.probe import AsGiven, LabelledSplits, Rows, Some, labelled_probe
from benchmark.stats import against_chance, paired_difference, photo_interval
from builders.errors import DataError
from builders.photos import UNLABELLED

READERS = ("linear", "knn", "mlp")

LEAST_PHOTOS = 20
"""Least photos of a value in each part that readers learn from or read; rarer values are left out."""

MOST_READ = 10_000
"""Most photos that readers learn from, and that they read."""

MOST_CHOICE = 1_000
"""Most photos of the fit whose neighbours tell how many dimensions are kept."""

PHOTOS_PER_DIMENSION = 128
"""Photos of the fit for each dimension of the map. Errors of a direction that n photos estimate are left in all d
dimensions: of two equally frequent values a linear reader that learns from other n photos then names Phi(sqrt(d / 2n))
right, 52.5 % with 128 photos for each dimension and 57.0 % with 16."""

LOSS_LIMIT = 0.01
"""Loss of retrieval that is judged: one point."""


class Principal(NamedTuple):
    """Principal components of rows of unit length."""

    mean: np.ndarray
    """float32 [d]."""
    axes: np.ndarray
    """float32 [d, components], the strongest last."""

    def leading(self, count: int) -> Principal:
        return Principal(self.mean, self.axes[:, -count:])

    def lifted(self, eraser: Eraser) -> Eraser:
        """A map of coordinates as one of rows, that takes all other components out."""
        dimension, count = self.axes.shape
        projection = self.axes @ eraser.projection @ self.axes.T
        mean = self.mean + self.axes @ eraser.mean
        return Eraser(eraser.method, mean, projection, dimension - count + eraser.rank, unit_rows=True)


class Coordinates:
    """Rows as their principal components."""

    reads_rows: ClassVar[bool] = True

    def __init__(self, rows: Rows, principal: Principal) -> None:
        self._rows, self._principal = rows, principal
        self.shape = (int(rows.shape[0]), principal.axes.shape[1])

    def __getitem__(self, at: Any) -> np.ndarray:
        return np.asarray((unit_length(self._rows[at]) - self._principal.mean) @ self._principal.axes)


@dataclass(frozen=True)
class ReaderScore:
    """How well one reader names a group on unseen photos."""

    group: str
    reader: str
    when: str
    """``before`` or ``after``."""
    value: float
    low: float
    high: float
    n: int
    chance: float
    details: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Repair:
    """A map of an index, and what it does."""

    eraser: Eraser
    groups: tuple[str, ...]
    """That it takes out, in this order."""
    queries: np.ndarray
    """int64: unseen by the fit."""
    before: np.ndarray
    """int64 [queries, k], nearest photos."""
    after: np.ndarray
    measured: Mapping[str, tuple[Measured, Measured]]
    """Of every group: neighbours before and after."""
    readers: tuple[ReaderScore, ...]
    kept: float
    """Share of the neighbours before that are neighbours after."""
    dimensions: int
    """Principal components that the map keeps before it takes groups out."""
    retrieval: Mapping[str, float] | None
    """Share of neighbours of the right label ``before`` and ``after``, their ``loss``, ``low`` and ``high``."""
    texts: tuple[str, ...]


def repaired(
    index: OpenedIndex, groups: Sequence[str], queries: np.ndarray, neighbours: np.ndarray, *, method: str, seed: int
) -> Repair:
    """Fit the map on half of the photos, and measure it with queries and readers on the others.

    Groups are taken out one after the other: what is gone stays gone, since the later map acts on rows that do not go
    with the earlier group.

    Args:
        index: with its groups.
        groups: names of those that are taken out.
        queries, neighbours: of the scan.
        method: of ``benchmark.erasing``.
        seed: of the halves.

    Raises:
        DataError: too few photos.
    """
    photos = index.photos
    every = np.arange(len(photos))
    fit = part_of(photos, every, 0.5, f"index fit\0{seed}")
    unseen = np.setdiff1d(every, fit)
    dimension = int(index.vectors.shape[1])
    count, needed = _photos_of(index, groups, fit, dimension)
    eraser, kept = _chosen(index, groups, fit, method, count // PHOTOS_PER_DIMENSION, neighbours.shape[1], seed)
    about = {"attribute": "+".join(groups), "index": index.name, "n_photos": len(fit), "dimensions": kept}
    eraser = dataclasses.replace(eraser, method=method, provenance=about)
    asked = np.isin(queries, unseen)
    chosen, before = queries[asked], neighbours[asked]
    if not len(chosen):
        raise DataError(f"{index.name}: no query is left that the fit has not seen: {len(photos)} photos are too few")
    after = nearest_of(ErasedView(index.vectors, eraser), index.units.index, chosen, before.shape[1])
    measured = {}
    for name, labels in photos.groups.items():
        try:
            both = [measured_group(name, labels, index.label, index.units, chosen, lists) for lists in (before, after)]
        except DataError:
            continue
        measured[name] = (both[0], both[1])
    readers, texts = [], []
    if len(fit) < needed:
        texts.append(dimensions_text(kept, dimension, len(fit), needed, control_of(index.label, None)))
    for group in groups:
        scores, text = _read(index, group, eraser, unseen, seed)
        readers += scores
        texts.append(text)
    retrieval = _retrieval(index, chosen, before, after)
    if retrieval is not None:
        ends = (retrieval["loss"], retrieval["low"], retrieval["high"])
        texts.append(retrieval_text(retrieval["before"], retrieval["after"], ends, judge_loss(*ends[1:], LOSS_LIMIT)))
    same = float((before[:, :, None] == after[:, None]).any(axis=2).mean())
    return Repair(
        *(eraser, tuple(groups), chosen, before, after, measured, tuple(readers), same, kept, retrieval, tuple(texts))
    )


def _photos_of(index: OpenedIndex, groups: Sequence[str], fit: np.ndarray, dimension: int) -> tuple[int, int]:
    """Photos of the fit that count, and photos of a fit in all dimensions.

    The errors of two means are those of half as many photos as the harmonic mean of theirs says; photos that err
    together count once.
    """
    counts = []
    for group in groups:
        values = index.photos.groups[group].values[fit]
        units = [len(np.unique(index.units.index[fit[values == value]])) for value in range(int(values.max()) + 1)]
        usual = np.array([count for count in units if count >= LEAST_PHOTOS])
        counts.append(2 / (1 / usual).mean() if len(usual) > 1 else 1.0)
    count = max(1, int(min(counts)))
    return count, round(PHOTOS_PER_DIMENSION * dimension * len(fit) / count)


def _chosen(
    index: OpenedIndex, groups: Sequence[str], fit: np.ndarray, method: str, least: int, k: int, seed: int
) -> tuple[Eraser, int]:
    """The map, and how many principal components it keeps: the fewest, from ``least`` on, that cost searches of
    photos of the fit less than a point.

    All where photos are many, or where there is no label to tell what fewer cost.
    """
    dimension, label = int(index.vectors.shape[1]), index.label
    whole = _map(index, groups, fit, method)
    if least >= dimension or label is None:
        return whole, dimension
    asked = _at_most(fit[label.values[fit] != UNLABELLED], MOST_CHOICE, seed)

    def right(eraser: Eraser) -> float:
        near = nearest_of(ErasedView(index.vectors, eraser), index.units.index, asked, k)
        return float(((label.values[near] == label.values[asked][:, None]) & (near >= 0)).mean())

    limit = min(right(_identity(dimension, unit_rows=True)), right(whole)) - LOSS_LIMIT
    principal = _principal(Some(index.vectors, fit))
    kept = max(2, least)
    while kept < dimension:
        eraser = _map(index, groups, fit, method, principal.leading(kept))
        if right(eraser) >= limit:
            return eraser, kept
        kept += (kept + 1) // 2
    return whole, dimension


def _map(
    index: OpenedIndex, groups: Sequence[str], fit: np.ndarray, method: str, kept: Principal | None = None
) -> Eraser:
    """Groups are taken out one after the other, unless an earlier one tells them; of principal components, if given."""
    rows: Rows = index.vectors if kept is None else Coordinates(index.vectors, kept)
    eraser = _identity(int(rows.shape[1]), unit_rows=kept is None)
    for place, group in enumerate(groups):
        if not any(_follows(index, group, earlier) for earlier in groups[:place]):
            eraser = _also(eraser, _fitted(index, rows, group, eraser, fit, method))
    return eraser if kept is None else kept.lifted(eraser)


def _identity(dimension: int, unit_rows: bool) -> Eraser:
    return Eraser("identity", np.zeros(dimension, np.float32), np.eye(dimension, dtype=np.float32), 0, unit_rows)


def _follows(index: OpenedIndex, group: str, earlier: str) -> bool:
    """Whether an earlier group tells this one: then no linear reader finds it any more."""
    codes = np.stack([index.photos.groups[name].values for name in (earlier, group)])
    return len(np.unique(codes, axis=1).T) == len(np.unique(codes[0]))


def _also(first: Eraser, second: Eraser) -> Eraser:
    """One map after the other. Both act about one mean: a shift of all rows tells no group."""
    mean = second.mean if first.rank == 0 else first.mean
    product = second.projection.astype(np.float64) @ first.projection.astype(np.float64)
    return Eraser(second.method, mean, product.astype(np.float32), first.rank + second.rank, first.unit_rows)


def _principal(rows: Rows) -> Principal:
    """All components of rows."""
    moments = moments_of(Source([rows], np.zeros((1, int(rows.shape[0])), np.int64), 1, unit_rows=True))
    axes = np.linalg.eigh(moments.covariance.numpy())[1]
    return Principal(moments.mean.numpy().astype(np.float32), axes.astype(np.float32))


def _fitted(index: OpenedIndex, rows: Rows, group: str, before: Eraser, fit: np.ndarray, method: str) -> Eraser:
    """The map of one group, fitted on rows that an earlier map gave."""
    values, label = index.photos.groups[group].values, index.label
    known = fit[values[fit] != UNLABELLED]
    names, codes = np.unique(values[known], return_inverse=True)
    if len(names) < 2:
        raise DataError(f"{group} has one value among the {len(known)} photos of the fit: there is nothing to take out")
    view = ErasedView(Some(rows, known), before)
    labels, kept = codes.reshape(1, -1).astype(np.int64), None if label is None else label.values[known]
    if label is None or kept is None or (kept < 0).any():
        source = Source([view], labels, len(names))
    else:
        source = Source([view], labels, len(names), kept.astype(np.int64), len(label.names))
    return fit_method(method, source, moments_of(source))


def _read(
    index: OpenedIndex, group: str, eraser: Eraser, unseen: np.ndarray, seed: int
) -> tuple[list[ReaderScore], str]:
    """What readers find before and after: they learn from one half of the unseen photos and read the other."""
    labels = index.photos.groups[group]
    known = unseen[labels.values[unseen] != UNLABELLED]
    learn = part_of(index.photos, known, 0.5, f"index readers\0{seed}")
    sides = [learn, np.setdiff1d(known, learn)]
    counts = np.stack([np.bincount(labels.values[rows], minlength=len(labels.names)) for rows in sides]).min(axis=0)
    usual = np.flatnonzero(counts >= LEAST_PHOTOS)
    if len(usual) < 2:
        return [], f"{group}: too few photos of two values for readers, at least {LEAST_PHOTOS} in each part."
    sides = [_balanced(labels.values, rows, usual, seed) for rows in sides]
    codes = [np.searchsorted(usual, labels.values[rows]) for rows in sides]
    train_units, units = (index.units.clusters(rows) for rows in sides)
    scores = []
    for when in ("before", "after"):
        x = [unit_length(index.vectors[rows]) for rows in sides]
        if when == "after":
            x = [eraser.apply(rows) for rows in x]
        splits = LabelledSplits(
            *(AsGiven(x[0]), codes[0], None, None, AsGiven(x[1]), codes[1], len(usual)),
            train_clusters=train_units,
            test_clusters=units,
        )
        for reader in READERS:
            right = labelled_probe(splits, reader=reader, seed=seed).photo_accuracy
            ends = photo_interval(right, clusters=units)
            count = len(right) if units is None else len(np.unique(units))
            details = {
                "p_chance": against_chance(right, 1 / len(usual), clusters=units),
                "resampled": index.units.rule,
                "units": count,
            }
            scores.append(
                ReaderScore(group, reader, when, ends.value, ends.low, ends.high, len(right), 1 / len(usual), details)
            )
    half = len(READERS)
    answers = [[verdict.answer for verdict in judge(side)] for side in (scores[:half], scores[half:])]
    readers = [
        ErasedReader(score.reader, score.value, score.chance, was, still)
        for score, was, still in zip(scores[half:], *answers, strict=True)
    ]
    return scores, erased_text(group, scores[0].n, readers)


def _balanced(values: np.ndarray, rows: np.ndarray, usual: np.ndarray, seed: int) -> np.ndarray:
    """Equally many rows of each value, so that a guess is right in one of so many."""
    members = [rows[values[rows] == value] for value in usual]
    each = min(*map(len, members), MOST_READ // len(usual))
    return np.sort(np.concatenate([_at_most(some, each, seed) for some in members]))


def _at_most(rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    if len(rows) <= count:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, count, replace=False))


def _retrieval(
    index: OpenedIndex, queries: np.ndarray, before: np.ndarray, after: np.ndarray
) -> dict[str, float] | None:
    label = index.label
    if label is None:
        return None
    known = label.values[queries] != UNLABELLED
    own = label.values[queries[known]][:, None]
    shares = [((label.values[lists[known]] == own) & (lists[known] >= 0)).mean(axis=1) for lists in (before, after)]
    loss = paired_difference(*shares, clusters=index.units.clusters(queries[known]))
    return {
        "before": float(shares[0].mean()),
        "after": float(shares[1].mean()),
        "loss": loss.value,
        "low": loss.low,
        "high": loss.high,
    }
