"""Number of threads for work on a CPU: pieces in parallel with one thread each, one thread for little work.

Threads that share a layer wait for the slowest one at its end, and workers that make views slow one of them down.
Pieces in parallel are faster: by 4 % on two idle cores with EfficientNet-Lite0, by 23 % if another process takes a
quarter of one core.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

Piece = TypeVar("Piece")
Answer = TypeVar("Answer")


LITTLE_WORK = 1 << 26
"""Multiply-adds of a step below which it has one thread. A step wakes the threads of two libraries some ten times, and
a thread that waits for its core costs milliseconds each time. Measured on two cores of an AMD EPYC with other processes
running: whole ``iccv2025`` probes of 1,000 photos take 0.6 to 1.0 s with this bound or one four times as high, and 13
to 14 s with one four times as low. The blocks of ``converged`` at 10,000 photos (113 M) lie above it: they take the
same time on one thread and on two there, and may use more cores on a larger machine."""


PIECES = 4
"""Pieces per thread of work that can be cut anywhere: with one each, all would wait for a thread whose core another
process uses too."""


def threads_for(multiply_adds: int, available: int) -> int:
    """Number of threads, of those available, for a step of this much work: one below ``LITTLE_WORK``, else all.

    >>> threads_for(10 * 6 * 240 * 240, 8), threads_for(10 * 6 * 1024 * 8192, 8)
    (1, 8)
    """
    return available if multiply_adds >= LITTLE_WORK else 1


@contextlib.contextmanager
def threads_of_work(multiply_adds: int) -> Iterator[int]:
    """Context manager: torch and BLAS have ``threads_for`` threads, afterwards as many as before; yields the number.

    In a thread that has one anyway, such as those of ``parallel_map``, nothing changes.
    """
    before = torch.get_num_threads()
    threads = threads_for(multiply_adds, before)
    if threads == before:
        yield threads
        return
    with _one_thread():
        yield threads


def parallel_map(work: Callable[[Piece], Answer], pieces: Sequence[Piece]) -> list[Answer]:
    """Results of ``work`` for every piece, in order. As many run at a time as torch has threads, with one thread each.

    More pieces than threads are good: a thread that waits for its core then delays one piece, not its share of all.
    A nested call runs its pieces one after the other. Torch's inference mode, which is a setting of the thread, is
    that of the caller.

    >>> parallel_map(lambda chunk: chunk * 2, [torch.tensor([1, 2]), torch.tensor([3])])
    [tensor([2, 4]), tensor([6])]
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(pieces) < 2:
        return [work(piece) for piece in pieces]
    mode = torch.is_inference_mode_enabled()

    def run(piece: Piece) -> Answer:
        with torch.inference_mode(mode):
            return work(piece)

    with _one_thread():
        return list(_pool(os.getpid(), threads).map(run, pieces))


def chunks(total: int, least: int) -> list[slice]:
    """Slices of ``total`` rows for ``parallel_map``: ``PIECES`` per thread, nearly equal, of at least ``least`` rows.

    There is one slice if torch has one thread, or if there are too few rows for two.
    """
    threads = torch.get_num_threads()
    parts = 1 if threads == 1 else max(1, min(PIECES * threads, total // least))
    return [slice(total * i // parts, total * (i + 1) // parts) for i in range(parts)]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Context manager: torch in this thread and the process's BLAS have one thread."""
    threads = torch.get_num_threads()
    with _THREADS_LOCK, _blas(len(sys.modules)).limit(limits=1, user_api="blas"):
        torch.set_num_threads(1)  # MKL has one number for all threads, OpenMP one for each
        try:
            yield
        finally:
            torch.set_num_threads(threads)


_THREADS_LOCK = threading.Lock()
"""Held while it changes the number of BLAS threads, a setting of the whole process."""


def _forget_in_child() -> None:
    """Replace the lock in a forked process: a thread that holds it does not exist there."""
    global _THREADS_LOCK
    _THREADS_LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


@functools.lru_cache(maxsize=1)
def _blas(modules: int) -> ThreadpoolController:
    """Controller of the loaded libraries; renewed after imports (``modules``: their number), which may load another."""
    return ThreadpoolController()


@functools.cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads that stay, because new ones may share a core for their first 20 ms; a forked process has other ones."""
    return ThreadPoolExecutor(threads, "side-by-side", initializer=torch.set_num_threads, initargs=(1,))
