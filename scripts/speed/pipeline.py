"""The whole command against its forward passes alone, three encoders in one pass against theirs, and how cost grows.

Every figure is measured in a process of its own; growth is against the runs of one encoder in the same rounds as the
forward passes. "Forward passes alone" are the same encoder on as many views in the same batches, made beforehand: no
start, no photos, no scores. Three encoders are the bundled one under three names: the same preprocessing, so their
views are made once.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.speed.measure import Command, Row, apart, run_command
from scripts.speed.synthetic import cropped_photos

ENCODER = "bundled:efficientnet-lite0"
ALIASES = tuple(f"scripts.speed.pipeline:{name}" for name in ("second", "third", "fourth"))
TRIO = (ENCODER, *ALIASES[:2])
QUARTET = (ENCODER, *ALIASES)
ALL_TASKS = "*"
QUICK_TASKS = "probe/sharpening"


@dataclass(frozen=True)
class Run:
    """A run of the command."""

    took: Command
    cost: dict[str, Any]
    """Of the first result."""
    embedding_s: float
    """Of all encoders: each has its part of the shared pass."""


@dataclass(frozen=True)
class Bench:
    """On what is measured."""

    folder: Path
    photos: Path
    tasks: str
    workers: int

    def command(self, models: Sequence[str], count: int) -> Run:
        """``python -m benchmark``, or ``sweep`` of several encoders, on ``count`` photos."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            data = ["--data", f"folder:{self.photos}", "--limit", str(count), "--tasks", self.tasks, "--device", "cpu"]
            where = ["--workers", str(self.workers), "--output", f"{out}/results", "--cache", f"{out}/cache"]
            named = [word for model in models for word in ("--model", model)]
            arguments = [*(["sweep"] if len(models) > 1 else []), *named, *data, *where]
            took = run_command([sys.executable, "-m", "benchmark", *arguments])
            costs = [json.loads(file.read_text())["cost"] for file in Path(out).glob("results/**/result.json")]
        assert len(costs) == len(models), "an encoder failed"
        return Run(took, costs[0], sum(cost["seconds"]["embedding"] for cost in costs))

    def forward(self, count: int) -> dict[str, float]:
        """``views``, ``wall`` and ``processor`` seconds of the forward passes of ``count`` photos by one encoder."""
        result: dict[str, float] = apart(f"{__name__}:forward_alone", str(self.photos), count, self.tasks)
        return result


def rows(
    quick: bool = False,
    *,
    photos: str | None = None,
    count: int = 140,
    rounds: int = 3,
    workers: int = 0,
    sizes: Sequence[int] = (2, 4),
) -> Iterator[Row]:
    """Overhead, then growth.

    Args:
        quick: a dozen photos, one round.
        photos: a folder that ``--data folder:DIR`` takes; None: crops of the bundled scenes.
        count: photos of the smallest size.
        rounds: of all runs in turn.
        workers: of the command; 0: one a core, at most 8.
        sizes: so many times the photos, and so many encoders (at most 4), for how cost grows.
    """
    count, rounds = (12, 1) if quick else (count, rounds)
    with tempfile.TemporaryDirectory(prefix="camtrace-speed-") as name:
        folder = Path(name)
        given = Path(photos) if photos else cropped_photos(folder / "photos", count if quick else max(sizes) * count)
        tasks = QUICK_TASKS if quick else ALL_TASKS
        bench = Bench(folder, given.resolve(), tasks, workers or min(8, os.cpu_count() or 1))
        alone, one, three = [], [], []
        for _ in range(rounds):
            alone.append(bench.forward(count))
            one.append(bench.command([ENCODER], count))
            three.append(bench.command(TRIO, count))
        yield from _overhead(alone, one, three, f"{count} photos, {bench.workers} workers")
        yield from _growth("photos", lambda n: bench.command([ENCODER], n * count), one, () if quick else sizes)
        if not quick:
            yield from _growth("encoders", lambda n: bench.command(QUARTET[:n], count), one, sizes)


def _overhead(alone: Sequence[dict[str, float]], one: Sequence[Run], three: Sequence[Run], note: str) -> Iterator[Row]:
    rounds, views = len(alone), alone[0]["views"]
    rate = statistics.median(views / forward["wall"] for forward in alone)
    yield Row("forward passes alone", rate, "views/s", rounds, note=f"{note}, {views} views")
    for what, runs, encoders, aim in (("one encoder", one, 1, 1.5), ("three encoders", three, 3, 1.2)):
        pairs = list(zip(runs, alone, strict=True))
        wall = statistics.median(run.took.seconds.wall / (encoders * f["wall"]) for run, f in pairs)
        processor = statistics.median(run.took.seconds.processor / (encoders * f["processor"]) for run, f in pairs)
        passes = statistics.median(run.embedding_s / (encoders * f["wall"]) for run, f in pairs)
        stages = ", ".join(f"{stage} {s:.1f} s" for stage, s in runs[0].cost["seconds"].items())
        note, unit = f"{runs[0].took.seconds.wall:.1f} s: {stages}", "x forward alone"
        yield Row(f"{what}, whole command", wall, unit, rounds, processor=processor, aim=aim, note=note)
        yield Row(f"{what}, pass alone", passes, unit, rounds)


def _growth(what: str, run: Callable[[int], Run], first: Sequence[Run], sizes: Sequence[int]) -> Iterator[Row]:
    """Rows of the first size, measured before, and of its multiples."""
    commands = [[one.took, *(run(size).took for size in sizes)] for one in first]
    for i, size in enumerate((1, *sizes)):
        wall = statistics.median(of[i].seconds.wall for of in commands)
        ratio = statistics.median(of[i].seconds.wall / of[0].seconds.wall for of in commands)
        peak = statistics.median(of[i].peak_bytes for of in commands)
        memory = [of[i].peak_bytes / of[0].peak_bytes for of in commands if of[0].peak_bytes]
        note = f"{wall:.1f} s, peak {peak / 2**20:.0f} MiB"
        more = statistics.median(memory) if memory else None
        yield Row(f"{what} x{size}", ratio, "x time", len(commands), memory=more, note=note)


def second() -> Any:
    """The bundled encoder under another name, as ``--model scripts.speed.pipeline:second``."""
    return _under_another_name("second")


def third() -> Any:
    """As ``second``."""
    return _under_another_name("third")


def fourth() -> Any:
    """As ``second``."""
    return _under_another_name("fourth")


def _under_another_name(name: str) -> Any:
    from benchmark.encoders import load_encoder

    encoder = load_encoder(ENCODER, device="cpu")
    return dataclasses.replace(encoder, info=dataclasses.replace(encoder.info, id=f"scripts.speed.pipeline:{name}"))


def forward_alone(photos: str, count: int, tasks: str) -> dict[str, float]:
    """In a process of its own: the forward passes over the views of ``count`` photos, those of a few over and over."""
    from benchmark.compute.process import prepare_process

    prepare_process()
    import torch

    from benchmark.encoders import load_encoder
    from benchmark.options import RunOptions
    from benchmark.scoring.passes import planned_passes
    from benchmark.tasks.registry import all_tasks, fitting_tasks, select_tasks
    from benchmark.views.loading import iterate_views
    from builders.data_specs import open_photos

    opened = open_photos(f"folder:{photos}", seed=0).limited(count, 0)
    options = RunOptions()
    chosen = fitting_tasks(select_tasks([tasks], all_tasks()), opened, named=True)
    recipes = [one.recipe for one in planned_passes(chosen, opened, options)]
    recipe, each = recipes[0], sum(len(one.names) for one in recipes)  # a view of another pass costs as much
    encoder = load_encoder(ENCODER, device="cpu")
    some = range(min(len(opened), -(-2 * options.batch_size // len(recipe.names))))
    pixels = torch.cat([photo.arrays[0] for photo in iterate_views(opened, some, recipe, [encoder.preprocess])])
    batches = pixels.split(options.batch_size)
    encoder.embed(batches[0])
    views = 0
    started, processor = time.perf_counter(), time.process_time()
    for batch in itertools.cycle(batches):
        views += len(encoder.embed(batch[: len(opened) * each - views]))
        if views == len(opened) * each:
            break
    return {"views": views, "wall": time.perf_counter() - started, "processor": time.process_time() - processor}
