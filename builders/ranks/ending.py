"""A worker that does not outlive who started it, however that ended."""

from __future__ import annotations

import os
import sys
import threading
import time

LOOK_S = 0.5
"""Seconds between two looks."""


def end_with(parent: int, said: str = "") -> None:
    """End this process, by a thread, soon after its parent is gone.

    Args:
        parent: its process id. Asked for by whoever starts this process: the parent may be gone before this is called.
        said: a sentence for standard error.
    """
    threading.Thread(target=_wait_for_end, args=(parent, said), daemon=True).start()


def _wait_for_end(parent: int, said: str) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    if said:
        print(said, file=sys.stderr, flush=True)
    os._exit(1)
