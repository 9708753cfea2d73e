"""Compiled kernels, and float32 matrix products on the CPU by the faster of two libraries.

Torch's product is Intel's MKL, numpy's is OpenBLAS. On an AMD EPYC (Zen 4, two cores) OpenBLAS made 160 to 200 GFLOP/s
where MKL made 60 to 150, for products from 60 to 20,000 columns; on an Intel Xeon with AVX-512 they were alike.
"""

from __future__ import annotations

import functools
import importlib
import platform
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from benchmark.compute.threads import chunks, parallel_map
from builders.kernels import try_kernels


@functools.cache
def compiled_module(name: str, what: str) -> ModuleType | None:
    """Import a module of compiled kernels and run its ``try_out()``.

    Args:
        name: of a module with a function ``try_out``, which calls all its kernels.
        what: name of the kernels in the warning.

    Returns:
        The module; None without numba, or (with a warning) if the kernels cannot be compiled.
    """
    load = functools.partial(importlib.import_module, name)
    return try_kernels(load, _try_out, name=what, otherwise="going on with torch, slower", stacklevel=3).kernels


def _try_out(module: ModuleType) -> str:
    module.try_out()
    return ""


LEAST_ROWS = 512
"""Least rows of a part: for each part the library copies the other side of the product."""

CPU_INFO = Path("/proc/cpuinfo")


def multiply(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """Write ``left`` [m, d] @ ``right`` [d, n] to ``out`` [m, n]; all float32.

    >>> out = np.empty((1, 1), np.float32)
    >>> multiply(np.ones((1, 3), np.float32), np.ones((3, 1), np.float32), out)
    >>> out.tolist()
    [[3.0]]
    """
    if numpy_is_faster():
        np.matmul(left, right, out=out)
    else:
        torch.mm(torch.from_numpy(left), torch.from_numpy(right), out=torch.from_numpy(out))


@functools.cache
def numpy_is_faster() -> bool:
    """Whether numpy multiplies faster than torch: torch uses MKL, which is slow on processors that are not Intel's."""
    return torch.backends.mkl.is_available() and _vendor() not in ("GenuineIntel", "")


def _vendor() -> str:
    """Vendor of the processor by its CPUID instruction; empty if unknown."""
    try:
        for line in CPU_INFO.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("vendor_id"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor().rpartition(" ")[2] if platform.system() == "Windows" else ""


def in_parts(rows: int, work: Callable[[int, int], None]) -> None:
    """Call ``work(first, last)`` on parts of ``rows`` rows in parallel.

    There is at least one part for each of torch's threads; products inside ``work`` have one thread.
    """
    least = max(1, min(LEAST_ROWS, rows // torch.get_num_threads()))
    parallel_map(lambda part: work(part.start, part.stop), chunks(rows, least))
