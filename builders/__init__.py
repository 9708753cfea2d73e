"""Photos in, labelled data sets out. Never imports torch, never imports ``benchmark``."""

from __future__ import annotations

import importlib
from typing import Any

_PUBLIC = {
    "CenterMask": "builders.pixels.masking",
    "PairCams": "builders.paircams.cli",
    "PairCamsConfig": "builders.paircams.cli",
    "ProcessedPhotos": "builders.processed.build",
    "ProcessedPhotosConfig": "builders.processed.build",
    "build_paircams": "builders.paircams.build",
    "build_processed": "builders.processed.build",
    "open_built": "builders.sources.processed_sets",
    "open_photos": "builders.data_specs",
    "with_processing": "builders.processed.with_processing",
}
"""Public name -> its module, imported when first used, so that ``import builders`` costs nothing."""

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'builders' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*__all__, *globals()]
