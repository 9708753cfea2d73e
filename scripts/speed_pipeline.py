"""The whole command against its forward passes alone, three encoders in one pass against theirs, and how cost grows.

Every figure is measured in a process of its own, medians of the rounds' ratios; growth is against the runs of one
encoder that stand beside the forward passes. "Forward passes alone" are the same encoder on as many views in the same
batches, made beforehand: no start, no photos, no scores. Three encoders are the bundled one under three names: the same
preprocessing, so their views are made once.

    python scripts/speed_pipeline.py [--quick] [--json] [--photos DIR] [--count N] [--rounds N] [--workers N]

Without ``--photos`` (a folder that ``--data folder:DIR`` takes) crops of the bundled sample's scenes are used. Peak
memory is that of the process and its workers together: anonymous and shared pages, a page of several once (Linux).
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

ENCODER = "bundled:efficientnet-lite0"
TRIO = (ENCODER, "speed_pipeline:second", "speed_pipeline:third")
QUARTET = (*TRIO, "speed_pipeline:fourth")
ALL_TASKS = "*"
QUICK_TASKS = "probe/sharpening"
CROP = (320, 240)
"""Width and height of a generated photo."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """One process, from its start to its end."""

    wall_s: float
    cpu_s: float
    """Of the process and its workers."""
    peak_bytes: int
    """Of the process and its workers together; 0 where that cannot be seen."""
    told: dict[str, Any]
    """What it wrote."""


@dataclasses.dataclass(frozen=True)
class Bench:
    """Where and on what is measured."""

    folder: Path
    photos: Path
    tasks: str
    workers: int

    def command(self, models: Sequence[str], count: int) -> Measured:
        """``python -m benchmark``, or ``sweep`` of several encoders, on ``count`` photos; tells what it cost."""
        with tempfile.TemporaryDirectory(dir=self.folder) as out:
            given = ["--data", f"folder:{self.photos}", "--limit", str(count), "--tasks", self.tasks, "--device", "cpu"]
            where = ["--workers", str(self.workers), "--output", f"{out}/results", "--cache", f"{out}/cache"]
            named = [word for model in models for word in ("--model", model)]
            arguments = [*(["sweep"] if len(models) > 1 else []), *named, *given, *where]
            measured = _run([sys.executable, "-m", "benchmark", *arguments])
            costs = [json.loads(file.read_text())["cost"] for file in Path(out).glob("results/**/result.json")]
        assert len(costs) == len(models), "an encoder failed"
        embedding_s = sum(cost["seconds"]["embedding"] for cost in costs)  # each encoder's part of the shared pass
        return dataclasses.replace(measured, told={**costs[0], "embedding_s": embedding_s})

    def forward(self, count: int) -> Measured:
        """The forward passes of ``count`` photos by one encoder; tells their ``seconds`` and ``cpu_s``."""
        given = [str(self.photos), str(count), self.tasks]
        with tempfile.NamedTemporaryFile(dir=self.folder) as file:
            measured = _run([sys.executable, str(Path(__file__)), "--forward", file.name, *given])
            return dataclasses.replace(measured, told=json.loads(Path(file.name).read_text()))


def rows(
    quick: bool = False,
    *,
    photos: Path | None = None,
    count: int = 140,
    rounds: int = 3,
    workers: int | None = None,
    sizes: Sequence[int] = (2, 4),
) -> list[dict[str, Any]]:
    """One row per figure: ``what``, ``value``, ``unit``, ``n`` (rounds), ``note``, and perhaps ``aim`` and ``cpu``.

    ``cpu`` is the same ratio in seconds of all processors, which a machine that others use disturbs less. ``quick``
    uses tiny sizes, to see that it runs; its figures mean nothing. ``sizes``: so many times the photos, and so many
    encoders (at most 4), for how cost grows.
    """
    count, rounds = (12, 1) if quick else (count, rounds)
    with tempfile.TemporaryDirectory(prefix="camtrace-speed-") as name:
        folder = Path(name)
        given = photos or make_photos(folder / "photos", count if quick else max(sizes) * count)
        tasks = QUICK_TASKS if quick else ALL_TASKS
        bench = Bench(folder, given.resolve(), tasks, workers or min(8, os.cpu_count() or 1))
        found, one = _against_forward(bench, count, rounds)
        found += _growth("photos", lambda n: bench.command([ENCODER], n * count), one, () if quick else sizes)
        if not quick:
            found += _growth("encoders", lambda n: bench.command(QUARTET[:n], count), one, sizes)
        return found


def _against_forward(bench: Bench, count: int, rounds: int) -> tuple[list[dict[str, Any]], list[Measured]]:
    """The rows, and each round's run of one encoder."""
    alone, one, three = [], [], []
    for _ in range(rounds):
        alone.append(bench.forward(count))
        one.append(bench.command([ENCODER], count))
        three.append(bench.command(TRIO, count))
    views = alone[0].told["views"]
    forward_s = [m.told["seconds"] for m in alone]
    forward_cpu = [m.told["cpu_s"] for m in alone]
    note = f"{count} photos, {views} views, {bench.workers} workers"
    found = [
        {
            "what": "forward passes alone",
            "value": statistics.median(views / s for s in forward_s),
            "unit": "views/s",
            "n": rounds,
            "note": note,
        }
    ]
    for what, runs, encoders, aim in (("one encoder", one, 1, 1.5), ("three encoders", three, 3, 1.2)):
        wall = [m.wall_s / (encoders * s) for m, s in zip(runs, forward_s, strict=True)]
        passes = [m.told["embedding_s"] / (encoders * s) for m, s in zip(runs, forward_s, strict=True)]
        cpu = [m.cpu_s / (encoders * s) for m, s in zip(runs, forward_cpu, strict=True)]
        stages = ", ".join(f"{stage} {s:.1f} s" for stage, s in runs[0].told["seconds"].items())
        found += [
            {
                "what": f"{what}, whole command",
                "value": statistics.median(wall),
                "unit": "x forward alone",
                "n": rounds,
                "note": f"{runs[0].wall_s:.1f} s: {stages}",
                "aim": aim,
                "cpu": statistics.median(cpu),
            },
            {"what": f"{what}, pass alone", "value": statistics.median(passes), "unit": "x forward alone", "n": rounds},
        ]
    return found, one


def _growth(
    what: str, run: Callable[[int], Measured], first: Sequence[Measured], sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """Rows of the first size, measured before, and of its multiples."""
    measured = [[one, *(run(size) for size in sizes)] for one in first]
    found = []
    for size, runs in zip((1, *sizes), zip(*measured, strict=True), strict=True):
        seconds = statistics.median(r.wall_s for r in runs)
        peak = statistics.median(r.peak_bytes for r in runs)
        memory = [r.peak_bytes / f.peak_bytes for r, f in zip(runs, first, strict=True) if f.peak_bytes]
        found.append(
            {
                "what": f"{what} x{size}",
                "value": statistics.median(r.wall_s / f.wall_s for r, f in zip(runs, first, strict=True)),
                "unit": "x time",
                "n": len(runs),
                "note": f"{seconds:.1f} s, peak {peak / 2**20:.0f} MiB",
                "memory": statistics.median(memory) if memory else None,
            }
        )
    return found


def make_photos(folder: Path, count: int) -> Path:
    """Seeded crops of the bundled scenes as JPEG q90, in ``{train,val}/<scene>/``, about 5 to 2."""
    from builders.pixels.reference import encode_jpeg
    from builders.sources.sample import SCENES, scene

    rng = np.random.default_rng(0)
    names = [name for name in SCENES if all(a > b for a, b in zip(scene(name).size, CROP, strict=True))]
    for i, name in zip(range(count), itertools.cycle(names)):
        left, top = (int(rng.integers(0, a - b)) for a, b in zip(scene(name).size, CROP, strict=True))
        file = folder / ("val" if i // len(names) % 7 in (1, 4) else "train") / name / f"{i:05d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(encode_jpeg(scene(name).crop((left, top, left + CROP[0], top + CROP[1])), 90, "4:2:0"))
    return folder


def second() -> Any:
    """The bundled encoder under another name, as ``--model speed_pipeline:second``."""
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
    return dataclasses.replace(encoder, info=dataclasses.replace(encoder.info, id=f"speed_pipeline:{name}"))


def _forward_alone(file: str, photos: str, count: str, tasks: str) -> None:
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

    opened = open_photos(f"folder:{photos}", seed=0).limited(int(count), 0)
    options = RunOptions()
    asked = fitting_tasks(select_tasks([tasks], all_tasks()), opened, named=True)
    recipes = [one.recipe for one in planned_passes(asked, opened, options)]
    recipe, each = recipes[0], sum(len(one.names) for one in recipes)  # a view of another pass costs as much
    encoder = load_encoder(ENCODER, device="cpu")
    some = range(min(len(opened), -(-2 * options.batch_size // len(recipe.names))))
    made = torch.cat([photo.arrays[0] for photo in iterate_views(opened, some, recipe, [encoder.preprocess])])
    batches = made.split(options.batch_size)
    encoder.embed(batches[0])
    views = 0
    started, cpu = time.perf_counter(), time.process_time()
    for batch in itertools.cycle(batches):
        views += len(encoder.embed(batch[: len(opened) * each - views]))
        if views == len(opened) * each:
            break
    told = {"views": views, "seconds": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}
    Path(file).write_text(json.dumps(told))


def _run(command: list[str]) -> Measured:
    path = os.pathsep.join([str(ROOT), str(ROOT / "scripts"), os.environ.get("PYTHONPATH", "")])
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stdout=said, stderr=said)
        watcher = _Watcher(process.pid)
        watcher.start()
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        watcher.stop()
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{said.read().decode(errors='replace')[-2000:]}")
    return Measured(wall_s, used.ru_utime + used.ru_stime, watcher.peak_bytes, {})


class _Watcher(threading.Thread):
    """Looks ten times a second at the memory of a process and its children."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._pid = pid
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.1):
            pids = [self._pid, *_children(self._pid)]
            self.peak_bytes = max(self.peak_bytes, sum(_memory_bytes(pid) for pid in pids))

    def stop(self) -> None:
        self._over.set()
        self.join()


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        threads = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for file in threads for child in file.read_text().split()]
    return []


def _memory_bytes(pid: int) -> int:
    """Anonymous and shared pages, each divided by the processes that map it; pages of files can be dropped."""
    with contextlib.suppress(OSError):  # the process has ended
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:")))
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--photos", type=Path, metavar="DIR")
    parser.add_argument("--count", type=int, default=140, metavar="N", help="photos of the smallest size")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--forward", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.forward:
        _forward_alone(*args.forward)
        return 0
    found = rows(args.quick, photos=args.photos, count=args.count, rounds=args.rounds, workers=args.workers)
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    for row in found:
        more = "".join(f"  {name} {row[name]:.2f}" for name in ("aim", "cpu", "memory") if row.get(name))
        print(f"{row['what']:32} {row['value']:8.2f} {row['unit']:16}{more}  {row.get('note', '')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
