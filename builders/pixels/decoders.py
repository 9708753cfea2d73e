"""What keeps a decoder from running without end: scans, and a trial of containers whose header does not bound the work.

The size in a header bounds the time and the memory of most decoders. Some containers hold a whole picture of another
format, whose own header nothing checks (a texture of 4 x 4 pixels that holds a JPEG of any size): these are decoded
once in a process with limits, before they are decoded here.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import io
import os
import re
import threading
import warnings
from pathlib import Path

from PIL import Image

from builders.errors import PhotoError
from builders.processes import Sandbox, SandboxError, WorkerLost

MAX_SCANS = 1_000
"""Scans of JPEG streams inside another container, whose size is not known. Photos have about 10."""

TRIAL_S = 30.0
"""Longest time of a trial."""

TRIAL_BYTES = 3 << 30
"""Most memory of a trial."""

_BOUNDED = frozenset({"JPEG", "MPO", "PNG", "WEBP", "BMP", "DIB", "GIF", "PPM", "HEIF", "AVIF", "TIFF"})
"""Formats of Pillow whose decoders do work in proportion to the size in the header; JPEG also by its scans."""

_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
"""The header of a scan. Other compressed data have such bytes once in 256 GiB."""


def count_scans(data: bytes) -> int:
    """Scans of all JPEG streams in a file.

    >>> buffer = io.BytesIO()
    >>> Image.new("RGB", (8, 8)).save(buffer, "JPEG", progressive=True)
    >>> count_scans(buffer.getvalue())
    10
    """
    return sum(1 for _ in _SCAN.finditer(data))


def try_unbounded(image: Image.Image, data: bytes) -> None:
    """Decode a file of an unbounded container in a process with limits; files of other formats are not touched.

    Args:
        image: opened, not loaded.
        data: its file.

    Raises:
        PhotoError: it has too many scans, takes too long or too much memory, ends its process or cannot be decoded.
    """
    if image.format == "TIFF":
        _silence_libtiff()
    holds_other = image.format == "TIFF" and image.info.get("compression") not in _PLAIN_TIFF
    if image.format in _BOUNDED and not holds_other:
        return
    if (scans := count_scans(data)) > MAX_SCANS:
        raise PhotoError(f"{scans} scans in a {image.format} file, refused as a bomb")
    try:
        with _guard:
            reason = _sandbox(os.getpid()).call(data, parse=str)
    except WorkerLost:
        reason = "ends the process that decodes it"
    except SandboxError as error:
        reason = str(error)
    if reason:
        raise PhotoError(f"cannot be decoded (decoding the {image.format} file {reason})")


_PLAIN_TIFF = frozenset({None, "raw", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "group3", "group4"})
"""Compressions of TIFF, as Pillow names them, that are no pictures of another format."""

_guard = threading.Lock()


@functools.lru_cache(maxsize=1)
def _sandbox(process: int) -> Sandbox:
    """The sandbox of a process; a fork does not use that of its parent."""
    sandbox = Sandbox(f"{__name__}:decode_in_worker", timeout_s=TRIAL_S, memory_bytes=TRIAL_BYTES)
    atexit.register(sandbox.stop)
    return sandbox


def decode_in_worker(data: bytes) -> str:
    """Decode a file; "" or why that fails. Called in a sandbox."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.open(io.BytesIO(data)).load()
    except MemoryError:
        return f"needs more than {TRIAL_BYTES >> 30} GiB of memory"
    except Exception as error:  # decoders of hostile files raise anything
        return f"fails: {type(error).__name__}"
    return ""


@functools.cache
def _silence_libtiff() -> None:
    """Keep the lines that libtiff writes to standard error off it; Pillow's exceptions say what is wrong."""
    with contextlib.suppress(OSError, AttributeError, ValueError):  # not Linux, or a Pillow without libtiff
        mapped = Path("/proc/self/maps").read_text(errors="surrogateescape").split("\n")
        library = ctypes.CDLL(next((line.split(None, 5)[-1] for line in mapped if "/libtiff" in line), "no libtiff"))
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
