from .build.rows import photo_features
from .store.tombstones import TOMBSTONES_FILE, taken_down_rows

__all__ = [
    "TOMBSTONES_FILE",
    "photo_features",
    "taken_down_rows",
]
