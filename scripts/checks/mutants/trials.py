"""Mutants one after the other, each in a fork of a process that has the libraries loaded, so that it begins at once."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LIBRARIES = (
    "datasets", "hypothesis", "matplotlib.pyplot", "numba", "pandas", "PIL.Image", "pyarrow.parquet", "pytest",
    "scipy.stats", "sklearn.linear_model", "torch", "transformers",
)  # fmt: skip
"""Loaded once, before the first fork; of the product nothing is."""


@dataclass(frozen=True)
class Trial:
    """A mutant with the tests that may see it."""

    name: str
    file: str
    """Relative to the checkout."""
    source: str
    """The file with the fault."""
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What the tests said of a mutant."""

    name: str
    killed: bool
    seconds: float
    text: str
    """The last lines of pytest; "over time" if they did not end."""


def outcomes(trials: Iterable[Trial], checkout: Path, *, limit_s: float) -> Iterator[Outcome]:
    """Put each mutant into a checkout in turn, run its tests, and put the file back.

    Args:
        trials: see ``Trial``.
        checkout: of this process alone; its files are changed meanwhile.
        limit_s: for the tests of one mutant; one that takes longer is killed, as an endless loop would be.

    Raises:
        ValueError: pytest does not find the tests of a mutant.
    """
    os.chdir(checkout)
    sys.path.insert(0, str(checkout))
    sys.dont_write_bytecode = True
    os.environ.update(PYTHONPATH=str(checkout), PYTHONDONTWRITEBYTECODE="1", OMP_NUM_THREADS="1")
    for name in _LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for trial in trials:
        path = checkout / trial.file
        original = path.read_text(encoding="utf-8")
        try:
            yield _outcome(trial, path, original, limit_s)
        finally:
            _write(path, original)


_times = itertools.count(random.randrange(2**30))
"""Of files that are written here: bytecode, which some process of a test may store, is told apart by whole seconds."""


def _write(path: Path, source: str) -> None:
    path.write_text(source, encoding="utf-8")
    os.utime(path, (next(_times),) * 2)


def _outcome(trial: Trial, path: Path, original: str, limit_s: float) -> Outcome:
    """Whether a test fails with the fault that passes without it."""
    started = time.monotonic()
    left_out: list[str] = []
    while True:
        _write(path, trial.source)
        run = _run(trial.tests, left_out, limit_s)
        _write(path, original)
        if run.status == 4:  # a usage error: of the call, or the fault stops the import of a conftest.py
            without = _run(("--collect-only", *trial.tests), left_out, limit_s)
            if without.status == 4:
                raise ValueError(f"{trial.name}: {without.text}")
        if not run.failed or _run(run.failed, [], limit_s).status == 0:
            return Outcome(trial.name, run.status not in (0, 5), time.monotonic() - started, run.text)
        left_out += run.failed  # they fail anyway


@dataclass(frozen=True)
class _Run:
    """One run of pytest."""

    status: int | None
    """None if it did not end in time."""
    failed: tuple[str, ...]
    """The test that failed first; none if pytest itself ended otherwise."""
    text: str


def _run(tests: Sequence[str], left_out: Sequence[str], limit_s: float) -> _Run:
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "failed").touch()
        child = os.fork()
        if child == 0:
            _run_tests([*tests, *(f"--deselect={test}" for test in left_out)], folder)
        status = _waited(child, time.monotonic() + limit_s)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what the tests started
        if status is None:
            os.waitpid(child, 0)
            return _Run(None, (), "over time")
        text = (folder / "output").read_text(errors="replace")[-600:]
        return _Run(status, tuple((folder / "failed").read_text().splitlines()), text)


class _Failures:
    """Plugin of pytest: writes the id of each test that fails."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            with self._file.open("a") as stream:
                stream.write(f"{report.nodeid}\n")


def _waited(child: int, end: float) -> int | None:
    """The exit status of a child; None if it did not end in time."""
    while time.monotonic() < end:
        process, status = os.waitpid(child, os.WNOHANG)
        if process:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


def _run_tests(tests: Sequence[str], folder: Path) -> None:
    """In the fork: run tests (and options), and leave with the status of pytest."""
    import pytest

    os.setsid()
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None
    status = 99
    with contextlib.suppress(BaseException):
        options = ["-x", "-q", "--tb=line", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp", f"{folder}/base"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
        status = int(pytest.main([*options, *tests], plugins=[_Failures(folder / "failed")]))
    sys.stdout.flush()
    os._exit(status)


def fresh_checkout(origin: Path, folder: Path) -> Path:
    """A clone of what is committed in ``origin``, in place of an earlier one."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run(["git", "clone", "--quiet", "--local", str(origin), str(folder)], check=True)
    return folder
