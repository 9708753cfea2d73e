"""Cache of the SHA-256 of every photo's bytes, which are part of a bank's key.

A cache key without the bytes is not complete, but reading a million photos takes minutes to hours. Therefore the hash
of a photo is stored under its stamp (path, size, inode, and times of modification and change of its file). Hashes that
are not stored are computed from the files, or by a pass, which reads the photos anyway.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from builders.errors import PhotoError
from builders.files import SAVED_EVERY_S, write_bytes_atomically
from builders.photos import PhotoSet, Stamps, is_settled, photo_digest
from builders.processes import in_this_context, step_bar
from builders.untrusted import UntrustedInputError, read_untrusted_arrays

FOLDER = "photo-hashes"
"""Folder of the cache that contains the tables of hashes."""

READ_BEFORE = 2_000
"""Up to this many unknown photos are read before a pass, which takes seconds. More are hashed during the pass."""

_DIGEST = 32
_VERSION = 2
"""Of the stamps: version 1 had neither inode nor time of change."""


class PhotoHashes:
    """SHA-256 of the photos of a set, as far as they are known."""

    def __init__(
        self, photos: PhotoSet, cache: Path | None = None, workers: int = 4, *, verify: bool = False, store: bool = True
    ) -> None:
        """Load the hashes that are stored in the cache.

        Args:
            photos: the photo set. If its source has a ``fingerprint()``, the bytes follow from it and are never read.
            cache: folder of the cache; None stores nothing.
            workers: threads that read photos.
            store: write what is read into the cache.
            verify: read every photo; stored hashes are not used, and the photos are read before a pass.
        """
        self.read_now = 0
        """Photos whose bytes were read, here or by a pass; the hashes of the others are of an earlier run."""
        self._verify, self._store = verify, store
        self.photos = photos
        self._workers = max(1, workers)
        self._fingerprint = getattr(photos.source, "fingerprint", None)
        self._digests = np.zeros((len(photos), _DIGEST), dtype=np.uint8)
        self._known = np.zeros(len(photos), dtype=bool)
        self._lasting = np.zeros(len(photos), dtype=bool)
        """Known and to be stored; not stored is that a file cannot be read, which may be different the next time."""
        self._looked_ns = time.time_ns()
        self._stamps = photos.stamps() if cache is not None and self._fingerprint is None else None
        self._file = None
        self._outdated = False
        """Whether hashes are remembered under stamps of an earlier version: banks of these bytes may exist."""
        self._saved_at, self._unsaved = time.monotonic(), False
        self._keys, self._changed = np.zeros((0, 2), dtype="<u8"), np.zeros(0, dtype=np.int64)
        if self._stamps is not None and cache is not None:
            name = hashlib.sha256(f"{type(photos.source).__name__}\0{photos.name}".encode()).hexdigest()[:16]
            self._file = cache / FOLDER / f"{name}.npz"
            self._keys, self._changed = _table(self._stamps)
            self._outdated = _version_of(self._file) in range(1, _VERSION)
            if not verify:
                self._load()

    @property
    def unknown(self) -> int:
        """Number of photos that would have to be read."""
        return 0 if self._fingerprint is not None else int((~self._known).sum())

    @property
    def hashed_in_pass(self) -> bool:
        """Whether a pass should compute the hashes: many are unknown, and the stamps can stand in for them."""
        most = 0 if self.photos.is_remote else READ_BEFORE  # a pass fetches the photos anyway
        return self._stamps is not None and self.unknown > most and not (self._outdated or self._verify)

    def stand_in(self) -> str:
        """A stand-in for ``bytes_hash`` until the bytes are known, made of the stamps; never equal to such a hash."""
        assert self._stamps is not None
        earlier = self._stamps.earlier
        keys = self._keys if earlier is None else _table(earlier)[0]
        return "unread " + hashlib.sha256(keys.tobytes()).hexdigest()[:32]

    @property
    def earlier_name(self) -> str | None:
        """The stand-in under which an interrupted run may have left embeddings; None if stamps may hide a change."""
        return None if self._stamps is None or not self._settled().all() else self.stand_in()

    def learn(self, index: int, digest: bytes) -> None:
        """Take the ``photo_digest`` of a photo from a pass; empty if the pass could not read the photo."""
        if digest and not self._known[index]:
            self._digests[index] = np.frombuffer(digest, dtype=np.uint8)
            self._known[index] = self._lasting[index] = self._unsaved = True
            self.read_now += 1
            if time.monotonic() - self._saved_at > SAVED_EVERY_S:
                self.save()

    def bytes_hash(self) -> str:
        """Hash of the bytes of all photos in order, 32 hex digits; unknown photos are read."""
        if self._fingerprint is not None:
            return hashlib.sha256(f"{self._fingerprint()}\0{self.photos.rows.tolist()}".encode()).hexdigest()[:32]
        try:
            self._read()
        finally:
            self.save()
        return hashlib.sha256(self._digests.tobytes()).hexdigest()[:32]

    def block_hashes(self, size: int) -> list[str] | None:
        """``hash_of_block`` of every ``size`` photos in order; unknown photos are read. None if the source has a
        ``fingerprint()``."""
        if self._fingerprint is not None:
            return None
        self.bytes_hash()
        digests = [d.tobytes() if readable else b"" for d, readable in zip(self._digests, self._lasting, strict=True)]
        return [hash_of_block(digests[start : start + size]) for start in range(0, len(digests), size)]

    def close(self) -> None:
        """Store the hashes that an interrupted pass has computed."""
        self.save()

    def save(self) -> None:
        """Store the known hashes if there are new ones. If the disk is full, the next run reads the photos again."""
        if self._file is None or self._stamps is None or not self._unsaved or not self._store:
            return
        stored = self._lasting & self._settled()
        keys, digests = self._keys[stored], self._digests[stored]
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
        """bool [photos], those whose file was not changed just now, so that another change would change its stamp."""
        assert self._stamps is not None
        return is_settled(self._changed, self._looked_ns)

    def _load(self) -> None:
        assert self._file is not None
        assert self._stamps is not None
        keys, digests = _read_table(self._file)
        if not len(keys):
            return
        self._take(self._keys, keys, digests)
        if self._stamps.earlier is not None and not self._known.all():
            before = int(self._known.sum())
            self._take(_table(self._stamps.earlier)[0], keys, digests)
            self._unsaved = int(self._known.sum()) > before

    def _take(self, wanted: np.ndarray, keys: np.ndarray, digests: np.ndarray) -> None:
        """Take digests of a table whose keys are the wanted ones of photos."""
        at = np.minimum(np.searchsorted(keys[:, 0], wanted[:, 0]), len(keys) - 1)
        new = (keys[at] == wanted).all(axis=1) & ~self._known
        self._known |= new
        self._lasting |= new
        self._digests[new] = digests[at[new]]

    def _read(self) -> None:
        unknown = np.flatnonzero(~self._known).tolist()
        bar = step_bar(total=len(unknown), desc="checking photos", unit="photo")
        with ThreadPoolExecutor(self._workers) as pool, bar:
            for start in range(0, len(unknown), 1024):
                part = unknown[start : start + 1024]
                for index, digest in zip(part, pool.map(in_this_context(self._read_digest), part), strict=True):
                    self.learn(index, digest)
                    if not digest:
                        self._known[index] = True
                bar.update(len(part))

    def _read_digest(self, index: int) -> bytes:
        try:
            return photo_digest(self.photos.read(index))
        except PhotoError as error:  # no other thread writes this index
            reason = hashlib.sha256(f"unreadable: {error}".encode()).digest()
            self._digests[index] = np.frombuffer(reason, dtype=np.uint8)
            return b""


def hash_of_block(digests: Sequence[bytes]) -> str:
    """Hash of the bytes of some photos in order, 16 hex digits.

    Args:
        digests: ``photo_digest`` of each photo; empty if it cannot be read.
    """
    return hashlib.sha256(b"".join(digest or b"\0" * _DIGEST for digest in digests)).hexdigest()[:16]


def _table(stamps: Stamps) -> tuple[np.ndarray, np.ndarray]:
    """uint64 [n, 2], the key of each stamp; int64 [n], when its file changed, in nanoseconds."""
    keys, changed = stamps.table(16)
    return keys.view("<u8"), changed


def _version_of(path: Path) -> int:
    """Version of a table; 0 where there is none that can be read."""
    try:
        return int(read_untrusted_arrays(path)["version"])
    except (UntrustedInputError, ValueError, KeyError, TypeError):
        return 0


def _read_table(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Keys, sorted by their first half, and digests; empty if there is no table that can be read."""
    try:
        stored = read_untrusted_arrays(path)
        keys, digests = stored["keys"], stored["digests"]
        if int(stored["version"]) == _VERSION and keys.shape == (len(digests), 2) and digests.shape[1:] == (_DIGEST,):
            return keys, digests
    except (UntrustedInputError, ValueError, KeyError, TypeError):
        pass
    return np.zeros((0, 2), dtype="<u8"), np.zeros((0, _DIGEST), dtype=np.uint8)
