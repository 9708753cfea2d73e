"""Which codec makes the pixels: versions, and a canary that tells results of different codecs apart."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable

import numpy as np
from PIL import Image, features
from PIL import __version__ as pillow_version

from builders.pixels.by_pillow import process_by_pillow
from builders.pixels.parameters import ALL_PROCESSINGS, PROCESSINGS, STUDY_PROCESSINGS


def codec_versions() -> dict[str, str]:
    """The libraries that decide the pixels of a processing: of JPEG, and of every other format that one is saved as."""
    others = {p.file_format.lower() for p in PROCESSINGS.values()} - {"jpeg"}
    return {
        "pillow": pillow_version,
        "libjpeg_turbo": features.version("libjpeg_turbo") or "absent",
        "jpeg": features.version("jpg") or "absent",
        **{name: features.version(name) or "absent" for name in sorted(others & {*features.modules})},
    }


def codec_canary(processings: Iterable[str] = ()) -> str:
    """A hash of the pixels that this machine's codecs make of one small picture under the study's 14 processings.

    Two results are comparable only where their canaries agree, so it does not change with what else is in
    ``ALL_PROCESSINGS``. The picture is tall enough to show the order of the two passes of a resize, and odd-sized to
    show how the codec pads.

    Args:
        processings: names of what is about to be made. Those outside the study may need other codecs: a second hash,
            of these alone, is then appended. A key or recipe that holds it stays complete.

    >>> codec_canary(["jpeg-q75-420"]) == codec_canary()
    True
    """
    others = tuple(name for name in processings if name not in STUDY_PROCESSINGS)
    return "-".join(_hash_of(names) for names in (STUDY_PROCESSINGS, others) if names)


@functools.cache
def _hash_of(processings: tuple[str, ...]) -> str:
    y, x = np.mgrid[0:83, 0:37]
    noise = np.frombuffer(hashlib.shake_256(b"camtrace canary").digest(83 * 37 * 3), np.uint8).reshape(83, 37, 3)
    ramp = np.stack([x * 255 // 36, y * 255 // 82, (x * y) % 256], axis=-1)
    picture = Image.fromarray(np.where((x + y)[..., None] % 5 == 0, noise, ramp).astype(np.uint8))
    digest = hashlib.sha256()
    for name in processings:
        result = process_by_pillow(picture, ALL_PROCESSINGS[name], "canary")
        digest.update(f"{name} {result.size}".encode())
        digest.update(result.tobytes())
    return digest.hexdigest()[:16]
