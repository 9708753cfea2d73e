"""Disks that are full, from the beginning or from some moment on; disks that lose a bit of a stored file."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.checks.faults.interrupt import Tally, compare, undisturbed, whole
from scripts.checks.faults.processes import ended, moment, run, start
from scripts.checks.faults.stages import Stage, bytes_on_disk

SPARE_BYTES = 320 << 20
"""A run does not begin where less than 256 MiB would stay free."""

BLOCK_BYTES = 4096
"""What a file of one byte takes."""


_SENTENCE = re.compile("disk is full|make space|cannot be written to|free some space|MB are free; choose another disk")
"""What tells people to make space, as an error or as the reason of a row."""


def full_disks(stages: Sequence[Stage], scratch: Path, count: int, seed: int) -> Tally:
    """Runs whose disk is full: too small from the beginning (one in three), or filled by somebody else at any moment.

    Outputs, caches and temporary files lie on it. Then there is space again, and the same command is run to its end.
    Needs the right to mount a tmpfs.
    """
    tally, random_ = Tally(), random.Random(seed)
    expected, seconds = undisturbed(stages, scratch)
    needed = {stage.name: bytes_on_disk(whole(scratch, stage)) for stage in stages}
    disk = scratch / "disk"
    disk.mkdir(exist_ok=True)
    for number in range(count):
        stage = stages[number % len(stages)]
        small = number // len(stages) % 3 == 0
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(disk)], check=True)
        try:
            folder, log = disk / "run", scratch / "disk-run.log"
            stage.make_ready(folder)
            before = bytes_on_disk(folder)
            room = int(max(0, needed[stage.name] - before) * random_.random()) if small else SPARE_BYTES
            size = (before + room) // BLOCK_BYTES * BLOCK_BYTES + 2 * BLOCK_BYTES
            _resize(disk, size if small else needed[stage.name] + SPARE_BYTES)
            child = start(stage.command(folder), folder, log)
            if not small:
                time.sleep(moment(random_, seconds[stage.name]))
                _fill(disk)
            first = ended(child, log)
            what = f"{stage.name}, {'too small a disk' if small else 'disk filled in the run'}"
            tally.tried[what] += 1
            tally.note(what, first)
            tally.outcomes[f"{stage.name}: status {first.status} at first"] += 1
            if first.status not in (0, 1):
                tally.wrong.append(f"{what}: status {first.status}: {first.output[-300:]}")
            elif first.status == 1 and not _SENTENCE.search(first.output):
                tally.wrong.append(f"{what}: no sentence: {first.output[-300:]}")
            (disk / "filler").unlink(missing_ok=True)
            _resize(disk, 1 << 30)
            again = f"{stage.name} after a full disk"
            last = run(stage.command(folder), scratch / "disk-run", run_folder=folder)
            tally.note(again, last)
            compare(tally, again, last, stage, expected[stage.name], folder, whole(scratch, stage))
            print(f"{number + 1} disks, {len(tally.wrong)} wrong {tally.wrong[-1:]}", file=sys.stderr)
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    return tally


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
    """One kind of stored data, and who reads it."""

    stage: str
    """That writes it."""
    files: str
    """Pattern below the folder of the run."""
    spares: tuple[str, ...] = ()
    """What would spare the reading, and is removed before."""
    reader: Callable[[Path], list[str]] | None = None
    """Another command than the stage's own, which must refuse the file by name (status 1), or give what it gives on
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


def flips(stages: Sequence[Stage], scratch: Path, count: int, seed: int) -> Tally:
    """Every kind of stored data of the stages in turn: made again and equal, or refused by name; nothing is silent."""
    tally, random_ = Tally(), random.Random(seed)
    by_name = {stage.name: stage for stage in stages}
    kinds = {kind: stored for kind, stored in STORED.items() if stored.stage in by_name}
    by_name = {name: stage for name, stage in by_name.items() if any(name == one.stage for one in kinds.values())}
    expected, _ = undisturbed(tuple(by_name.values()), scratch)
    undamaged: dict[str, str] = {}
    for number in range(count):
        kind = list(kinds)[number % len(kinds)]
        stored = kinds[kind]
        stage, folder = by_name[stored.stage], scratch / "flipped"
        if stored.reader and kind not in undamaged:
            _copy(whole(scratch, stage), folder)
            one = run(stored.reader(folder), folder)
            assert one.status == 0, one.output
            undamaged[kind] = one.output
        _copy(whole(scratch, stage), folder)
        file = random_.choice([path for path in sorted(folder.glob(stored.files)) if path.stat().st_size])
        data = bytearray(file.read_bytes())
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
        file.write_bytes(data)
        for name in stored.spares:
            shutil.rmtree(folder / name, ignore_errors=True)
        tally.tried[f"bit in {kind}"] += 1
        one = run(stored.reader(folder) if stored.reader else stage.command(folder), folder)
        what = f"bit in {kind}"
        tally.note(what, one)
        named = file.name in one.output or file.parent.name in one.output or file.stem in one.output
        if stored.reader:
            refused = one.status == 1 or one.output != undamaged[kind]
            tally.outcomes[f"{what}: {'refused' if refused else 'nothing changed'}"] += 1
            if refused and not named:
                tally.wrong.append(f"{what}: refused without a name: {one.output[-300:]}")
            elif not refused and stage.outcome(folder) != expected[stage.name]:
                tally.wrong.append(f"{what}: taken: {one.output[-300:]}")
        elif one.status == 0:
            how = "made again and said" if "made again" in one.output else "ended with status 0"
            tally.outcomes[f"{what}: {how}"] += 1
            compare(tally, what, one, stage, expected[stage.name], folder, whole(scratch, stage))
        else:
            tally.outcomes[f"{what}: refused"] += 1
            if not named:
                tally.wrong.append(f"{what}: refused without a name: {one.output[-300:]}")
        print(f"{number + 1} flips, {len(tally.wrong)} wrong {tally.wrong[-1:]}", file=sys.stderr)
    return tally


def _copy(source: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, symlinks=True)
