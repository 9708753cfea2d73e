"""Pictures that take codecs and filters to their limits."""

import numpy as np
import pytest
import torch


def picture(kind, width, height, seed=0):
    """uint8 [height, width, 3]: noise, saturated noise, a checkerboard of single pixels, or a smooth ramp."""
    random = np.random.default_rng([seed, width, height])
    y, x = np.mgrid[0:height, 0:width]
    if kind == "checkerboard":
        return np.repeat(((x + y) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    if kind == "saturated":
        return random.integers(0, 2, (height, width, 3), dtype=np.uint8) * np.uint8(255)
    if kind == "ramp":
        return np.stack([x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x + y) % 256], -1).astype(
            np.uint8
        )
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


KINDS = ("noise", "saturated", "checkerboard", "ramp")


@pytest.fixture
def pictures():
    """(width, height) -> one picture of each kind, uint8 [4, height, width, 3]."""
    return lambda width, height, seed=0: np.stack([picture(kind, width, height, seed) for kind in KINDS])


@pytest.fixture
def planes():
    """uint8 [n, height, width, 3] -> uint8 [n, 3, height, width]."""
    return lambda photos: torch.from_numpy(photos).permute(0, 3, 1, 2).contiguous()
