"""Exif of many files in worker processes with limits, so that a hostile file costs one failure and nothing else.

A worker that crashes, hangs or asks for too much memory is replaced; its file becomes a ``Reading`` with a reason.
Workers answer in JSON (never pickle), because what a hostile file may have taken over is not to be trusted.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builders.errors import PhotoError
from builders.exif.acquisition import Acquisition, acquisition_from_raw
from builders.files import MAX_PHOTO_BYTES
from builders.untrusted import UntrustedInputError, read_untrusted

NO_EXIF = "the file carries no Exif that is read here"


@dataclass(frozen=True)
class Reading:
    """The Exif of one file, or why there is none."""

    acquisition: Acquisition
    """Empty if ``reason`` is set."""
    reason: str | None = None
    """One sentence, if nothing was read."""


def read_many(
    files: Iterable[Path | bytes],
    *,
    workers: int | None = None,
    timeout_s: float = 10.0,
    memory_bytes: int = 2**30,
) -> Iterator[Reading]:
    """Read the Exif of many files, in the order given. Nothing about a file raises.

    Args:
        files: paths, or the bytes themselves; consumed only as fast as results are.
        workers: processes; one per core if ``None``.
        timeout_s: wall-clock time that one file may take.
        memory_bytes: address space of one worker.
    """
    count = workers or os.cpu_count() or 1
    idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
    pool = [_Worker(timeout_s, memory_bytes) for _ in range(count)]
    for worker in pool:
        idle.put(worker)

    def read(file: Path | bytes) -> Reading:
        worker = idle.get()
        try:
            return worker.read(file)
        finally:
            idle.put(worker)

    pending: deque[Future[Reading]] = deque()
    executor = ThreadPoolExecutor(count)
    try:
        for file in files:
            pending.append(executor.submit(read, file))
            if len(pending) >= 4 * count:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
        for worker in pool:
            worker.stop()


class _Worker:
    """One child process, started when first needed and again after it was lost."""

    def __init__(self, timeout_s: float, memory_bytes: int) -> None:
        self.timeout_s = timeout_s
        self.memory_bytes = memory_bytes
        self.process: subprocess.Popen[bytes] | None = None

    def read(self, file: Path | bytes) -> Reading:
        kind, payload = (b"B", file) if isinstance(file, bytes) else (b"P", os.fsencode(file))
        if len(payload) > MAX_PHOTO_BYTES:
            return Reading(Acquisition(), f"the file has {len(payload)} bytes, more than {MAX_PHOTO_BYTES}")
        if self.process is None:
            self.process = _start(self.memory_bytes)
        try:
            assert self.process.stdin is not None
            self.process.stdin.write(struct.pack(">cQ", kind, len(payload)) + payload)
            self.process.stdin.flush()
            answer = self._answer(self.process)
            if "raw" not in answer:
                return Reading(Acquisition(), str(answer["reason"]))
        except TimeoutError:
            self.stop()
            return Reading(Acquisition(), f"reading its Exif took longer than {self.timeout_s:g} s")
        except (OSError, ValueError, KeyError, TypeError):
            status = self.stop()
            return Reading(Acquisition(), f"reading its Exif ended the reader (status {status})")
        acquisition = acquisition_from_raw({str(k): str(v) for k, v in answer["raw"].items()})
        return Reading(acquisition, None if acquisition.raw else NO_EXIF)

    def _answer(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        assert process.stdout is not None
        descriptor, deadline, line = process.stdout.fileno(), time.monotonic() + self.timeout_s, b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            part = os.read(descriptor, 65536)
            if not part or len(line) > 2**20:
                raise OSError("the reader closed its answer")
            line += part
        return json.loads(line)

    def stop(self) -> int | None:
        """End the process that this object started; returns its exit status."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        process.kill()
        status = process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # unsent bytes of a request that nobody will read
                stream.close()  # type: ignore[union-attr]
        return status


def _start(memory_bytes: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
    return subprocess.Popen(
        [sys.executable, "-m", "builders.exif.reader", str(memory_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


def _serve(memory_bytes: int) -> None:
    """The child: requests on stdin until it closes, one line of JSON for each."""
    from builders.exif.parser import read_allowed

    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # not a POSIX system, or a lower limit is in force already
        pass
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while len(header := requests.read(9)) == 9:
        kind, length = struct.unpack(">cQ", header)
        payload = requests.read(length)
        try:
            data = payload if kind == b"B" else _file_bytes(Path(os.fsdecode(payload)))
            answer: dict[str, Any] = {"raw": read_allowed(data)}
        except PhotoError as error:
            answer = {"reason": str(error)}
        except MemoryError:
            answer = {"reason": f"reading its Exif needs more than {memory_bytes} bytes of memory"}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _file_bytes(path: Path) -> bytes:
    try:
        return read_untrusted(path, limit=MAX_PHOTO_BYTES)
    except UntrustedInputError as refused:
        raise PhotoError(refused.reason) from None


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
