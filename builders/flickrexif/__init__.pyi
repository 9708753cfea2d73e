from .rows import part_features
from .takedown import TOMBSTONES_FILE, buried_rows

__all__ = [
    "TOMBSTONES_FILE",
    "buried_rows",
    "part_features",
]
