"""Kernels compiled by a separate process while other work goes on, where this machine does not have them yet."""

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

from builders.kernels.cache import index_hash, kernel_folder
from builders.kernels.choice import forced_engine

WAIT_S = 120
"""Longest wait for the process; after it this process compiles once more, itself."""

_compiling_s = 0.0

_PROGRAM = "import importlib, sys; sys.path[:] = {!r}; importlib.import_module({!r}).{}()"


def compiling_s() -> float:
    """Seconds that this process has compiled kernels, or waited for them, until now: take differences."""
    return _compiling_s


class BackgroundKernels:
    """A set of kernels, and the process that compiles them.

    Args:
        compile: ``module:function`` that compiles all of them.
        name: of the marker file in ``kernel_folder``, before ``index_hash``: it records that this machine has them.
        folder: of their source files.
        patterns: glob patterns of their source files in ``folder``, in the order in which ``entry_point`` has them.
    """

    def __init__(self, compile: str, name: str, folder: Path, *patterns: str) -> None:
        self._compile, self._name = compile, name
        self._folder, self._patterns = folder, patterns
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> subprocess.Popen[bytes] | None:
        """The process, started once; None where the kernels are compiled, are not wanted, or cannot be cached."""
        unwanted = forced_engine() == "pillow" or importlib.util.find_spec("numba") is None
        if self._process is None and not unwanted and not self._marker().exists():
            with contextlib.suppress(OSError):
                folder = self._marker().parent
                folder.mkdir(parents=True, exist_ok=True)
                if os.access(folder, os.W_OK):
                    program = _PROGRAM.format(sys.path, *self._compile.split(":"))
                    command, silent = [sys.executable, "-c", program], subprocess.DEVNULL
                    self._process = subprocess.Popen(command, stdin=silent, stdout=silent, stderr=silent)
                    atexit.register(_end, self._process, os.getpid())
        return self._process

    @property
    def running(self) -> bool:
        """True while the process compiles."""
        return self._process is not None and self._process.poll() is None

    @contextlib.contextmanager
    def first_call(self) -> Iterator[None]:
        """Put around the first call of the kernels: it waits for the process.

        Where this machine lacks the kernels, the time counts as compiling (``compiling_s``).
        """
        global _compiling_s
        started, compiled_before = time.perf_counter(), self._marker().exists()
        try:
            self.wait()
            yield
        finally:
            if not compiled_before:
                _compiling_s += time.perf_counter() - started

    def wait(self) -> None:
        """Wait until the process has ended, if this object started one."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(WAIT_S)

    def note(self) -> None:
        """Record that this machine has the kernels."""
        with contextlib.suppress(OSError):
            self._marker().touch()

    def _marker(self) -> Path:
        files = tuple(str(file) for pattern in self._patterns for file in sorted(self._folder.glob(pattern)))
        return kernel_folder(files) / f"{self._name}-{index_hash(files)}"


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    """End the process when the one that started it ends (not a fork of that); what it has compiled stays cached."""
    if os.getpid() == owner and process.poll() is None:
        process.terminate()
        process.wait()
