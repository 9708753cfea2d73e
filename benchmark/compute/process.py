"""How the process computes, said before torch is imported: threads that wait without spinning, memory that is kept, and
what is never searched for garbage."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys
from collections.abc import Callable


def run_and_exit(run: Callable[[], int]) -> int:
    """The exit status of ``run``, with which this process is about to end.

    What was asked to be called at the end is called. Then Python would clear every module and free every object: 0.15
    of the 3.6 processor seconds of a run that finds everything kept. The process ends instead, its output written.
    Where others had asked before to be called (a measurement of coverage), or ``run`` raises, it ends as ever.
    """
    statuses: list[int] = []
    if getattr(atexit, "_ncallbacks", lambda: 1)() == 0:  # the first to ask is called last
        atexit.register(_end, statuses)
    statuses.append(run())
    return statuses[0]


def _end(statuses: list[int]) -> None:
    if not statuses:
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        ctypes.CDLL(None).fflush(None)  # what libraries in C have printed
    except Exception:  # nobody reads it any more, or there is no such library: Python knows what to do
        return
    os._exit(statuses[0])


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Names of ``mallopt``'s parameters, from glibc's ``malloc.h``."""

KEPT_BYTES = 1 << 30
"""Freed memory at the top of the heap that stays with the process."""

LARGEST_KEPT_BYTES = 1 << 28
"""Arrays above it go back to the system when they are freed: they are tables, made once, not activations."""


def prepare_process() -> None:
    """Settings that every command that embeds begins with."""
    wait_asleep()
    keep_freed_memory()


def wait_asleep() -> None:
    """Let threads of OpenMP and of NumPy's and SciPy's OpenBLAS sleep while they wait; what the user has said stands.

    Those that spin take the cores from the workers that make the next views: three times the CPU seconds per forward
    pass on a busy two-core machine (OpenMP); OpenBLAS's threads spin for a while after each product, and here
    for 16 cycles, its least: 0.4 of the 112 processor seconds of the default run. Each library looks when it is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")


def import_torch() -> None:
    """Import torch for a process that is a command's alone, and look for garbage neither among what it makes nor, when
    the process ends, anywhere.

    What torch makes stays. Python would look through all of it again and again, and several times more at the end:
    1.5 of the 7.5 processor seconds of a run that finds its banks complete (two busy cores, 3 runs each). Where torch
    has been imported before, nothing is done.
    """
    if "torch" in sys.modules:
        return
    searched = gc.isenabled()
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        if searched:
            gc.enable()
    gc.freeze()
    atexit.register(gc.freeze)


def keep_freed_memory() -> bool:
    """Let glibc keep what a forward pass frees for the next one; False where there is no glibc.

    By default activations of more than 32 MiB are mapped anew at each layer, and every page of them is zeroed again: a
    third of EfficientNet-Lite0's time on a CPU. One arena, because those of further threads cannot hold such arrays.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    # before glibc 2.35 half a secondary heap, 32 MiB, is the largest that is accepted
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES) or mallopt(M_MMAP_THRESHOLD, 1 << 25))
