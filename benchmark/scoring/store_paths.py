"""Paths of the banks of one photo set, and the disk space that they need.

A bank's key holds a hash of the photos' bytes; until a pass has read the photos, a stand-in takes its place.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.bank import ANSWER_STORAGE, Bank, PhotoHashes, key_of
from benchmark.encoders import Encoder, Output
from benchmark.options import RunOptions
from builders.errors import DiskError

LOG_FROM = 100_000_000
"""Bytes from which a run logs how much it will write."""

SPARE_BYTES = 256 << 20
"""Bytes that must stay free for results, outcomes and other programs."""


def require_space(banks: Sequence[Bank], folder: Path, log: Callable[[str], object]) -> None:
    """Log how much space embeddings will take, and refuse what does not fit.

    Args:
        banks: as they are now.
        folder: of the banks; it may not exist yet.
        log: called with one sentence, if it is much.

    Raises:
        DiskError: the disk has not enough space.
    """
    needed = sum(bank.missing_bytes() for bank in banks)
    free = free_space(folder)
    if needed >= LOG_FROM:
        log(f"embeddings: {size(needed)} more in {folder} ({size(free)} free)")
    if needed and needed + SPARE_BYTES > free:
        raise DiskError(
            f"{folder}: {size(needed)} of embeddings do not fit, {size(free)} are free; make space ('camtrace cache "
            "list' shows what is stored), or use --cache on another disk, --storage float16 (half) or --limit"
        )


def free_space(folder: Path) -> int:
    """Free bytes on the disk of a folder that may not exist yet."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def size(count: int) -> str:
    """A number of bytes as text, in MB or GB.

    >>> size(52_000), size(3_100_000_000)
    ('0.1 MB', '3.1 GB')
    """
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


BANKS = "banks"
"""Folder of the banks in the cache."""

Views = Mapping[str, Mapping[str, Any]]

OutputOf = tuple[Encoder, Output | None]
"""An encoder and an output of it; None for its embedding."""


class BankPaths:
    """Paths and keys of the banks of encoders on one photo set."""

    def __init__(self, hashes: PhotoHashes, options: RunOptions, scratch: Path, *, at_once: bool = False) -> None:
        """Take the hash of the photos' bytes, or a stand-in for it.

        Args:
            hashes: of the photos.
            options: of the run.
            scratch: folder for banks of encoders that are not identified.
            at_once: read unknown photos now, which may take long.
        """
        self._hashes, self._options, self._scratch = hashes, options, scratch
        self.unread = hashes.hashed_in_pass and not at_once
        """True until a pass has read the photos' bytes."""
        self.bytes_hash = hashes.stand_in() if self.unread else hashes.bytes_hash()
        self.earlier = None if self.unread else hashes.earlier_name
        """The stand-in of a run that was stopped before it had read all photos; None if there is none to trust."""

    def key(self, encoder: Encoder) -> dict[str, Any]:
        """Key of the encoder's bank."""
        return self._key(encoder, self.bytes_hash)

    def of_answers(self) -> BankPaths:
        """The same for banks of answers, which are float32 whatever ``--storage`` says."""
        other = copy.copy(self)
        other._options = replace(self._options, storage=ANSWER_STORAGE)
        return other

    def look(self, encoder: Encoder, views: Views, output: Output | None = None) -> Bank:
        """The encoder's bank as it is; nothing is created."""
        return Bank.look(self._root(encoder), self.key(encoder), views, output)

    def open(self, encoder: Encoder, views: Views, fresh: Sequence[str], output: Output | None = None) -> Bank:
        """The encoder's bank, ready to be filled.

        Raises:
            DataError: the bank cannot be written.
        """
        return Bank.open(self._root(encoder), self.key(encoder), views, fresh=fresh, output=output)

    def resume(self, encoders: Sequence[Encoder]) -> None:
        """Rename the banks that an earlier run left under its stand-in."""
        for encoder in encoders if self.earlier else ():
            Bank.adopt(self._root(encoder), self.key(encoder), self._key(encoder, str(self.earlier)))

    def settle(self, members: Sequence[OutputOf], views: Views) -> list[Bank]:
        """The banks under their final names, after a pass that has read the photos' bytes."""
        old, self.bytes_hash, self.unread = self.bytes_hash, self._hashes.bytes_hash(), False
        banks = []
        for encoder, output in members:
            root, key = self._root(encoder), self.key(encoder)
            Bank.adopt(root, key, self._key(encoder, old))
            banks.append(Bank.open(root, key, views, check=False, output=output))
        return banks

    def require_space(self, members: Sequence[OutputOf], views: Views, log: Any) -> None:
        """Refuse banks that do not fit their disks; see the function of this name."""
        for root in (self._options.cache / BANKS, self._scratch):
            banks = [self.look(encoder, views, output) for encoder, output in members if self._root(encoder) == root]
            require_space(banks, root, log)

    def _key(self, encoder: Encoder, bytes_hash: str) -> dict[str, Any]:
        return key_of(encoder, self._hashes.photos, bytes_hash, self._options.storage)

    def _root(self, encoder: Encoder) -> Path:
        return self._options.cache / BANKS if encoder.cacheable else self._scratch
