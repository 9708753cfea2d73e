"""Runs that are killed in the middle, and two at the same time; the counts that every kind of fault shares."""

from __future__ import annotations

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

from scripts.checks.faults.processes import HANG, Ended, ended, moment, run, start, warm_up
from scripts.checks.faults.stages import Stage, difference


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
        if one.status == HANG:
            self.wrong.append(f"{kind}: hang")
        elif one.traceback:
            self.wrong.append(f"{kind}: traceback: {one.output.strip().splitlines()[-1][:200]}")


def undisturbed(stages: Sequence[Stage], scratch: Path) -> tuple[dict[str, dict[str, str]], dict[str, float]]:
    """By stage: what its outputs are, and how long it takes. Its folder stays, as ``whole(scratch, stage)``."""
    contents, seconds = {}, {}
    for stage in stages:
        warm = scratch / f"warm-{stage.name}"
        stage.make_ready(warm)
        warm_up(stage.command(warm), warm)
    for stage in stages:
        folder = whole(scratch, stage)
        stage.make_ready(folder)
        done = run(stage.command(folder), folder)
        assert done.status == 0, done.output
        contents[stage.name], seconds[stage.name] = stage.outcome(folder), done.seconds
    return contents, seconds


def whole(scratch: Path, stage: Stage) -> Path:
    """The folder of the undisturbed run."""
    return scratch / f"whole-{stage.name}"


def kills(stages: Sequence[Stage], scratch: Path, count: int, seed: int) -> Tally:
    """Runs that are killed (SIGKILL, or SIGTERM in one of three) up to three times, and then go on to their end."""
    tally, random_ = Tally(), random.Random(seed)
    expected, seconds = undisturbed(stages, scratch)
    turn = 0
    while sum(tally.tried.values()) < count:
        stage, turn = stages[turn % len(stages)], turn + 1
        folder = scratch / "killed"
        shutil.rmtree(folder, ignore_errors=True)
        stage.make_ready(folder)
        log = folder.with_name("killed.log")
        for _ in range(random_.randint(1, 3)):
            number = random_.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
            child = start(stage.command(folder), folder, log)
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
                tally.wrong.append(f"SIGTERM of {stage.name}: status {one.status}: {one.output[-200:]}")
            if one.status == 143 and "terminated; finished work is kept" not in one.output:
                tally.wrong.append(f"SIGTERM of {stage.name}: no sentence")
        what = f"{stage.name} after kills"
        last = run(stage.command(folder), folder)
        tally.note(what, last)
        compare(tally, what, last, stage, expected[stage.name], folder, whole(scratch, stage))
        for left in (*folder.rglob(".*.tmp"), *(folder / "tmp").iterdir()):
            tally.wrong.append(f"{what}: left {left.relative_to(folder)}")
        print(f"{sum(tally.tried.values())} kills, {len(tally.wrong)} wrong {tally.wrong[-2:]}", file=sys.stderr)
    return tally


def pairs(stages: Sequence[Stage], scratch: Path, count: int, seed: int) -> Tally:
    """Each stage in turn, twice side by side, the second begun at any moment of the first.

    One of the two may be refused in a sentence (another process is at it); what is there when both have ended must be
    what one alone makes.
    """
    tally, random_ = Tally(), random.Random(seed)
    expected, seconds = undisturbed(stages, scratch)
    for number in range(count):
        stage = stages[number % len(stages)]
        folder = scratch / "together"
        shutil.rmtree(folder, ignore_errors=True)
        stage.make_ready(folder)
        logs = [scratch / f"together-{which}.log" for which in (1, 2)]
        first = start(stage.command(folder), folder, logs[0])
        time.sleep(moment(random_, seconds[stage.name]) if number // len(stages) % 2 else 0.0)
        second = start(stage.command(folder), folder, logs[1])
        both = [ended(child, log) for child, log in zip((first, second), logs, strict=True)]
        tally.tried[f"two of {stage.name}"] += 1
        what = f"two of {stage.name}"
        for one in both:
            tally.note(what, one)
            if one.status and "camtrace: " not in one.output:
                tally.wrong.append(f"{what}: status {one.status}, no sentence: {one.output[-300:]}")
        statuses = sorted(one.status for one in both)
        tally.outcomes[f"{what}: statuses {statuses[0]} and {statuses[1]}"] += 1
        good = next((one for one in both if one.status == 0), both[0])
        compare(tally, what, good, stage, expected[stage.name], folder, whole(scratch, stage))
        for left in folder.rglob(".*.tmp"):
            tally.wrong.append(f"{what}: left {left.relative_to(folder)}")
        print(f"{number + 1} pairs, {len(tally.wrong)} wrong {tally.wrong[-1:]}", file=sys.stderr)
    return tally


def compare(
    tally: Tally, what: str, one: Ended, stage: Stage, expected: dict[str, str], folder: Path, undisturbed: Path
) -> None:
    """Count the outputs of a last run as equal to the undisturbed ones, or as wrong.

    What was set aside is not the run's own: a result that a flipped bit makes one of other weights is kept there.
    """
    if one.status != 0:
        tally.wrong.append(f"{what}: status {one.status} at the end: {one.output[-300:]}")
        return
    found = {name: digest for name, digest in stage.outcome(folder).items() if "/set-aside-" not in name}
    different = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if different:
        where = difference(undisturbed, folder, different[0])
        tally.wrong.append(f"{what}: {len(different)} files differ, {different[0]} the first ({where})")
    else:
        tally.outcomes[f"{what}: equal by hash"] += 1
