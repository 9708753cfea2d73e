"""What a pass fills: a bank in one place, or the blocks of one that a rank owns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from benchmark.bank.bank import Bank
from benchmark.bank.view_file import Blocks
from benchmark.encoders import StoredEmbeddings
from builders.errors import EncoderError, PhotoError
from builders.photos import PhotoSet
from builders.pixels import decode_rgb


def fill_from_file(stored: StoredEmbeddings, photos: PhotoSet, bank: Bank) -> int:
    """Write what a bank misses; gives the number of embeddings written.

    A photo that cannot be decoded is a failure of its own, as in a pass: nobody could embed it.

    Raises:
        EncoderError: the embedding of another photo is missing, or there are views of which it holds none.
    """
    written = 0
    for name in bank.names:
        for block in sorted(bank.missing(name)):
            indices = bank.blocks.photos_of(block)
            vectors, missing = stored.of(name, [photos.ids[i] for i in indices])
            failures = _unreadable(photos, [i for i in indices if photos.ids[i] in set(missing)])
            if lacking := [photo_id for photo_id in missing if photo_id not in failures]:
                held = sum(photo_id in stored.rows.get(name, {}) for photo_id in photos.ids)
                raise EncoderError(
                    f"{stored.name}: no embedding of {lacking[0]} under {name}: it holds {held} of the {len(photos)} "
                    f"photos of {photos.name}; ids must be those of the data set"
                )
            bank.write_rows(name, indices.start, vectors)
            bank.finish_block(name, block, failures, {})
            written += len(vectors) - len(failures)
    return written


def _unreadable(photos: PhotoSet, indices: Sequence[int]) -> dict[str, str]:
    """Reason by id of those that cannot be decoded; a built set stores what could."""
    found: dict[str, str] = {}
    for index in [] if photos.stored_views else indices:
        try:
            decode_rgb(photos.read(index))
            break  # one that can be decoded is an error already
        except PhotoError as error:
            found[photos.ids[index]] = str(error)
    return found


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


class StoreWriter(Protocol):
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
