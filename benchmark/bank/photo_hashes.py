"""The hash of every photo's bytes: remembered from an earlier run, learnt from a pass that reads them anyway, or read.

A cache key without the bytes is not complete, and reading a million photos takes minutes to hours. So what was read
once is remembered under the photo's stamp (path, size, inode and times of the file that holds it).
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from builders.errors import PhotoError
from builders.files import JUST_CHANGED_NS, SAVED_EVERY_S, write_bytes_atomically
from builders.photos import PhotoSet, photo_digest
from builders.untrusted import UntrustedInputError, read_untrusted_arrays

FOLDER = "photo-hashes"
"""Of the cache."""

READ_BEFORE = 2_000
"""Up to so many unknown photos are read before a pass: seconds. More are hashed in it."""

_DIGEST = 32
_VERSION = 2
"""Of the stamps: version 1 had neither inode nor time of change."""


class PhotoHashes:
    """SHA-256 of the photos of a set, known or not."""

    def __init__(self, photos: PhotoSet, cache: Path | None = None, workers: int = 4) -> None:
        """Look which are remembered.

        Args:
            photos: the set. Bytes of a source with a ``fingerprint()`` follow from it; they are never read.
            cache: the cache's folder; without one nothing is remembered.
            workers: threads that read.
        """
        self.photos = photos
        self._workers = max(1, workers)
        self._given = getattr(photos.source, "fingerprint", None)
        self._digests = np.zeros((len(photos), _DIGEST), dtype=np.uint8)
        self._known = np.zeros(len(photos), dtype=bool)
        self._lasting = np.zeros(len(photos), dtype=bool)
        """Known, and worth remembering: a file that cannot be read may be readable the next time."""
        self._looked_ns = time.time_ns()
        self._stamps = photos.stamps() if cache is not None and self._given is None else None
        self._file = None
        self._outdated = False
        """Whether hashes are remembered under stamps of an earlier version: banks of these bytes may exist."""
        self._saved_at, self._unsaved = time.monotonic(), False
        if self._stamps is not None and cache is not None:
            name = hashlib.sha256(f"{type(photos.source).__name__}\0{photos.name}".encode()).hexdigest()[:16]
            self._file = cache / FOLDER / f"{name}.npz"
            self._keys = _keys([stamp.text for stamp in self._stamps])
            self._outdated = _version_of(self._file) in range(1, _VERSION)
            self._recall()

    @property
    def unknown(self) -> int:
        """Photos that would have to be read."""
        return 0 if self._given is not None else int((~self._known).sum())

    @property
    def may_wait(self) -> bool:
        """Whether a pass over the photos should learn the hashes: many are unknown, and stamps can stand for them."""
        return self._stamps is not None and self.unknown > READ_BEFORE and not self._outdated

    def stand_in(self) -> str:
        """A name of the bytes from their stamps, for what is kept until they are known. Never the hash of any bytes."""
        assert self._stamps is not None
        return "unread " + hashlib.sha256(self._keys.tobytes()).hexdigest()[:32]

    @property
    def earlier_name(self) -> str | None:
        """The stand-in under which a run that was stopped has left its work, where equal stamps mean equal bytes."""
        return None if self._stamps is None or not self._settled().all() else self.stand_in()

    def learn(self, index: int, digest: bytes) -> None:
        """The ``photo_digest`` of the bytes that a pass read of one photo; none at all where it could not read them."""
        if digest and not self._known[index]:
            self._digests[index] = np.frombuffer(digest, dtype=np.uint8)
            self._known[index] = self._lasting[index] = self._unsaved = True
            if time.monotonic() - self._saved_at > SAVED_EVERY_S:
                self.save()

    def bytes_hash(self) -> str:
        """32 hex digits that name the bytes of all photos in order; what is unknown is read."""
        if self._given is not None:
            return hashlib.sha256(f"{self._given()}\0{self.photos.rows.tolist()}".encode()).hexdigest()[:32]
        try:
            self._read()
        finally:
            self.save()
        return hashlib.sha256(self._digests.tobytes()).hexdigest()[:32]

    def block_hashes(self, size: int) -> list[str] | None:
        """``hash_of_block`` of every so many photos in order, what is unknown read; None where bytes follow from the
        source's ``fingerprint()``."""
        if self._given is not None:
            return None
        self.bytes_hash()
        digests = [d.tobytes() if kept else b"" for d, kept in zip(self._digests, self._lasting, strict=True)]
        return [hash_of_block(digests[start : start + size]) for start in range(0, len(digests), size)]

    def close(self) -> None:
        """What a pass that was stopped has learnt is kept."""
        self.save()

    def save(self) -> None:
        """Write what is known, if there is anything new; a disk that takes nothing costs the next run a reading."""
        if self._file is None or self._stamps is None or not self._unsaved:
            return
        kept = self._lasting & self._settled()
        keys, digests = self._keys[kept], self._digests[kept]
        older_keys, older_digests = _read_table(self._file)
        others = ~np.isin(older_keys[:, 0], self._keys[:, 0])
        keys, digests = np.concatenate([keys, older_keys[others]]), np.concatenate([digests, older_digests[others]])
        order = np.argsort(keys[:, 0], kind="stable")
        buffer = io.BytesIO()
        np.savez(buffer, version=_VERSION, name=self.photos.name, keys=keys[order], digests=digests[order])
        try:
            write_bytes_atomically(self._file, buffer.getvalue())
        except OSError:
            return
        self._saved_at, self._unsaved = time.monotonic(), False

    def _settled(self) -> np.ndarray:
        """bool [photos], those whose file has not changed just now: another change would show in its stamp."""
        assert self._stamps is not None
        changed = np.array([stamp.changed_ns for stamp in self._stamps], dtype=np.int64)
        return (self._looked_ns - changed > JUST_CHANGED_NS) & (changed > 0)

    def _recall(self) -> None:
        assert self._file is not None
        keys, digests = _read_table(self._file)
        if not len(keys):
            return
        at = np.minimum(np.searchsorted(keys[:, 0], self._keys[:, 0]), len(keys) - 1)
        self._known = (keys[at] == self._keys).all(axis=1)
        self._lasting[:] = self._known
        self._digests[self._known] = digests[at[self._known]]

    def _read(self) -> None:
        unknown = np.flatnonzero(~self._known).tolist()
        bar = tqdm(total=len(unknown), desc="checking photos", unit="photo", delay=2, leave=False, disable=None)
        with ThreadPoolExecutor(self._workers) as pool, bar:
            for start in range(0, len(unknown), 1024):
                part = unknown[start : start + 1024]
                for index, digest in zip(part, pool.map(self._read_digest, part), strict=True):
                    self.learn(index, digest)
                    if not digest:
                        self._known[index] = True
                bar.update(len(part))

    def _read_digest(self, index: int) -> bytes:
        try:
            return photo_digest(self.photos.read(index))
        except PhotoError as error:  # each index is one thread's
            reason = hashlib.sha256(f"unreadable: {error}".encode()).digest()
            self._digests[index] = np.frombuffer(reason, dtype=np.uint8)
            return b""


def hash_of_block(digests: Sequence[bytes]) -> str:
    """16 hex digits that name the bytes of some photos in order.

    Args:
        digests: ``photo_digest`` of each; empty where it cannot be read.
    """
    return hashlib.sha256(b"".join(digest or b"\0" * _DIGEST for digest in digests)).hexdigest()[:16]


def photos_bytes_hash(photos: PhotoSet, workers: int = 4) -> str:
    """32 hex digits that name the bytes of all photos in order; an unreadable photo counts by its reason.

    A source whose bytes follow from its own parameters (simulated cameras) says so by ``fingerprint()`` and is not
    read for this.
    """
    return PhotoHashes(photos, workers=workers).bytes_hash()


def _keys(texts: Sequence[str]) -> np.ndarray:
    """uint64 [n, 2]: 16 bytes of BLAKE2b of each text."""
    made = b"".join(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest() for text in texts)
    return np.frombuffer(made, dtype="<u8").reshape(-1, 2)


def _version_of(path: Path) -> int:
    """Version of a table; 0 where there is none that can be read."""
    try:
        return int(read_untrusted_arrays(path)["version"])
    except (UntrustedInputError, ValueError, KeyError, TypeError):
        return 0


def _read_table(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Keys, sorted by their first half, and digests; empty where there is no table, or none that can be read."""
    try:
        stored = read_untrusted_arrays(path)
        keys, digests = stored["keys"], stored["digests"]
        if int(stored["version"]) == _VERSION and keys.shape == (len(digests), 2) and digests.shape[1:] == (_DIGEST,):
            return keys, digests
    except (UntrustedInputError, ValueError, KeyError, TypeError):
        pass
    return np.zeros((0, 2), dtype="<u8"), np.zeros((0, _DIGEST), dtype=np.uint8)
