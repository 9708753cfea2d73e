"""How functions are compiled: exactly (the engine never uses fast-math), and entry points once per machine."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from types import ModuleType
from typing import Any

from numba import config, njit

from builders.kernels.cache import kernel_folder, mark_used

OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "boundscheck": False, "no_cfunc_wrapper": True}
"""For ``numba.njit``. Nothing is called from C: a wrapper for it would be compiled with each function."""

SUMS_IN_ANY_ORDER = frozenset({"reassoc", "contract"})
"""For ``fastmath`` where the last bits of a sum do not matter: sums in vectors. Values that are not finite stay so."""


def jit(function: Callable[..., Any], *, fastmath: Collection[str] = ()) -> Any:
    """Compile a function as a part of entry points; it is not cached by itself."""
    return njit(**_options(fastmath))(function)


def entry_point(
    function: Callable[..., Any], *, fastmath: Collection[str] = (), parts: Collection[ModuleType] = ()
) -> Any:
    """Compile a function that Python calls: at the first call on this machine; later it is read from the cache.

    Args:
        function: to be compiled. The functions compiled into it are in modules of its folder or in ``parts``.
        fastmath: numba's flags, such as ``SUMS_IN_ANY_ORDER``.
        parts: modules in other folders whose functions are compiled into it.

    Returns:
        numba's dispatcher, called as ``function`` is.
    """
    files = _source_files(function, parts)
    options = _options(fastmath)
    settings: Any = config
    configured = settings.CACHE_DIR
    try:
        settings.CACHE_DIR = configured or str(kernel_folder(files))
        compiled = njit(cache=True, **options)(function)  # which makes the folder
        if not configured:
            mark_used(kernel_folder(files))
        return compiled
    except (RuntimeError, OSError):  # nowhere to write: compile in every process
        return njit(**options)(function)
    finally:
        settings.CACHE_DIR = configured


def _source_files(function: Callable[..., Any], parts: Collection[ModuleType]) -> tuple[str, ...]:
    """Every file whose change may change the compiled function: those of its folder, and the parts."""
    folder = Path(function.__code__.co_filename).parent
    return tuple(dict.fromkeys([*map(str, sorted(folder.glob("*.py"))), *(str(part.__file__) for part in parts)]))


def _options(fastmath: Collection[str]) -> dict[str, Any]:
    return {**OPTIONS, "fastmath": set(fastmath) or False}
