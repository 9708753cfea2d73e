"""The variable that chooses between compiled kernels and the libraries that define what they compute."""

from __future__ import annotations

import os

from builders.errors import UsageError

VARIABLE = "CAMTRACE_ENGINE"


def forced_engine() -> str:
    """``numba`` or ``pillow`` (without compiled kernels), or empty where none is forced.

    Raises:
        UsageError: the variable has another value.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced not in ("", "numba", "pillow"):
        raise UsageError(f"{VARIABLE}={forced!r}: set it to 'numba' or 'pillow', or not at all")
    return forced
