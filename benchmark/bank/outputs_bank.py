"""Several outputs of one encoder, filled together: what one forward pass gives is cut up, each part to its own bank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.bank.bank import Bank
from benchmark.bank.view_file import Blocks


@dataclass(frozen=True)
class OutputsBank:
    """Banks of one encoder and the same photos and views. A view is missing where one of them lacks it."""

    banks: Sequence[Bank]
    columns: Sequence[slice]
    """By bank, its numbers in a row of the pass."""
    dim: int
    """Of the pass: all outputs of the encoder, also those that no bank here takes."""

    @property
    def blocks(self) -> Blocks:
        return self.banks[0].blocks

    @property
    def encoder(self) -> str:
        """Id of the encoder."""
        return self.banks[0].encoder

    @property
    def key(self) -> dict[str, Any]:
        """Of the banks, with the dimension of the pass: what the encoder that fills them says of itself."""
        key = self.banks[0].key
        return {**key, "encoder": {**key["encoder"], "dimension": self.dim}}

    def missing(self, name: str) -> set[int]:
        """Indices of the blocks of a view that one of the banks lacks."""
        return set().union(*(bank.missing(name) for bank in self.banks))

    def is_finished(self, name: str, block: int) -> bool:
        """Whether every bank has a block."""
        return all(bank.is_finished(name, block) for bank in self.banks)

    def write_rows(self, name: str, start: int, embeddings: np.ndarray) -> None:
        """Cut rows [photos, dim] up; a bank that has the block already keeps what it has."""
        block = start // self.blocks.size
        for bank, columns in zip(self.banks, self.columns, strict=True):
            if not bank.is_finished(name, block):
                bank.write_rows(name, start, embeddings[:, columns])

    def finish_block(self, name: str, block: int, failures: Mapping[str, str], source_jpeg: Mapping[str, int]) -> None:
        """Write the markers that are not there."""
        for bank in self.banks:
            if not bank.is_finished(name, block):
                bank.finish_block(name, block, failures, source_jpeg)
