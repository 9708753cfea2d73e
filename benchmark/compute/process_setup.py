"""How the process computes, said before torch is imported: threads that wait without spinning, memory that is kept, and
what is never searched for garbage."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
"""Names of ``mallopt``'s parameters, from glibc's ``malloc.h``."""

KEPT_BYTES = 1 << 30
"""Freed memory at the top of the heap that stays with the process."""

LARGEST_KEPT_BYTES = 1 << 28
"""Arrays above it go back to the system when they are freed: they are tables, made once, not activations."""


def prepare_process() -> None:
    """Settings that every command that embeds begins with."""
    # OpenMP threads that wait by spinning take the cores from the workers that make the next views. Measured on a busy
    # two-core machine: three times fewer CPU seconds per forward pass.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    import_unsearched()


def import_unsearched() -> None:
    """Import torch without looking for garbage, and count nothing that is there then, or at the end, as garbage.

    torch makes some 300,000 objects that stay. Python looks through all of them each time they are a quarter more, and
    again four times when the process ends: 0.6 and 0.9 processor seconds of a run that finds its banks complete in 6.5.
    Where torch has been imported before, nothing is done: the process is not this command's alone.
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
