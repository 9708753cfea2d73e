"""Views per second: each photo decoded once for its 14 processings, against one pass over the photos per processing.

Both make the same arrays (compared on the way) with the same preprocessing (resize to 224 px bicubic, as an encoder's),
on one core, interleaved. The photos are the bundled sample's scenes at full size, saved as JPEG q90.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.views import ProcessingViews
from builders.decode import decode_rgb
from builders.processing import PROCESSINGS
from builders.sample import SCENES, scene

NAMES = tuple(PROCESSINGS)


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """One row per figure: ``what``, ``value``, ``unit``, ``n``, ``note``. Medians over rounds."""
    photos = [_jpeg(scene(name)) for name in list(SCENES)[: 2 if quick else None]]
    once_s, each_s = [], []
    for _ in range(1 if quick else 5):
        started = time.process_time()
        once = [ProcessingViews(NAMES).make(photo, "id", [_preprocess])[0] for photo in photos]
        once_s.append(time.process_time() - started)
        started = time.process_time()
        each = [[ProcessingViews((name,)).make(photo, "id", [_preprocess])[0][0] for photo in photos] for name in NAMES]
        each_s.append(time.process_time() - started)
        for i in range(len(photos)):
            assert all(np.array_equal(once[i][j], each[j][i]) for j in range(len(NAMES)))
    views = len(photos) * len(NAMES)
    note = f"{len(photos)} photos x {len(NAMES)} processings, processor time of one core"
    return [
        {"what": "views, decoded once", "value": views / statistics.median(once_s), "unit": "views/s", "note": note},
        {"what": "views, one pass each", "value": views / statistics.median(each_s), "unit": "views/s", "note": note},
        {
            "what": "decoded once against one pass each",
            "value": statistics.median(e / o for e, o in zip(each_s, once_s, strict=True)),
            "unit": "times as fast",
            "n": len(once_s),
        },
    ]


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    assert decode_rgb(buffer.getvalue()).size == image.size
    return buffer.getvalue()


def _preprocess(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((224, 224), Image.Resampling.BICUBIC))


if __name__ == "__main__":
    for row in rows(quick="--quick" in sys.argv):
        print(f"{row['what']}: {row['value']:.2f} {row['unit']}  ({row.get('note', '')})")
