"""Simulated photos of a version are those of the versions before, up to what rounding of a platform moves."""

import numpy as np
import pytest

from builders.simcams import simcams_photos, simpairs_photos
from tests.support.images import image_pixels
from tests.support.recorded import check_recorded


def brightness(data: bytes) -> list[float]:
    """Means of the channels and of the four quarters, and the mean difference of neighbours, in levels."""
    pixels = image_pixels(data).astype(float)
    half = len(pixels) // 2
    quarters = [part.mean() for rows in (pixels[:half], pixels[half:]) for part in (rows[:, :half], rows[:, half:])]
    return [*pixels.mean(axis=(0, 1)), *quarters, np.abs(np.diff(pixels, axis=0)).mean()]


@pytest.mark.parametrize(("name", "made"), [("simcams", simcams_photos), ("simpairs", simpairs_photos)])
def test_simulated_photos__are_as_recorded(name, made):
    photos = made(3, 32) if name == "simcams" else made(6, 32)
    record = {
        "splits": photos.splits.tolist(),
        **{f"attribute {key}": [list(v.names), v.values.tolist()] for key, v in photos.attributes.items()},
        **{f"column {key}": [str(value) for value in values] for key, values in photos.columns.items()},
        **{photos.ids[i]: [round(level, 2) for level in brightness(photos.read(i))] for i in range(len(photos))},
    }
    check_recorded(f"photos-of-{name}", record, tolerance=0.003)
