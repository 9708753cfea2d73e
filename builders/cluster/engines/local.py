"""Ranks in processes of this machine, which take rank after rank; a killed process costs its rank, not the others."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import IO

from builders.errors import UsageError
from builders.processes import CPUS, default_workers, exit_with_parent

SHARE = "CAMTRACE_RANKS_HERE"
"""Environment variable: number of ranks that share the cores of this machine."""

ENDS_WITH_PARENT = "CAMTRACE_ENDS_WITH_PARENT"
"""Environment variable: this process is to end with its parent."""


def run_locally(
    command: Sequence[str],
    ranks: Sequence[int],
    workers: int,
    *,
    cpus: int | None = None,
    on_rank: Callable[[int, str], object] = lambda rank, reason: None,
) -> dict[int, str]:
    """Run ranks in several processes.

    Args:
        command: a command that calls ``serve``: it reads numbers of ranks, and writes the outcome of each.
        ranks: to be run.
        workers: processes.
        cpus: cores of each; by default equal shares of those that this process may use.
        on_rank: called for each rank when it has ended, with the reason of its failure or an empty text.

    Returns:
        Failed ranks, with the reason.
    """
    if workers < 1:
        raise UsageError(f"--workers {workers}: at least 1 is needed")
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for rank in ranks:
        waiting.put(rank)
    failed: dict[int, str] = {}
    lock, stop = threading.Lock(), threading.Event()
    children: dict[int, subprocess.Popen[str]] = {}
    devices = _devices()
    workers = min(workers, len(ranks))

    def record(rank: int, reason: str) -> None:
        with lock:
            if reason:
                failed[rank] = reason
            on_rank(rank, reason)

    def work(number: int) -> None:
        child: subprocess.Popen[str] | None = None
        try:
            while not stop.is_set():
                try:
                    rank = waiting.get_nowait()
                except queue.Empty:
                    return
                if child is None or child.poll() is not None:
                    _end(child)
                    child = _start(command, _environment(number, workers, devices, cpus))
                    children[number] = child
                record(rank, _run_rank(child, rank))
        finally:
            _end(child)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(workers)]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.05)
    finally:
        stop.set()
        for child in children.values():
            if child.poll() is None and any(thread.is_alive() for thread in threads):
                child.terminate()
        for thread in threads:
            thread.join(timeout=30)
    return failed


def serve(run: Callable[[int], str], numbers: Iterable[str], answers: IO[str]) -> None:
    """Run each rank whose number is read, and write its outcome; called in a process of ``run_locally``."""
    for line in numbers:
        rank = int(line)
        print(json.dumps({"rank": rank, "reason": run(rank)}), file=answers, flush=True)


def end_with_parent() -> None:
    """If ``ENDS_WITH_PARENT`` is set, end this process soon after its parent has ended for any reason."""
    if os.environ.pop(ENDS_WITH_PARENT, ""):
        exit_with_parent(os.getppid(), "camtrace: whoever started this rank is gone; it ends too")


def ranks_here() -> int:
    """Number of ranks that share this machine, from ``SHARE``."""
    count = os.environ.get(SHARE, "1")
    return max(1, int(count)) if count.isdecimal() else 1


def use_cpus(count: int, environment: MutableMapping[str, str]) -> None:
    """Let a process of this environment use so many cores: its workers, and threads of libraries that it imports."""
    environment[CPUS] = str(count)
    environment.setdefault("OMP_NUM_THREADS", str(count))


def _run_rank(child: subprocess.Popen[str], rank: int) -> str:
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(f"{rank}\n")
        child.stdin.flush()
        answer = child.stdout.readline()
    except OSError:
        answer = ""
    if answer:
        return str(json.loads(answer)["reason"])
    code = child.wait()
    if code < 0:
        return f"its process was killed ({signal.Signals(-code).name}; out of memory?)"
    return f"its process ended with status {code}; what it said stands above"


def _start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(environment), bufsize=1
    )


def _end(child: subprocess.Popen[str] | None) -> None:
    """Close the input of a process, which ends it, and wait."""
    if child is None:
        return
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(OSError):  # it was killed with a rank unread
        child.stdin.close()
    child.wait()
    child.stdout.close()


def _environment(number: int, workers: int, devices: Sequence[str], cpus: int | None) -> dict[str, str]:
    """Environment of a process: its cores, and a GPU, so that GPUs have about equally many ranks."""
    environment = {**os.environ, SHARE: str(workers), ENDS_WITH_PARENT: "1"}
    use_cpus(cpus or max(1, default_workers() // workers), environment)
    if devices:
        environment["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]
    return environment


def _devices() -> list[str]:
    """Usable GPUs: those of ``CUDA_VISIBLE_DEVICES``, or all that the driver lists; slices (MIG) for those cut."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [device.strip() for device in visible.split(",") if device.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    devices: list[str] = []
    slices: list[str] = []
    for line in [*reversed(listed.stdout.splitlines())]:  # slices are listed below their GPU
        if part := _SLICE.fullmatch(line):
            slices.append(part[1])
        elif gpu := _GPU.match(line):
            devices += slices or [gpu[1]]
            slices = []
    return devices[::-1]


_GPU = re.compile(r"GPU (\d+): ")

_SLICE = re.compile(r"\s+MIG .*\(UUID: (MIG-[\w/-]+)\)")
"""A process sees a slice by its UUID alone: numbers are those of whole GPUs."""
