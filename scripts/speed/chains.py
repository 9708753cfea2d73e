"""Chains of a processing file whose stages the exact engine makes: processor time against Pillow, and a stage's cost.

The same pixels are required in every round. The photos are decoded; an encoder's resize to 224 and cut follows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from builders.errors import missing_package
from builders.kernels import VARIABLE
from builders.pixels.decode import decode_rgb
from builders.pixels.definitions.read import read_definitions
from builders.pixels.engine import selection
from builders.pixels.process import engine_of, preprocess_all
from builders.pixels.processing import Processing
from scripts.speed.measure import Row, environment, interleaved
from scripts.speed.synthetic import repeated_scenes
from scripts.speed.views import PREPROCESS

FILE = """{"schema":1,"processing":[
{"name":"one-stage","steps":[{"step":"jpeg","quality":80}]},
{"name":"resize-JPEG","steps":[{"step":"resize","width":640},{"step":"jpeg","quality":80}]},
{"name":"JPEG-JPEG","steps":[{"step":"jpeg","quality":70},{"step":"jpeg","quality":80}]},
{"name":"JPEG-resize-JPEG-JPEG","steps":[{"step":"jpeg","quality":70},{"step":"resize","scale":0.6},
{"step":"jpeg","quality":80},{"step":"jpeg","quality":90}]},
{"name":"JPEG-blur-JPEG","steps":[{"step":"jpeg","quality":70},{"step":"blur","radius":1},
{"step":"jpeg","quality":80}]},
{"name":"WebP","steps":[{"step":"webp","quality":80}]}]}"""

STAGE = '{{"name":"{}","steps":[{{"step":"jpeg","quality":{},"chroma":"{}"}},{{"step":"jpeg","quality":80}}]}}'
FIRST = [(quality, chroma) for quality in (95, 85, 75) for chroma in ("4:2:0", "4:4:4")]
CHAINS = ",".join(STAGE.format(f"chain-{i}", *first) for i, first in enumerate(FIRST))
SIX = f'{{"schema":1,"processing":[{CHAINS}]}}'


def rows(quick: bool = False, *, rounds: int = 5) -> Iterator[Row]:
    """The ratio of each chain."""
    with environment(**{VARIABLE: ""}):
        if selection.chosen_engine() is None:
            raise SystemExit(missing_package("numba", "this measurement"))
    size, count = ((200, 150), 2) if quick else ((1024, 768), 4)
    photos = [decode_rgb(photo) for photo in repeated_scenes(size, count)]
    chains = {name: [processing] for name, processing in read_definitions(FILE).processings.items()}
    chains["six JPEG-JPEG at once"] = list(read_definitions(SIX).processings.values())
    for name, processings in chains.items():
        work = {engine: _all(photos, processings, engine) for engine in ("numba", "pillow")}
        times = interleaved(work, rounds, clock="processor", warm_up=True)
        for view, expected in zip(times.results["numba"], times.results["pillow"], strict=True):
            np.testing.assert_array_equal(view, expected)
        with environment(**{VARIABLE: ""}):
            note = f"{count} photos of {size[0]} x {size[1]}, by {engine_of(processings[0], size)}"
        ratio = times.ratio("pillow", "numba")
        yield Row(f"{name}: against Pillow", ratio, "times as fast", rounds, threads=1, note=note)


def _all(photos: list[Image.Image], processings: list[Processing], engine: str) -> Callable[[], list[np.ndarray]]:
    def run() -> list[np.ndarray]:
        with environment(**{VARIABLE: engine}):
            plan = [lambda width, height: PREPROCESS.plan(width, height) or PREPROCESS]
            views = [preprocess_all(photo, processings, "a", plan)[0] for photo in photos]
            return [np.asarray(view) for of_photo in views for view in of_photo]

    return run
