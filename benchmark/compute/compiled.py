"""Modules of this package that numba compiles: used where numba is installed and can, done without elsewhere."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from types import ModuleType

from builders.outside import kind_and_line


@functools.cache
def compiled_module(name: str, what: str) -> ModuleType | None:
    """The module, after its ``try_out()`` has run; None without numba, or, with a warning, where it cannot be compiled.

    Args:
        name: of a module with a function ``try_out``, which calls what it has to offer.
        what: the module does, for the warning.
    """
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        module = importlib.import_module(name)
        module.try_out()
    except Exception as error:  # of a compiler: any
        sentence = f"{what} cannot be compiled ({kind_and_line(error)}); going on with torch, slower"
        warnings.warn(sentence, RuntimeWarning, stacklevel=3)
        return None
    return module
