from .command import save_erased
from .erase import Asking, Erased, erase_trace
from .measuring import Row

__all__ = [
    "Asking",
    "Erased",
    "Row",
    "erase_trace",
    "save_erased",
]
