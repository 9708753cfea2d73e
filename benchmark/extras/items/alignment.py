"""Systems on the same items: which items all have, and which of them some lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmark.extras.items.scores import SHOWN, TEXT, ItemScores, listed
from builders.errors import DataError

OnMissing = Literal["fail", "drop"]


@dataclass(frozen=True)
class Missing:
    """What one system lacks of a task that others have."""

    task: str
    system: str
    count: int
    """Items without a row or without a score; 0 if the whole task is missing."""
    first: tuple[str, ...]
    """The first of them."""
    sentence: str


@dataclass(frozen=True, eq=False)
class AlignedTask:
    """The scores of E systems on the n items of a task that all of them have."""

    task: str
    metric: str
    systems: tuple[str, ...]
    scores: np.ndarray
    """float64 [E, n]."""
    clusters: np.ndarray | None
    """int [n]."""
    missing: tuple[Missing, ...]
    repeats: tuple[int, int]
    """The least and the most rows that a score is the mean of."""


def align_task(members: Sequence[ItemScores], on_missing: OnMissing = "fail") -> AlignedTask:
    """Systems on the items that all of them have a score for, in the order of those of the first.

    Args:
        members: scores of one task by system, two or more.
        on_missing: whether an item that not all systems have is an error, or is dropped and recorded.

    Raises:
        DataError: the systems do not have the same items and ``on_missing`` is ``fail``, have none in common, differ
            in the metric, or an item is in different clusters.
    """
    base = members[0]
    if len(metrics := dict.fromkeys(each.metric for each in members)) > 1:
        raise DataError(f"{_title(base)}: the systems have different scores ({', '.join(metrics)}); --score names one")
    every = base.items
    for each in members[1:]:
        more = each.items.filter(pc.invert(pc.is_in(each.items, value_set=every)))
        every = pa.concat_arrays([every, more]) if len(more) else every
    places = []
    missing: list[Missing] = []
    present = np.ones(len(every), dtype=bool)
    for each in members:
        place = pc.index_in(every, value_set=each.items).fill_null(-1).to_numpy(zero_copy_only=False)
        has_score = (place >= 0) & ~np.isnan(each.scores[place])
        lacking = every.filter(pa.array(~has_score))
        if len(lacking):
            first = tuple(lacking[:SHOWN].to_pylist())
            sentence = f"{each.system} lacks {listed(lacking, 'item')}"
            missing.append(Missing(base.task, each.system, len(lacking), first, sentence))
        present &= has_score
        places.append(place)
    n = int(present.sum())
    if missing and (on_missing == "fail" or not n):
        remedy = f"; --on-missing drop compares the {n:,} that all have" if n else ", and no item is in all of them"
        sentences = "; ".join(each.sentence for each in missing)
        raise DataError(f"{_title(base)}: the systems do not have the same items: {sentences}{remedy}")
    scores = np.stack([each.scores[place[present]] for each, place in zip(members, places, strict=True)])
    common_places = [place[present] for place in places]
    least, most = (pick(each.repeats[end] for each in members) for end, pick in ((0, min), (1, max)))
    return AlignedTask(
        base.task,
        base.metric,
        tuple(each.system for each in members),
        scores,
        _clusters(members, common_places),
        tuple(missing),
        (least, most),
    )


def _clusters(members: Sequence[ItemScores], places: Sequence[np.ndarray]) -> np.ndarray | None:
    """Codes of the clusters of the items [n], which all systems must agree on."""
    agreed: pa.Array | None = None
    for each, place in zip(members, places, strict=True):
        if each.clusters is None:
            continue
        clusters = each.clusters.take(pa.array(place))
        if agreed is not None and not pc.all(pc.equal(agreed, clusters)).as_py():
            items = each.items.take(pa.array(place)).filter(pc.invert(pc.equal(agreed, clusters)))
            raise DataError(f"{_title(each)}: {listed(items, 'item')} of {each.system} in another cluster than before")
        agreed = clusters
    if agreed is None:
        return None
    codes: np.ndarray = agreed.cast(TEXT).dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return codes.astype(np.int64)


def _title(scores: ItemScores) -> str:
    return f"{scores.task} {scores.metric}".strip()
