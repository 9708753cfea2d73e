"""File formats that processings write: their Pillow plugins, options and versions."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from PIL import __version__ as pillow_version
from PIL import features

from builders.errors import PhotoError, UsageError, missing_package

PLUGINS: Mapping[str, str] = MappingProxyType({"HEIF": "pillow_heif", "JXL": "pillow_jxl"})
"""Packages that add a format to Pillow, by its name."""

_FEATURES: Mapping[str, str] = MappingProxyType({"WEBP": "webp", "AVIF": "avif"})
"""Features of Pillow that a wheel may lack, by format."""


def register_format(file_format: str) -> None:
    """Make Pillow write and read a format.

    Raises:
        UsageError: its package is not installed, or this Pillow lacks it.
    """
    if file_format in _FEATURES and not features.check(_FEATURES[file_format]):
        raise UsageError(f"this Pillow ({pillow_version}) cannot write {file_format}: install Pillow's own wheel")
    if file_format in PLUGINS:
        _register_plugin(PLUGINS[file_format], file_format)


@functools.cache
def _register_plugin(package: str, file_format: str) -> None:
    try:
        if package == "pillow_heif":
            import pillow_heif

            pillow_heif.register_heif_opener()
        else:
            import pillow_jxl  # noqa: F401  its import registers the format
    except ImportError:
        raise UsageError(missing_package(package, f"a processing that writes {file_format}")) from None


def registered(file_format: str) -> None:
    """``register_format`` while a photo is processed.

    Raises:
        PhotoError: as ``register_format``.
    """
    try:
        register_format(file_format)
    except UsageError as error:
        raise PhotoError(str(error)) from None


def format_versions(formats: Iterable[str]) -> dict[str, str]:
    """Version of the library behind each of some formats.

    >>> sorted(format_versions(["JPEG", "PNG"]))
    ['libjpeg_turbo', 'zlib']
    """
    versions: dict[str, str] = {}
    for file_format in sorted(set(formats)):
        if file_format == "JPEG":
            versions["libjpeg_turbo"] = features.version("libjpeg_turbo") or "absent"
        elif file_format == "PNG":
            versions["zlib"] = features.version("zlib") or "absent"
        elif file_format == "HEIF":
            register_format(file_format)
            import pillow_heif

            info = pillow_heif.libheif_info()
            versions["heif"] = ", ".join([str(info["libheif"]), *sorted(map(str, info.get("encoders", {}).values()))])
        elif file_format in PLUGINS:
            versions[file_format.lower()] = importlib.metadata.version(_DISTRIBUTIONS[file_format])
        else:
            versions[file_format.lower()] = features.version(file_format.lower()) or "absent"
    return versions


_DISTRIBUTIONS: Mapping[str, str] = MappingProxyType({"JXL": "pillow-jxl-plugin"})
"""Names of packages on PyPI."""
