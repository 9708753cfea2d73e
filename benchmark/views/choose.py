"""Choose whether the workers or a device make the views; ``--dry-run`` prints the choice and its reason."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmark.encoders import Pixels
from benchmark.options import listed
from benchmark.views.device.views import equals_pillow, makes
from benchmark.views.recipe import ORIGINAL, Preprocess, ProcessingViews, ViewRecipe
from builders.pixels import ALL_PROCESSINGS, chosen_engine
from builders.processes import default_workers

ENOUGH_WORKERS = 6
"""From this number of workers, each on a separate core, the exact engine makes the views even if there is a GPU. A core
makes 1,800 to 2,200 views per second of ImageNet's photos (measured). An idle H100 was estimated at 1,700 for photos of
mixed sizes, and at the rate of four to six cores for photos of one size; but it also has to run the encoders."""

PILLOW_FACTOR = 7
"""Times ``ENOUGH_WORKERS`` where the engine is not installed: Pillow is 7.3 to 8.7 times slower (measured)."""


@dataclass(frozen=True)
class ViewsChoice:
    """Where the views of a pass are made: by the workers (CPU processes) or on a device, and why."""

    device: torch.device | None
    """None: the workers make them."""
    reason: str
    """Continues "views are made by the workers: " or "views are made on cuda:0: "."""

    def __str__(self) -> str:
        where = "by the workers" if self.device is None else f"on {self.device}"
        return f"views are made {where}: {self.reason}"


def choose_views(
    mode: str,
    recipe: ViewRecipe,
    preprocesses: Sequence[Preprocess],
    targets: Sequence[torch.device],
    workers: int = 0,
) -> ViewsChoice:
    """Choose where the views are made. If a device fails its self-test, a line on standard error says so.

    Args:
        mode: ``auto``, ``cpu`` or ``device``, see ``RunOptions.views``.
        recipe: which views are made.
        preprocesses: the distinct preprocessings.
        targets: per preprocessing, the device of its encoders.
        workers: number of processes that make views.

    >>> str(choose_views("auto", ProcessingViews(("jpeg-q75-420",)), [], [torch.device("cpu")]))
    'views are made by the workers: no CUDA GPU waits for them'
    """
    if mode == "cpu":
        return ViewsChoice(None, "--views cpu")
    if type(recipe) is not ProcessingViews or not all(type(p) is Pixels for p in preprocesses):
        return ViewsChoice(None, "devices make processings of photos for plain resizes and cuts alone")
    if unknown := [name for name in recipe.names if name != ORIGINAL and not makes(ALL_PROCESSINGS[name])]:
        return ViewsChoice(None, f"no device makes {listed(unknown)}")
    gpu = next((target for target in targets if target.type == "cuda"), None)
    if mode == "auto":
        if gpu is None:
            return ViewsChoice(None, "no CUDA GPU waits for them")
        used = min(workers, available_cores())
        engine = chosen_engine() is not None
        enough = ENOUGH_WORKERS if engine else ENOUGH_WORKERS * PILLOW_FACTOR
        software = "the exact engine" if engine else "Pillow alone (pip install numba is several times faster)"
        counted = f"{used} worker{'s' if used != 1 else ''} on cores of their own with {software}"
        if used >= enough:
            return ViewsChoice(None, f"{counted}; {enough} are worth a whole GPU")
        reason = f"{counted} are fewer than the {enough} that are worth a whole GPU"
    else:
        reason = "--views device"
    device = gpu or (targets[0] if targets else torch.device("cpu"))
    if not equals_pillow(device):
        print(f"camtrace: views made on {device} differ from Pillow's; workers make them instead", file=sys.stderr)
        return ViewsChoice(None, f"those made on {device} differ from Pillow's")
    return ViewsChoice(device, reason)


def available_cores() -> int:
    """Number of cores that this process may use."""
    return default_workers()
