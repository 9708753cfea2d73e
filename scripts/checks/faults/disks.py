"""Disks that are full, from the beginning or from some moment on; disks that lose a bit of a stored file."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.checks.faults.interrupt import Trials
from scripts.checks.faults.mutations import flipped
from scripts.checks.faults.processes import Ended, ended, run, start
from scripts.checks.faults.stages import Stage, bytes_on_disk

SPARE_BYTES = 320 << 20
"""A run does not begin where less than 256 MiB would stay free."""

BLOCK_BYTES = 4096
"""What a file of one byte takes."""


_SENTENCE = re.compile("disk is full|make space|cannot be written to|free some space|MB are free; choose another disk")
"""What asks for more space, as an error or as the reason of a row."""


def full_disks(trials: Trials, count: int) -> None:
    """Runs whose disk is full: too small from the beginning (one in three), or filled by another program at any moment.

    Outputs, caches and temporary files lie on it. Then there is space again, and the same command is run to its end.
    Needs the right to mount a tmpfs.
    """
    tally, disk = trials.tally, trials.scratch / "disk"
    needed = {stage.name: bytes_on_disk(trials.undisturbed(stage)) for stage in trials.stages}
    disk.mkdir(exist_ok=True)
    for number in range(count):
        stage = trials.stages[number % len(trials.stages)]
        small = number // len(trials.stages) % 3 == 0
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(disk)], check=True)
        try:
            kind = f"{stage.name}, {'too small a disk' if small else 'disk filled in the run'}"
            end = _run_on_full_disk(trials, stage, disk, needed[stage.name], small)
            tally.tried[kind] += 1
            tally.note(kind, end)
            tally.outcomes[f"{stage.name}: status {end.status} at first"] += 1
            if end.status not in (0, 1):
                tally.wrong.append(f"{kind}: status {end.status}: {end.output[-300:]}")
            elif end.status == 1 and not _SENTENCE.search(end.output):
                tally.wrong.append(f"{kind}: no sentence: {end.output[-300:]}")
            (disk / "filler").unlink(missing_ok=True)
            _resize(disk, 1 << 30)
            trials.finish(f"{stage.name} after a full disk", stage, disk / "run")
            tally.print_progress(number + 1, "disks")
        finally:
            subprocess.run(["umount", str(disk)], check=True)


def _run_on_full_disk(trials: Trials, stage: Stage, disk: Path, needed: int, small: bool) -> Ended:
    folder, log = disk / "run", trials.scratch / "disk-run.log"
    stage.make_ready(folder)
    before = bytes_on_disk(folder)
    if small:
        size = before + int(max(0, needed - before) * trials.random.random())
        _resize(disk, size // BLOCK_BYTES * BLOCK_BYTES + 2 * BLOCK_BYTES)
    else:
        _resize(disk, needed + SPARE_BYTES)
    child = start(stage.command(folder), folder, log)
    if not small:
        time.sleep(trials.moment(stage))
        _fill(disk)
    return ended(child, log)


def _resize(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def _fill(disk: Path) -> None:
    """Take every byte that is free."""
    with open(disk / "filler", "wb") as stream:
        piece = 1 << 24
        while piece >= BLOCK_BYTES:
            try:
                os.posix_fallocate(stream.fileno(), os.fstat(stream.fileno()).st_size, piece)
            except OSError:
                piece //= 2


@dataclass(frozen=True)
class Stored:
    """One kind of stored data, and which command reads it."""

    stage: str
    """That writes it."""
    files: str
    """Pattern below the folder of the run."""
    spares: tuple[str, ...] = ()
    """What would spare the reading, and is removed before."""
    reader: Callable[[Path], list[str]] | None = None
    """Another command than that of the stage, which must refuse the file by name (status 1), or give what it gives on
    the whole file."""


def _verify(run: Path) -> list[str]:
    return ["verify", str(run / "out")]


def _build(run: Path) -> list[str]:
    return ["build", "flickrexif", "build", "--state", str(run / "state"), "--output", str(run / "built"), *_FEW]


_FEW = ("--least", "1", "--workers", "1")

STORED = {
    "rows of score": Stored("score", "cache/banks/**/rows.npy", ("cache/outcomes", "out")),
    "marker of score": Stored("score", "cache/banks/**/blocks/*.json", ("cache/outcomes", "out")),
    "key of score": Stored("score", "cache/banks/**/key.json", ("cache/outcomes", "out")),
    "outcome of score": Stored("score", "cache/outcomes/**/*.*", ("out",)),
    "result of score": Stored("score", "out/result.json", reader=_verify),
    "answers of score": Stored("score", "out/answers.npz", reader=_verify),
    "shard of build": Stored("build", "built/data/**/*.parquet"),
    "rows of sweep": Stored("sweep", "cache/banks/**/rows.npy", ("cache/outcomes", "swept")),
    "result of sweep": Stored("sweep", "swept/**/result.json"),
    "answers of sweep": Stored("sweep", "swept/**/answers.npz"),
    "scan of audit": Stored("audit", "camtrace-cache/audit/*/*", ("audit",)),
    "download of publish": Stored("publish", "hub/**/blobs/*"),
    "photo of fetch": Stored("fetch", "state/files/**/*.jpg", reader=_build),
}
"""By kind."""


def flips(trials: Trials, count: int) -> None:
    """Every kind of stored data of the stages in turn: made again and equal, or refused by name; nothing is silent."""
    tally, random_ = trials.tally, trials.random
    stages = {stage.name: stage for stage in trials.stages}
    kinds = {name: stored for name, stored in STORED.items() if stored.stage in stages}
    undamaged: dict[str, str] = {}
    for number in range(count):
        name = list(kinds)[number % len(kinds)]
        stored, kind = kinds[name], f"bit in {name}"
        stage, folder = stages[stored.stage], trials.scratch / "flipped"
        if stored.reader and name not in undamaged:
            _copy(trials.undisturbed(stage), folder)
            end = run(stored.reader(folder), folder)
            assert end.status == 0, end.output
            undamaged[name] = end.output
        _copy(trials.undisturbed(stage), folder)
        file = random_.choice([path for path in sorted(folder.glob(stored.files)) if path.stat().st_size])
        file.write_bytes(flipped(file.read_bytes(), random_))
        for removed in stored.spares:
            shutil.rmtree(folder / removed, ignore_errors=True)
        tally.tried[kind] += 1
        end = run(stored.reader(folder) if stored.reader else stage.command(folder), folder)
        tally.note(kind, end)
        named = any(part in end.output for part in (file.name, file.parent.name, file.stem))
        refused = end.status != 0 or (bool(stored.reader) and end.output != undamaged[name])
        if refused:
            tally.outcomes[f"{kind}: refused"] += 1
            if not named:
                tally.wrong.append(f"{kind}: refused without a name: {end.output[-300:]}")
        elif stored.reader:
            tally.outcomes[f"{kind}: nothing changed"] += 1
            if stage.outcome(folder) != trials.expected[stage.name]:
                tally.wrong.append(f"{kind}: taken: {end.output[-300:]}")
        else:
            how = "made again, with a message" if "made again" in end.output else "ended with status 0"
            tally.outcomes[f"{kind}: {how}"] += 1
            trials.compare(kind, end, stage, folder)
        tally.print_progress(number + 1, "flips")


def _copy(source: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, symlinks=True)
