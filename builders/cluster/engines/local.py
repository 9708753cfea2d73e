"""Ranks on this machine: one process after another takes the next rank; a killed one costs its rank, not the others."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO

from builders.errors import UsageError
from builders.processes import default_workers, exit_with_parent

SHARE = "CAMTRACE_RANKS_HERE"
"""Environment variable: how many ranks share this machine's cores."""


ENDS_WITH_PARENT = "CAMTRACE_ENDS_WITH_PARENT"
"""Environment variable: whoever started this process watches over it, and it does not outlive that."""


def run_locally(
    command: Sequence[str],
    ranks: Sequence[int],
    workers: int,
    *,
    told: Callable[[int, str], object] = lambda rank, reason: None,
) -> dict[int, str]:
    """Run ranks in so many processes.

    Args:
        command: that serves ranks (``serve``): reads numbers, answers with what became of them.
        ranks: that are missing.
        workers: processes.
        told: hears of each rank.

    Returns:
        Reason by rank of those that failed.
    """
    if workers < 1:
        raise UsageError(f"--workers {workers}: at least 1 is needed")
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for rank in ranks:
        waiting.put(rank)
    failed: dict[int, str] = {}
    lock, stop = threading.Lock(), threading.Event()
    alive: dict[int, subprocess.Popen[str]] = {}
    devices = _devices()
    workers = min(workers, len(ranks))

    def keep(rank: int, reason: str) -> None:
        with lock:
            if reason:
                failed[rank] = reason
            told(rank, reason)

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
                    child = _start(command, _environment(number, workers, devices))
                    alive[number] = child
                keep(rank, _ask(child, rank))
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
        for child in alive.values():
            if child.poll() is None and any(thread.is_alive() for thread in threads):
                child.terminate()
        for thread in threads:
            thread.join(timeout=30)
    return failed


def serve(run: Callable[[int], str], numbers: Iterable[str], answers: IO[str]) -> None:
    """The other side: do each rank that is asked for, and answer."""
    for line in numbers:
        rank = int(line)
        print(json.dumps({"rank": rank, "reason": run(rank)}), file=answers, flush=True)


def end_with_parent() -> None:
    """Where ``ENDS_WITH_PARENT`` is set: end when whoever started this process is gone, however that happened."""
    if os.environ.pop(ENDS_WITH_PARENT, ""):
        exit_with_parent(os.getppid(), "camtrace: whoever started this rank is gone; it ends too")


def ranks_here() -> int:
    """Ranks that share this machine, as whoever started this one says."""
    shared = os.environ.get(SHARE, "1")
    return max(1, int(shared)) if shared.isdecimal() else 1


def cores_here() -> int:
    """Cores that one rank may use: those of this process, by the ranks that share them."""
    return max(1, default_workers() // ranks_here())


def _ask(child: subprocess.Popen[str], rank: int) -> str:
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
    """There is no rank for it any more: wait for it."""
    if child is None:
        return
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(OSError):  # it died with a rank unread
        child.stdin.close()
    child.wait()
    child.stdout.close()


def _environment(number: int, workers: int, devices: Sequence[str]) -> dict[str, str]:
    """Of one process: its share of the cores, and one GPU, so that the GPUs have about as many ranks each."""
    own = {**os.environ, SHARE: str(workers), ENDS_WITH_PARENT: "1"}
    own.setdefault("OMP_NUM_THREADS", str(max(1, cores_here() // workers)))
    if devices:
        own["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]
    return own


def _devices() -> list[str]:
    """GPUs that may be used: those of ``CUDA_VISIBLE_DEVICES``, or all that the driver lists."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [device.strip() for device in named.split(",") if device.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [str(n) for n, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU ")]
