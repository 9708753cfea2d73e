"""How functions of the engine are compiled: exactly (no fast-math), and entry points once per machine.

Numba notices a change of the file that holds an entry point, but not of the kernels it is made of, and it keeps its
cache beside the source, where an installation may be read-only. So the cache has a folder of its own, named by all
sources.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit

OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "fastmath": False, "boundscheck": False}


def jit(function: Callable[..., Any]) -> Any:
    """Part of an entry point: compiled into it."""
    return njit(**OPTIONS)(function)


def entry_point(function: Callable[..., Any]) -> Any:
    """Called from Python: compiled at the first call on this machine, read from the cache later."""
    settings: Any = config
    given = settings.CACHE_DIR
    try:
        settings.CACHE_DIR = given or str(_cache_folder())
        return njit(cache=True, **OPTIONS)(function)
    except (RuntimeError, OSError):  # nowhere to write: compile in every process
        return njit(**OPTIONS)(function)
    finally:
        settings.CACHE_DIR = given


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "camtrace", f"engine-{_sources()}")


@functools.cache
def _sources() -> str:
    """A hash of every file of the engine."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
