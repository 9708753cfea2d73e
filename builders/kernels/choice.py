"""The choice between compiled kernels and the definition that they must agree with.

Kernels are imported, compared with the definition, and left with one warning where they cannot be compiled or differ.
``CAMTRACE_ENGINE`` forces one of the two.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

from builders.errors import UsageError, missing_package
from builders.untrusted import describe_error

VARIABLE = "CAMTRACE_ENGINE"
"""The environment variable that forces an implementation."""

_Kernels = TypeVar("_Kernels")


def forced_engine() -> str:
    """``numba`` or ``pillow`` (without compiled kernels), or empty where none is forced.

    Raises:
        UsageError: the variable has another value.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced not in ("", "numba", "pillow"):
        raise UsageError(f"{VARIABLE}={forced!r}: set it to 'numba' or 'pillow', or not at all")
    return forced


@dataclass(frozen=True)
class KernelTrial(Generic[_Kernels]):
    """Outcome of ``try_kernels``."""

    kernels: _Kernels | None
    """None if they cannot be used."""
    objection: str = ""
    """Why they cannot be used, as a sentence without its full stop; empty if they can."""

    def check_forced(self, instead: str) -> None:
        """Raise if the kernels are forced and cannot be used.

        Args:
            instead: what computes without them, such as ``Pillow``.

        Raises:
            UsageError: ``CAMTRACE_ENGINE=numba`` and there is an objection.
        """
        if self.objection and forced_engine():
            raise UsageError(f"{VARIABLE}=numba: {self.objection}; unset it to use {instead}")


def try_kernels(
    load: Callable[[], _Kernels],
    difference: Callable[[_Kernels], str],
    *,
    name: str,
    otherwise: str,
    purpose: str = "",
    first_call: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    stacklevel: int = 1,
) -> KernelTrial[_Kernels]:
    """Import compiled kernels and compare them; warns once if numba is installed but they cannot be used.

    Callers cache the outcome for the process (``functools.cache``).

    Args:
        load: imports the modules with the kernels.
        difference: compares them with the definition: empty if all results agree, else one sentence that says where
            they differ.
        name: of the kernels, for the sentence "NAME cannot be compiled (...)".
        otherwise: end of the warning: what computes instead.
        purpose: what numba is needed for, for the sentence about the missing package; ``name`` by default.
        first_call: context around the first use, ``BackgroundKernels.first_call``.
        stacklevel: of the warning, counted from the caller of this function.

    >>> trial = try_kernels(lambda: abs, lambda kernels: "", name="abs", otherwise="going on with Python")
    >>> trial.kernels is abs or "numba" in trial.objection
    True
    """
    if importlib.util.find_spec("numba") is None:
        return KernelTrial(None, missing_package("numba", purpose or name))
    try:
        with first_call():
            kernels = load()
            objection = difference(kernels)
    except Exception as error:  # of a compiler: any
        objection = f"{name} cannot be compiled ({describe_error(error)})"
    if objection:
        warnings.warn(f"{objection}; {otherwise}", RuntimeWarning, stacklevel=stacklevel + 1)
        return KernelTrial(None, objection)
    return KernelTrial(kernels)
