"""Commands in children of this process, which has imported what is slow; they can be killed at any moment."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import resource
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
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
    processor_s: float = 0.0
    """Processor time of it and of its children that have ended; known of runs in turn."""

    @property
    def traceback(self) -> bool:
        """Whether it ended in a traceback."""
        return "Traceback (most recent call last)" in self.output or self.status == FAILED


FAILED, HANG = 99, -99

LOOK_S = 0.3
"""Seconds between two looks at the processes of a command."""

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


@dataclass(frozen=True)
class Run:
    """One of several commands that a child runs one after the other."""

    argv: Sequence[str]
    folder: Path
    log: Path
    prepare: Callable[[], object] = lambda: None
    """Called in the child before the command."""
    finish: Callable[[], object] = lambda: None
    """Called in the child after it."""
    supervised: bool = False
    """Whether a process of its own does the command, as where ``camtrace`` is started."""


def run_in_turn(
    runs: Sequence[Run], limit_s: float, see: Callable[[bytes], object] = lambda command_line: None
) -> list[Ended]:
    """How commands ended that one child runs in turn; where one ends the child, another child goes on with the next.

    A fork of a large process costs more than most commands on bad input.

    Args:
        runs: the commands.
        limit_s: longest time of one.
        see: called with what the system shows as the command line of every process of these, several times a second.
    """
    ends: list[Ended] = []
    while len(ends) < len(runs):
        ends += _in_one_child(runs[len(ends) :], limit_s, see)
    return ends


def _in_one_child(runs: Sequence[Run], limit_s: float, see: Callable[[bytes], object]) -> list[Ended]:
    sys.stdout.flush()
    sys.stderr.flush()
    reports, reporting = os.pipe()
    child = os.fork()
    if not child:
        os.close(reports)
        os.setsid()
        environment, place = dict(os.environ), os.getcwd()
        for one in runs:
            began = time.monotonic()
            os.chdir(place)
            os.environ.clear()
            os.environ.update(environment)
            used = _processor_s()
            status = _run_here(one)
            os.write(reporting, f"{status} {time.monotonic() - began} {_processor_s() - used}\n".encode())
        os._exit(0)
    os.close(reporting)
    ends: list[Ended] = []
    text, deadline = b"", time.monotonic() + limit_s
    while True:
        ready, _, _ = select.select([reports], [], [], min(LOOK_S, max(0.0, deadline - time.monotonic())))
        for command_line in _command_lines(child):
            see(command_line)
        if not ready and time.monotonic() < deadline:
            continue
        part = os.read(reports, 4096) if ready else b""
        if not part:
            break
        text, deadline = text + part, time.monotonic() + limit_s
        *lines, text = text.split(b"\n")
        for line in lines:
            ended_with, seconds, processor_s = line.split()
            output = runs[len(ends)].log.read_text(errors="replace")
            ends.append(Ended(int(ended_with), output, float(seconds), processor_s=float(processor_s)))
    hang = bool(not ready)
    os.close(reports)
    if hang:
        os.killpg(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    stayed = not hang and _end_group(child)
    if len(ends) < len(runs):
        log = runs[len(ends)].log
        output = log.read_text(errors="replace") if log.exists() else ""
        ends.append(Ended(HANG if hang else status, f"hang\n{output}" if hang else output, limit_s, stayed))
    elif stayed:
        ends[-1] = replace(ends[-1], stayed=True)
    return ends


def _command_lines(session: int) -> Iterator[bytes]:
    """The command lines of all processes of a session."""
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getsid(int(path.name)) == session:
                yield (path / "cmdline").read_bytes()


def _processor_s() -> float:
    """Processor time of this process and of its children that have ended."""
    return sum(sum(resource.getrusage(whose)[:2]) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _run_here(one: Run) -> int:
    process = os.getpid()
    try:
        descriptor = os.open(one.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        _use_folder(one.folder)
        from benchmark.__main__ import main
        from benchmark.compute import run_supervised

        one.prepare()
        start_run = run_supervised if one.supervised else (lambda call: call())
        status = start_run(lambda: main(list(one.argv)) or 0)
    except SystemExit as end:  # of --help
        status = end.code if isinstance(end.code, int) else FAILED
    except BaseException:
        import traceback

        with contextlib.suppress(OSError):  # an encoder may have closed the streams of Python
            os.write(2, traceback.format_exc().encode(errors="backslashreplace"))
        status = FAILED
    gc.collect()  # a command's own end: what it leaves to the collector would be removed within the next one
    one.finish()
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    if os.getpid() != process:
        os._exit(status)
    return status


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
    import_all(names.read_text().splitlines())


def import_all(names: Sequence[str]) -> None:
    """Import modules, of which some may no longer be there."""
    for name in names:
        with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
            importlib.import_module(name)


def run(argv: Sequence[str], folder: Path, run_folder: Path | None = None) -> Ended:
    """A command from beginning to end; its log is next to ``folder``."""
    log = folder.with_name(f"{folder.name}.log")
    return ended(start(argv, run_folder or folder, log), log)
