"""Views per second of one core: the exact engine against Pillow with one decode, and against one Pillow pass each.

All three make the same arrays (compared in every round) from the bytes of a JPEG file: 14 processings, then an
encoder's bicubic resize of the short side to 224 and central cut. Interleaved rounds, processor time, medians of the
rounds' ratios, at three sizes of photo. The photos are the bundled sample's scenes, repeated to the size, saved as
JPEG q90.

    python scripts/speed_views.py [--quick]
"""

from __future__ import annotations

import io
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.encoders.preprocess.pixels import CenterCrop, Pixels, ResizeShort
from benchmark.views.recipe import ProcessingViews
from builders.errors import missing_package
from builders.kernels import VARIABLE
from builders.pixels.decode import decode_rgb
from builders.pixels.engine import selection
from builders.pixels.parameters import PROCESSINGS
from builders.sources.sample import SCENES, scene

NAMES = tuple(PROCESSINGS)

PREPROCESS = Pixels((ResizeShort(224, int(Image.Resampling.BICUBIC)), CenterCrop(224, 224, "round")))
"""What a ViT of 224 pixels asks for."""

SIZES = (("0.2 MP", (512, 384), 11, 7), ("2 MP", (1632, 1224), 3, 5), ("8 MP", (3264, 2448), 2, 3))
"""Name, (width, height), number of photos, rounds."""

Views = list[np.ndarray]


def rows(quick: bool = False, *, rounds: int | None = None) -> list[dict[str, Any]]:
    """One row per figure: ``what``, ``value``, ``unit``, ``n``, ``note``. Medians over rounds (None: ``SIZES``)."""
    if _with("", selection.chosen_engine) is None:
        raise SystemExit(missing_package("numba", "this measurement"))
    sizes = (("0.03 MP", (200, 150), 2, 1),) if quick else SIZES
    return [row for name, size, photos, usual in sizes for row in _rows(name, size, photos, rounds or usual)]


def _rows(name: str, size: tuple[int, int], count: int, rounds: int) -> list[dict[str, Any]]:
    photos = [_photo(scene_name, size) for scene_name in list(SCENES)[:count]]
    ways: dict[str, Callable[[bytes], Sequence[np.ndarray]]] = {
        "engine": lambda photo: _with("numba", lambda: _once(photo)),
        "decoded once": lambda photo: _with("pillow", lambda: _once(photo)),
        "one pass each": lambda photo: _with("pillow", lambda: _each(photo)),
        "decode": lambda photo: [np.asarray(decode_rgb(photo))],
    }
    ways["engine"](photos[0])  # its buffers
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        taken, views = dict.fromkeys(ways, 0.0), {}
        for photo in photos:
            for way, make in ways.items():
                started = time.process_time()
                views[way] = make(photo)
                taken[way] += time.process_time() - started
            for other in ("decoded once", "one pass each"):
                assert all(np.array_equal(a, b) for a, b in zip(views["engine"], views[other], strict=True))
        for way, value in taken.items():
            seconds[way].append(value)
    made = count * len(NAMES)
    note = f"{count} photos of {size[0]} x {size[1]}, processor time of one core"
    figures = [
        {
            "what": f"{name}: views, {way}",
            "value": made / statistics.median(seconds[way]),
            "unit": "views/s",
            "note": note,
        }
        for way in ("engine", "decoded once", "one pass each")
    ]
    figures += [
        {
            "what": f"{name}: engine against Pillow, {way}",
            "value": statistics.median(s / e for s, e in zip(seconds[way], seconds["engine"], strict=True)),
            "unit": "times as fast",
            "n": rounds,
        }
        for way in ("decoded once", "one pass each")
    ]
    share = statistics.median(d / e for d, e in zip(seconds["decode"], seconds["engine"], strict=True))
    return [*figures, {"what": f"{name}: decode in the engine's time", "value": share, "unit": "share", "n": rounds}]


def _once(photo: bytes) -> Views:
    return ProcessingViews(NAMES).make(photo, "id", [PREPROCESS])[0]


def _each(photo: bytes) -> Views:
    return [ProcessingViews((name,)).make(photo, "id", [PREPROCESS])[0][0] for name in NAMES]


def _with(engine: str, make: Callable[[], Any]) -> Any:
    """``make()`` with the engine forced."""
    before = os.environ.get(VARIABLE, "")
    os.environ[VARIABLE] = engine
    try:
        return make()
    finally:
        os.environ[VARIABLE] = before


def _photo(name: str, size: tuple[int, int]) -> bytes:
    """A scene at full detail, repeated as often as the size needs, cut to it."""
    width, height = size
    pixels = np.asarray(scene(name))
    times = math.ceil(height / pixels.shape[0]), math.ceil(width / pixels.shape[1]), 1
    buffer = io.BytesIO()
    Image.fromarray(np.tile(pixels, times)[:height, :width]).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


if __name__ == "__main__":
    for row in rows(quick="--quick" in sys.argv):
        print(f"{row['what']}: {row['value']:.2f} {row['unit']}  ({row.get('note', '')})")
