from .rows import HUB_SPLITS, part_features
from .takedown import TOMBSTONES_FILE, buried_rows

__all__ = [
    "HUB_SPLITS",
    "TOMBSTONES_FILE",
    "buried_rows",
    "part_features",
]
