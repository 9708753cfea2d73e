"""Pillow's settings that decide which files can be decoded, set around decoding whatever a program has set."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

from PIL import Image, ImageFile

_PIXELS_OF_A_WARNING = 89_478_485
"""Pillow's own ``Image.MAX_IMAGE_PIXELS``; twice as many are refused."""

logging.getLogger("PIL").addHandler(logging.NullHandler())
"""What Pillow logs of a hostile file is in the reason of its refusal; without a handler Python writes it to stderr."""

_lock = threading.Lock()
_inside = 0
_before: tuple[bool, int | None] = False, _PIXELS_OF_A_WARNING


@contextlib.contextmanager
def strict_pillow() -> Iterator[None]:
    """Within it truncated files are errors and the limit of pixels is Pillow's own; then the program's settings return.

    >>> ImageFile.LOAD_TRUNCATED_IMAGES = True
    >>> with strict_pillow():
    ...     print(ImageFile.LOAD_TRUNCATED_IMAGES)
    False
    >>> ImageFile.LOAD_TRUNCATED_IMAGES = False
    """
    global _inside, _before
    with _lock:
        if not _inside:
            _before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
        _inside += 1
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, _PIXELS_OF_A_WARNING
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = _before
