"""The cache of compiled kernels: one folder for each state of the sources, removed after 30 days without use.

Numba notices a change of the file with an entry point, but not of the functions compiled into it, and its default cache
is next to the source, where an installation may be read-only. So this cache has folders of its own, named by a hash of
all sources of a kernel.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import itertools
import os
import platform
import re
import shutil
import sys
import time
from pathlib import Path

MAX_UNUSED_DAYS = 30
"""A folder of other sources is removed after so many days without use."""

CPU_INFO = Path("/proc/cpuinfo")
_CPU_LINES = ("model name", "flags", "CPU implementer", "CPU part", "Features", "isa")
"""First words of the lines of ``CPU_INFO`` that differ between processors, not between cores or moments."""

_FOLDER_NAME = re.compile(r"engine-[0-9a-f]{16}")


def kernel_folder(parts: tuple[str, ...] = ()) -> Path:
    """The folder of kernels with these source files besides this package's; it need not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "camtrace", f"engine-{sources_hash(parts)}")


@functools.cache
def mark_used(folder: Path) -> None:
    """Set the time stamp of a folder, and remove its neighbours that are no longer used; once per process and folder.

    A process that still uses a removed folder compiles again, nothing else. Where nothing can be written, nothing
    happens.
    """
    with contextlib.suppress(OSError):
        os.utime(folder)
        oldest = time.time() - MAX_UNUSED_DAYS * 86_400
        with os.scandir(folder.parent) as entries:
            others = [entry for entry in entries if _FOLDER_NAME.fullmatch(entry.name) and entry.name != folder.name]
        for entry in others:
            if _is_stale(entry, oldest):
                shutil.rmtree(entry.path, ignore_errors=True)


def _is_stale(entry: os.DirEntry[str], oldest: float) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < oldest
    except OSError:  # another process was faster
        return False


@functools.cache
def sources_hash(parts: tuple[str, ...] = ()) -> str:
    """16 hex digits over the contents of this package's files and of the parts."""
    digest = hashlib.sha256()
    for path in _sources(parts):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def index_hash(parts: tuple[str, ...] = ()) -> str:
    """16 hex digits over everything by which numba finds compiled functions.

    That is the sources, their paths and times, Python, numba and the processor: two checkouts of the same sources
    differ, and so do two machines that share a home folder.
    """
    versions = [sys.implementation.cache_tag, getattr(sys, "abiflags", "")]
    for package in ("numba", "llvmlite"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(importlib.metadata.version(package))
    settings = [os.environ.get(f"NUMBA_CPU_{part}", "-") for part in ("NAME", "FEATURES")]
    paths = [f"{os.path.abspath(path)} {path.stat().st_mtime_ns}" for path in _sources(parts)]
    index = "\n".join([sources_hash(parts), *map(str, versions), *settings, _processor(), *paths])
    return hashlib.sha256(index.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _sources(parts: tuple[str, ...]) -> tuple[Path, ...]:
    return (*sorted(Path(__file__).parent.glob("*.py")), *map(Path, parts))


def _processor() -> str:
    """Model and features of the processor, as far as the system states them without a library."""
    kind = f"{platform.system()} {platform.machine()} {platform.processor()}"
    with contextlib.suppress(OSError), CPU_INFO.open(encoding="ascii", errors="replace") as lines:
        first_core = itertools.takewhile(str.strip, lines)
        return "\n".join([kind, *(line for line in first_core if line.startswith(_CPU_LINES))])
    return kind
