"""Pools of worker processes: many tasks of one run, done by forks (or spawned processes) that end with the run.

Workers ignore Ctrl-C, which the parent handles, and end soon after their parent is gone. A worker that is killed is an
error, not a wait without end. For files that may take a process down see ``sandbox.py``.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from builders.errors import DataError, UsageError
from builders.files import scratch_prefix
from builders.processes.guards import deferred_signals, exit_with_parent, setup_child

PROGRESS_S = 0.2
"""Seconds between two reports of progress."""

_Shared = TypeVar("_Shared")
_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class WorkerKilled(DataError):
    """A worker process of a pool was killed."""


CPUS = "CAMTRACE_CPUS"
"""Environment variable: the most cores that this process may use, as a scheduler without affinity gave them."""


def default_workers() -> int:
    """The number of cores that this process may use.

    >>> default_workers() >= 1
    True
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = os.environ.get(CPUS, "")
    return max(1, min(cores, int(most))) if most.isdecimal() else cores


def run_in_pool(
    work: Callable[[_Shared, _Task, Callable[[], object]], _Result],
    tasks: Sequence[_Task],
    *,
    shared: _Shared,
    workers: int,
    progress: Callable[[int], object] = lambda items: None,
) -> list[_Result]:
    """Do tasks in worker processes; each worker takes the next task when it has finished one.

    Args:
        work: a function of a module, called as ``work(shared, task, tick)``. It calls ``tick()`` for each item done.
        tasks: in the order in which workers begin them.
        shared: what all tasks need. Each worker gets a copy by pickling: inherited file handles would share their
            positions.
        workers: processes, at most.
        progress: called in this process with the number of items done since its last call.

    Returns:
        The results, in the order of ``tasks``.

    Raises:
        WorkerKilled: a worker was killed, such as by the system for lack of memory.
        UsageError: a spawned worker imports a script whose calls are not under a main guard.
        Exception: what ``work`` raised for the first task that failed. Workers are then ended in the middle of theirs.
    """
    refuse_unguarded_main()
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    counter = context.Value("q", 0)
    results: dict[int, _Result] = {}
    reported = 0

    def report() -> None:
        nonlocal reported
        items = counter.value
        progress(items - reported)
        reported = items

    handed = _Handed(pickle.dumps((work, shared)), in_file=context.get_start_method() != "fork")
    pool = ProcessPoolExecutor(
        min(workers, len(tasks)) or 1,
        mp_context=context,
        initializer=_start_worker,
        initargs=(handed, counter, os.getpid()),
    )
    try:
        with deferred_signals():  # the first submit forks the workers
            pending: dict[Future[_Result], int] = {pool.submit(_work, task): i for i, task in enumerate(tasks)}
        while pending:
            finished, _ = wait(pending, timeout=PROGRESS_S, return_when=FIRST_COMPLETED)
            report()
            for future in finished:
                results[pending.pop(future)] = future.result()
        report()
    except BrokenProcessPool:
        reason = "out of memory?" if context.get_start_method() == "fork" else f"out of memory, or {_UNGUARDED}?"
        raise WorkerKilled(f"a worker process was killed ({reason})") from None
    finally:
        if len(results) < len(tasks):  # a failed or interrupted run does not finish its tasks first
            for process in list((pool._processes or {}).values()):
                process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
        handed.remove()
    return [results[i] for i in range(len(tasks))]


_UNGUARDED = 'a script whose calls do not stand under: if __name__ == "__main__"'
"""What keeps spawned workers from starting: each imports the script that started it."""


def refuse_unguarded_main() -> None:
    """Refuse work within a spawned worker that is still importing the script of its parent.

    Raises:
        UsageError: the script's calls run at import.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise UsageError(f"workers cannot be started from {_UNGUARDED}; write that line above the calls")


class _Handed:
    """Bytes for workers: inherited by forks, in a file for spawned processes.

    ``multiprocessing`` would write them into a pipe, and wait without end for a worker that ends before it reads them.
    """

    def __init__(self, data: bytes, *, in_file: bool) -> None:
        self._data: bytes | None = None if in_file else data
        self._path: str | None = None
        if in_file:
            descriptor, self._path = tempfile.mkstemp(prefix=scratch_prefix())
            with open(descriptor, "wb") as file:
                file.write(data)

    def bytes(self) -> bytes:
        return Path(self._path).read_bytes() if self._path else self._data or b""

    def remove(self) -> None:
        if self._path:
            Path(self._path).unlink(missing_ok=True)


_worker: dict[str, Any] = {}
"""What a worker process was started with."""


def _start_worker(handed: _Handed, counter: Any, parent: int) -> None:
    setup_child()
    exit_with_parent(parent)
    work, shared = pickle.loads(handed.bytes())
    _worker.update(work=work, shared=shared, counter=counter)


def _work(task: Any) -> Any:
    return _worker["work"](_worker["shared"], task, _tick)


def _tick() -> None:
    with _worker["counter"].get_lock():
        _worker["counter"].value += 1
