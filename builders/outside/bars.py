"""Progress bars of the Hub's clients, which draw them wherever they run: here only where somebody sees them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_guard = threading.Lock()
_within = 0
_switched_off: list[Any] = []


@contextmanager
def bars_on_terminals() -> Iterator[None]:
    """Within it ``huggingface_hub`` and ``datasets`` draw no bars unless standard error is a terminal.

    What the user has said, in the environment or by the libraries' own switches, stands. Threads share it; the last to
    leave switches on again what the first has switched off.
    """
    global _within
    with _guard:
        _within += 1
        if _within == 1 and not (sys.stderr is not None and sys.stderr.isatty()):
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


def _switches() -> Iterator[Any]:
    """Of the libraries that are loaded, would draw, and were not told by their environment whether to."""
    hub, datasets = sys.modules.get("huggingface_hub"), sys.modules.get("datasets")
    if hub is not None and hub.constants.HF_HUB_DISABLE_PROGRESS_BARS is None:
        yield from () if hub.utils.are_progress_bars_disabled() else (hub.utils,)
    if datasets is not None and datasets.config.HF_DATASETS_DISABLE_PROGRESS_BARS is None:
        yield from () if datasets.utils.are_progress_bars_disabled() else (datasets.utils,)
