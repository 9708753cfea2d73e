"""Kernels compiled in a process of their own while other work goes on, where they are not compiled yet."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from builders.pixels import forced_engine, kernel_folder

WAIT_S = 120
"""For the process: a machine that takes longer compiles once more, itself."""

_PROGRAM = "import sys; sys.path[:] = {!r}; from builders.simcams.stages import chosen_stages; chosen_stages()"


@functools.cache
def begin_compiling() -> subprocess.Popen[bytes] | None:
    """The process that compiles, begun once; None where the kernels are compiled, are not wanted, or cannot be kept."""
    if forced_engine() == "pillow" or importlib.util.find_spec("numba") is None or _marker().exists():
        return None
    try:
        kernel_folder().mkdir(parents=True, exist_ok=True)
        if not os.access(kernel_folder(), os.W_OK):
            return None
        command, silent = [sys.executable, "-c", _PROGRAM.format(sys.path)], subprocess.DEVNULL
        return subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent)
    except OSError:
        return None


def wait_for_kernels() -> None:
    """Until the process that compiles has ended, if there is one."""
    if begin_compiling.cache_info().currsize and (process := begin_compiling()):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(WAIT_S)


def note_compiled() -> None:
    """That this machine has the kernels."""
    with contextlib.suppress(OSError):
        _marker().touch()


def _marker() -> Path:
    return kernel_folder() / f"simcams-{_sources()}"


@functools.cache
def _sources() -> str:
    """A hash of the kernels' files."""
    files = sorted(Path(__file__).parent.glob("kernels_*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
