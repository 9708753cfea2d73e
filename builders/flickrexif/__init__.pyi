from .api.licences import LICENCES, Licence
from .assemble.rows import METADATA, photo_features
from .store.tombstones import TOMBSTONES_FILE, taken_down_rows

__all__ = [
    "LICENCES",
    "METADATA",
    "TOMBSTONES_FILE",
    "Licence",
    "photo_features",
    "taken_down_rows",
]
