"""One view of a photo set by one encoder on disk: its rows, its complete key, a marker per finished block of photos.

A view is a folder: ``key.json``, the memory-mapped ``rows.npy`` [photos, dim], and ``blocks/NUMBER.json``, each written
after the block's rows with their checksum. A killed run leaves finished blocks and unmarked rows, which are made again.

Several processes may fill one view. The rows' file is made once and never replaced while it is whole, so that whoever
has it open writes where everybody reads; a marker tells what stood there when it was written, and whatever was written
over it later does not match it.
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
from builders.untrusted import UntrustedInputError, list_folder, map_array, parse_json, read_untrusted_text


def view_key(view: Mapping[str, Any], output: Output | None = None) -> dict[str, Any]:
    """Everything that tells a view's file from the others of its bank, as JSON values.

    Args:
        view: what decides its pixels, from ``ViewRecipe.view_keys``.
        output: of the encoder; None for its embedding. Each output of a view is a file of its own.

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
    """How a photo set is cut into blocks: few photos are lost by a kill, and few files are written.

    >>> [len(Blocks(150).photos_of(block)) for block in range(len(Blocks(150)))]
    [64, 64, 22]
    """

    photos: int

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
    """What the marker of a finished block says."""

    index: int
    failures: Mapping[str, str]
    """Reason by id of the photos that have no embedding."""
    source_jpeg: Mapping[str, int]
    """Photos by their own compression."""
    crc32: int
    """Of the block's rows as bytes."""


class ViewFile:
    """The embeddings of one view. Open with ``ViewFile.open``; write rows, finish blocks; read when ``complete``."""

    def __init__(self, folder: Path, shape: tuple[int, int], dtype: str) -> None:
        self.folder = folder
        self.shape = shape
        """(photos, dim)."""
        self.dtype = np.dtype(dtype)
        """Of the rows as stored."""
        self.blocks = Blocks(shape[0])
        self._writable: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_writable": None}  # another process maps the file itself

    @classmethod
    def open(cls, folder: Path, key: Mapping[str, Any], shape: tuple[int, int], dtype: str) -> ViewFile:
        """The view in ``folder``, which is named by its key, made if it is not there; see also ``ensure_rows``.

        Raises:
            DataError: the folder holds another view.
            OSError: the folder cannot be written.
        """
        (folder / "blocks").mkdir(parents=True, exist_ok=True)
        keep_key(folder / "key.json", key)
        return cls(folder, shape, dtype)

    @property
    def complete(self) -> bool:
        return not self.missing()

    def finished(self) -> set[int]:
        """Indices of the blocks that are finished."""
        names = map(os.path.splitext, list_folder(self._marker_folder, may_be_absent=True).files)
        return {int(stem) for stem, end in names if stem.isdecimal() and end == ".json"}

    def missing(self) -> set[int]:
        """Indices of the blocks that are not."""
        return set(range(len(self.blocks))) - self.finished()

    def is_finished(self, block: int) -> bool:
        return self._marker(block).exists()

    def write_rows(self, start: int, embeddings: np.ndarray) -> None:
        """Store the embeddings [photos, dim] of consecutive photos from index ``start``."""
        if self._writable is None:
            self._writable = map_array(self._rows_path, "r+")
        self._writable[start : start + len(embeddings)] = embeddings

    def finish_block(self, block: int, failures: Mapping[str, str], source_jpeg: Mapping[str, int]) -> None:
        """Flush the rows, then write the marker: from here on a kill cannot lose the block."""
        rows = self.rows() if self._writable is None else self._writable  # no row was written: all its photos failed
        if self._writable is not None:
            self._writable.flush()  # type: ignore[attr-defined]
        marker = Block(block, failures, source_jpeg, self._crc32(rows, block))
        write_text_atomically(self._marker(block), _sealed(marker))

    def markers(self) -> list[Block]:
        """What the markers of the finished blocks say, in order; a marker that cannot be read is left out."""
        read = (self._read_marker(block) for block in sorted(self.finished()))
        return [marker for marker in read if marker is not None]

    def damaged(self) -> list[int]:
        """Indices of the finished blocks whose rows are not those that their markers were written for."""
        finished, rows = self.finished(), self._whole_rows()
        if rows is None:
            return sorted(finished)
        good = {marker.index for marker in self.markers() if self._crc32(rows, marker.index) == marker.crc32}
        return sorted(finished - good)

    def ensure_rows(self) -> None:
        """Make the file of the rows if it is not there, or not whole. No block may be finished then."""
        for folder in (self.folder, self._marker_folder):
            sweep_temporaries(folder)
        if self._whole_rows() is None:
            self._rows_path.unlink(missing_ok=True)
            self._make_rows()

    def forget(self, blocks: Iterable[int]) -> None:
        """Take blocks for unfinished. Their rows stay until they are written again."""
        for block in blocks:
            self._marker(block).unlink(missing_ok=True)

    def rows(self) -> np.ndarray:
        """[photos, dim] as stored, a read-only map of the file."""
        return map_array(self._rows_path)

    def _crc32(self, rows: np.ndarray, block: int) -> int:
        photos = self.blocks.photos_of(block)
        return crc32_of(rows[photos.start : photos.stop])

    def _whole_rows(self) -> np.ndarray | None:
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
            pass  # another process was quicker, and writes there already
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EMLINK):
                raise
            os.replace(temporary, self._rows_path)  # a file system without links
        finally:
            temporary.unlink(missing_ok=True)

    def _read_marker(self, block: int) -> Block | None:
        try:
            raw = parse_json(read_untrusted_text(self._marker(block)), "")
            seal = raw.pop("own_crc32", None)  # absent in markers of versions before it
            marker = Block(**raw) if raw["index"] == block else None
        except (UntrustedInputError, TypeError, KeyError, AttributeError):
            return None
        if marker is None or not _of_form(marker) or seal not in (None, _own_crc32(marker)):
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
    """Of a block's rows as bytes."""
    return zlib.crc32(np.ascontiguousarray(rows).data)


def _sealed(marker: Block) -> str:
    """A marker as text, with a checksum of what it says itself: reasons and counts go into results."""
    return json.dumps({**dataclasses.asdict(marker), "own_crc32": _own_crc32(marker)})


def _own_crc32(marker: Block) -> int:
    return zlib.crc32(json.dumps(dataclasses.asdict(marker), sort_keys=True).encode())


def _of_form(marker: Block) -> bool:
    counts, reasons = marker.source_jpeg, marker.failures
    if not (isinstance(marker.crc32, int) and isinstance(counts, dict) and isinstance(reasons, dict)):
        return False
    return all(isinstance(n, int) for n in counts.values()) and all(isinstance(r, str) for r in reasons.values())


def keep_key(path: Path, key: Mapping[str, Any]) -> None:
    """Write a folder's key, or see that it is the one that stands there.

    Raises:
        DataError: it is another one.
    """
    text = json.dumps(key, indent=2, sort_keys=True) + "\n"
    if not os.path.lexists(path) or not path.stat().st_size:
        write_text_atomically(path, text)
    elif read_untrusted_text(path) != text:
        raise DataError(f"{path.parent}: holds other embeddings than its name says; delete it")
