"""Bank: the embeddings of one photo set under a set of views by one encoder, on disk, named by a complete key.

A stale cache gives wrong numbers that look right. So a bank's folder is named by a hash of everything that decides its
content: weights, preprocessing, pooling, precision, views, photo ids, photo bytes, codec. What cannot be resolved (an
encoder whose weights cannot be hashed) is not cached: its bank lives in a temporary folder.

On disk: ``key.json``, one memory-mapped ``view-NAME.npy`` [photos, dim] per view, and one marker per finished block of
photos, written after the block's rows. A killed run leaves finished blocks and unmarked rows, which are made again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from benchmark.encoders import EncoderInfo
from benchmark.views import ViewRecipe
from builders.errors import DataError, PhotoError
from builders.files import write_text_atomically
from builders.photos import PhotoSet
from builders.pixels import codec_canary

LAYOUT = 1
"""Version of the files of a bank."""

STORAGE_DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class BankView:
    """The embeddings of one view: reads like a float32 array [photos, dim], from disk, a slice at a time."""

    stored: np.ndarray
    rows: np.ndarray
    """int64, rows of ``stored`` that hold an embedding."""

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.rows), self.stored.shape[1]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: slice | np.ndarray) -> np.ndarray:
        rows = self.rows[at]
        if isinstance(at, slice) and len(rows) and rows[-1] - rows[0] == len(rows) - 1:
            return np.asarray(self.stored[rows[0] : rows[-1] + 1], dtype=np.float32)
        return np.asarray(self.stored[rows], dtype=np.float32)

    def subset(self, positions: np.ndarray) -> BankView:
        """The embeddings at ``positions`` of this view, still on disk."""
        return BankView(self.stored, self.rows[positions])


@dataclass(frozen=True)
class Block:
    """What the marker of a finished block says."""

    index: int
    failures: Mapping[str, str]
    """Reason by photo id."""
    source_jpeg: Mapping[str, int]
    """Photos by their own compression."""
    seconds: float
    """Worker time spent on its views."""


class Bank:
    """Embeddings on disk. Open with ``Bank.open``; write blocks; read views when ``complete``."""

    def __init__(self, folder: Path, names: tuple[str, ...], n_photos: int, dim: int, dtype: str) -> None:
        self.folder = folder
        self.names = names
        self.n_photos = n_photos
        self.dim = dim
        self.dtype = dtype
        self.block_photos = 64 if n_photos <= 20_000 else 1024
        self._writable: dict[str, np.ndarray] = {}

    @classmethod
    def open(cls, root: Path, key: Mapping[str, Any], *, fresh: bool = False) -> Bank:
        """The bank of ``key`` under ``root``, made if it is not there; ``fresh`` forgets what is there.

        Raises:
            DataError: the folder exists but holds another key or cannot be written.
        """
        folder = root / key_hash(key)
        names, n, dim = tuple(key["views"]["names"]), int(key["photos"]["count"]), int(key["encoder"]["dimension"])
        bank = cls(folder, names, n, dim, str(key["storage"]))
        text = json.dumps(key, indent=2, sort_keys=True) + "\n"
        try:
            if fresh:
                shutil.rmtree(folder, ignore_errors=True)
            (folder / "blocks").mkdir(parents=True, exist_ok=True)
            known = folder / "key.json"
            if known.exists() and known.read_text(encoding="utf-8") != text:
                raise DataError(f"{folder}: holds another bank than its name says; delete it")
            bank._make_files()
            write_text_atomically(known, text)
        except OSError as error:
            raise DataError(f"{folder}: the bank cannot be written ({error.strerror})") from None
        return bank

    @property
    def n_blocks(self) -> int:
        return -(-self.n_photos // self.block_photos)

    @property
    def complete(self) -> bool:
        return not self.missing_blocks()

    def missing_blocks(self) -> list[int]:
        """Indices of the blocks that are not finished."""
        done = {int(path.stem) for path in (self.folder / "blocks").glob("*.json")}
        return [b for b in range(self.n_blocks) if b not in done]

    def block_range(self, block: int) -> range:
        """Photo indices of a block."""
        start = block * self.block_photos
        return range(start, min(start + self.block_photos, self.n_photos))

    def write_rows(self, start: int, embeddings: np.ndarray) -> None:
        """Store the embeddings [photos, views, dim] of consecutive photos from index ``start``."""
        if not self._writable:
            self._writable = {name: np.lib.format.open_memmap(self._file(name), mode="r+") for name in self.names}
        for position, name in enumerate(self.names):
            self._writable[name][start : start + len(embeddings)] = embeddings[:, position]

    def finish_block(self, block: Block) -> None:
        """Flush the rows, then write the marker: from here on a kill cannot lose the block."""
        for array in self._writable.values():
            array.flush()  # type: ignore[attr-defined]
        write_text_atomically(self._marker(block.index), json.dumps(dataclasses.asdict(block)))

    def blocks(self) -> list[Block]:
        """The markers of the finished blocks."""
        done = sorted((self.folder / "blocks").glob("*.json"))
        return [Block(**json.loads(path.read_text(encoding="utf-8"))) for path in done]

    def failures(self) -> dict[str, str]:
        """Reason by id of every photo that has no embedding."""
        return {name: reason for block in self.blocks() for name, reason in block.failures.items()}

    def source_jpeg(self) -> dict[str, int]:
        """Photos by their own compression, most frequent first."""
        total: Counter[str] = Counter()
        for block in self.blocks():
            total.update(block.source_jpeg)
        return dict(total.most_common())

    def view(self, name: str, rows: np.ndarray) -> BankView:
        """Embeddings of one view for the photos at indices ``rows`` (none of them failed)."""
        return BankView(np.load(self._file(name), mmap_mode="r"), np.asarray(rows, dtype=np.int64))

    def size_bytes(self) -> int:
        """What the bank takes on disk when complete."""
        return len(self.names) * self.n_photos * self.dim * np.dtype(self.dtype).itemsize

    def _make_files(self) -> None:
        missing = [name for name in self.names if not self._file(name).exists()]
        for name in missing:
            for marker in (self.folder / "blocks").glob("*.json"):
                marker.unlink()  # rows without their file: nothing here is finished
            temporary = self.folder / f".{os.getpid()}.npy"
            shape = (self.n_photos, self.dim)
            np.lib.format.open_memmap(temporary, mode="w+", dtype=np.dtype(self.dtype), shape=shape).flush()
            os.replace(temporary, self._file(name))

    def _file(self, name: str) -> Path:
        return self.folder / f"view-{name}.npy"

    def _marker(self, block: int) -> Path:
        return self.folder / "blocks" / f"{block:06d}.json"


def bank_key(
    info: EncoderInfo,
    compute_dtype: str,
    photos: PhotoSet,
    bytes_hash: str,
    recipe: ViewRecipe,
    storage: str,
    *,
    compiled: bool = False,
) -> dict[str, Any]:
    """Everything that decides the content of a bank, as JSON values; ``compiled`` forward passes round differently."""
    return {
        "layout": LAYOUT,
        "encoder": {
            "id": info.id,
            "library": info.library,
            "revision": info.revision,
            "weights_sha256": info.weights_sha256,
            "dimension": info.dimension,
            "pooling": info.pooling,
            "preprocessing": dict(info.preprocessing),
            "dtype": compute_dtype,
            **({"compiled": True} if compiled else {}),
        },
        "views": {"names": list(recipe.names), **recipe.key()},
        "photos": {"count": len(photos), "ids": ids_only_hash(photos.ids), "bytes": bytes_hash},
        "storage": storage,
        "codec_canary": codec_canary(),
    }


def key_hash(key: Mapping[str, Any]) -> str:
    """20 hex digits that name a key."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:20]


def ids_only_hash(ids: Sequence[str]) -> str:
    """16 hex digits that name ids and their order."""
    return hashlib.sha256(b"\0".join(i.encode("utf-8", "surrogateescape") for i in ids)).hexdigest()[:16]


def photos_bytes_hash(photos: PhotoSet, workers: int = 4) -> str:
    """32 hex digits that name the bytes of all photos in order; an unreadable photo counts by its reason.

    A source whose bytes follow from its own parameters (simulated cameras) says so by ``fingerprint()`` and is not
    read for this.
    """
    fingerprint = getattr(photos.source, "fingerprint", None)
    if fingerprint is not None:
        return hashlib.sha256(f"{fingerprint()}\0{photos.rows.tolist()}".encode()).hexdigest()[:32]
    digest = hashlib.sha256()
    bar = tqdm(total=len(photos), desc="checking photos", unit="photo", delay=2, leave=False, disable=None)
    with ThreadPoolExecutor(max(1, workers)) as pool, bar:
        for start in range(0, len(photos), 1024):
            part = range(start, min(start + 1024, len(photos)))
            for one in pool.map(lambda i: _photo_hash(photos, i), part):
                digest.update(one)
            bar.update(len(part))
    return digest.hexdigest()[:32]


def _photo_hash(photos: PhotoSet, index: int) -> bytes:
    try:
        return hashlib.sha256(photos.read(index)).digest()
    except PhotoError as error:
        return hashlib.sha256(f"unreadable: {error}".encode()).digest()
