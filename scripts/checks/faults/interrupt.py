"""Runs that are killed in the middle, and what every kind of breaking shares: counts, and what was wrong by name."""

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

from scripts.hostile_parts.work import Ended, Stage, difference, ended, moment, run, start, traceback_in, warm_up


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
    """By stage: what its outputs are, and how long it takes. Its folder stays, as ``whole(scratch, stage)``."""
    contents, seconds = {}, {}
    for stage in stages:
        warm = scratch / f"warm-{stage.name}"
        stage.ready(warm)
        warm_up(stage.command(warm), warm)
    for stage in stages:
        folder = whole(scratch, stage)
        stage.ready(folder)
        done = run(stage.command(folder), folder)
        assert done.status == 0, done.said
        contents[stage.name], seconds[stage.name] = stage.made(folder), done.seconds
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
        stage.ready(folder)
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
                tally.wrong.append(f"SIGTERM of {stage.name}: status {one.status}: {one.said[-200:]}")
            if one.status == 143 and "terminated; finished work is kept" not in one.said:
                tally.wrong.append(f"SIGTERM of {stage.name}: no sentence")
        what = f"{stage.name} after kills"
        last = run(stage.command(folder), folder)
        tally.note(what, last)
        compare(tally, what, last, stage, expected[stage.name], folder, whole(scratch, stage))
        for left in (*folder.rglob(".*.tmp"), *(folder / "tmp").iterdir()):
            tally.wrong.append(f"{what}: left {left.relative_to(folder)}")
        print(f"{sum(tally.tried.values())} kills, {len(tally.wrong)} wrong {tally.wrong[-2:]}", file=sys.stderr)
    return tally


def compare(
    tally: Tally, what: str, one: Ended, stage: Stage, expected: dict[str, str], folder: Path, undisturbed: Path
) -> None:
    """Count the outputs of a last run as equal to the undisturbed ones, or as wrong.

    What was set aside is not the run's own: a result that a flipped bit makes one of other weights is kept there.
    """
    if one.status != 0:
        tally.wrong.append(f"{what}: status {one.status} at the end: {one.said[-300:]}")
        return
    found = {name: digest for name, digest in stage.made(folder).items() if "/set-aside-" not in name}
    different = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
    if different:
        where = difference(undisturbed, folder, different[0])
        tally.wrong.append(f"{what}: {len(different)} files differ, {different[0]} the first ({where})")
    else:
        tally.outcomes[f"{what}: equal by hash"] += 1
