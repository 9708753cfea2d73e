"""Which parts of a data set are read where only some photos are wanted: whole shards or row groups, drawn by seed.

Photos drawn one by one lie in all shards, and all would be read. Whole row groups hold as many photos for a share of
the bytes; within them ``PhotoSet.limited`` draws as always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builders.photos import hash64


@dataclass(frozen=True)
class Streaming:
    """A wish to read a data set where it is, without a copy."""

    limit: int | None = None
    """Photos that are wanted; all where it is None."""
    seed: int = 0
    """Of the draw."""

    def wanted_of(self, count: int, total: int) -> int:
        """How many photos of a split of ``count`` photos are wanted: its share, and one at least.

        >>> Streaming(100).wanted_of(250, 1000), Streaming().wanted_of(250, 1000)
        (25, 250)
        """
        return count if self.limit is None else min(count, max(1, -(-self.limit * count // max(1, total))))


def drawn_order(names: Sequence[str], seed: int) -> list[int]:
    """Indices of the parts of a data set in the order in which they are drawn, that of a hash of their names.

    >>> drawn_order(["a", "b", "c", "d"], seed=0)
    [0, 1, 3, 2]
    """
    return sorted(range(len(names)), key=lambda i: hash64(f"stream\0{seed}\0{names[i]}"))


def drawn(names: Sequence[str], sizes: Sequence[int], wanted: int, seed: int) -> list[int]:
    """The parts of a data set that are read: in the order of the draw, until they hold enough photos.

    Args:
        names: of the parts, unique.
        sizes: photos of each.
        wanted: photos.
        seed: of the draw.

    Returns:
        Indices of the parts, ascending. Those of a larger number contain those of a smaller one.

    >>> drawn(["a", "b", "c", "d"], [10, 10, 10, 10], 15, seed=0)
    [0, 1]
    """
    chosen, count = [], 0
    for index in drawn_order(names, seed):
        if count >= wanted:
            break
        chosen.append(index)
        count += sizes[index]
    return sorted(chosen)
