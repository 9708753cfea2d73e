from .build import build_exif_folder
from .metadata import without_metadata

__all__ = ["build_exif_folder", "without_metadata"]
