"""Writing files so that a reader sees the old one or the new one, never a part."""

from __future__ import annotations

import os
from pathlib import Path

MAX_PHOTO_BYTES = 512 * 2**20
"""A larger file is not opened as a photo: none of ``decode.MAX_PIXELS`` needs more."""


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Write to a temporary name in the same folder, then rename. Makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """``write_bytes_atomically`` of UTF-8 text."""
    write_bytes_atomically(path, text.encode("utf-8"))


def cache_folder() -> Path:
    """Where everything is kept that can be made again: ``$CAMTRACE_CACHE``, or ``camtrace`` in the user's cache."""
    named = os.environ.get("CAMTRACE_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "camtrace"
