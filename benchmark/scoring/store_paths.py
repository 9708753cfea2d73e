"""Where the banks of one photo set lie, by the hash of its photos' bytes, or a stand-in until a pass has read them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.bank import Bank, PhotoHashes, key_of
from benchmark.encoders import Encoder, Output
from benchmark.options import RunOptions
from builders.errors import DiskError

SAID_FROM = 100_000_000
"""Bytes from which a run says how much it will write."""

SPARE_BYTES = 256 << 20
"""What must stay free: results, outcomes, other programs."""


def require_space(banks: Sequence[Bank], folder: Path, tell: Callable[[str], object]) -> None:
    """Say how much embeddings will take, and refuse what does not fit.

    Args:
        banks: what lies there now.
        folder: that they are in; it may not exist yet.
        tell: hears the sentence, where it is worth one.

    Raises:
        DiskError: the disk has not enough space.
    """
    wanted = sum(bank.missing_bytes() for bank in banks)
    free = free_space(folder)
    if wanted >= SAID_FROM:
        tell(f"embeddings: {size(wanted)} more in {folder} ({size(free)} free)")
    if wanted and wanted + SPARE_BYTES > free:
        raise DiskError(
            f"{folder}: {size(wanted)} of embeddings do not fit, {size(free)} are free; make space ('camtrace cache "
            "list' shows what is kept), or use --cache on another disk, --storage float16 (half) or --limit"
        )


def free_space(folder: Path) -> int:
    """Bytes that are free on the disk of a folder that may not exist yet."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def size(count: int) -> str:
    """Bytes in the unit that people use.

    >>> size(52_000), size(3_100_000_000)
    ('0.1 MB', '3.1 GB')
    """
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


BANKS = "banks"
"""Folder of the cache."""

Views = Mapping[str, Mapping[str, Any]]

Of = tuple[Encoder, Output | None]
"""An encoder and an output of it; None for its embedding."""


class BankPaths:
    """The banks of encoders on one photo set."""

    def __init__(self, hashes: PhotoHashes, options: RunOptions, scratch: Path, *, at_once: bool = False) -> None:
        """Decide by which name of the bytes.

        Args:
            hashes: of the photos.
            options: of the run.
            scratch: a folder for what may not be kept.
            at_once: read unknown photos now, whatever it takes.
        """
        self._hashes, self._options, self._scratch = hashes, options, scratch
        self.unread = hashes.hashed_in_pass and not at_once
        """Whether the photos' bytes are still to be learnt in a pass."""
        self.bytes_hash = hashes.stand_in() if self.unread else hashes.bytes_hash()
        self.earlier = None if self.unread else hashes.earlier_name
        """What a run that was stopped before it knew the bytes called them; None where there is none to be believed."""

    def key(self, encoder: Encoder) -> dict[str, Any]:
        """Of its bank."""
        return self._key(encoder, self.bytes_hash)

    def look(self, encoder: Encoder, views: Views, output: Output | None = None) -> Bank:
        """Its bank as it is, nothing made."""
        return Bank.look(self._root(encoder), self.key(encoder), views, output)

    def open(self, encoder: Encoder, views: Views, fresh: Sequence[str], output: Output | None = None) -> Bank:
        """Its bank, ready to be filled.

        Raises:
            DataError: it cannot be written.
        """
        return Bank.open(self._root(encoder), self.key(encoder), views, fresh=fresh, output=output)

    def resume(self, encoders: Sequence[Encoder]) -> None:
        """Give the banks that an earlier run left under its name of the bytes to those that are named by them."""
        for encoder in encoders if self.earlier else ():
            Bank.adopt(self._root(encoder), self.key(encoder), self._key(encoder, str(self.earlier)))

    def settle(self, readings: Sequence[Of], views: Views) -> list[Bank]:
        """After a pass that learnt the photos' bytes: the banks under their lasting names."""
        old, self.bytes_hash, self.unread = self.bytes_hash, self._hashes.bytes_hash(), False
        banks = []
        for encoder, output in readings:
            root, key = self._root(encoder), self.key(encoder)
            Bank.adopt(root, key, self._key(encoder, old))
            banks.append(Bank.open(root, key, views, check=False, output=output))
        return banks

    def require_space(self, readings: Sequence[Of], views: Views, tell: Any) -> None:
        """Refuse what the disks do not hold; see ``benchmark.scoring.store_paths``."""
        for root in (self._options.cache / BANKS, self._scratch):
            banks = [self.look(encoder, views, output) for encoder, output in readings if self._root(encoder) == root]
            require_space(banks, root, tell)

    def _key(self, encoder: Encoder, bytes_hash: str) -> dict[str, Any]:
        return key_of(encoder, self._hashes.photos, bytes_hash, self._options.storage)

    def _root(self, encoder: Encoder) -> Path:
        return self._options.cache / BANKS if encoder.cacheable else self._scratch
