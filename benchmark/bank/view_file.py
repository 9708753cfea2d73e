"""The file of one view: the embeddings of a photo set under one view by one encoder, with a marker per finished block.

A view is a folder with ``key.json`` (its complete key), the memory-mapped ``rows.npy`` [photos, dim], and one
``blocks/NUMBER.json`` per finished block of photos. A marker is written after the rows of its block and contains their
checksum. A run that is killed leaves finished blocks and rows without a marker, which are made again.

Several processes may fill one view. The file of the rows is created once and never replaced while it is complete, so
that all processes read and write the same file. If rows are overwritten later, they no longer match the checksum.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.encoders import FINAL, Output
from builders.errors import DataError
from builders.files import reserve_space, sweep_temporaries, temporary_path, write_text_atomically
from builders.untrusted import UntrustedInputError, list_folder, map_array, may_pass, parse_json, read_untrusted_text


def view_key(view: Mapping[str, Any], output: Output | None = None) -> dict[str, Any]:
    """The key of a view within its bank, as JSON values.

    Args:
        view: everything that decides the pixels, from ``ViewRecipe.view_keys``.
        output: of the encoder; None for its embedding. Each output of a view has a file.

    >>> view_key({"kind": "plain", "name": "original"})
    {'view': {'kind': 'plain', 'name': 'original'}, 'output': 'final'}
    >>> view_key({"kind": "plain"}, Output("layers[0]:max", 0, 12, "block", "max", 384, "hooks"))["output"]
    {'name': 'layers[0]:max', 'read': 'hooks', 'dimension': 384}
    """
    if output is None:
        return {"view": dict(view), "output": FINAL}
    known = {"name": output.name, "read": output.read, "dimension": output.dimension}
    return {"view": dict(view), "output": known}


@dataclass(frozen=True)
class Blocks:
    """How a photo set is divided into blocks, so that a kill loses few photos and few files are written.

    >>> [len(Blocks(150).photos_of(block)) for block in range(len(Blocks(150)))]
    [64, 64, 22]
    """

    photos: int
    """Photos of the set."""

    @property
    def size(self) -> int:
        """Photos in a block; the last one may have fewer."""
        return 64 if self.photos <= 20_000 else 1024

    def __len__(self) -> int:
        return -(-self.photos // self.size)

    def photos_of(self, block: int) -> range:
        """Indices of a block's photos."""
        return range(block * self.size, min((block + 1) * self.size, self.photos))


@dataclass(frozen=True)
class Block:
    """The content of the marker of a finished block."""

    index: int
    failures: Mapping[str, str]
    """By photo id, the reason why it has no embedding."""
    source_jpeg: Mapping[str, int]
    """Number of photos by the compression of their files."""
    crc32: int
    """Checksum of the block's rows as bytes."""


class ViewFile:
    """The embeddings of one view. Open with ``ViewFile.open``, write rows, finish blocks, read when ``complete``."""

    def __init__(self, folder: Path, shape: tuple[int, int], dtype: str) -> None:
        self.folder = folder
        self.shape = shape
        """(photos, dim)."""
        self.dtype = np.dtype(dtype)
        """Dtype of the rows as stored."""
        self.blocks = Blocks(shape[0])
        self._writable: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_writable": None}  # another process maps the file itself

    @classmethod
    def open(cls, folder: Path, key: Mapping[str, Any], shape: tuple[int, int], dtype: str) -> ViewFile:
        """Open the view in ``folder``, whose name follows from the key; create the folder if it does not exist.

        The file of the rows is created by ``ensure_rows``.

        Raises:
            DataError: the folder holds another view.
            OSError: the folder cannot be written.
        """
        (folder / "blocks").mkdir(parents=True, exist_ok=True)
        check_key(folder / "key.json", key)
        return cls(folder, shape, dtype)

    @property
    def complete(self) -> bool:
        """Whether every block is finished."""
        return not self.missing()

    def finished(self) -> set[int]:
        """Indices of the finished blocks."""
        names = map(os.path.splitext, list_folder(self._marker_folder, may_be_absent=True).files)
        return {int(stem) for stem, end in names if stem.isdecimal() and end == ".json"}

    def missing(self) -> set[int]:
        """Indices of the blocks that are not finished."""
        return set(range(len(self.blocks))) - self.finished()

    def is_finished(self, block: int) -> bool:
        """Whether a block has a marker."""
        return self._marker(block).exists()

    def write_rows(self, start: int, embeddings: np.ndarray) -> None:
        """Store the embeddings [photos, dim] of consecutive photos from index ``start``."""
        if self._writable is None:
            self._writable = map_array(self._rows_path, "r+")
        self._writable[start : start + len(embeddings)] = embeddings

    def finish_block(self, block: int, failures: Mapping[str, str], source_jpeg: Mapping[str, int]) -> None:
        """Flush the rows, then write the marker. From then on a kill cannot lose the block."""
        rows = self.rows() if self._writable is None else self._writable  # no row was written: all photos failed
        if self._writable is not None:
            self._writable.flush()  # type: ignore[attr-defined]
        marker = Block(block, failures, source_jpeg, self._crc32(rows, block))
        write_text_atomically(self._marker(block), _sealed(marker))

    def markers(self) -> list[Block]:
        """The markers of the finished blocks, in order; a marker that cannot be read is left out."""
        read = (self._read_marker(block) for block in sorted(self.finished()))
        return [marker for marker in read if marker is not None]

    def damaged(self) -> list[int]:
        """Indices of the finished blocks whose rows do not match the checksums of their markers."""
        finished, rows = self.finished(), self._complete_rows()
        if rows is None:
            return sorted(finished)
        intact = {marker.index for marker in self.markers() if self._crc32(rows, marker.index) == marker.crc32}
        return sorted(finished - intact)

    def blocks_to_retry(self) -> list[int]:
        """Indices of the finished blocks that lack a photo because a disk did not give it; the next run tries again."""
        return [marker.index for marker in self.markers() if any(map(may_pass, marker.failures.values()))]

    def ensure_rows(self) -> None:
        """Create the file of the rows if it does not exist or is not complete. No block may be finished then."""
        for folder in (self.folder, self._marker_folder):
            sweep_temporaries(folder)
        if self._complete_rows() is None:
            self._rows_path.unlink(missing_ok=True)
            self._make_rows()

    def forget(self, blocks: Iterable[int]) -> None:
        """Count blocks as unfinished. Their rows stay until they are written again."""
        for block in blocks:
            self._marker(block).unlink(missing_ok=True)

    def rows(self) -> np.ndarray:
        """[photos, dim] as stored, a read-only map of the file."""
        return map_array(self._rows_path)

    def _crc32(self, rows: np.ndarray, block: int) -> int:
        photos = self.blocks.photos_of(block)
        return crc32_of(rows[photos.start : photos.stop])

    def _complete_rows(self) -> np.ndarray | None:
        try:
            rows = self.rows()
        except (OSError, ValueError, EOFError):  # absent, cut off, or no array
            return None
        return rows if (rows.shape, rows.dtype) == (self.shape, self.dtype) else None

    def _make_rows(self) -> None:
        temporary = temporary_path(self._rows_path)
        described = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": self.shape}
        try:
            with open(temporary, "wb") as stream:
                np.lib.format.write_array_header_1_0(stream, described)
                stream.flush()
                reserve_space(stream.fileno(), stream.tell() + math.prod(self.shape) * self.dtype.itemsize)
            os.link(temporary, self._rows_path)
        except FileExistsError:
            pass  # another process has created the file and may be writing to it
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EMLINK):
                raise
            os.replace(temporary, self._rows_path)  # a file system without links
        finally:
            temporary.unlink(missing_ok=True)

    def _read_marker(self, block: int) -> Block | None:
        try:
            raw = parse_json(read_untrusted_text(self._marker(block)), "")
            seal = raw.pop("own_crc32", None)  # absent in markers of older versions
            marker = Block(**raw) if raw["index"] == block else None
        except (UntrustedInputError, TypeError, KeyError, AttributeError):
            return None
        if marker is None or not _well_formed(marker) or seal not in (None, _marker_crc32(marker)):
            return None
        return marker

    @property
    def _rows_path(self) -> Path:
        return self.folder / "rows.npy"

    @property
    def _marker_folder(self) -> Path:
        return self.folder / "blocks"

    def _marker(self, block: int) -> Path:
        return self._marker_folder / f"{block:06d}.json"


def crc32_of(rows: np.ndarray) -> int:
    """Checksum of a block's rows as bytes."""
    return zlib.crc32(np.ascontiguousarray(rows).data)


def _sealed(marker: Block) -> str:
    """A marker as text, with a checksum of the marker itself: its reasons and counts go into results."""
    return json.dumps({**dataclasses.asdict(marker), "own_crc32": _marker_crc32(marker)})


def _marker_crc32(marker: Block) -> int:
    return zlib.crc32(json.dumps(dataclasses.asdict(marker), sort_keys=True).encode())


def _well_formed(marker: Block) -> bool:
    counts, reasons = marker.source_jpeg, marker.failures
    if not (isinstance(marker.crc32, int) and isinstance(counts, dict) and isinstance(reasons, dict)):
        return False
    return all(isinstance(n, int) for n in counts.values()) and all(isinstance(r, str) for r in reasons.values())


def check_key(path: Path, key: Mapping[str, Any]) -> None:
    """Write the key of a folder, or check that the file contains this key.

    Raises:
        DataError: the file contains another key.
    """
    text = json.dumps(key, indent=2, sort_keys=True) + "\n"
    if not os.path.lexists(path) or not path.stat().st_size:
        write_text_atomically(path, text)
    elif read_untrusted_text(path) != text:
        raise DataError(f"{path.parent}: holds other embeddings than its name says; delete it")
