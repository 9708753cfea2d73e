"""What the cache holds, which can all be made again: its entries, their sizes and age, and how to remove them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmark.scoring.tasks_run import OUTCOME
from builders.errors import DataError, unknown_name
from builders.untrusted import (
    UntrustedInputError,
    list_folder,
    read_untrusted_arrays,
    read_untrusted_json,
    walk_folders,
)

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "banks": "embeddings: hours of forward passes",
        "outcomes": "what tasks found: probes and kNN, minutes to hours",
        "gates": "verdicts on encoders, precisions and runtimes",
        "compiled": "networks converted for other runtimes",
        "photo-hashes": "hashes of photos: a reading of every file",
        "tar-index": "where photos stand in archives",
        "exif": "what the Exif of photo folders says",
        "perceptual-hashes": "of photo folders: a decoding of every file",
        "audit": "what audits read of files",
        "proofs": "whether answers give the scores of a result: 0.2 s each",
    }
)
"""Folders of the cache by name, and what it costs to make them again. Any other folder, perhaps of a later version, is
listed, and cleared only by its name."""

ALL = "all"
DAY_S = 86_400


@dataclass(frozen=True)
class Entry:
    """One entry that can be cleared: a bank, an outcome, or a file of a smaller kind."""

    kind: str
    path: Path
    about: str
    """Description for people."""
    size: int
    """Bytes on the disk; parts of a file that were never written take none."""
    changed: float
    """Last change, in seconds since 1970."""

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.path.name}"


def entries(cache: Path) -> list[Entry]:
    """All entries of a cache, by kind, the largest first.

    Raises:
        DataError: the folder cannot be read.
    """
    listed: list[Entry] = []
    try:
        for kind in list_folder(cache, may_be_absent=True).folders:
            _, folders, files = list_folder(cache / kind)
            listed += [_entry(kind, cache / kind / name) for name in sorted([*folders, *files])]
    except OSError as error:
        raise DataError(f"{cache}: cannot be read ({error.strerror})") from None
    order = list(KINDS)
    return sorted(listed, key=lambda e: (order.index(e.kind) if e.kind in order else len(order), e.kind, -e.size))


def chosen(cache: Path, what: Sequence[str], older_than_days: float = 0.0) -> list[Entry]:
    """The entries that a user names.

    Args:
        cache: folder of the cache.
        what: kinds (``banks``), single entries (``banks/2-0a1b...``), or ``all``.
        older_than_days: only those that were last written or opened longer ago.

    Raises:
        UsageError: no entry has this name.
        DataError: the folder cannot be read.
    """
    known = entries(cache)
    kinds, names = {*KINDS, *(entry.kind for entry in known)}, {entry.name for entry in known}
    for word in what:
        if word != ALL and word not in kinds and word not in names:
            raise unknown_name("part of the cache", word, {ALL, *kinds})
    before = time.time() - older_than_days * DAY_S
    named = [e for e in known if any(word in (ALL if e.kind in KINDS else "", e.kind, e.name) for word in what)]
    return [entry for entry in named if not older_than_days or entry.changed < before]


def clear(chosen_entries: Sequence[Entry]) -> int:
    """Remove entries.

    Returns:
        The freed bytes.

    Raises:
        DataError: an entry cannot be removed.
    """
    for entry in chosen_entries:
        try:
            if entry.path.is_dir() and not entry.path.is_symlink():
                shutil.rmtree(entry.path)
            else:
                entry.path.unlink(missing_ok=True)
        except OSError as error:
            raise DataError(f"{entry.path}: cannot be removed ({error.strerror})") from None
    return sum(entry.size for entry in chosen_entries)


def damaged(entry: Entry) -> str:
    """One sentence on what of an entry is not as it was written. It reads the entry once.

    Returns:
        "" if all is as written, or if the kind has no checksums.
    """
    from benchmark.bank import Bank

    try:
        if entry.kind == "banks":
            damaged = Bank.at(entry.path).check()
            blocks = sum(map(len, damaged.values()))
            return f"{blocks} blocks in {len(damaged)} views do not match their checksums" if damaged else ""
        if entry.kind == "outcomes" and (entry.path / OUTCOME).exists():
            read_untrusted_arrays(entry.path / OUTCOME)
        elif entry.path.suffix == ".npz":
            read_untrusted_arrays(entry.path)
        elif entry.path.suffix == ".json":
            read_untrusted_json(entry.path)
    except DataError as error:
        return str(error).removeprefix(f"{entry.path}: ")
    return ""


def _entry(kind: str, path: Path) -> Entry:
    files = [status for _, status in _files(path)]
    size = sum(status.st_blocks * 512 if hasattr(status, "st_blocks") else status.st_size for status in files)
    changed = max((status.st_mtime for status in files), default=0.0)
    about = {"banks": _about_bank, "outcomes": _about_outcome}.get(kind)
    return Entry(kind, path, about(path) if about else "", size, max(changed, path.lstat().st_mtime))


def _files(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    if not path.is_dir() or path.is_symlink():
        yield path, path.lstat()
        return
    for folder, _, names in walk_folders(path, may_be_absent=True):
        for name in names:
            file = Path(folder, name)
            try:
                yield file, file.lstat()
            except OSError:  # another process has just removed it
                continue


def _about_bank(path: Path) -> str:
    key = _key(path)
    try:
        encoder, photos = key["encoder"], key["photos"]
        views = len(list_folder(path / "views").folders)
        unread = ", not finished" if str(photos["bytes"]).startswith("unread") else ""
        return f"{encoder['id']}, {photos['count']:,} photos x {views} views x {encoder['dimension']}{unread}"
    except (KeyError, TypeError, ValueError, OSError, UntrustedInputError):
        return "no key that can be read"


def _about_outcome(path: Path) -> str:
    key = _key(path)
    try:
        state = "" if (path / "outcome.npz").exists() else ", not finished"
        return f"{key['task']} of {key['bank']['encoder']['id']}, {key['bank']['photos']['count']:,} photos{state}"
    except (KeyError, TypeError, ValueError):
        return "not finished" if (path / "parts").is_dir() else "no key that can be read"


def _key(path: Path) -> dict[str, Any]:
    try:
        key = read_untrusted_json(path / "key.json")
        return key if isinstance(key, dict) else {}
    except UntrustedInputError:
        return {}
