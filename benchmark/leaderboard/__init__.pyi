from .command import main
from .read import read_results

__all__ = [
    "main",
    "read_results",
]
