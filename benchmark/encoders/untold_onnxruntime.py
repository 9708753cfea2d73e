"""ONNX Runtime, imported so that nobody is told of it.

From 1.32 on, on Linux too, its import gives this user a number and begins a data base of events in the user's cache,
which a thread sends to its makers (``mobile.events.data.microsoft.com``), unless ``ORT_DISABLE_TELEMETRY`` is 1 by
then; ``onnxruntime.disable_telemetry_events()`` comes too late for both files. What the user has said stands, and if
somebody has imported it before, it stays as they have it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

SILENT = "ORT_DISABLE_TELEMETRY"
"""The variable that it looks for when it is imported."""


@contextlib.contextmanager
def _untold() -> Iterator[None]:
    """Within it the variable is 1, unless the user has set it; afterwards all is as before."""
    said = SILENT in os.environ
    os.environ.setdefault(SILENT, "1")
    try:
        yield
    finally:
        if not said:
            del os.environ[SILENT]


with _untold():
    import onnxruntime

__all__ = ["onnxruntime"]
