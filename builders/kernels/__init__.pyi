from .background import BackgroundKernels, compiling_s
from .choice import VARIABLE, KernelTrial, forced_engine, try_kernels
from .compile import SUMS_IN_ANY_ORDER, entry_point, jit

__all__ = [
    "SUMS_IN_ANY_ORDER",
    "VARIABLE",
    "BackgroundKernels",
    "KernelTrial",
    "compiling_s",
    "entry_point",
    "forced_engine",
    "jit",
    "try_kernels",
]
