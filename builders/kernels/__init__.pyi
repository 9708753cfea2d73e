from .background import VARIABLE, BackgroundKernels, compiling_s, forced_engine
from .compile import SUMS_IN_ANY_ORDER, entry_point, jit

__all__ = [
    "SUMS_IN_ANY_ORDER",
    "VARIABLE",
    "BackgroundKernels",
    "compiling_s",
    "entry_point",
    "forced_engine",
    "jit",
]
