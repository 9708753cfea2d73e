"""Matrix products in float32 on the CPU, by the faster of two libraries, each core at work on its own rows.

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
    """The module, after its ``try_out()`` has run; None without numba, or, with a warning, where it cannot be compiled.

    Args:
        name: of a module with a function ``try_out``, which calls everything that others call in it.
        what: what the module does, for the warning.
    """
    load = functools.partial(importlib.import_module, name)
    return try_kernels(load, _try_out, name=what, otherwise="going on with torch, slower", stacklevel=3).kernels


def _try_out(module: ModuleType) -> str:
    module.try_out()
    return ""


LEAST_ROWS = 512
"""Of a part: the library copies the other side of a product for each."""

CPU_INFO = Path("/proc/cpuinfo")


def multiply(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """``left`` [m, d] @ ``right`` [d, n] into ``out`` [m, n]; float32.

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
    """Whether torch multiplies by MKL on a processor that is not Intel's, for which it chooses slower code."""
    return torch.backends.mkl.is_available() and _vendor() not in ("GenuineIntel", "")


def _vendor() -> str:
    """Of the processor, as its CPUID instruction says it; empty where that is not known."""
    try:
        for line in CPU_INFO.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("vendor_id"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor().rpartition(" ")[2] if platform.system() == "Windows" else ""


def in_parts(rows: int, work: Callable[[int, int], None]) -> None:
    """``work(first, last)`` on parts of so many rows, one at least for each of torch's threads; products within have
    one."""
    least = max(1, min(LEAST_ROWS, rows // torch.get_num_threads()))
    parallel_map(lambda part: work(part.start, part.stop), chunks(rows, least))
