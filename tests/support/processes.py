"""Python processes that begin with the large libraries imported: forked from one that waits, one for a run of tests.

``run_python`` stands for ``subprocess.run([sys.executable, ...])`` and ``start_python`` for ``subprocess.Popen``: the
words after ``python``, an environment, a folder. Starting Python and importing torch, pandas and pyarrow takes seconds
of a processor, more than most tests' commands themselves. Nothing of this package is there beforehand, and nothing that
reads a Hub's address while it is imported. Tests about imports, threads, handlers of signals or what becomes of a
process without its parent start one of their own. ``start_forking`` is for code that starts Python itself.

The standard ``forkserver`` of ``multiprocessing`` is no substitute. Its children begin with the module search path and
the main module of pytest and with every module that unpickling their target imports, which tests of commands must not
have, and each test process has a server of its own. It is not slower by much: medians of 7 commands by turns on a busy
machine of two cores were 9 and 4 ms of CPU for ``pass``, 36 and 32 ms for ``camtrace score --help``, and 153 and 4 ms
for importing ``datasets`` (here it is imported beforehand for those that share the variables it reads); each server
imports the libraries for 3.9 s.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tests.support import forker


class Process:
    """One that was started; as ``subprocess.Popen`` where it has the same names."""

    def __init__(self, words: list[str], requested: bytes, files: Sequence[int] = ()) -> None:
        """``files``: its standard output, error and input; without them it has no input, and is listened to."""
        self.args = words
        self.returncode: int | None = None
        self.stdin: IO[Any] | None = None
        self.stdout: IO[Any] | None = None
        self._output: list[IO[str]] = []
        if not files:
            self._output = [tempfile.TemporaryFile("w+", encoding="utf-8") for _ in range(2)]  # noqa: SIM115
        self._reports, printed = os.pipe()
        socket.send_fds(_waiting_process(), [requested], [*(file.fileno() for file in self._output), *files, printed])
        os.close(printed)
        self.pid = self._next_number()

    def _next_number(self) -> int:
        printed = os.read(self._reports, 4)
        if len(printed) < 4:
            raise ChildProcessError("the process that forks and tells is gone")
        return int.from_bytes(printed, "big")

    def poll(self) -> int | None:
        """Its status, or None while it runs."""
        if self.returncode is None and select.select([self._reports], [], [], 0)[0]:
            self.returncode = os.waitstatus_to_exitcode(self._next_number())
            os.close(self._reports)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its status.

        Raises:
            subprocess.TimeoutExpired: it runs longer than so many seconds.
        """
        if self.returncode is None:
            select.select([self._reports], [], [], timeout)
        if self.poll() is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode or 0

    def communicate(self, given: None = None, timeout: float | None = None) -> tuple[str, ...]:
        """What it printed, once it has ended; it is given nothing."""
        self.wait(timeout)
        for file in self._output:
            file.seek(0)
        output = tuple(file.read() for file in self._output)
        for file in self._output:
            file.close()
        return output or ("", "")

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def __del__(self) -> None:
        for file in self._output:
            file.close()
        if self.returncode is None:
            os.close(self._reports)


def start_python(
    *words: object, env: Mapping[str, str] | None = None, cwd: Path | str | None = None, forking: bool = False
) -> Any:
    """``python WORDS`` (``-c CODE``, ``-m MODULE`` or a script, and its arguments), running.

    With ``forking`` it starts Python by ``start_forking``.
    """
    given, changed, place = (
        [str(word) for word in words],
        dict(os.environ if env is None else env),
        str(cwd or Path.cwd()),
    )
    if sys.platform != "linux":
        to = subprocess.PIPE
        return subprocess.Popen([sys.executable, *given], env=changed, cwd=place, stdout=to, stderr=to, text=True)
    return Process(given, json.dumps({"words": given, "env": changed, "cwd": place, "forking": forking}).encode())


_popen, _OPTIONS = subprocess.Popen, {"stdin", "stdout", "text", "env", "bufsize"}


def start_forking(command: Sequence[str], **options: Any) -> Any:
    """``subprocess.Popen`` that forks Python, with or without pipes at both ends: to stand in its place.

    As any child's, the parent of what is forked is another one once the process that asked is gone.
    """
    pipes = [options.get(name) for name in ("stdin", "stdout")]
    known = pipes in ([None] * 2, [subprocess.PIPE] * 2) and options.keys() <= _OPTIONS
    if sys.platform != "linux" or not known or command[0] != sys.executable or command[1].startswith("-S"):
        return _popen(command, **options)
    given, changed = list(command[1:]), dict(options.get("env") or os.environ)
    requested = json.dumps({"words": given, "env": changed, "cwd": os.getcwd()}).encode()
    if pipes == [None] * 2:
        return Process(given, requested, (1, 2, 0))
    (child_in, parent_in), (parent_out, child_out) = os.pipe(), os.pipe()
    process = Process(given, requested, (child_out, 2, child_in))
    os.close(child_in)
    os.close(child_out)
    text = "" if options.get("text") else "b"
    process.stdin, process.stdout = open(parent_in, "w" + text), open(parent_out, "r" + text)  # noqa: SIM115
    return process


def run_python(
    *words: object,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    timeout: float = 120,
    forking: bool = False,
) -> subprocess.CompletedProcess[str]:
    """What ``python WORDS`` printed, and its status; ``forking`` as of ``start_python``.

    Raises:
        subprocess.TimeoutExpired: it took more than ``timeout`` seconds, and was killed.
    """
    process = start_python(*words, env=env, cwd=cwd, forking=forking)
    try:
        out, err = process.communicate(timeout=timeout)
    except BaseException:  # late, or the test itself was stopped
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess([str(word) for word in words], process.returncode, out, err)


@functools.cache
def _waiting_process() -> socket.socket:
    """A line to the process that forks."""
    if WHERE not in os.environ:
        share()
    line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line.connect("\0" + os.environ[WHERE])
    atexit.register(line.close)
    return line


WHERE = "CAMTRACE_TESTS_FORK_AT"
"""The variable with the abstract address of the process that forks."""


def share() -> None:
    """Start the process that forks for this process and those that it starts from now on; it imports once one asks."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.bind("")  # to an address that is free
    door.listen()
    measured, reference = socket.socketpair()
    changed = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    none, inherited = subprocess.DEVNULL, [door.fileno(), reference.fileno()]
    process = subprocess.Popen(
        [sys.executable, forker.__file__, *map(str, inherited)],
        pass_fds=inherited, env=changed, stdin=none, stdout=none, stderr=none,
    )  # fmt: skip
    os.environ[WHERE] = os.fsdecode(door.getsockname()).removeprefix("\0")
    door.close()
    reference.close()

    def end() -> None:
        measured.shutdown(socket.SHUT_RDWR)  # whoever was forked from here has it too
        measured.close()
        process.wait()

    atexit.register(end)


def forked(words: list[str], env: Mapping[str, str], files: list[int]) -> int:
    """The number of a child that runs ``python WORDS``, from here: of a process that has begun no thread.

    It says what it says to the two ``files``.
    """
    child = os.fork()
    if not child:
        weakref.finalize._registry.clear()  # type: ignore[attr-defined]  # folders of this process's own
        forker.run_and_end({"words": words, "env": dict(env), "cwd": os.getcwd()}, files)
    return child
