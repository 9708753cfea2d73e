"""Disks that are full, from the beginning or from some moment on."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.hostile_parts.breaking import Tally, compare, undisturbed, whole
from scripts.hostile_parts.work import Stage, bytes_on_disk, ended, moment, run, start

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
            stage.ready(folder)
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
                tally.wrong.append(f"{what}: status {first.status}: {first.said[-300:]}")
            elif first.status == 1 and not _SENTENCE.search(first.said):
                tally.wrong.append(f"{what}: no sentence: {first.said[-300:]}")
            (disk / "filler").unlink(missing_ok=True)
            _resize(disk, 1 << 30)
            again = f"{stage.name} after a full disk"
            last = run(stage.command(folder), scratch / "disk-run", lives_in=folder)
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
