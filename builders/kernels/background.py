"""Kernels compiled by a process of their own while other work goes on, where this machine does not have them yet."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from builders.errors import UsageError
from builders.kernels.cache import index_hash, kernel_folder

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


WAIT_S = 120
"""For the process: a machine that takes longer compiles once more, itself."""

_compiling_s = 0.0

_PROGRAM = "import importlib, sys; sys.path[:] = {!r}; importlib.import_module({!r}).{}()"


def _end(process: subprocess.Popen[bytes], of: int) -> None:
    """No process outlives the one that began it (not a fork of it); what it has compiled so far is kept."""
    if os.getpid() == of and process.poll() is None:
        process.terminate()
        process.wait()


def compiling_s() -> float:
    """Seconds that this process has compiled kernels of pictures, or waited for them, until now: take differences."""
    return _compiling_s


class BackgroundKernels:
    """Some kernels, and the process that compiles them.

    Args:
        compile: ``module:function`` that compiles all of them.
        name: of the file in ``kernel_folder`` that says that this machine has them, before what numba finds them by.
        folder, patterns: which files they are made of, beside the engine's.
    """

    def __init__(self, compile: str, name: str, folder: Path | None = None, *patterns: str) -> None:
        self._compile, self._name = compile, name
        self._folder, self._patterns = folder, patterns
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> subprocess.Popen[bytes] | None:
        """The process, begun once; None where the kernels are compiled, are not wanted, or cannot be kept."""
        unwanted = forced_engine() == "pillow" or importlib.util.find_spec("numba") is None
        if self._process is None and not unwanted and not self._marker().exists():
            with contextlib.suppress(OSError):
                kernel_folder().mkdir(parents=True, exist_ok=True)
                if os.access(kernel_folder(), os.W_OK):
                    program = _PROGRAM.format(sys.path, *self._compile.split(":"))
                    command, silent = [sys.executable, "-c", program], subprocess.DEVNULL
                    self._process = subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent)
                    atexit.register(_end, self._process, os.getpid())
        return self._process

    @property
    def running(self) -> bool:
        """Whether the process that compiles is still at it."""
        return self._process is not None and self._process.poll() is None

    @contextlib.contextmanager
    def first_call(self) -> Iterator[None]:
        """Around it: waits for the process; where this machine lacks the kernels, the time counts as compiling."""
        global _compiling_s
        started, there = time.perf_counter(), self._marker().exists()
        try:
            self.wait()
            yield
        finally:
            if not there:
                _compiling_s += time.perf_counter() - started

    def wait(self) -> None:
        """Until the process has ended, if this one has begun it."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(WAIT_S)

    def note(self) -> None:
        """That this machine has the kernels."""
        with contextlib.suppress(OSError):
            self._marker().touch()

    def _marker(self) -> Path:
        files = [file for pattern in self._patterns if self._folder for file in sorted(self._folder.glob(pattern))]
        return kernel_folder() / f"{self._name}-{index_hash(tuple(map(str, files)))}"
