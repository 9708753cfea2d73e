"""Settings of a process, made before torch is imported: idle threads, freed memory, garbage collection, and its end."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys
import threading
from collections.abc import Callable

THREADS_S = 3.0
"""Longest wait for threads of others at the end of a process."""


def run_and_exit(run: Callable[[], int]) -> int:
    """The exit status of ``run``; when the process then ends, it skips Python's clean-up.

    Registered exit functions are called and output is written. Python would then clear every module and free every
    object, which takes 0.15 of the 3.6 processor seconds of a run whose results are all cached; the process ends
    instead. If another exit function was registered before (by a measurement of coverage), or ``run`` raises, the
    process ends as usual.
    """
    statuses: list[int] = []
    if getattr(atexit, "_ncallbacks", lambda: 1)() == 0:  # the first to register is called last
        atexit.register(_end, statuses)
    statuses.append(run())
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        clean_up = threading.Event()
        atexit.register(clean_up.set)  # called first, once no thread is waited for
        threading.Thread(target=_end_without_threads, args=(clean_up, statuses[0]), daemon=True).start()
    return statuses[0]


def _end_without_threads(clean_up: threading.Event, status: int) -> None:
    """End the process if threads of others, which Python waits for, do not end."""
    if clean_up.wait(THREADS_S):
        return
    print("camtrace: threads that an encoder or a library started do not end; ended without them", file=sys.stderr)
    atexit._run_exitfuncs()
    os._exit(status)


def _end(statuses: list[int]) -> None:
    if not statuses:
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        ctypes.CDLL(None).fflush(None)  # what libraries in C have printed
    except Exception:  # output is closed, or there is no such library: Python's clean-up handles it
        return
    os._exit(statuses[0])


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Names of ``mallopt``'s parameters, from glibc's ``malloc.h``."""

TRIM_BYTES = 1 << 30
"""Most freed memory at the top of the heap that stays with the process."""

MMAP_BYTES = 1 << 28
"""Larger arrays are returned to the system when they are freed: they are tables, made once, not activations."""


def prepare_process() -> None:
    """Settings with which every command that embeds begins."""
    wait_asleep()
    keep_freed_memory()


def wait_asleep() -> None:
    """Let threads of OpenMP and of NumPy's and SciPy's OpenBLAS sleep while they wait, unless the user set otherwise.

    Spinning threads take cores from the workers that make the next views: on a busy two-core machine OpenMP's take
    three times the CPU seconds per forward pass. OpenBLAS's threads spin for a while after each product; here for 16
    cycles, the minimum, which saves 0.4 of the 112 processor seconds of the default run. Each library reads its setting
    when it is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")


def import_torch() -> None:
    """Import torch without garbage collection of its objects, in a process that runs one command.

    Torch's objects stay until the end. Python would search all of them again and again, and several times more at the
    end: 1.5 of the 7.5 processor seconds of a run whose banks are complete (two busy cores, 3 runs each). If torch is
    imported already, this does nothing.
    """
    if "torch" in sys.modules:
        return
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        import torch  # noqa: F401
    finally:
        if was_enabled:
            gc.enable()
    gc.freeze()
    atexit.register(gc.freeze)


def keep_freed_memory() -> bool:
    """Let glibc reuse the memory that a forward pass frees; False if there is no glibc.

    By default activations of more than 32 MiB are mapped again at each layer, and all their pages zeroed: a third of
    EfficientNet-Lite0's time on a CPU. There is one arena, because those of further threads cannot hold such arrays.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_TRIM_THRESHOLD, TRIM_BYTES)
    # before glibc 2.35 half a secondary heap, 32 MiB, is the largest that is accepted
    return bool(mallopt(M_MMAP_THRESHOLD, MMAP_BYTES) or mallopt(M_MMAP_THRESHOLD, 1 << 25))
