"""Where compiled kernels are kept: one folder for each state of the sources, until nobody has used it for a while.

Numba notices a change of the file that holds an entry point, but not of the kernels it is made of, and it keeps its
cache beside the source, where an installation may be read-only. So the cache has a folder of its own, named by all
sources.
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

KEPT_DAYS = 30
"""A folder of other sources is removed once nobody has used it for so long."""

CPU_INFO = Path("/proc/cpuinfo")
_OF_MODEL = ("model name", "flags", "CPU implementer", "CPU part", "Features", "isa")
"""What its lines begin with that differ between processors, not between cores or moments."""

_OURS = re.compile(r"engine-[0-9a-f]{16}")


def kernel_folder(parts: tuple[str, ...] = ()) -> Path:
    """The folder of these sources, and of further files ``parts``; it need not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "camtrace", f"engine-{sources_hash(parts)}")


@functools.cache
def mark_used(folder: Path) -> None:
    """Once a process: note in its time stamp that a folder is used, and remove those beside it that are not any more.

    A process that still uses one of those compiles again, nothing else. Where nothing can be written, nothing happens.
    """
    with contextlib.suppress(OSError):
        os.utime(folder)
        oldest = time.time() - KEPT_DAYS * 86_400
        with os.scandir(folder.parent) as entries:
            others = [entry for entry in entries if _OURS.fullmatch(entry.name) and entry.name != folder.name]
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
    """A hash of every file of the engine, and of the parts."""
    digest = hashlib.sha256()
    for path in _sources(parts):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def index_hash(parts: tuple[str, ...] = ()) -> str:
    """A hash of what numba finds compiled functions by: sources, their place and time, Python, numba, processor.

    Two checkouts of the same sources have two; so have two machines that share a home folder.
    """
    versions = [sys.implementation.cache_tag, getattr(sys, "abiflags", "")]
    for package in ("numba", "llvmlite"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(importlib.metadata.version(package))
    chosen = [os.environ.get(f"NUMBA_CPU_{part}", "-") for part in ("NAME", "FEATURES")]
    places = [f"{os.path.abspath(path)} {path.stat().st_mtime_ns}" for path in _sources(parts)]
    said = "\n".join([sources_hash(parts), *map(str, versions), *chosen, _processor(), *places])
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _sources(parts: tuple[str, ...]) -> tuple[Path, ...]:
    return (*sorted(Path(__file__).parent.glob("*.py")), *map(Path, parts))


def _processor() -> str:
    """Its model and features, as far as the system tells without a library."""
    kind = f"{platform.system()} {platform.machine()} {platform.processor()}"
    with contextlib.suppress(OSError), CPU_INFO.open(encoding="ascii", errors="replace") as lines:
        first = itertools.takewhile(str.strip, lines)  # of the first core
        return "\n".join([kind, *(line for line in first if line.startswith(_OF_MODEL))])
    return kind
