"""Embeddings that were made elsewhere, into a bank: by photo id and view, nothing is embedded."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.bank.bank import Bank
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
