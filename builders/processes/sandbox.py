"""Worker processes for hostile files, with limits on memory and time: a file that takes one down costs one failure.

A worker serves one function (``module:function``). It reads requests from standard input and answers each with one line
of JSON, never pickle: a hostile file may have taken over the process, so nothing that it sends is executed. A worker
that crashes, hangs or needs too much memory is replaced.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import select
import signal
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from builders.processes.guards import exit_with_parent, setup_child
from builders.processes.memory import child_environment, in_this_context

MAX_ANSWER_BYTES = 2**20
"""Of one line of JSON."""

ALARM_S = 5.0
"""Seconds after its limit of time at which a worker ends itself: its parent ended it before, unless that is gone."""

MALFORMED = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading an answer raises that is not as the function makes it."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class SandboxError(Exception):
    """The worker gave no result. The text goes on after the name of the work: "took longer than 10 s"."""


class WorkerLost(SandboxError):
    """The worker process ended, or sent what its function cannot have made.

    Args:
        status: exit status of the process; negative: the signal that ended it.
    """

    def __init__(self, status: int | None) -> None:
        super().__init__(f"ended its process (status {status})")
        self.status = status


class Sandbox:
    """One worker process, started at the first request, and again after it was lost.

    Args:
        target: ``module:function``, called in the worker as ``function(file, *arguments)`` with the file as path or
            bytes. It returns values of JSON; its ``MemoryError`` is an answer, any other exception ends the worker.
        timeout_s: wall-clock time for one request; the first includes the start of the process and its imports.
        memory_bytes: address space that the worker may take beyond what its imports take.
    """

    def __init__(self, target: str, *, timeout_s: float, memory_bytes: int) -> None:
        self.target, self.timeout_s, self.memory_bytes = target, timeout_s, memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def call(self, file: Path | bytes, *arguments: str, parse: Callable[[Any], _Result]) -> _Result:
        """Call the function in the worker.

        Args:
            file: the worker opens a path itself.
            arguments: of the function, after the file.
            parse: makes the result of the function's value; what it raises of ``MALFORMED`` counts as a lost worker.

        Raises:
            SandboxError: no result came. The worker is ended, and replaced at the next call.
        """
        if self._process is None:
            self._process = _start(self.target, self.memory_bytes, self.timeout_s)
        if self._closed:
            self.stop()
            raise SandboxError("was interrupted")
        try:
            _send(self._process.stdin, file, arguments)  # type: ignore[arg-type]
            answer = self._answer(self._process)
            if not answer["ended"]:
                raise SandboxError(f"needs more than {self.memory_bytes} bytes of memory")
            return parse(answer["value"])
        except TimeoutError:
            self.stop()
            raise SandboxError(f"took longer than {self.timeout_s:g} s") from None
        except (OSError, *MALFORMED):
            raise WorkerLost(self.stop()) from None

    def _answer(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        descriptor, deadline, line = process.stdout.fileno(), time.monotonic() + self.timeout_s, b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            part = os.read(descriptor, 65536)
            if not part or len(line) > MAX_ANSWER_BYTES:
                raise OSError("the worker closed its output or sends without end")
            line += part
        return dict(json.loads(line))

    def close(self) -> None:
        """End the worker process for good, also during a call of another thread, which then ends soon."""
        self._closed = True
        if (process := self._process) is not None:
            process.kill()

    def stop(self) -> int | None:
        """End the worker process; returns its exit status, or None if there is no process."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        process.kill()
        status = process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # unsent bytes of a request that nobody will read
                stream.close()  # type: ignore[union-attr]
        return status


def map_sandboxed(
    request: Callable[[Sandbox, _Item], _Result],
    items: Iterable[_Item],
    *,
    target: str,
    workers: int,
    timeout_s: float,
    memory_bytes: int,
) -> Iterator[_Result]:
    """Results for many items, in their order, by several sandboxes.

    Args:
        request: called in a thread of this process with a free sandbox and an item; it handles ``SandboxError``.
        items: consumed only as fast as results are, four ahead for each worker.
        target, timeout_s, memory_bytes: of each ``Sandbox``.
        workers: processes.
    """
    free: queue.SimpleQueue[Sandbox] = queue.SimpleQueue()
    sandboxes = [Sandbox(target, timeout_s=timeout_s, memory_bytes=memory_bytes) for _ in range(workers)]
    for sandbox in sandboxes:
        free.put(sandbox)

    def run(item: _Item) -> _Result:
        sandbox = free.get()
        try:
            return request(sandbox, item)
        finally:
            free.put(sandbox)

    pending: deque[Future[_Result]] = deque()
    run_here = in_this_context(run)
    executor = ThreadPoolExecutor(workers)
    try:
        for item in items:
            pending.append(executor.submit(run_here, item))
            if len(pending) >= 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for sandbox in sandboxes:  # idle, unless this is an interruption
            sandbox.close()
        executor.shutdown(wait=True)
        for sandbox in sandboxes:
            sandbox.stop()


_IMPORT_NAMES = str(Path(__file__).resolve().parents[1] / "import_names")
_PROGRAM = f"""import sys
sys.path[0] = {_IMPORT_NAMES!r}  # not the working directory, which may have a module of our packages' names
from builders.processes.sandbox import main
main(*sys.argv[1:])
"""
"""The program of a worker."""


def _start(target: str, memory_bytes: int, timeout_s: float) -> subprocess.Popen[bytes]:
    environment = {**child_environment(), "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, target, str(memory_bytes), str(timeout_s), str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def _send(stream: BinaryIO, file: Path | bytes, arguments: tuple[str, ...]) -> None:
    """A request: two lengths, a header in JSON, and the bytes of the file unless the header has its path."""
    path, data = (None, file) if isinstance(file, bytes) else (str(file), b"")
    header = json.dumps([path, *arguments]).encode()
    stream.write(struct.pack(">QQ", len(header), len(data)) + header + data)
    stream.flush()


def _serve(target: str, memory_bytes: int, timeout_s: float, parent: int) -> None:
    """The worker: requests on standard input until it closes, one line of JSON for each.

    An alarm ends a worker whose parent was killed while compiled code ran, which lets no thread of Python run.
    """
    setup_child()
    exit_with_parent(parent)
    # Closed by the end of the process, not before it: then the parent reads its exit status.
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", closefd=False)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no answer
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    _limit_memory(memory_bytes)
    while len(lengths := requests.read(16)) == 16:
        header_bytes, data_bytes = struct.unpack(">QQ", lengths)
        path, *arguments = json.loads(requests.read(header_bytes))
        data = requests.read(data_bytes)
        _alarm(timeout_s + ALARM_S)
        try:
            answer = {"ended": True, "value": function(data if path is None else Path(path), *arguments)}
        except MemoryError:
            answer = {"ended": False}
        _alarm(0)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _alarm(seconds: float) -> None:
    if hasattr(signal, "setitimer"):  # not Windows
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource

        limit = _address_space() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # not a POSIX system, or a lower limit is in force already
        pass


def _address_space() -> int:
    """Bytes of this process; 0 where the system does not state them. Libraries take some for each core."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):  # not Linux
        return 0


def main(target: str, memory_bytes: str, timeout_s: str, parent: str) -> None:
    """The program of a worker, with the arguments of its command line."""
    _serve(target, int(memory_bytes), float(timeout_s), int(parent))
