"""How functions of the engine are compiled: exactly (no fast-math), and entry points once per machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import config, njit

from builders.engine.kernel_cache import kernel_folder, mark_used

OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "fastmath": False, "boundscheck": False}


def jit(function: Callable[..., Any]) -> Any:
    """Part of an entry point: compiled into it."""
    return njit(**OPTIONS)(function)


def entry_point(function: Callable[..., Any]) -> Any:
    """Called from Python: compiled at the first call on this machine, read from the cache later."""
    settings: Any = config
    given = settings.CACHE_DIR
    try:
        settings.CACHE_DIR = given or str(kernel_folder())
        made = njit(cache=True, **OPTIONS)(function)  # which makes the folder
        if not given:
            mark_used(kernel_folder())
        return made
    except (RuntimeError, OSError):  # nowhere to write: compile in every process
        return njit(**OPTIONS)(function)
    finally:
        settings.CACHE_DIR = given
