"""What the Hub's clients do unasked: they draw progress bars anywhere, and count for their makers who reads what.

``datasets`` asks a server of its makers for the name of what it loads, a table of this machine's too; with its requests
``huggingface_hub`` sends torch's version and which program it thinks it runs in, of which it fetches a list.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_guard = threading.Lock()
_within = 0
_switched_off: list[Any] = []
_set: list[tuple[Any, str, bool]] = []

_COUNTS = (
    ("huggingface_hub.constants", "HF_HUB_DISABLE_TELEMETRY", True),
    ("datasets.config", "HF_UPDATE_DOWNLOAD_COUNTS", False),
)
"""Module, its switch, which is a variable of the environment too, and what says that nothing is counted."""


@contextmanager
def quiet_clients() -> Iterator[None]:
    """Within it ``huggingface_hub`` and ``datasets`` count nothing, and draw bars only on a terminal.

    What the user has said, in the environment or by the libraries' own switches, stands. Threads share it; the last to
    leave switches on again what the first has switched off.
    """
    global _within
    with _guard:
        _within += 1
        if _within == 1:
            _count_nothing()
            if not (sys.stderr is not None and sys.stderr.isatty()):
                for switch in _switches():
                    switch.disable_progress_bars()
                    _switched_off.append(switch)
    try:
        yield
    finally:
        with _guard:
            _within -= 1
            while _switched_off and not _within:
                _switched_off.pop().enable_progress_bars()
            while _set and not _within:
                setattr(*_set.pop())


def _count_nothing() -> None:
    for module, switch, silent in _COUNTS:
        loaded = sys.modules.get(module)
        if loaded is not None and switch not in os.environ:
            _set.append((loaded, switch, getattr(loaded, switch)))
            setattr(loaded, switch, silent)


def _switches() -> Iterator[Any]:
    """Of the libraries that are loaded, would draw, and were not told by their environment whether to."""
    hub, datasets = sys.modules.get("huggingface_hub"), sys.modules.get("datasets")
    if hub is not None and hub.constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        yield from () if hub.utils.are_progress_bars_disabled() else (hub.utils,)
    if datasets is not None and datasets.config.HF_DATASETS_DISABLE_PROGRESS_BARS is None:
        yield from () if datasets.utils.are_progress_bars_disabled() else (datasets.utils,)
