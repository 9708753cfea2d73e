"""Streams whose rows are told by their number: which ones can be counted, and how they stay so."""

from __future__ import annotations

from typing import Any

import datasets
from datasets.iterable_dataset import SkipExamplesIterable

from builders.errors import UsageError

COUNTABLE = frozenset(
    {
        "ExamplesIterable",
        "ArrowExamplesIterable",
        "RebatchedArrowExamplesIterable",
        "SelectColumnsIterable",
        "FormattedExamplesIterable",
    }
)
"""Steps of a stream (``datasets.iterable_dataset``) that leave rows as many and in the order in which they are stored;
a ``map`` over single rows does too."""


class _InOrder(SkipExamplesIterable):
    """All rows from the first on: one source, that no shuffling, worker or node divides."""

    @property
    def num_shards(self) -> int:
        return 1

    def shard_data_sources(self, num_shards: int, index: int, contiguous: bool = True) -> _InOrder:
        return self

    def reshard_data_sources(self) -> _InOrder:
        return self


def numbered(stream: Any) -> Any:
    """A stream whose rows can be told by their number, and still can after ``shuffle``, in workers and on nodes.

    Raises:
        UsageError: it has been shuffled, sliced, filtered or divided, so that nobody knows the number of a row.
    """
    step = stream._ex_iterable
    while step is not None:
        kind = type(step).__name__
        one_by_one = kind == "MappedExamplesIterable" and not step.batched
        if kind not in COUNTABLE and not one_by_one:
            raise UsageError(
                f"the rows of this stream do not say their number ({kind}): name a column of ids (photo_id=), or "
                "process first and shuffle, skip, take or filter then"
            )
        step = getattr(step, "ex_iterable", None)
    if stream._distributed is not None or stream.epoch:
        raise UsageError(
            "the rows of a stream that is divided between nodes, or in a later epoch, do not say their number: name a "
            "column of ids (photo_id=), or process first"
        )
    return datasets.IterableDataset(
        ex_iterable=_InOrder(stream._ex_iterable, 0),
        info=stream._info.copy(),
        split=stream._split,
        formatting=stream._formatting,
        token_per_repo_id=stream._token_per_repo_id,
    )
