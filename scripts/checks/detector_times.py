"""Time and memory of the four tasks about generated photos on stored embeddings, as a run on a bank reads them.

    python -m scripts.checks.detector_times [--photos 100000] [--dimension 768] [--generators 8] [--threads 2]

The embeddings are drawn (a shared effect, one of each generator, one of two sources), written to a temporary folder as
memory maps, one for each of 15 views, and read from there. A quarter of the photos is tested. Prints processor seconds
and wall seconds of each task, and the largest resident memory of the process.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__" and not __package__:  # by its path, not by python -m
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import numpy as np
import torch

from benchmark.bank import BankView
from benchmark.options import RunOptions
from benchmark.tasks import TaskInput, all_tasks
from builders.photos import Labels, NoPictures, PhotoSet, labels_of
from builders.pixels import STUDY_PROCESSINGS

TASKS = ("forensics/floor", "forensics/detect", "forensics/leave-one-out", "forensics/crossing")
VIEWS = ("original", *STUDY_PROCESSINGS)


@dataclass(frozen=True)
class MapBank:
    """A bank of memory maps."""

    folder: Path

    def view(self, name: str, indices: np.ndarray) -> BankView:
        return BankView(np.load(self.folder / f"{name}.npy", mmap_mode="r"), indices)


def photo_set(photos: int, generators: int) -> PhotoSet:
    at = np.arange(photos)
    made = at % 2 == 1
    split = np.where(at // 64 % 4 == 0, 1, 0).astype(np.int8)
    names = ("", *(f"generator {g}" for g in range(generators)))
    return PhotoSet(
        name="drawn",
        ids=tuple(map(str, at)),
        splits=split,
        labels=labels_of(np.where(made, "fake", "real").tolist()),
        source=NoPictures(),
        rows=at,
        groups={"generator": Labels(names, np.where(made, 1 + at // 2 % generators, 0).astype(np.int32))},
        columns={"source": np.where(made, "", np.where(at // 2 % 2, "camera 0", "camera 1")).astype(object)},
    )


def write_views(folder: Path, photos: PhotoSet, dimension: int, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    made = np.arange(len(photos)) % 2 == 1
    generator = photos.groups["generator"].values
    first = rng.standard_normal((len(photos), dimension), dtype=np.float32)
    first[:, 0] += 1.0 * made
    first[np.flatnonzero(made), generator[made]] += 2.0
    first[:, -1] += 0.5 * (photos.columns["source"] == "camera 1")
    for at, name in enumerate(VIEWS):
        stored = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, first.shape)
        for start in range(0, len(photos), 8192):
            part = first[start : start + 8192]
            noise = rng.standard_normal(part.shape, dtype=np.float32)
            stored[start : start + 8192] = part if not at else part + 0.3 * noise
        stored.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=768)
    parser.add_argument("--generators", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="for the embeddings (default: that of temporary files)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    photos = photo_set(options.photos, options.generators)
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        write_views(Path(place), photos, options.dimension)
        bank: Any = MapBank(Path(place))
        inputs = TaskInput(photos, np.ones(len(photos), bool), bank, RunOptions(), "cpu")
        begun_cpu, begun = time.process_time(), time.perf_counter()
        for name in TASKS:
            cpu, wall = time.process_time(), time.perf_counter()
            outcome = all_tasks()[name].run(inputs)
            numbers = ", ".join(f"{score.metric} {score.value:.4f}" for score in outcome.scores)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            print(f"{name}: {cpu:.0f} processor s, {wall:.0f} s; {numbers}", flush=True)
        cpu, wall = time.process_time() - begun_cpu, time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    size = f"{options.photos} photos x {options.dimension}, {len(VIEWS)} views, {options.generators} generators"
    print(f"{size}, {options.threads} threads: {cpu:.0f} processor s, {wall:.0f} s, {peak:.1f} GiB at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
