"""Which codec makes the pixels: versions, and a canary that tells results of different codecs apart."""

from __future__ import annotations

import hashlib

import numpy as np
from PIL import Image, features
from PIL import __version__ as pillow_version

from builders.pixels.by_pillow import process_by_pillow
from builders.pixels.parameters import PROCESSINGS


def codec_versions() -> dict[str, str]:
    """The libraries that decide the pixels of a processing."""
    return {
        "pillow": pillow_version,
        "libjpeg_turbo": features.version("libjpeg_turbo") or "absent",
        "jpeg": features.version("jpg") or "absent",
    }


def codec_canary() -> str:
    """A hash of the pixels that this machine's codecs make of one small picture under all 14 processings.

    Two results are comparable only where their canaries agree. The picture is tall enough to show the order of the
    two passes of a resize, and odd-sized to show how the codec pads.
    """
    y, x = np.mgrid[0:83, 0:37]
    noise = np.frombuffer(hashlib.shake_256(b"camtrace canary").digest(83 * 37 * 3), np.uint8).reshape(83, 37, 3)
    ramp = np.stack([x * 255 // 36, y * 255 // 82, (x * y) % 256], axis=-1)
    picture = Image.fromarray(np.where((x + y)[..., None] % 5 == 0, noise, ramp).astype(np.uint8))
    digest = hashlib.sha256()
    for processing in PROCESSINGS.values():
        result = process_by_pillow(picture, processing, "canary")
        digest.update(f"{processing.name} {result.size}".encode())
        digest.update(result.tobytes())
    return digest.hexdigest()[:16]
