"""Photos a second of the builder against the plain one-thread loop, interleaved; ``--quick`` is a short run."""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from builders.kinds import open_photos
from builders.photos import PhotoSet
from builders.pixels.by_pillow import processed_file
from builders.pixels.decode import decode_rgb
from builders.pixels.parameters import PARAMETERS, PROCESSINGS, assigned_class
from builders.processed.build import build_processed

PLAIN = "plain loop, one thread"

AIM_RATIO = 1.5
"""What two workers should reach against the plain loop, everything that a data set needs included."""


def rows(quick: bool = False, *, source: str | None = None) -> list[dict[str, Any]]:
    """One row per figure: ``what``, ``value``, ``unit``, ``n``, ``aim`` where there is one. Medians over rounds.

    Args:
        quick: few photos and one round.
        source: a data specification; by default 480 x 360 pictures made here.
    """
    with tempfile.TemporaryDirectory() as folder:
        photos = open_photos(source) if source else _pictures(Path(folder), 48 if quick else 768)
        return _measure(photos.limited(48) if quick else photos, quick)


def _measure(photos: PhotoSet, quick: bool) -> list[dict[str, Any]]:
    runs: dict[str, Callable[[Path], object]] = {
        PLAIN: lambda out: plain_loop(photos, out),
        "builder, 1 worker": lambda out: build_processed(photos, out, workers=1, progress=False),
        "builder, 2 workers": lambda out: build_processed(photos, out, workers=2, progress=False),
    }
    times: dict[str, list[_Time]] = {name: [] for name in runs}
    for _ in range(1 if quick else 3):
        for name, run in runs.items():
            times[name].append(_time(run))
    n = len(photos)
    wall = {name: statistics.median(t.wall_s for t in measured) for name, measured in times.items()}
    cpu = {name: statistics.median(t.cpu_s for t in measured) for name, measured in times.items()}
    result = []
    for name in runs:
        result.append({"what": name, "value": round(n / wall[name], 1), "unit": "photos/s", "n": n})
        if name != PLAIN:
            aim = {"aim": AIM_RATIO} if name.endswith("2 workers") else {}
            ratio = round(wall[PLAIN] / wall[name], 2)
            result.append({"what": "  against the plain loop", "value": ratio, "unit": "times as fast", "n": n, **aim})
            # Processor time does not change with what else the machine does: the cost of hashes, shards and checks.
            more = round(cpu[name] / cpu[PLAIN], 2)
            result.append({"what": "  processor time, all workers", "value": more, "unit": "times the loop's", "n": n})
    return result


def plain_loop(photos: PhotoSet, output: Path) -> None:
    """What one writes first: open, process, save, one after another; no hashes, no shards, no card."""
    parameter = PARAMETERS["jpeg"]
    for i, photo_id in enumerate(photos.ids):
        code = assigned_class(photo_id, parameter)
        data = processed_file(decode_rgb(photos.read(i)), PROCESSINGS[parameter.processings[code]], photo_id)
        path = output / parameter.classes[code] / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _pictures(folder: Path, count: int) -> PhotoSet:
    """Pictures with edges and texture at about the size of ImageNet's, deterministic."""
    for i in range(count):
        random = np.random.default_rng(i)
        coarse = Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((480, 360), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = np.clip(smooth + random.integers(-12, 13, smooth.shape), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(noisy).save(buffer, "JPEG", quality=90)
        (folder / f"{i:04d}.jpg").write_bytes(buffer.getvalue())
    return open_photos(f"folder:{folder}")


class _Time(NamedTuple):
    wall_s: float
    cpu_s: float
    """Of this process and of the workers it waited for."""


def _time(run: Callable[[Path], object]) -> _Time:
    folder = Path(tempfile.mkdtemp())
    try:
        wall, cpu = time.perf_counter(), _processor_s()
        run(folder / "out")
        return _Time(time.perf_counter() - wall, _processor_s() - cpu)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _processor_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few photos, one round: it runs, the figures say little")
    parser.add_argument("--source", help="a data specification, for example folder:PATH (default: pictures made here)")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    arguments = parser.parse_args(argv)
    measured = rows(arguments.quick, source=arguments.source)
    if arguments.json:
        print(json.dumps(measured, indent=1))
        return 0
    for row in measured:
        aim = f"   (aim: {row['aim']:g})" if "aim" in row else ""
        print(f"{row['what']:44} {row['value']:10.2f} {row['unit']}{aim}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
