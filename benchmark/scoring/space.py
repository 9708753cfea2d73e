"""Whether a disk holds what a run will write there: said before anything is embedded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.bank import Bank
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
