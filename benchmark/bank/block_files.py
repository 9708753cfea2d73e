"""Files of single blocks of a bank: ranks on many machines write them, and one process merges them into the bank.

There is one file per (bank, view, block), ``<bank>/<view>/000012.npz``. It holds the block's rows and its marker and is
renamed into its place when it is complete. No two ranks write the same file, so neither locks nor shared memory maps
are needed, and any shared disk or object store can hold the files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from benchmark.bank.bank import Bank
from benchmark.bank.keys import LAYOUT, key_hash, shape_and_dtype
from benchmark.bank.view_file import Block, Blocks, crc32_of, view_key
from builders.cluster import StorageFolder
from builders.errors import DataError
from builders.untrusted import error_text, parse_arrays, parse_json

ViewKeys = Mapping[str, Mapping[str, Any]]
"""By name of a view, everything that decides its pixels: ``ViewRecipe.view_keys``."""


class BlockBank:
    """The blocks of a bank that one rank fills: a ``StoreWriter`` that writes one file per block and view."""

    def __init__(
        self,
        folder: StorageFolder,
        key: Mapping[str, Any],
        views: ViewKeys,
        blocks: Collection[int],
        *,
        before_writing: Callable[[int], None],
    ) -> None:
        """
        Args:
            folder: holds the folders of all banks.
            key: from ``bank_key``.
            views: the views that the rank makes.
            blocks: indices of the blocks that the rank makes.
            before_writing: called with the index of each block before its file is written; may raise to prevent that.
        """
        self.dim = int(key["encoder"]["dimension"])
        self.blocks = Blocks(int(key["photos"]["count"]))
        self.files: dict[str, str] = {}
        """SHA-256 of each finished file, by its path below ``folder``."""
        self.failures: dict[str, str] = {}
        """By photo id, the reason why it has no embedding in one of the views."""
        self._folder, self._key, self._assigned = folder, key, sorted(blocks)
        self._paths = {name: view_path(key, view) for name, view in views.items()}
        self._dtype = shape_and_dtype(key)[1]
        self._check = before_writing
        self._rows: dict[tuple[str, int], np.ndarray] = {}
        self._finished: dict[str, set[int]] = {name: set() for name in views}
        for name in views:
            for block in self._assigned:
                self._recover(name, block)

    def missing(self, name: str) -> set[int]:
        """Indices of the rank's blocks of a view that are not finished."""
        return set(self._assigned) - self._finished[name]

    def is_finished(self, name: str, block: int) -> bool:
        """Whether this rank need not make a block of a view: it is finished, or another rank makes it."""
        return block not in self._assigned or block in self._finished[name]

    def write_rows(self, name: str, start: int, embeddings: np.ndarray) -> None:
        """Store the embeddings [photos, dim] of consecutive photos of one block from index ``start``."""
        block = start // self.blocks.size
        photos = self.blocks.photos_of(block)
        rows = self._rows.setdefault((name, block), np.zeros((len(photos), self.dim), self._dtype))
        rows[start - photos.start : start - photos.start + len(embeddings)] = embeddings

    def finish_block(self, name: str, block: int, failures: Mapping[str, str], source_jpeg: Mapping[str, int]) -> None:
        """Write the file of a block; from then on a kill cannot lose the block."""
        self._check(block)
        photos = self.blocks.photos_of(block)
        rows = self._rows.pop((name, block), None)
        rows = np.zeros((len(photos), self.dim), self._dtype) if rows is None else rows
        data = block_bytes(Block(block, dict(failures), dict(source_jpeg), crc32_of(rows)), rows)
        path = f"{self._paths[name]}/{block:06d}.npz"
        self._folder.write(path, data)
        self._record(name, block, path, data, failures)

    def _recover(self, name: str, block: int) -> None:
        """Count a file that an earlier attempt left complete as finished."""
        path = f"{self._paths[name]}/{block:06d}.npz"
        data = self._folder.read(path)
        if data is not None:
            with contextlib.suppress(DataError):
                marker, _ = read_block(data, path, block, (len(self.blocks.photos_of(block)), self.dim), self._dtype)
                self._record(name, block, path, data, marker.failures)

    def _record(self, name: str, block: int, path: str, data: bytes, failures: Mapping[str, str]) -> None:
        self.files[path] = hashlib.sha256(data).hexdigest()
        self.failures.update(failures)
        self._finished[name].add(block)


def merge_blocks(
    key: Mapping[str, Any],
    views: ViewKeys,
    bank: Bank,
    read: Callable[[str], bytes],
    tick: Callable[[int], object] = lambda blocks: None,
) -> None:
    """Fill a bank from block files. Blocks that the bank already has stay as they are.

    Args:
        key: of the bank.
        views: of the bank.
        bank: opened with the same key and views.
        read: gives the verified content of a file, by its path below the folder of all banks.
        tick: called with the number of blocks merged since the call before.

    Raises:
        DataError: a file is no block of the bank.
    """
    for name, view in views.items():
        path = view_path(key, view)
        shape, dtype = shape_and_dtype(key)
        for block in sorted(bank.missing(name)):
            file = f"{path}/{block:06d}.npz"
            size = len(bank.blocks.photos_of(block)), shape[1]
            marker, rows = read_block(read(file), file, block, size, dtype)
            bank.write_rows(name, bank.blocks.photos_of(block).start, rows)
            bank.finish_block(name, block, marker.failures, marker.source_jpeg)
            tick(1)


def view_path(key: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """Path of the folder of a view's blocks, below the folder of all banks."""
    return f"{LAYOUT}-{key_hash(key)}/{key_hash(view_key(view))}"


def block_bytes(marker: Block, rows: np.ndarray) -> bytes:
    """The content of a block's file; equal blocks give equal bytes."""
    about = json.dumps(dataclasses.asdict(marker)).encode()
    buffer = io.BytesIO()
    np.savez(buffer, marker=np.frombuffer(about, dtype=np.uint8), rows=rows)
    return buffer.getvalue()


def read_block(data: bytes, where: str, number: int, shape: tuple[int, int], dtype: str) -> tuple[Block, np.ndarray]:
    """The marker and the rows of a block's file.

    Args:
        data: content of the file.
        where: path of the file, for messages.
        number: index that the block must have.
        shape: (photos, dimension) that the rows must have.
        dtype: that the rows must have.

    Raises:
        DataError: the file is no block, is another block, or its rows do not match the checksum of its marker.
    """
    try:
        arrays = parse_arrays(io.BytesIO(data))
        rows = arrays["rows"]
        marker = Block(**parse_json(arrays["marker"].tobytes().decode("utf-8"), where))
    except Exception as error:  # numpy, json, zipfile and zlib raise errors of several classes
        raise DataError(f"{where}: no block of a bank ({error_text(error)})") from None
    if marker.index != number or rows.shape != shape or rows.dtype != np.dtype(dtype):
        raise DataError(f"{where}: another block than its name says")
    if crc32_of(rows) != marker.crc32:
        raise DataError(f"{where}: does not match its checksum")
    return marker, rows


def blocks_bytes(key: Mapping[str, Any], views: int) -> int:
    """Bytes of all block files of a bank with so many views, markers of photos without failures included."""
    (photos, dimension), dtype = shape_and_dtype(key)
    blocks = Blocks(photos)
    sizes = [len(blocks.photos_of(block)) for block in range(len(blocks))]
    empty = {n: len(block_bytes(Block(0, {}, {}, 0), np.zeros((n, dimension), dtype))) for n in set(sizes)}
    return views * sum(empty[n] for n in sizes)
