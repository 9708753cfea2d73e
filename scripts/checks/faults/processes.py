"""Commands in children of this process, which has imported what is slow; they can be killed at any moment."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a run of a command ended."""

    status: int
    """Exit status; minus the signal where one ended it; ``HANG``."""
    output: str
    """Standard output and error."""
    seconds: float
    stayed: bool = False
    """Whether a process of the command was still there after it; it was ended."""

    @property
    def traceback(self) -> bool:
        """Whether it ended in a traceback."""
        return "Traceback (most recent call last)" in self.output or self.status == FAILED


FAILED, HANG = 99, -99

GRACE_S = 30.0
"""Processes of a command may end so long after it: workers look for their parent twice a second."""


def start(argv: Sequence[str], folder: Path, log: Path, prepare: Callable[[], object] = lambda: None) -> int:
    """Run a command in a child, whose caches and temporary files are in the folder of the run; its process id.

    Args:
        argv: the arguments of ``camtrace``.
        folder: of the run.
        log: file for its output.
        prepare: called in the child before the command.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        _use_folder(folder)
        from benchmark.__main__ import main

        prepare()
        status = main(list(argv))
    except BaseException:
        import traceback

        traceback.print_exc()
        status = FAILED
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


def _use_folder(folder: Path) -> None:
    """Caches and temporary files of this process go to a folder from now on."""
    from huggingface_hub import constants

    with contextlib.suppress(OSError):
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
    os.environ |= {"CAMTRACE_CACHE": str(folder / "camtrace-cache"), "TMPDIR": str(folder / "tmp")}
    tempfile.tempdir = None
    constants.HF_HUB_CACHE = str(folder / "hub")
    if datasets := sys.modules.get("datasets"):
        datasets.config.HF_DATASETS_CACHE = folder / "datasets"
        datasets.config.HF_CACHE_HOME = str(folder / "hf")
        datasets.config.DOWNLOADED_DATASETS_PATH = folder / "datasets" / "downloads"


def ended(child: int, log: Path, limit_s: float = 300.0) -> Ended:
    """Wait for it; one that does not end in time is a hang, and is killed with its processes."""
    started = time.monotonic()
    while True:
        pid, raw = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() - started > limit_s:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Ended(HANG, f"hang\n{log.read_text(errors='replace')}", limit_s)
        time.sleep(0.005)
    seconds = time.monotonic() - started
    return Ended(os.waitstatus_to_exitcode(raw), log.read_text(errors="replace"), seconds, _end_group(child))


def _end_group(child: int) -> bool:
    """End what is left of the processes of a command that has ended; whether some had to be ended."""
    end = time.monotonic() + GRACE_S
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, 0)
        while time.monotonic() < end:
            if not _is_alive(child):
                return False
            time.sleep(0.02)
        os.killpg(child, signal.SIGKILL)
        return True
    return False


def _is_alive(group: int) -> bool:
    """Whether a process of a group has not ended; one that has ended and that its new parent has not noticed has."""
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if os.getpgid(int(path.name)) == group and (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                return True
    return False


def warm_up(command: Sequence[str], folder: Path) -> None:
    """Import here what a command imports, so that no later child has to."""
    names = folder.with_name("modules")
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException), contextlib.redirect_stdout(io.StringIO()):
            _use_folder(folder)
            from benchmark.__main__ import main

            with contextlib.redirect_stderr(io.StringIO()):
                main(list(command))
        names.write_text("\n".join(sys.modules))
        os._exit(0)
    os.waitpid(child, 0)
    for name in names.read_text().splitlines():
        with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
            importlib.import_module(name)


def run(argv: Sequence[str], folder: Path, run_folder: Path | None = None) -> Ended:
    """A command from beginning to end; its log is next to ``folder``."""
    log = folder.with_name(f"{folder.name}.log")
    return ended(start(argv, run_folder or folder, log), log)
