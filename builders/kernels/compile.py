"""How functions are compiled: exactly (the engine never uses fast-math), and entry points once per machine."""

from __future__ import annotations

from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from numba import config, njit

from builders.kernels.cache import kernel_folder, mark_used

OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "boundscheck": False, "no_cfunc_wrapper": True}
"""Nothing is called from C: a wrapper for it would be compiled with each function."""

SUMS_IN_ANY_ORDER = frozenset({"reassoc", "contract"})
"""For ``fastmath`` where a sum's last bits do not matter: sums in vectors. What is not finite stays what it is."""


def jit(function: Callable[..., Any], *, fastmath: Collection[str] = ()) -> Any:
    """Part of an entry point: compiled into it."""
    return njit(**_options(fastmath))(function)


def entry_point(
    function: Callable[..., Any], *, fastmath: Collection[str] = (), parts: Collection[ModuleType] = ()
) -> Any:
    """Called from Python: compiled at the first call on this machine, read from the cache later.

    ``parts`` are modules beside its own and those of the engine whose functions are compiled into it.
    """
    files = tuple(str(part.__file__) for part in parts)
    chosen = _options(fastmath)
    settings: Any = config
    given = settings.CACHE_DIR
    try:
        settings.CACHE_DIR = given or str(kernel_folder(files))
        made = njit(cache=True, **chosen)(function)  # which makes the folder
        if not given:
            mark_used(kernel_folder(files))
        return made
    except (RuntimeError, OSError):  # nowhere to write: compile in every process
        return njit(**chosen)(function)
    finally:
        settings.CACHE_DIR = given


def _options(fastmath: Collection[str]) -> dict[str, Any]:
    return {**OPTIONS, "fastmath": set(fastmath) or False}
