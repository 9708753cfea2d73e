"""Two processes that do the same at the same time, on one output and one cache."""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.hostile_parts.breaking import Tally, compare, undisturbed, whole
from scripts.hostile_parts.work import Stage, ended, moment, start


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
        stage.ready(folder)
        logs = [scratch / f"together-{which}.log" for which in (1, 2)]
        first = start(stage.command(folder), folder, logs[0])
        time.sleep(moment(random_, seconds[stage.name]) if number // len(stages) % 2 else 0.0)
        second = start(stage.command(folder), folder, logs[1])
        both = [ended(child, log) for child, log in zip((first, second), logs, strict=True)]
        tally.tried[f"two of {stage.name}"] += 1
        what = f"two of {stage.name}"
        for one in both:
            tally.note(what, one)
            if one.status and "camtrace: " not in one.said:
                tally.wrong.append(f"{what}: status {one.status}, no sentence: {one.said[-300:]}")
        statuses = sorted(one.status for one in both)
        tally.outcomes[f"{what}: statuses {statuses[0]} and {statuses[1]}"] += 1
        good = next((one for one in both if one.status == 0), both[0])
        compare(tally, what, good, stage, expected[stage.name], folder, whole(scratch, stage))
        for left in folder.rglob(".*.tmp"):
            tally.wrong.append(f"{what}: left {left.relative_to(folder)}")
        print(f"{number + 1} pairs, {len(tally.wrong)} wrong {tally.wrong[-1:]}", file=sys.stderr)
    return tally
