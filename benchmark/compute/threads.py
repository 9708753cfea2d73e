"""How many threads work has on a CPU: pieces side by side, one thread each; little work alone; the rest as torch does.

Threads that share a layer wait for the slowest at its end, and the workers that make views make one of them slow.
Measured on two cores with EfficientNet-Lite0: 4 % faster alone, 23 % beside a process that takes a quarter of one core.
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
"""Multiply-adds of a step below which one thread does it. A step wakes the threads of two libraries some ten times, and
a thread that waits for its core costs milliseconds each time. Measured on two cores of an AMD EPYC beside other
processes: whole ``iccv2025`` probes of 1,000 photos take 0.6 to 1.0 s with this bound or one four times as high, and 13
to 14 s with one four times as low. The blocks of ``converged`` at 10,000 photos (113 M) lie above it: they take the
same time on one thread and on two there, and a machine with more cores should have the use of them."""


PIECES = 4
"""Pieces for each thread, where work can be cut anywhere: with one each, all would wait for a thread that has half a
core beside a busy process."""


def threads_for(multiply_adds: int, available: int) -> int:
    """How many of the available threads a step of so much work has: one below ``LITTLE_WORK``, else all.

    >>> threads_for(10 * 6 * 240 * 240, 8), threads_for(10 * 6 * 1024 * 8192, 8)
    (1, 8)
    """
    return available if multiply_adds >= LITTLE_WORK else 1


@contextlib.contextmanager
def threads_of_work(multiply_adds: int) -> Iterator[int]:
    """Torch and BLAS have ``threads_for`` threads for steps of so much work; afterwards as many as before.

    A thread that has one anyway, such as those of ``parallel_map``, changes nothing.
    """
    before = torch.get_num_threads()
    threads = threads_for(multiply_adds, before)
    if threads == before:
        yield threads
        return
    with _one_thread():
        yield threads


def parallel_map(work: Callable[[Piece], Answer], pieces: Sequence[Piece]) -> list[Answer]:
    """``work`` on every piece, in order; as many at a time as torch has threads, each on one of them.

    A thread that waits for its core keeps back one piece, not its share of all: more pieces than threads are good.
    Work that is itself done side by side goes through its pieces one after the other. Torch's inference mode, which
    holds for a thread, is the caller's.

    >>> parallel_map(lambda chunk: chunk * 2, [torch.tensor([1, 2]), torch.tensor([3])])
    [tensor([2, 4]), tensor([6])]
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(pieces) < 2:
        return [work(piece) for piece in pieces]
    mode = torch.is_inference_mode_enabled()

    def one(piece: Piece) -> Answer:
        with torch.inference_mode(mode):
            return work(piece)

    with _one_thread():
        return list(_pool(os.getpid(), threads).map(one, pieces))


def chunks(total: int, least: int) -> list[slice]:
    """Rows for ``parallel_map``: ``PIECES`` nearly equal slices for each of torch's threads, of ``least`` rows or more.

    One thread has one slice of all, and so have rows that are fewer than two slices of the least.
    """
    threads = torch.get_num_threads()
    parts = 1 if threads == 1 else max(1, min(PIECES * threads, total // least))
    return [slice(total * i // parts, total * (i + 1) // parts) for i in range(parts)]


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Within, torch in this thread and the process's BLAS have one thread."""
    threads = torch.get_num_threads()
    with _ALONE, _blas(len(sys.modules)).limit(limits=1, user_api="blas"):
        torch.set_num_threads(1)  # MKL has one number for all threads, OpenMP one for each
        try:
            yield
        finally:
            torch.set_num_threads(threads)


_ALONE = threading.Lock()
"""The number of threads of a library is one for the process."""


def _forget_in_child() -> None:
    """A process that is forked while another thread holds the lock would wait for a thread that it does not have."""
    global _ALONE
    _ALONE = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)


@functools.lru_cache(maxsize=1)
def _blas(modules: int) -> ThreadpoolController:
    """Of the libraries that are loaded; looked for again when there are other modules, which may have brought one."""
    return ThreadpoolController()


@functools.cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads that stay: new ones may share a core for their first 20 milliseconds. A forked process has its own."""
    return ThreadPoolExecutor(threads, "side-by-side", initializer=torch.set_num_threads, initargs=(1,))
