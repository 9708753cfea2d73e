"""Scores of one system by item: rows as a file has them, and one score an item."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from builders.errors import DataError
from builders.untrusted import readable

TEXT = pa.large_string()

OnRepeated = Literal["fail", "mean"]

SHOWN = 5
"""Items that a sentence names."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table, or fields of a log, hold what."""

    item: str | None = None
    score: str | None = None
    cluster: str | None = None
    task: str | None = None
    system: str | None = None


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Rows of a file (of one system and one task): an item may have several."""

    where: str
    """The file, for sentences."""
    argument: int
    """Number of the argument that the file comes from."""
    system: str
    task: str
    metric: str
    items: pa.Array
    """large_string [n]."""
    scores: np.ndarray
    """float64 [n]; NaN where a row has no score."""
    clusters: pa.Array | None = None
    """large_string [n]."""
    epochs: bool = False
    """Whether several rows of an item are repeats by design, which are averaged."""
    other_metrics: tuple[str, ...] = ()
    """Scores that the file has besides."""


@dataclass(frozen=True, eq=False)
class ItemScores:
    """One score an item."""

    system: str
    task: str
    metric: str
    items: pa.Array
    """large_string [n], each once."""
    scores: np.ndarray
    """float64 [n]; NaN where an item has no score."""
    clusters: pa.Array | None
    """large_string [n]."""
    repeats: tuple[int, int]
    """The least and the most rows that a score is the mean of."""


def one_per_item(rows: ScoredRows, on_repeated: OnRepeated = "fail") -> ItemScores:
    """Scores with one row an item, in the order of the items' names, so that no sum depends on the order of the rows.

    Repeats are averaged, or refused.

    Args:
        rows: of one system and task.
        on_repeated: whether repeats that are no epochs are an error, or averaged.

    Raises:
        DataError: an item has several rows, or rows of different clusters.

    >>> rows = ScoredRows("a.csv", 0, "a", "", "score", pa.array(["x", "y", "x"], TEXT), np.array([1.0, 0.0, 0.0]))
    >>> scores = one_per_item(rows, "mean")
    >>> scores.items.to_pylist(), scores.scores.tolist(), scores.repeats
    (['x', 'y'], [0.5, 0.0], (1, 2))
    """
    if rows.items.null_count:
        raise DataError(f"{rows.where}: {rows.items.null_count:,} rows have no item")
    order = pc.sort_indices(
        pa.table({"item": rows.items, "score": rows.scores}), [("item", "ascending"), ("score", "ascending")]
    )
    scores = rows.scores[order.to_numpy()]
    clusters = None if rows.clusters is None else rows.clusters.take(order)
    encoded = rows.items.take(order).dictionary_encode()
    names, codes = encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False)
    counts = np.bincount(codes, minlength=len(names))
    shared = (rows.system, rows.task, rows.metric)
    if len(names) == len(codes):
        return ItemScores(*shared, names, scores, clusters, (1, 1))
    if on_repeated == "fail" and not rows.epochs:
        repeated = names.filter(pa.array(counts > 1))
        raise DataError(
            f"{rows.where}: {listed(repeated, 'item')} of {rows.system} {'has' if len(repeated) == 1 else 'have'} "
            "several rows; --on-repeated mean averages them, --task or --system names the column that tells them apart"
        )
    means = np.bincount(codes, weights=scores, minlength=len(names)) / counts
    if clusters is not None:
        first = np.full(len(names), -1)
        first[codes[::-1]] = np.arange(len(codes))[::-1]
        of_items = clusters.take(pa.array(first))
        if not pc.all(pc.equal(of_items.take(pa.array(codes)), clusters)).as_py():
            raise DataError(f"{rows.where}: rows of one item are in different clusters")
        clusters = of_items
    return ItemScores(*shared, names, means, clusters, (int(counts.min()), int(counts.max())))


def joined(rows: Sequence[ScoredRows]) -> ScoredRows:
    """Rows of one system and task from several files as one.

    Raises:
        DataError: the files have different scores, or only some have clusters.
    """
    first = rows[0]
    if len(rows) == 1:
        return first
    if len({each.metric for each in rows}) > 1 or len({each.clusters is None for each in rows}) > 1:
        raise DataError(f"{first.where} and {rows[1].where}: the same system and task, but other scores or clusters")
    clusters = None if first.clusters is None else pa.concat_arrays([each.clusters for each in rows])
    items = pa.concat_arrays([each.items for each in rows])
    scores = np.concatenate([each.scores for each in rows])
    return replace(first, items=items, scores=scores, clusters=clusters, epochs=False)


_RIGHT, _WRONG = ("true", "pass", "passed", "correct"), ("false", "fail", "failed", "incorrect")


def score_values(column: pa.Array, where: str) -> np.ndarray:
    """A column as float64, with NaN where it is empty: numbers, true and false, text of these, or passed and failed.

    Args:
        column: of any type.
        where: first words of an error.

    Raises:
        DataError: a value is something else, or infinite.

    >>> score_values(pa.array(["1", "True", None, "0.25", "failed"]), "a.csv").tolist()
    [1.0, 1.0, nan, 0.25, 0.0]
    """
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        lower = pc.utf8_lower(pc.utf8_trim_whitespace(column))
        words = {"": None, "nan": None, **dict.fromkeys(_RIGHT, "1"), **dict.fromkeys(_WRONG, "0")}
        for word, digit in words.items():
            lower = pc.if_else(pc.equal(lower, word), pa.scalar(digit, lower.type), lower)
        column = lower
    try:
        if pa.types.is_boolean(kind):
            column = column.cast(pa.uint8())
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)  # integers above 2**53 round
    except (pa.ArrowException, NotImplementedError):
        example = next((v for v in column.to_pylist() if v is not None and number(v) is None), None)
        raise DataError(
            f"{where}: scores must be numbers, true or false, passed or failed, not {readable(repr(example)[:60])}"
        ) from None
    if np.isinf(values).any():
        raise DataError(f"{where}: a score is infinite")
    return np.asarray(values, dtype=np.float64)


def number(value: Any) -> float | None:
    """A value of JSON as a score: a number, true or false; None for all else, NaN included.

    >>> number(True), number(0.5), number("0.5"), number(math.nan), number([1])
    (1.0, 0.5, 0.5, None, None)
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def listed(items: pa.Array, noun: str) -> str:
    """How many items, and the first of them.

    >>> listed(pa.array(["b", "a"]), "item"), listed(pa.array(["a"]), "item")
    ('2 items (b, a)', '1 item (a)')
    """
    shown = [readable(str(name))[:60] for name in items[:SHOWN].to_pylist()]
    more = ", ..." if len(items) > SHOWN else ""
    return f"{len(items):,} {noun}{'' if len(items) == 1 else 's'} ({', '.join(shown)}{more})"
