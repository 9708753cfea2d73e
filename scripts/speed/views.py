"""Views per second of one core: the exact engine against Pillow with one decode, and against one Pillow pass each.

All three make the same arrays (compared in every round) from the bytes of a JPEG file: 14 processings, then an
encoder's bicubic resize of the short side to 224 and central cut. Processor time, at three sizes of photo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from benchmark.encoders.preprocess.pixels import CenterCrop, Pixels, ResizeShort
from benchmark.views.recipe import ProcessingViews
from builders.errors import missing_package
from builders.kernels import VARIABLE
from builders.pixels.decode import decode_rgb
from builders.pixels.engine import selection
from builders.pixels.parameters import PROCESSINGS
from scripts.speed.measure import Row, environment, interleaved
from scripts.speed.synthetic import repeated_scenes

NAMES = tuple(PROCESSINGS)

PREPROCESS = Pixels((ResizeShort(224, int(Image.Resampling.BICUBIC)), CenterCrop(224, 224, "round")))
"""What a ViT of 224 pixels asks for."""

SIZES = (("0.2 MP", (512, 384), 11, 7), ("2 MP", (1632, 1224), 3, 5), ("8 MP", (3264, 2448), 2, 3))
"""Name, (width, height), number of photos, rounds."""

Views = list[np.ndarray]


def rows(quick: bool = False, *, rounds: int = 0) -> Iterator[Row]:
    """The rates, the ratios, and the decoder's share; ``rounds``: 0 takes those of ``SIZES``."""
    with environment(**{VARIABLE: ""}):
        if selection.chosen_engine() is None:
            raise SystemExit(missing_package("numba", "this measurement"))
    for name, size, photos, usual in (("0.03 MP", (200, 150), 2, 1),) if quick else SIZES:
        yield from _rows(name, size, photos, rounds or usual)


def _rows(name: str, size: tuple[int, int], count: int, rounds: int) -> Iterator[Row]:
    photos = repeated_scenes(size, count)

    def all_photos(engine: str, make: Callable[[bytes], Views]) -> Callable[[], list[Views]]:
        def run() -> list[Views]:
            with environment(**{VARIABLE: engine}):
                return [make(photo) for photo in photos]

        return run

    work = {
        "engine": all_photos("numba", _once),
        "decoded once": all_photos("pillow", _once),
        "one pass each": all_photos("pillow", _each),
        "decode": all_photos("pillow", lambda photo: [np.asarray(decode_rgb(photo))]),
    }
    all_photos("numba", lambda photo: _once(photos[0]))()  # its buffers
    times = interleaved(work, rounds, clock="processor", warm_up=False)
    for other in ("decoded once", "one pass each"):
        for result, expected in zip(times.results["engine"], times.results[other], strict=True):
            _require_equal(result, expected)
    note = f"{count} photos of {size[0]} x {size[1]}, processor time of one core"
    for way in ("engine", "decoded once", "one pass each"):
        rate = count * len(NAMES) / times.median(way)
        yield Row(f"{name}: views, {way}", rate, "views/s", rounds, threads=1, note=note)
    for way in ("decoded once", "one pass each"):
        ratio = times.ratio(way, "engine")
        yield Row(f"{name}: engine against Pillow, {way}", ratio, "times as fast", rounds, threads=1)
    yield Row(f"  {name}: decode in the engine's time", times.ratio("decode", "engine"), "share", rounds, threads=1)


def _require_equal(result: Sequence[Views], expected: Sequence[Views]) -> None:
    for of_photo, expected_of_photo in zip(result, expected, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(of_photo, expected_of_photo, strict=True))


def _once(photo: bytes) -> Views:
    return ProcessingViews(NAMES).make(photo, "id", [PREPROCESS])[0]


def _each(photo: bytes) -> Views:
    return [ProcessingViews((name,)).make(photo, "id", [PREPROCESS])[0][0] for name in NAMES]
