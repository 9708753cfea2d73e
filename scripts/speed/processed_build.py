"""The builder of processed photos against the loop that one writes first, interleaved: clock and processor seconds.

    python scripts/speed_builders.py [--source folder:PATH] [--rounds 3] [--quick] [--json]

The loop has Pillow alone: open, turn upright, save as JPEG, one row of a table. It hashes nothing, cannot go on where
it was stopped, and its files are no data set yet. In two processes, half the photos each, it says what a second core
gives at all. All runs must end in the same pixels; ratios are medians over rounds, each within its round.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageOps

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from builders.kinds import open_photos
from builders.photos import PhotoSet
from builders.pixels.parameters import PARAMETERS, assigned_class
from builders.processed.build import build_processed
from builders.sources.folders import FolderSource

PLAIN, HALVES = "plain loop, 1 process", "plain loop, 2 processes"

AIM_RATIO = 1.5
"""What two workers should reach against the plain loop by the clock, everything that a data set needs included."""

ROUNDS = 3


class Times(NamedTuple):
    """What one run took."""

    wall_s: float
    processor_s: float
    """User and system, of this process and of the workers it waited for."""


def rows(
    quick: bool = False, *, source: str | None = None, rounds: int = ROUNDS, count: int = 768
) -> list[dict[str, Any]]:
    """One row per figure: ``what``, ``value``, ``unit``, ``n``, ``aim`` where there is one. Medians over rounds.

    Args:
        quick: few photos and one round.
        source: a data specification; by default 480 x 360 pictures made here.
        rounds: of the loop and the builds in turn.
        count: how many pictures are made.
    """
    with tempfile.TemporaryDirectory() as folder:
        photos = open_photos(source) if source else _pictures(Path(folder), 48 if quick else count)
        photos = photos.limited(48) if quick else photos
        return [row for found in _measured(photos, 1 if quick else rounds) for row in found]


def _measured(photos: PhotoSet, rounds: int) -> Iterator[list[dict[str, Any]]]:
    runs: dict[str, Callable[[Path], object]] = {
        PLAIN: lambda out: plain_loop(photos, out),
        HALVES: lambda out: _two_loops(photos, out),
        "builder, 1 worker": lambda out: build_processed(photos, out, workers=1, progress=False),
        "builder, 2 workers": lambda out: build_processed(photos, out, workers=2, progress=False),
    }
    times: dict[str, list[Times]] = {name: [] for name in runs}
    pixels: dict[str, list[str]] = {}
    for round_ in range(rounds):
        for name, run in runs.items():
            with tempfile.TemporaryDirectory() as folder:
                times[name].append(_times(run, Path(folder, "out")))
                if round_ == 0:
                    pixels[name] = pixels_in(Path(folder, "out"))
    if any(found != pixels[PLAIN] for found in pixels.values()):
        raise SystemExit("the loops and the builds made other pixels: their times do not compare")
    n = len(pixels[PLAIN])
    for name, found in times.items():
        wall, processor = (statistics.median(values) for values in zip(*found, strict=True))
        result: list[dict[str, Any]] = [
            {"what": name, "value": round(n / wall, 1), "unit": "photos/s", "n": n},
            {"what": "  by the clock", "value": round(wall, 2), "unit": "s", "n": n},
            # Changes less with what else the machine does: what shards, hashes and checks cost.
            {"what": "  of all processes", "value": round(processor, 2), "unit": "processor s", "n": n},
        ]
        if name != PLAIN:
            pairs = list(zip(found, times[PLAIN], strict=True))
            faster = round(statistics.median(loop.wall_s / own.wall_s for own, loop in pairs), 2)
            more = round(statistics.median(own.processor_s / loop.processor_s for own, loop in pairs), 2)
            aim = {"aim": AIM_RATIO} if name == "builder, 2 workers" else {}
            result += [
                {"what": "  by the clock", "value": faster, "unit": "times as fast as the loop", "n": n, **aim},
                {"what": "  of all processes", "value": more, "unit": "times the loop's processor s", "n": n},
            ]
        yield result


def plain_loop(photos: PhotoSet, output: Path, start: int = 0, step: int = 1) -> None:
    """The loop over every ``step``-th photo; one that Pillow cannot read is left out."""
    parameter = PARAMETERS["jpeg"]
    for name in parameter.classes:
        (output / name).mkdir(parents=True)
    with open(output / "labels.csv", "w", newline="") as stream:
        table = csv.writer(stream)
        for i in range(start, len(photos), step):
            photo_id = photos.ids[i]
            code = assigned_class(photo_id, parameter)
            made_by, path = parameter.made_by[code], output / parameter.classes[code] / f"{i:06d}.jpg"
            try:
                with Image.open(_file(photos, i)) as image:
                    ImageOps.exif_transpose(image, in_place=True)
                    rgb = image if image.mode == "RGB" else image.convert("RGB")
                    rgb.save(path, "JPEG", quality=made_by.quality, subsampling=made_by.subsampling)
            except OSError:
                continue
            label = int(photos.labels.values[i])
            table.writerow([path.name, photo_id, photos.labels.names[label] if label >= 0 else "", code])


def _two_loops(photos: PhotoSet, output: Path) -> None:
    halves = [
        multiprocessing.get_context("fork").Process(target=plain_loop, args=(photos, output / str(half), half, 2))
        for half in range(2)
    ]
    for process in halves:
        process.start()
    for process in halves:
        process.join()


def _file(photos: PhotoSet, i: int) -> str | io.BytesIO:
    """As the loop opens a photo: by its path where it has one."""
    if isinstance(photos.source, FolderSource):
        return os.path.join(photos.source.root, photos.source.paths[photos.rows[i]])
    return io.BytesIO(photos.read(i))


def pixels_in(folder: Path) -> list[str]:
    """A hash of the pixels of each picture that a run has written, in the order of the hashes."""
    files = [path.read_bytes() for path in folder.rglob("*.jpg")]
    for path in folder.rglob("*.parquet"):
        files += [cell["bytes"] for cell in pq.read_table(path, columns=["image"]).column("image").to_pylist()]
    return sorted(hashlib.sha256(np.asarray(Image.open(io.BytesIO(data)))).hexdigest() for data in files)


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


def _times(run: Callable[[Path], object], output: Path) -> Times:
    wall, processor = time.perf_counter(), _processor_s()
    run(output)
    return Times(time.perf_counter() - wall, _processor_s() - processor)


def _processor_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few photos, one round: it runs, the figures say little")
    parser.add_argument("--source", help="a data specification, for example folder:PATH (default: pictures made here)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="whose median counts (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="machine-readable")
    arguments = parser.parse_args(argv)
    measured = rows(arguments.quick, source=arguments.source, rounds=arguments.rounds)
    if arguments.json:
        print(json.dumps(measured, indent=1))
        return 0
    print(f"load {os.getloadavg()[0]:.2f} after it")
    for row in measured:
        aim = f"   (aim: {row['aim']:g})" if "aim" in row else ""
        print(f"{row['what']:28} {row['value']:10.2f} {row['unit']}{aim}   n = {row['n']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
