"""Whether a device makes the pixels that the installed Pillow makes: tried on small pictures before it is trusted."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import torch
from PIL import Image

from benchmark.views.on_device.views import makes, torch_views
from builders.pixels import PROCESSINGS, Rectangle, ResizeCrop, process_by_pillow

SIZES = ((23, 71), (48, 32), (3, 5))
"""(width, height): tall, so that the order of a resize's passes shows; of whole blocks; too narrow for the filters."""


@cache
def equals_pillow(device: torch.device) -> bool:
    """Compare all processings that a device makes, of a few pictures, resized and cut, with Pillow's; asked once for
    each device."""
    ids = ("one", "two")
    names = tuple(name for name, processing in PROCESSINGS.items() if makes(processing))
    for width, height in SIZES:
        photos = np.stack([_picture(width, height, photo_id) for photo_id in ids])
        try:
            made = torch_views(torch.from_numpy(photos).to(device), ids, names, [_plan])[0].cpu().numpy()
        except (RuntimeError, TypeError):  # an operation that this device does not have, such as float64 on MPS
            return False
        for photo, photo_id, views in zip(photos, ids, made, strict=True):
            for name, view in zip(names, views, strict=True):
                image = process_by_pillow(Image.fromarray(photo), PROCESSINGS[name], photo_id)
                if not np.array_equal(view, _plan(*image.size)(image)):
                    return False
    return True


def _plan(width: int, height: int) -> ResizeCrop:
    """An encoder's bicubic resize, shrinking the height more than the width, and a cut."""
    whole = Rectangle(0, 0, width, height)
    return ResizeCrop((width, height), whole, (20, 16), int(Image.Resampling.BICUBIC), Rectangle(1, 0, 19, 16))


def _picture(width: int, height: int, seed: str) -> np.ndarray:
    """Noise at full swing beside smooth ramps, uint8 [height, width, 3]."""
    noise = np.frombuffer(hashlib.shake_256(seed.encode()).digest(width * height * 3), np.uint8)
    y, x = np.mgrid[0:height, 0:width]
    ramp = np.stack([x * 255 // width, y * 255 // height, (x * y) % 256], -1)
    rough = (x + y) % 7 < 3
    return np.where(rough[..., None], noise.reshape(height, width, 3), ramp).astype(np.uint8)
