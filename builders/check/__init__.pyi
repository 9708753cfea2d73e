from .data_set import check_folder
from .result import Check

__all__ = [
    "Check",
    "check_folder",
]
