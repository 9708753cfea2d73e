"""What a pass fills: a bank in one place, or the blocks of one that a rank owns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from benchmark.bank.view_file import Blocks


class Fillable(Protocol):
    """``Bank``, ``OutputsBank`` and ``BlockBank``."""

    @property
    def dim(self) -> int: ...

    @property
    def blocks(self) -> Blocks: ...

    def missing(self, name: str) -> set[int]:
        """Indices of the blocks of a view that are to be made."""
        ...

    def is_finished(self, name: str, block: int) -> bool:
        """Whether a block of a view need not be made any more."""
        ...

    def write_rows(self, name: str, start: int, embeddings: np.ndarray) -> None:
        """Keep embeddings [photos, dim] of consecutive photos from index ``start``."""
        ...

    def finish_block(self, name: str, block: int, failures: Mapping[str, str], source_jpeg: Mapping[str, int]) -> None:
        """From here on a kill cannot lose the block."""
        ...
