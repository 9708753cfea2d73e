"""What a pass fills (``StoreWriter``): a bank, several banks of the outputs of one encoder, or the blocks of a rank."""

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
    """Fill a bank from a file of embeddings that were made elsewhere.

    A photo that cannot be decoded is recorded as failed, as in a pass: no encoder could embed it.

    Args:
        stored: the embeddings of the file.
        photos: all photos of the bank, in order.
        bank: blocks that it has already stay.

    Returns:
        Number of embeddings written.

    Raises:
        EncoderError: the file lacks the embedding of a photo that can be decoded, or a whole view.
    """
    written = 0
    for name in bank.names:
        for block in sorted(bank.missing(name)):
            indices = bank.blocks.photos_of(block)
            vectors, missing = stored.of(name, [photos.ids[i] for i in indices])
            if stored.may_lack_photos:
                missing = []  # a task knows which photos need a score or an answer
            if missing and not photos.has_pictures:
                photos.ids_of_no_photo(stored.name, stored.rows.get(name, {}))
            without = set(missing)
            failures = _unreadable(photos, [i for i in indices if photos.ids[i] in without])
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
    """By id, the reason why a photo cannot be decoded; all photos of a built set can be.

    Without pictures, a photo that the file lacks is left out: nothing says that it could be embedded."""
    if not photos.has_pictures:
        return {photos.ids[index]: "the file of embeddings has none of it" for index in indices}
    reasons: dict[str, str] = {}
    for index in [] if photos.stored_views else indices:
        try:
            decode_rgb(photos.read(index))
            break  # one photo that can be decoded is an error already
        except PhotoError as error:
            reasons[photos.ids[index]] = str(error)
    return reasons


@dataclass(frozen=True)
class OutputsBank:
    """Banks of several outputs of one encoder, filled by one pass. A block is missing if one bank lacks it."""

    banks: Sequence[Bank]
    """Banks of the same photos and views."""
    columns: Sequence[slice]
    """Per bank, its columns in a row of the pass."""
    dim: int
    """Length of a row of the pass: all outputs of the encoder, also those that no bank here stores."""

    @property
    def blocks(self) -> Blocks:
        """Blocks of the photos."""
        return self.banks[0].blocks

    @property
    def encoder(self) -> str:
        """Id of the encoder."""
        return self.banks[0].encoder

    @property
    def key(self) -> dict[str, Any]:
        """Key of the banks, but with ``dim``: the dimension of the encoder that fills them."""
        key = self.banks[0].key
        return {**key, "encoder": {**key["encoder"], "dimension": self.dim}}

    def missing(self, name: str) -> set[int]:
        """Indices of the blocks of a view that at least one bank lacks."""
        return set().union(*(bank.missing(name) for bank in self.banks))

    def is_finished(self, name: str, block: int) -> bool:
        """Whether every bank has a block of a view."""
        return all(bank.is_finished(name, block) for bank in self.banks)

    def write_rows(self, name: str, start: int, embeddings: np.ndarray) -> None:
        """Write the columns of rows [photos, dim] to their banks; a bank that has the block already is not changed."""
        block = start // self.blocks.size
        for bank, columns in zip(self.banks, self.columns, strict=True):
            if not bank.is_finished(name, block):
                bank.write_rows(name, start, embeddings[:, columns])

    def finish_block(self, name: str, block: int, failures: Mapping[str, str], source_jpeg: Mapping[str, int]) -> None:
        """Write the markers of banks that do not have the block yet."""
        for bank in self.banks:
            if not bank.is_finished(name, block):
                bank.finish_block(name, block, failures, source_jpeg)


class StoreWriter(Protocol):
    """Where a pass writes the embeddings of one encoder: a ``Bank``, ``OutputsBank`` or ``BlockBank``.

    A pass asks ``missing`` once for each view, writes the rows of a block in any number of calls, and then finishes the
    block. Just before a block it asks ``is_finished``, because several processes may fill the same store.
    """

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        ...

    @property
    def blocks(self) -> Blocks:
        """How the photos are divided into blocks."""
        ...

    def missing(self, name: str) -> set[int]:
        """Indices of the blocks of a view that are to be made."""
        ...

    def is_finished(self, name: str, block: int) -> bool:
        """Whether a block of a view need not be made any more."""
        ...

    def write_rows(self, name: str, start: int, embeddings: np.ndarray) -> None:
        """Store the embeddings [photos, dim] of one view of consecutive photos from index ``start``."""
        ...

    def finish_block(self, name: str, block: int, failures: Mapping[str, str], source_jpeg: Mapping[str, int]) -> None:
        """Mark a block of a view as finished. From then on a kill cannot lose it.

        Args:
            name: of the view.
            block: index of the block.
            failures: by photo id, the reason why it has no embedding.
            source_jpeg: number of photos by the compression of their files.
        """
        ...
