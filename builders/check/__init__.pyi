from .folder import check_folder
from .found import Check

__all__ = [
    "Check",
    "check_folder",
]
