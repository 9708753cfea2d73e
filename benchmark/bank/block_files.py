"""Blocks of a bank as files of their own: what ranks on many machines write, and what reads them as one array.

One file per (bank, view, block), ``<bank>/<view>/000012.npz``: the block's rows and its marker, put in place whole. No
two ranks write one file, so it needs neither locks nor shared memory maps: any shared disk or object store holds it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar

import numpy as np

from benchmark.bank.bank import Bank
from benchmark.bank.keys import LAYOUT, key_hash, shape_and_dtype
from benchmark.bank.view_file import Block, Blocks, crc32_of, view_key
from builders.cluster import StorageFolder
from builders.errors import DataError
from builders.untrusted import error_text, parse_arrays, parse_json

ViewKeys = Mapping[str, Mapping[str, Any]]
"""By name, what decides each view's pixels, from ``ViewRecipe.view_keys``."""


class BlockBank:
    """The blocks of a bank that one rank owns: filled as a ``Bank`` is, stored in files of their own."""

    def __init__(
        self,
        place: StorageFolder,
        key: Mapping[str, Any],
        views: ViewKeys,
        blocks: Collection[int],
        *,
        before_writing: Callable[[int], None] = lambda block: None,
    ) -> None:
        """
        Args:
            place: that holds the folders of banks.
            key: from ``bank_key``.
            views: of the rank.
            blocks: of the rank.
            before_writing: told the block; raises what speaks against it.
        """
        self.dim = int(key["encoder"]["dimension"])
        self.blocks = Blocks(int(key["photos"]["count"]))
        self.files: dict[str, str] = {}
        """SHA-256 by path of what is there, below ``place``."""
        self.failures: dict[str, str] = {}
        """Reason by id of photos without an embedding in one of the views."""
        self._place, self._key, self._own = place, key, sorted(blocks)
        self._paths = {name: view_path(key, view) for name, view in views.items()}
        self._dtype = shape_and_dtype(key)[1]
        self._check = before_writing
        self._rows: dict[tuple[str, int], np.ndarray] = {}
        self._there: dict[str, set[int]] = {name: set() for name in views}
        for name in views:
            for block in self._own:
                self._take(name, block)

    def missing(self, name: str) -> set[int]:
        """Of the rank's blocks."""
        return set(self._own) - self._there[name]

    def is_finished(self, name: str, block: int) -> bool:
        """Whether this rank need not make it."""
        return block not in self._own or block in self._there[name]

    def write_rows(self, name: str, start: int, embeddings: np.ndarray) -> None:
        """Embeddings [photos, dim] of consecutive photos of one block from index ``start``."""
        block = start // self.blocks.size
        photos = self.blocks.photos_of(block)
        rows = self._rows.setdefault((name, block), np.zeros((len(photos), self.dim), self._dtype))
        rows[start - photos.start : start - photos.start + len(embeddings)] = embeddings

    def finish_block(self, name: str, block: int, failures: Mapping[str, str], source_jpeg: Mapping[str, int]) -> None:
        """Write the block's file: from here on a kill cannot lose it."""
        self._check(block)
        photos = self.blocks.photos_of(block)
        rows = self._rows.pop((name, block), None)
        rows = np.zeros((len(photos), self.dim), self._dtype) if rows is None else rows
        data = block_bytes(Block(block, dict(failures), dict(source_jpeg), crc32_of(rows)), rows)
        path = f"{self._paths[name]}/{block:06d}.npz"
        self._place.write(path, data)
        self._note(name, block, path, data, failures)

    def _take(self, name: str, block: int) -> None:
        """Keep what an earlier attempt left whole."""
        path = f"{self._paths[name]}/{block:06d}.npz"
        data = self._place.read(path)
        if data is not None:
            with contextlib.suppress(DataError):
                marker, _ = read_block(data, path, block, (len(self.blocks.photos_of(block)), self.dim), self._dtype)
                self._note(name, block, path, data, marker.failures)

    def _note(self, name: str, block: int, path: str, data: bytes, failures: Mapping[str, str]) -> None:
        self.files[path] = hashlib.sha256(data).hexdigest()
        self.failures.update(failures)
        self._there[name].add(block)


class BlockRows:
    """One view over its block files: reads like an array [photos, dim], a block at a time."""

    reads_rows: ClassVar[bool] = True

    def __init__(self, place: StorageFolder, key: Mapping[str, Any], view: Mapping[str, Any], held: int = 4) -> None:
        """
        Args:
            place: that holds the folders of banks.
            key: of the bank.
            view: what decides the view's pixels.
            held: blocks that stay in memory.
        """
        self.shape, dtype = shape_and_dtype(key)
        self.dtype = np.dtype(dtype)
        self.blocks = Blocks(self.shape[0])
        self._place, self._path, self._most = place, view_path(key, view), held
        self._held: dict[int, tuple[Block, np.ndarray]] = {}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, at: slice | np.ndarray) -> np.ndarray:
        rows = np.arange(len(self))[at] if isinstance(at, slice) else np.asarray(at, dtype=np.int64)
        found = np.empty((len(rows), self.shape[1]), self.dtype)
        for block in np.unique(rows // self.blocks.size).tolist():
            here = rows // self.blocks.size == block
            found[here] = self.block(block)[1][rows[here] - block * self.blocks.size]
        return found

    def block(self, number: int) -> tuple[Block, np.ndarray]:
        """A block's marker and rows.

        Raises:
            DataError: it is not there, or not as it was written.
        """
        if number not in self._held:
            path = f"{self._path}/{number:06d}.npz"
            data = self._place.read(path)
            if data is None:
                raise DataError(f"{self._place.path(path)}: is not there; its rank is not done")
            shape = len(self.blocks.photos_of(number)), self.shape[1]
            while len(self._held) >= self._most:
                del self._held[next(iter(self._held))]
            self._held[number] = read_block(data, self._place.path(path), number, shape, self.dtype.name)
        return self._held[number]


def merge_blocks(
    place: StorageFolder,
    key: Mapping[str, Any],
    views: ViewKeys,
    bank: Bank,
    files: Mapping[str, str],
    tick: Callable[[int], object] = lambda blocks: None,
) -> None:
    """Fill a bank from block files, each of which is verified; what the bank has already stays.

    Args:
        place: that holds the folders of banks.
        key: of the bank.
        views: of the bank.
        bank: opened with the same.
        files: SHA-256 by path below ``place``, as the ranks said.
        tick: told how many blocks are done.

    Raises:
        DataError: a file is not there, or not the one that its rank wrote.
    """
    for name, view in views.items():
        path = view_path(key, view)
        shape, dtype = shape_and_dtype(key)
        for block in sorted(bank.missing(name)):
            file = f"{path}/{block:06d}.npz"
            data = place.read(file)
            if data is None or hashlib.sha256(data).hexdigest() != files.get(file):
                what = "is not there" if data is None else "is not what its rank wrote"
                raise DataError(f"{place.path(file)}: {what}; remove the marker of its rank and run that again")
            size = len(bank.blocks.photos_of(block)), shape[1]
            marker, rows = read_block(data, place.path(file), block, size, dtype)
            bank.write_rows(name, bank.blocks.photos_of(block).start, rows)
            bank.finish_block(name, block, marker.failures, marker.source_jpeg)
            tick(1)


def view_path(key: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """The folder of a view's blocks, below that of all banks."""
    return f"{LAYOUT}-{key_hash(key)}/{key_hash(view_key(view))}"


def block_bytes(marker: Block, rows: np.ndarray) -> bytes:
    """A block as a file: equal blocks are equal bytes."""
    about = json.dumps(dataclasses.asdict(marker)).encode()
    buffer = io.BytesIO()
    np.savez(buffer, marker=np.frombuffer(about, dtype=np.uint8), rows=rows)
    return buffer.getvalue()


def read_block(data: bytes, where: str, number: int, shape: tuple[int, int], dtype: str) -> tuple[Block, np.ndarray]:
    """A file as a block.

    Raises:
        DataError: it is none, or its rows are not those that its marker was written for.
    """
    try:
        arrays = parse_arrays(io.BytesIO(data))
        rows = arrays["rows"]
        marker = Block(**parse_json(arrays["marker"].tobytes().decode("utf-8"), where))
    except Exception as error:  # numpy's, json's, and zipfile and zlib have errors of their own
        raise DataError(f"{where}: no block of a bank ({error_text(error)})") from None
    if marker.index != number or rows.shape != shape or rows.dtype != np.dtype(dtype):
        raise DataError(f"{where}: another block than its name says")
    if crc32_of(rows) != marker.crc32:
        raise DataError(f"{where}: does not match its checksum")
    return marker, rows
