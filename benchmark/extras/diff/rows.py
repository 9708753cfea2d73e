"""From the embeddings of several ways to rows of measures: means over photos, intervals, units of the weakest trace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.extras.diff.embed import Embedded, Lane
from benchmark.extras.diff.judged import PathMoves, judge_paths
from benchmark.extras.diff.measures import answers_of, changed_share, cosine_moved, lost_in_index, neighbours_of
from benchmark.extras.diff.result import Measured, PathRow
from benchmark.judgement import loss_level
from benchmark.stats import ErrorUnits, bootstrap_interval, mcnemar, paired_difference, photo_interval
from builders.photos import UNLABELLED

RESAMPLES = 1000
"""Draws behind the interval of a ratio to the weakest trace."""


@dataclass(frozen=True, eq=False)
class ByPhoto:
    """Measures of one way, by photo; None where there are none."""

    largest: np.ndarray | None
    pixels: np.ndarray | None
    cosine: np.ndarray | None
    neighbours: np.ndarray
    answers: np.ndarray | None
    lost: np.ndarray | None
    correct: np.ndarray | None
    """bool [labelled photos], whether kNN is right."""
    identical: bool


@dataclass(frozen=True, eq=False)
class Photos:
    """What the measures need to know of the photos."""

    labels: np.ndarray
    """int [photos], ``UNLABELLED`` where unknown."""
    units: ErrorUnits
    k: int

    @property
    def labelled(self) -> np.ndarray:
        """int64, positions of the photos with a label; none if there are not two classes."""
        labelled = np.flatnonzero(self.labels != UNLABELLED)
        return labelled if len(np.unique(self.labels[labelled])) > 1 else labelled[:0]


class Comparer:
    """Compares ways with the first one, whose neighbours are searched once."""

    def __init__(self, first: Embedded, photos: Photos) -> None:
        self.first, self.photos = first, photos
        self._neighbours = self._search(first.rows)
        self._answers = self._classified(first.rows, self._neighbours)

    def _search(self, rows: np.ndarray) -> np.ndarray:
        return neighbours_of(rows, self.photos.k, self.photos.units.clusters)

    def _classified(self, rows: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
        """int [labelled photos], the answers of kNN among the photos with a label."""
        at = self.photos.labelled
        if len(at) < len(rows) and len(at):
            clusters = self.photos.units.clusters
            units = None if clusters is None else clusters[at]
            neighbours = neighbours_of(rows[at], self.photos.k, units)
        return answers_of(neighbours, self.photos.labels[at]) if len(at) else np.zeros(0, np.int64)

    @property
    def accuracy(self) -> np.ndarray:
        """bool [labelled photos], whether the first way is right."""
        right: np.ndarray = self._answers == self.photos.labels[self.photos.labelled]
        return right

    def measured(self, other: Embedded) -> ByPhoto:
        """The measures of another way."""
        comparable = other.rows.shape == self.first.rows.shape
        neighbours, at = self._search(other.rows), self.photos.labelled
        answers = self._classified(other.rows, neighbours)
        equal = comparable and np.array_equal(other.rows, self.first.rows)
        return ByPhoto(
            largest=other.largest,
            pixels=other.mean,
            cosine=cosine_moved(self.first.rows, other.rows) if comparable else None,
            neighbours=changed_share(self._neighbours, neighbours),
            answers=(answers != self._answers) if len(at) else None,
            lost=lost_in_index(self.first.rows, other.rows) if comparable else None,
            correct=(answers == self.photos.labels[at]) if len(at) else None,
            identical=equal and (other.largest is None or not other.largest.any()),
        )


def rows_of(
    lanes: Mapping[str, tuple[Lane, str]], measures: Mapping[str, ByPhoto], comparer: Comparer, *, at_most: float
) -> list[PathRow]:
    """The rows of all ways, judged; those that move embeddings most first, noise and the weakest trace last.

    Args:
        lanes: by name, each way but the first and its kind (``PathRow.kind``).
        measures: by name.
        comparer: of the first way.
        at_most: the limit, in weakest traces.
    """
    kinds = {kind: name for name, (_, kind) in lanes.items() if kind in ("noise", "trace")}
    trace = measures[kinds["trace"]] if "trace" in kinds else None
    noise = measures[kinds["noise"]] if "noise" in kinds else None
    rows = {name: _row(name, lane, kind, measures[name], trace, comparer) for name, (lane, kind) in lanes.items()}
    judged = [name for name, (_, kind) in lanes.items() if kind in ("path", "step")]
    processing = lanes[kinds["trace"]][0].processing if "trace" in kinds else ""
    level = loss_level(len(judged)) if judged else 0.95
    moves = [_moves(rows[name], measures[name], trace, noise, comparer, level) for name in judged]
    answers = {"worse": "yes", "not worse": "no", "undecided": "undecided"}
    for name, judgement in zip(judged, judge_paths(moves, processing, at_most), strict=True):
        rows[name] = replace(
            rows[name],
            beyond_noise=judgement.beyond_noise,
            over_limit=answers[judgement.limit],
            text=judgement.text,
        )
    judged.sort(key=lambda name: -(cosine.value if (cosine := rows[name].cosine) else np.inf))
    return [rows[name] for name in (*judged, *kinds.values())]


def _row(name: str, lane: Lane, kind: str, of_way: ByPhoto, trace: ByPhoto | None, comparer: Comparer) -> PathRow:
    units = comparer.photos.units
    at = comparer.photos.labelled

    def measured(field: str, *, is_share: bool = True) -> Measured | None:
        values = getattr(of_way, field)
        if values is None:
            return None
        if of_way.identical:
            return Measured(0.0, 0.0, 0.0, *(() if trace is None else (0.0, 0.0, 0.0)))
        clusters = units.clusters
        if clusters is not None and field == "answers":
            clusters = clusters[at]
        return _measured(values, None if trace is None else getattr(trace, field), clusters, is_share=is_share)

    neighbours = measured("neighbours")
    assert neighbours is not None
    lost = won = p = first = second = None
    if of_way.correct is not None:
        before, after = comparer.accuracy, of_way.correct
        lost, won = int((before & ~after).sum()), int((after & ~before).sum())
        p, first, second = mcnemar(lost, won), float(before.mean()), float(after.mean())
    return PathRow(
        name,
        kind,
        lane.path.record(),
        len(of_way.neighbours),
        None if of_way.largest is None else float(of_way.largest.max()),
        measured("pixels", is_share=False),
        measured("cosine", is_share=False),
        neighbours,
        measured("answers"),
        measured("lost"),
        lost,
        won,
        first,
        second,
        p,
        of_way.identical,
    )


def _measured(values: np.ndarray, trace: np.ndarray | None, clusters: np.ndarray | None, *, is_share: bool) -> Measured:
    values = np.asarray(values, np.float64)
    if is_share:
        ends = photo_interval(values, clusters=clusters)
        mean, low, high = ends.value, ends.low, ends.high
    else:  # as small as rounding errors, or large: Student's t on a scale of its own
        scale = float(values.max()) or 1.0
        ends = photo_interval(values / scale, clusters=clusters, bounds=(-1.0, 1.0))
        mean, low, high = scale * ends.value, max(0.0, scale * ends.low), scale * ends.high
    if trace is None or not trace.any():
        return Measured(mean, low, high)
    return Measured(mean, low, high, *ratio_to(values, np.asarray(trace, np.float64), clusters))


def ratio_to(
    values: np.ndarray, trace: np.ndarray, clusters: np.ndarray | None, level: float = 0.95
) -> tuple[float, float | None, float | None]:
    """A mean in units of another on the same photos, with its interval over photos or units."""
    value = float(values.mean() / trace.mean())

    def ratio(at: np.ndarray) -> float | None:
        below = float(trace[at].mean())
        return float(values[at].mean()) / below if below else None

    ends = bootstrap_interval(ratio, len(values), clusters=clusters, level=level, resamples=RESAMPLES)
    return (value, None, None) if ends is None else (value, *ends)


def _moves(
    row: PathRow, of_way: ByPhoto, trace: ByPhoto | None, noise: ByPhoto | None, comparer: Comparer, level: float
) -> PathMoves:
    clusters = comparer.photos.units.clusters
    beyond = traces = accuracy = None
    p_value = 1.0
    if of_way.cosine is not None and noise is not None and noise.cosine is not None:
        beyond = _paired(of_way.cosine, noise.cosine, clusters)
    if of_way.cosine is not None and trace is not None and trace.cosine is not None and trace.cosine.any():
        value, low, high = ratio_to(of_way.cosine, trace.cosine, clusters, level)
        traces = None if low is None or high is None else (value, low, high)
    if of_way.correct is not None:
        at = comparer.photos.labelled
        of_labelled = None if clusters is None else clusters[at]
        accuracy = paired_difference(comparer.accuracy, of_way.correct, clusters=of_labelled)
        p_value = accuracy.p_value if of_labelled is not None else float(row.mcnemar_p or 0.0)
    flips = None if row.only_first is None or row.only_second is None else (row.only_first, row.only_second)
    return PathMoves(row.name, row.identical, beyond, traces, flips, p_value, accuracy)


def _paired(first: np.ndarray, second: np.ndarray, clusters: np.ndarray | None) -> Any:
    """The paired difference of two distances, which may be as small as rounding errors: on a scale of their own."""
    scale = float(max(first.max(), second.max())) or 1.0
    apart = paired_difference(first / scale, second / scale, clusters=clusters)
    return replace(apart, value=apart.value * scale, low=apart.low * scale, high=apart.high * scale)
