"""OpenVINO, imported so that nobody is told of it.

``import openvino`` sends an event to its makers' account at Google Analytics, out of a process that it forks, and
leaves a number of this user in ``~/intel``, wherever ``openvino_telemetry`` is found: its wheel brings that package.
Where it is not found OpenVINO has a stub in its place, which sends nothing, for as long as the process lives. If
somebody has imported OpenVINO before, it stays as they have it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

TELLS = "openvino_telemetry"
"""The package that sends."""


@contextlib.contextmanager
def untold() -> Iterator[None]:
    """Within it ``openvino_telemetry`` is not found; afterwards all is as before, for whoever wants it themselves.

    >>> with untold():
    ...     import openvino_telemetry
    Traceback (most recent call last):
    ModuleNotFoundError: import of openvino_telemetry halted; None in sys.modules
    """
    before = {TELLS: sys.modules[TELLS]} if TELLS in sys.modules else {}
    sys.modules[TELLS] = None  # type: ignore[assignment]  # Python's own word for "not to be found"
    try:
        yield
    finally:
        del sys.modules[TELLS]
        sys.modules.update(before)


with untold():
    import openvino

__all__ = ["openvino", "untold"]
