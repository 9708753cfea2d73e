"""The builder of processed photos against a plain loop: wall and processor seconds.

The loop uses Pillow alone: open, turn upright, save as JPEG, write one row of a table. It hashes nothing, cannot
continue after a stop, and its files are no data set yet. Run in two processes, on half of the photos each, it shows how
much a second core can gain. All runs must give the same pixels.
"""

from __future__ import annotations

import csv
import hashlib
import io
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from builders.data_specs import open_photos
from builders.photos import PhotoSet
from builders.pixels.parameters import PARAMETERS, assigned_class
from builders.processed.build import build_processed
from builders.sources.folders import FolderSource
from scripts.speed.measure import Row, interleaved, together
from scripts.speed.synthetic import textured_photos

LOOP, HALVES = "plain loop, 1 process", "plain loop, 2 processes"

AIM_RATIO = 1.5
"""What two workers should reach against the plain loop by the clock, everything that a data set needs included."""

QUICK_COUNT = 48


def rows(quick: bool = False, *, source: str | None = None, rounds: int = 3, count: int = 768) -> Iterator[Row]:
    """Rates, seconds and ratios.

    Args:
        quick: few photos and one round.
        source: a data specification; by default 480 x 360 pictures made here.
        rounds: of the loop and the builds in turn.
        count: how many pictures are made.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = source or f"folder:{textured_photos(Path(folder), QUICK_COUNT if quick else count)}"
        photos = open_photos(made)
        yield from _rows(photos.limited(QUICK_COUNT) if quick else photos, 1 if quick else rounds)


def _rows(photos: PhotoSet, rounds: int) -> Iterator[Row]:
    builds: dict[str, Callable[[Path], object]] = {
        LOOP: partial(plain_loop, photos),
        HALVES: partial(_two_loops, photos),
        "builder, 1 worker": lambda out: build_processed(photos, out, workers=1, progress=False),
        "builder, 2 workers": lambda out: build_processed(photos, out, workers=2, progress=False),
    }
    pixels: dict[str, list[str]] = {}
    each = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            outputs = {name: Path(folder, str(i)) for i, name in enumerate(builds)}
            work = {name: partial(build, outputs[name]) for name, build in builds.items()}
            each.append(interleaved(work, 1, warm_up=False))
            pixels = pixels or {name: pixels_in(output) for name, output in outputs.items()}
    times = together(each)
    if any(made != pixels[LOOP] for made in pixels.values()):
        raise SystemExit("the loops and the builds made other pixels: their times do not compare")
    n = len(pixels[LOOP])
    for name in builds:
        yield Row(name, n / times.median(name), "photos/s", n)
        yield Row("  by the clock", times.median(name), "s", n)
        # What shards, hashes and checks cost; it depends less on what else the machine does.
        yield Row("  of all processes", times.median(name, "processor"), "processor s", n)
        if name != LOOP:
            aim = AIM_RATIO if name == "builder, 2 workers" else None
            more = times.ratio(name, LOOP, "processor")
            yield Row(f"{name}: by the clock", times.ratio(LOOP, name), "times as fast as the loop", n, aim=aim)
            yield Row(f"{name}: of all processes", more, "times the loop's processor s", n)


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
    context = multiprocessing.get_context("fork")
    halves = [context.Process(target=plain_loop, args=(photos, output / str(half), half, 2)) for half in range(2)]
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
