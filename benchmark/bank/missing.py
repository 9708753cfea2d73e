"""What a pass has to make: which views of which blocks are missing, for which of its encoders."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from benchmark.bank.fillable import Fillable


@dataclass(frozen=True)
class Part:
    """Blocks that lack the same views for the same encoders: one stream of views fills them."""

    blocks: tuple[int, ...]
    missing: tuple[tuple[str, ...], ...]
    """One per bank: names of the views that it lacks, in the recipe's order; empty where it lacks none."""

    @property
    def names(self) -> tuple[str, ...]:
        """The views that have to be made."""
        return tuple(dict.fromkeys(name for names in self.missing for name in names))


def missing_parts(names: Sequence[str], banks: Sequence[Fillable], blocks: Collection[int] | None = None) -> list[Part]:
    """Every missing block in one part, so that each photo is decoded once.

    There is one part where nothing or only whole views are there, one more after a kill, and in the worst case one
    for each way in which blocks can be damaged.

    Args:
        names: of the views, in the recipe's order.
        banks: of the same photos.
        blocks: that are looked at; all of them by default.
    """
    lacks = [{name: bank.missing(name) for name in names} for bank in banks]
    blocks_of: dict[tuple[tuple[str, ...], ...], list[int]] = {}
    for block in range(len(banks[0].blocks)) if blocks is None else sorted(blocks):
        missing = tuple(tuple(name for name in names if block in of_bank[name]) for of_bank in lacks)
        if any(missing):
            blocks_of.setdefault(missing, []).append(block)
    return [Part(tuple(blocks), missing) for missing, blocks in blocks_of.items()]
