"""Processings of a version make the pixels that they made before, up to what another codec moves."""

import numpy as np
from PIL import Image

from builders.pixels import ALL_PARAMETERS, ALL_PROCESSINGS
from builders.pixels.process import process
from tests.support.recorded import check_recorded


def photo(height: int = 70, width: int = 93) -> Image.Image:
    """A gradient with waves and noise."""
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(2).normal(0, 20, (height, width, 3))
    waves = np.stack([60 * np.sin(x / 5), 50 * np.cos(y / 7), 40 * np.sin((x + y) / 9)], axis=-1)
    return Image.fromarray(np.clip(128 + waves + noise, 0, 255).astype(np.uint8))


def test_processings__make_the_recorded_pixels():
    made = {"parameters": {name: [p.classes, p.processings] for name, p in ALL_PARAMETERS.items()}}
    for name, processing in ALL_PROCESSINGS.items():
        pixels = np.asarray(process(photo(), processing, "photo-1", 3)).astype(float)
        rough = [np.abs(np.diff(pixels, axis=axis)).mean() for axis in (0, 1)]
        made[name] = [processing, pixels.shape, *pixels.mean(axis=(0, 1)).round(2), *np.round(rough, 2)]
    check_recorded("processings", made, tolerance=0.003)
