from .build.rows import photo_features
from .store.tombstones import TOMBSTONES_FILE, buried_rows

__all__ = [
    "TOMBSTONES_FILE",
    "buried_rows",
    "photo_features",
]
