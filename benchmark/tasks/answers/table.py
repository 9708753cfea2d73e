"""Numbers of changed answers: by metric and photo, by processing, by view of the noise floor, and by margin.

All follow from the arrays that are stored with a result, so that a verifier computes them again.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.results import Answers as Arrays

if TYPE_CHECKING:
    from benchmark.answers import Changes

NUMERIC = ("png", "other-batch", "other-precision")
"""Views of the noise floor that change no word and no pixel. The one with most flips is the floor of ``beyond-noise``;
another order of options is another prompt, and only stands beside it."""


@dataclass(frozen=True, eq=False)
class AnswerTable:
    """The stored arrays of one task, read."""

    photos: np.ndarray
    """int64 [P]"""
    photo: np.ndarray
    """int64 [Q], position of the photo of each question."""
    right: np.ndarray
    """int8 [Q]"""
    options: np.ndarray
    """int8 [Q], number of options."""
    original: np.ndarray
    """int8 [Q], option chosen for the unprocessed photo."""
    processed: Mapping[str, np.ndarray]
    """int8 [Q] by processing."""
    noise: Mapping[str, np.ndarray]
    """int8 [Q] by view of the noise floor."""
    probability: np.ndarray | None
    """float32 [1 + V, Q], of the right option: unprocessed, then by processing."""
    margin: np.ndarray | None
    """float32 [Q]"""
    moved: np.ndarray | None
    """float32 [V, P], cosine distance of the embedding under each processing from that of the unprocessed photo."""
    clusters: np.ndarray | None
    """int64 [P]"""

    @classmethod
    def of(cls, arrays: Arrays) -> AnswerTable:
        """Read the arrays of a task."""
        names = [str(name) for name in arrays["views"]]
        noise = [str(name) for name in arrays["noise"]]
        chosen = arrays["chosen"]
        return cls(
            arrays["photos"],
            arrays["question_photo"].astype(np.int64),
            arrays["right"],
            arrays["options"],
            chosen[0],
            dict(zip(names, chosen[1:], strict=False)),
            dict(zip(noise, chosen[1 + len(names) :], strict=True)),
            arrays.get("probability"),
            arrays.get("margin"),
            arrays.get("moved"),
            arrays.get("clusters"),
        )

    def by_photo(self, values: np.ndarray) -> np.ndarray:
        """Means [..., P] over the questions of each photo."""
        from benchmark.answers import by_photo

        return by_photo(values, self.photo, len(self.photos))

    def changes(self, views: Mapping[str, np.ndarray]) -> Changes:
        """What became of each answer under some views."""
        from benchmark.answers import changes_of

        return changes_of(np.stack(list(views.values())), self.original, self.right)

    def floor(self) -> np.ndarray | None:
        """float64 [P], flips by photo under the numeric view of the noise floor with most; None without such a view."""
        held = {name: chosen for name, chosen in self.noise.items() if name in NUMERIC}
        if not held:
            return None
        flips = self.by_photo(self.changes(held).flipped)
        most: np.ndarray = flips[int(flips.mean(axis=1).argmax())]
        return most

    @property
    def single(self) -> bool:
        """Whether there is one question about each photo, so that values by photo are 0 or 1."""
        return len(self.photo) == len(self.photos)

    def chance(self) -> float:
        """Accuracy of a guess among the options."""
        return float(self.by_photo(1 / self.options).mean())


def metric_values(table: AnswerTable) -> dict[str, np.ndarray]:
    """float64 [P] of each metric that the answers give; over processings it is their mean."""
    changes = table.changes(table.processed)
    right = table.by_photo(np.stack(list(table.processed.values())) == table.right)
    before = table.by_photo(table.original == table.right)
    flips = table.by_photo(changes.flipped).mean(axis=0)
    values = {
        "flips": flips,
        "right-to-wrong": table.by_photo(changes.to_wrong).mean(axis=0),
        "wrong-to-right": table.by_photo(changes.to_right).mean(axis=0),
        "accuracy": right.mean(axis=0),
        "accuracy-original": before,
        "change": right.mean(axis=0) - before,
    }
    if table.probability is not None:
        values["margin"] = table.by_photo(table.probability[1:] - table.probability[0]).mean(axis=0)
    if (floor := table.floor()) is not None:
        values["beyond-noise"] = flips - floor
    return values


def by_processing(table: AnswerTable) -> dict[str, dict[str, float]]:
    """The numbers of each processing, each with its interval over units.

    ``p_value`` is of no change of accuracy (exact McNemar and Student's t, the greater: ``paired_differences``),
    ``beyond_p`` of no more flips than the noise floor has. Neither is corrected.
    """
    changes = table.changes(table.processed)
    before = table.by_photo(table.original == table.right)
    right = table.by_photo(np.stack(list(table.processed.values())) == table.right)
    columns = _shares("flips", table.by_photo(changes.flipped), table)
    columns |= {
        "right_to_wrong": table.by_photo(changes.to_wrong).mean(axis=1),
        "wrong_to_right": table.by_photo(changes.to_right).mean(axis=1),
        "accuracy": right.mean(axis=1),
    }
    columns |= _differences("change", right - before, table, binary=table.single)
    if (floor := table.floor()) is not None:
        columns |= _differences("beyond", table.by_photo(changes.flipped) - floor, table, binary=table.single)
    if table.probability is not None:
        shifts = table.by_photo(table.probability[1:].astype(np.float64) - table.probability[0])
        columns |= _differences("margin", shifts, table, binary=False)
    return _rows(list(table.processed), columns)


def _by_noise(table: AnswerTable) -> dict[str, dict[str, float]]:
    """Flips and accuracy under each view of the noise floor."""
    if not table.noise:
        return {}
    changes = table.changes(table.noise)
    columns = _shares("flips", table.by_photo(changes.flipped), table)
    columns |= {
        "right_to_wrong": table.by_photo(changes.to_wrong).mean(axis=1),
        "wrong_to_right": table.by_photo(changes.to_right).mean(axis=1),
        "accuracy": table.by_photo(np.stack(list(table.noise.values())) == table.right).mean(axis=1),
    }
    return _rows(list(table.noise), columns)


def by_margin(table: AnswerTable) -> dict[str, dict[str, float]]:
    """Flips over processings among questions of similar margin on the unprocessed photo: the share and their number."""
    from benchmark.answers import MARGIN_EDGES, margin_groups
    from benchmark.stats import photo_interval

    if table.margin is None:
        return {}
    flips = table.changes(table.processed).flipped.mean(axis=0)
    groups = margin_groups(table.margin)
    units = table.photo if table.clusters is None else table.clusters[table.photo]
    rows = {}
    for group, (low, high) in enumerate(itertools.pairwise(MARGIN_EDGES)):
        at = groups == group
        if at.any():
            ends = photo_interval(flips[at], clusters=None if table.single and table.clusters is None else units[at])
            numbers = {"flips": float(flips[at].mean()), "low": ends.low, "high": ends.high, "questions": int(at.sum())}
            rows[f"{100 * low:g} to {100 * high:g}"] = numbers
    return rows


def movement(table: AnswerTable) -> dict[str, float]:
    """Rank correlation (Spearman) of how far a photo's embedding moves with how many of its answers flip.

    Photos are ranked by movement within each processing, and the ranks are averaged: processings that move all photos
    more do not count. The interval is a bootstrap over units. Empty where nothing moves or no answer flips.
    """
    from scipy.stats import rankdata

    from benchmark.stats import bootstrap_interval

    if table.moved is None:
        return {}
    moved = np.mean([rankdata(row) for row in table.moved], axis=0)
    flips = table.by_photo(table.changes(table.processed).flipped).mean(axis=0)

    def correlation(at: np.ndarray) -> float | None:
        x, y = rankdata(moved[at]), rankdata(flips[at])
        if x.std() == 0 or y.std() == 0:
            return None
        return float(np.corrcoef(x, y)[0, 1])

    n = len(table.photos)
    value, ends = correlation(np.arange(n)), bootstrap_interval(correlation, n, clusters=table.clusters)
    if value is None or ends is None:
        return {}
    return {"value": round(value, 6), "low": round(ends.low, 6), "high": round(ends.high, 6)}


def details_of(table: AnswerTable) -> dict[str, Any]:
    """What the answers give besides values: for ``Score.details`` of ``flips``."""
    parts: dict[str, Any] = {
        "by_processing": by_processing(table),
        "noise": _by_noise(table),
        "by_margin": by_margin(table),
        "movement": movement(table),
        "questions": len(table.photo),
        "guess_flips": round(float(table.by_photo(1 - 1 / table.options).mean()), 6),
        "no_option": round(float(np.mean([chosen < 0 for chosen in (table.original, *table.processed.values())])), 6),
    }
    return {name: part for name, part in parts.items() if part not in ({},)}


def _shares(name: str, values: np.ndarray, table: AnswerTable) -> dict[str, np.ndarray]:
    """Columns ``name``, ``name_low`` and ``name_high`` [V] of shares [V, P]."""
    from benchmark.stats import photo_intervals

    ends = photo_intervals(values, clusters=table.clusters)
    columns = {"": values.mean(axis=1), "_low": [e.low for e in ends], "_high": [e.high for e in ends]}
    return {f"{name}{end}": np.asarray(column) for end, column in columns.items()}


def _differences(name: str, values: np.ndarray, table: AnswerTable, *, binary: bool) -> dict[str, np.ndarray]:
    """Columns ``name``, ``name_low``, ``name_high`` and ``name_p`` [V] of paired differences [V, P]."""
    from benchmark.stats import paired_differences

    rows = paired_differences(values, clusters=table.clusters, binary=binary)
    ends = {"": "value", "_low": "low", "_high": "high", "_p": "p_value"}
    return {f"{name}{end}": np.array([getattr(row, field) for row in rows]) for end, field in ends.items()}


def _rows(names: list[str], columns: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    return {
        name: {
            column: float(values[i]) if column.endswith("_p") else round(float(values[i]), 6)
            for column, values in columns.items()
        }
        for i, name in enumerate(names)
    }
