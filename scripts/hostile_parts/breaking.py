"""Machines that break in the middle: kills, full disks, flipped bits. Each gives counts, and what was wrong by name."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.hostile_parts.work import Ended, Stage, ended, moment, run, start, traceback_in, warm_up


@dataclass
class Tally:
    """What was tried, and what went wrong."""

    tried: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    """How each ended, by kind."""
    wrong: list[str] = field(default_factory=list)
    """A sentence for each traceback, hang, silent difference, or leftover."""

    def note(self, kind: str, one: Ended) -> None:
        """Tracebacks and hangs are wrong whatever the rest."""
        if one.status == -99:
            self.wrong.append(f"{kind}: hang")
        elif traceback_in(one) or one.status == 99:
            self.wrong.append(f"{kind}: traceback: {one.said.strip().splitlines()[-1][:200]}")


def undisturbed(stages: Sequence[Stage], scratch: Path) -> tuple[dict[str, dict[str, str]], dict[str, float]]:
    """By stage: what its outputs are, and how long it takes."""
    contents, seconds = {}, {}
    for stage in stages:
        warm = scratch / f"warm-{stage.name}"
        stage.prepare(warm)
        warm_up(stage.command(warm), warm)
    for stage in stages:
        folder = scratch / f"whole-{stage.name}"
        stage.prepare(folder)
        done = run(stage.command(folder), folder)
        assert done.status == 0, done.said
        contents[stage.name], seconds[stage.name] = stage.made(folder), done.seconds
    return contents, seconds


def kills(stages: Sequence[Stage], scratch: Path, count: int, seed: int) -> Tally:
    """Runs that are killed (SIGKILL, or SIGTERM in one of three) up to three times, and then go on to their end."""
    tally, random_ = Tally(), random.Random(seed)
    expected, seconds = undisturbed(stages, scratch)
    while sum(tally.tried.values()) < count:
        stage = stages[len(tally.outcomes) % len(stages)] if not tally.tried else random_.choice(stages)
        folder = scratch / "killed"
        shutil.rmtree(folder, ignore_errors=True)
        stage.prepare(folder)
        log = folder.with_name("killed.log")
        for _ in range(random_.randint(1, 3)):
            number = random_.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
            child = start(stage.command(folder), log)
            time.sleep(moment(random_, seconds[stage.name]))
            try:
                subprocess.run(["kill", f"-{int(number)}", str(child)], check=False, capture_output=True)
            finally:
                one = ended(child, log)
            tally.tried[f"{stage.name} {number.name}"] += 1
            tally.note(f"kill of {stage.name}", one)
            if one.status == 0:
                break
            if number == signal.SIGTERM and one.status not in (143, -15):
                tally.wrong.append(f"SIGTERM of {stage.name}: status {one.status}: {one.said[-200:]}")
            if one.status == 143 and "terminated; finished work is kept" not in one.said:
                tally.wrong.append(f"SIGTERM of {stage.name}: no sentence")
        print(f"{sum(tally.tried.values())} kills, {len(tally.wrong)} wrong {tally.wrong[-2:]}", file=sys.stderr)
        last = run(stage.command(folder), folder)
        tally.note(f"after kills of {stage.name}", last)
        _compare(tally, f"after kills of {stage.name}", last, stage.made(folder), expected[stage.name])
        if left := list(folder.rglob(".*.tmp")):
            tally.wrong.append(f"after kills of {stage.name}: left {left[0].relative_to(folder)}")
    return tally


def full_disks(stages: Sequence[Stage], scratch: Path, count: int, seed: int) -> Tally:
    """Runs whose disk is full: too small from the beginning (one in three), or filled by somebody else at any moment.

    Then there is space again, and the same command is run to its end. Needs the right to mount a tmpfs.
    """
    tally, random_ = Tally(), random.Random(seed)
    expected, seconds = undisturbed(stages, scratch)
    disk = scratch / "disk"
    disk.mkdir(exist_ok=True)
    for number in range(count):
        stage = stages[number % len(stages)]
        small = number % 9 < 3
        whole = scratch / f"whole-{stage.name}"
        needed = sum(path.stat().st_blocks * 512 for path in whole.rglob("*") if path.is_file())
        size = int(needed * random_.uniform(0.0, 1.0)) // 4096 * 4096 if small else needed + SPARE_BYTES
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={max(8192, size)}", "tmpfs", str(disk)], check=True)
        try:
            log = scratch / "disk-run.log"
            stage.prepare(disk / "run")
            child = start(stage.command(disk / "run"), log)
            if not small:
                time.sleep(moment(random_, seconds[stage.name]))
                _fill(disk)
            first = ended(child, log)
            what = f"{stage.name}, {'too small a disk' if small else 'disk filled in the run'}"
            tally.tried[what] += 1
            tally.note(what, first)
            tally.outcomes[f"{stage.name}: status {first.status} at first"] += 1
            said = [line for line in first.said.splitlines() if line.startswith("camtrace: ") and "warning" not in line]
            if first.status not in (0, 1):
                tally.wrong.append(f"{what}: status {first.status}: {first.said[-300:]}")
            elif first.status == 1 and not said:
                tally.wrong.append(f"{what}: no sentence: {first.said[-300:]}")
            (disk / "filler").unlink(missing_ok=True)
            subprocess.run(["mount", "-o", "remount,size=1g", str(disk)], check=True)
            last = run(stage.command(disk / "run"), scratch / "disk-run")
            tally.note(f"{stage.name} after a full disk", last)
            found = stage.made(disk / "run")
            _compare(tally, f"{stage.name} after a full disk", last, found, expected[stage.name])
            print(f"{number + 1} disks, {len(tally.wrong)} wrong {tally.wrong[-1:]}", file=sys.stderr)
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    return tally


SPARE_BYTES = 320 << 20
"""A run does not begin where less than 256 MiB would stay free."""


def _fill(disk: Path) -> None:
    """Take every byte that is free."""
    with open(disk / "filler", "wb") as stream:
        piece = 1 << 24
        while piece >= 4096:
            try:
                os.posix_fallocate(stream.fileno(), os.fstat(stream.fileno()).st_size, piece)
            except OSError:
                piece //= 2


def flips(stages: Sequence[Stage], scratch: Path, count: int, seed: int) -> Tally:
    """One bit flipped in one stored file; then whoever reads it is run again.

    Banks and their markers, and shards: the stage itself, without the outcomes and results that would spare the
    reading. Results and answers: ``compare`` and ``verify``, which must refuse the file by name.
    """
    tally, random_ = Tally(), random.Random(seed)
    stages = [stage for stage in stages if stage.name in ("score", "build")]
    expected, _ = undisturbed(stages, scratch)
    by_name = {stage.name: stage for stage in stages}
    for number in range(count):
        kind = ("rows", "marker", "shard", "result", "answers", "key")[number % 6]
        name = "build" if kind == "shard" else "score"
        stage, folder = by_name[name], scratch / "flipped"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(scratch / f"whole-{name}", folder)
        file = random_.choice(sorted(folder.glob(_STORED[kind])))
        data = bytearray(file.read_bytes())
        data[random_.randrange(len(data))] ^= 1 << random_.randrange(8)
        file.write_bytes(data)
        what = f"bit in {kind}"
        tally.tried[what] += 1
        if kind in ("result", "answers"):
            one = run(["verify", str(folder / "out")], folder)
            tally.note(what, one)
            refused = one.status == 1 and "refused" in one.said
            same = not refused and stage.made(folder) == expected[name]
            tally.outcomes[f"{kind}: {'refused' if refused else 'equal' if same else 'silent'}"] += 1
            if not refused and not same:
                tally.wrong.append(f"{what}: verify took it: {one.said[-300:]}")
            continue
        shutil.rmtree(folder / "cache" / "outcomes", ignore_errors=True)
        shutil.rmtree(folder / "out", ignore_errors=True)
        one = run(stage.command(folder), folder)
        tally.note(what, one)
        if one.status == 0:
            _compare(tally, what, one, stage.made(folder), expected[name])
            said = "made again" in one.said
            tally.outcomes[f"{kind}: {'made again' if said else 'equal'}"] += 1
        else:
            tally.outcomes[f"{kind}: refused"] += 1
            if str(file.parent.name) not in one.said and file.name not in one.said:
                tally.wrong.append(f"{what}: refused without a name: {one.said[-300:]}")
    return tally


_STORED = {
    "rows": "cache/banks/**/rows.npy",
    "marker": "cache/banks/**/blocks/*.json",
    "key": "cache/banks/**/key.json",
    "shard": "built/data/**/*.parquet",
    "result": "out/result.json",
    "answers": "out/answers.npz",
}
"""Where each kind of stored data lies."""


def _compare(tally: Tally, what: str, one: Ended, found: dict[str, str], expected: dict[str, str]) -> None:
    if one.status != 0:
        tally.wrong.append(f"{what}: status {one.status} at the end: {one.said[-300:]}")
    different = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if different:
        tally.wrong.append(f"{what}: {len(different)} files differ, {different[0]} the first; {one.said[-300:]}")
    else:
        tally.outcomes[f"{what.split(' of ')[0].split(' after ')[0]}: equal by hash"] += 1
