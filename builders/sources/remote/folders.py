"""Photos in a folder of a store that fsspec knows (``s3://``, ``gs://``, ``hf://``), read where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from builders.errors import DataError, PhotoError
from builders.files import MAX_PHOTO_BYTES, is_lasting
from builders.photos import Head, Stamps, lasting_stamp
from builders.untrusted import too_large

if TYPE_CHECKING:
    from builders.untrusted import RemoteFacts


@dataclass(frozen=True)
class StoreSource:
    """Files below one address. It has no open connection, so copies for workers share nothing."""

    root: str
    """``s3://BUCKET/FOLDER``."""
    paths: tuple[str, ...]
    """Relative to ``root``."""
    files: tuple[RemoteFacts, ...]
    """Size and identity of each, as listed."""

    is_remote = True
    """See ``PhotoSet.is_remote``."""

    def read(self, row: int) -> bytes:
        """The bytes of a photo. Raises ``PhotoError``."""
        size = self.files[row].size
        if size > MAX_PHOTO_BYTES:
            raise PhotoError(f"the file has {too_large(size, MAX_PHOTO_BYTES)}")
        return self._part(row, size)

    def head(self, row: int, limit: int) -> Head:
        """The first ``limit`` bytes and the size. Raises ``PhotoError``."""
        size = self.files[row].size
        return Head(self._part(row, min(limit, size, MAX_PHOTO_BYTES)), size)

    def stamps(self, rows: np.ndarray) -> Stamps | None:
        """See ``PhotoSet.stamps``; None where the store does not say whether a file changed."""
        if not all(is_lasting(file.identity) for file in self.files):
            return None
        files = [lasting_stamp(f"{self.root}/{self.paths[row]} {self.files[row].identity}") for row in rows.tolist()]
        return Stamps(files, np.arange(len(files)))

    def _part(self, row: int, wanted: int) -> bytes:
        from builders.untrusted import read_range  # late: not every installation has its packages

        try:
            data = read_range(f"{self.root}/{self.paths[row]}", 0, wanted)
        except DataError as error:
            raise PhotoError(f"the file cannot be read ({error})") from None
        if len(data) != wanted:
            raise PhotoError(f"the file has {len(data):,} bytes where {self.files[row].size:,} were listed")
        return data
