"""Who makes the views: the workers or a device, and why, in one sentence that ``--dry-run`` prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmark.encoders import Pixels
from benchmark.views.device.views import equals_pillow
from benchmark.views.recipe import Preprocess, ProcessingViews, ViewRecipe
from builders.pixels import chosen_engine

ENOUGH_WORKERS = 6
"""Workers with the exact engine, each on a core of its own, from which they make the views although there is a GPU. A
core makes 1,800 to 2,200 views a second of ImageNet's photos (measured); a whole idle H100 was estimated at 1,700 where
sizes are mixed, at four to six cores' where they are alike, and it has the encoders to run beside that."""

BY_PILLOW = 7
"""Times as many where the engine is not installed and Pillow makes them (7.3 to 8.7 times slower, measured)."""


@dataclass(frozen=True)
class ViewsChoice:
    """Who makes the views of a pass."""

    device: torch.device | None
    """None for the workers."""
    reason: str
    """In words that follow "views are made by the workers: " or "views are made on cuda:0: "."""

    def __str__(self) -> str:
        where = "by the workers" if self.device is None else f"on {self.device}"
        return f"views are made {where}: {self.reason}"


def chosen_maker(
    way: str,
    recipe: ViewRecipe,
    preprocesses: Sequence[Preprocess],
    homes: Sequence[torch.device],
    workers: int = 0,
) -> ViewsChoice:
    """Who shall make the views. Says so on standard error where a device fails its self-test.

    Args:
        way: see ``RunOptions.views``.
        recipe, preprocesses: what is made.
        homes: where each preprocessing's encoders want their views.
        workers: processes.

    >>> str(chosen_maker("auto", ProcessingViews(("jpeg-q75-420",)), [], [torch.device("cpu")]))
    'views are made by the workers: no CUDA GPU waits for them'
    """
    if way == "cpu":
        return ViewsChoice(None, "--views cpu")
    if type(recipe) is not ProcessingViews or not all(type(p) is Pixels for p in preprocesses):
        return ViewsChoice(None, "devices make processings of photos for plain resizes and cuts alone")
    card = next((home for home in homes if home.type == "cuda"), None)
    if way == "auto":
        if card is None:
            return ViewsChoice(None, "no CUDA GPU waits for them")
        hands = min(workers, _cores())
        engine = chosen_engine() is not None
        enough = ENOUGH_WORKERS if engine else ENOUGH_WORKERS * BY_PILLOW
        by = "the exact engine" if engine else "Pillow alone (pip install numba is several times faster)"
        counted = f"{hands} worker{'s' if hands != 1 else ''} on cores of their own with {by}"
        if hands >= enough:
            return ViewsChoice(None, f"{counted}; {enough} are worth a whole GPU")
        reason = f"{counted} are fewer than the {enough} that are worth a whole GPU"
    else:
        reason = "--views device"
    device = card or (homes[0] if homes else torch.device("cpu"))
    if not equals_pillow(device):
        print(f"camtrace: views made on {device} differ from Pillow's; workers make them instead", file=sys.stderr)
        return ViewsChoice(None, f"those made on {device} differ from Pillow's")
    return ViewsChoice(device, reason)


def _cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
