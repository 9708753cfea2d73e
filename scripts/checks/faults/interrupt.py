"""Runs that are killed in the middle, and two at the same time; the comparison that every kind of fault ends with."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.checks.faults.processes import HANG, Ended, ended, run, start, warm_up
from scripts.checks.faults.stages import Stage, difference


@dataclass
class Tally:
    """What was tried, and what went wrong."""

    tried: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    """How each ended, by kind."""
    cases: Counter[str] = field(default_factory=Counter)
    """Commands that were run, by kind, where one has several inputs."""
    processor_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    wrong: list[str] = field(default_factory=list)
    """A sentence for each traceback, hang, silent difference, or leftover."""

    def add(self, other: Tally) -> None:
        """Add the counts of another one."""
        for name in ("tried", "outcomes", "cases"):
            getattr(self, name).update(getattr(other, name))
        for kind, seconds in other.processor_s.items():
            self.processor_s[kind] += seconds
        self.wrong += other.wrong

    def note(self, kind: str, end: Ended) -> None:
        """Tracebacks, hangs and processes that stay are wrong in any case."""
        if end.status == HANG:
            self.wrong.append(f"{kind}: hang")
        elif end.stayed:
            self.wrong.append(f"{kind}: a process stays")
        elif end.traceback:
            print(end.output, file=sys.stderr)
            self.wrong.append(f"{kind}: traceback: {end.output.strip().splitlines()[-1][:200]}")

    def note_leftovers(self, kind: str, paths: Iterable[Path]) -> None:
        self.wrong += [f"{kind}: left {path}" for path in paths if not _of_tempfile(path)]

    def print_progress(self, count: int, kind: str) -> None:
        print(f"{count} {kind}, {len(self.wrong)} wrong {self.wrong[-1:]}", file=sys.stderr)


def _of_tempfile(path: Path) -> bool:
    """Whether this is the file by which Python's ``tempfile`` tries a folder; a kill in that moment leaves it."""
    return path.is_file() and path.stat().st_size <= 4 and b"blat".startswith(path.read_bytes())


class Trials:
    """Disturbed runs of some stages, compared with undisturbed ones."""

    def __init__(self, stages: Sequence[Stage], scratch: Path, seed: int) -> None:
        """Run each stage once to import what it needs, and once to know its outputs and its time."""
        self.stages, self.scratch = stages, scratch
        self.random, self.tally = random.Random(seed), Tally()
        self.expected: dict[str, dict[str, str]] = {}
        self._seconds: dict[str, float] = {}
        for stage in stages:
            folder = self.new_folder(f"warm-{stage.name}", stage)
            warm_up(stage.command(folder), folder)
        for stage in stages:
            folder = self.new_folder(self.undisturbed(stage).name, stage)
            end = run(stage.command(folder), folder)
            assert end.status == 0, end.output
            self.expected[stage.name], self._seconds[stage.name] = stage.outcome(folder), end.seconds

    def undisturbed(self, stage: Stage) -> Path:
        """The folder of the undisturbed run."""
        return self.scratch / f"whole-{stage.name}"

    def new_folder(self, name: str, stage: Stage) -> Path:
        """A folder in which the stage can begin."""
        folder = self.scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        stage.make_ready(folder)
        return folder

    def moment(self, stage: Stage) -> float:
        """Seconds until a run is disturbed: any moment of it, the beginning as likely as the end."""
        return self.random.uniform(0.0, self._seconds[stage.name])

    def finish(self, kind: str, stage: Stage, folder: Path) -> None:
        """Run the command to its end, which must be that of the undisturbed run."""
        end = run(stage.command(folder), self.scratch / folder.name, run_folder=folder)
        self.tally.note(kind, end)
        self.compare(kind, end, stage, folder)

    def compare(self, kind: str, end: Ended, stage: Stage, folder: Path) -> None:
        """Count the outputs of a last run as equal to the undisturbed ones, or as wrong.

        What was set aside does not count: a flipped bit can make a result one of other weights, which is moved there.
        """
        if end.status != 0:
            self.tally.wrong.append(f"{kind}: status {end.status} at the end: {end.output[-300:]}")
            return
        expected = self.expected[stage.name]
        hashes = {name: digest for name, digest in stage.outcome(folder).items() if "/set-aside-" not in name}
        different = sorted(name for name in hashes.keys() | expected.keys() if hashes.get(name) != expected.get(name))
        if different:
            where = difference(self.undisturbed(stage), folder, different[0])
            self.tally.wrong.append(f"{kind}: {len(different)} files differ, {different[0]} the first ({where})")
        else:
            self.tally.outcomes[f"{kind}: equal by hash"] += 1


def kills(trials: Trials, count: int) -> None:
    """Runs that are killed (SIGKILL, or SIGTERM in one of three) up to three times, and then go on to their end.

    Of a stage with encoders in processes of their own, one of two kills is of such a process alone: the run then ends
    with status 1, or went on without noticing.
    """
    tally, turn = trials.tally, 0
    while sum(tally.tried.values()) < count:
        stage, turn = trials.stages[turn % len(trials.stages)], turn + 1
        folder = trials.new_folder("killed", stage)
        for _ in range(trials.random.randint(1, 3)):
            if stage.isolated and trials.random.random() < 0.5:
                end = _killed_run(trials, stage, folder, signal.SIGKILL, alone=True)
                tally.tried[f"{stage.name} SIGKILL of the encoder alone"] += 1
                tally.outcomes[f"{stage.name}, encoder killed: status {end.status}"] += 1
                tally.note(f"kill of an encoder of {stage.name}", end)
                if end.status not in (0, 1):
                    tally.wrong.append(f"kill of an encoder of {stage.name}: status {end.status}: {end.output[-300:]}")
                continue
            number = trials.random.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
            end = _killed_run(trials, stage, folder, number)
            tally.tried[f"{stage.name} {number.name}"] += 1
            tally.note(f"kill of {stage.name}", end)
            if end.status == 0:
                break
            if number == signal.SIGTERM and end.status not in (143, -15):
                tally.wrong.append(f"SIGTERM of {stage.name}: status {end.status}: {end.output[-200:]}")
            if end.status == 143 and "terminated; finished work is saved" not in end.output:
                tally.wrong.append(f"SIGTERM of {stage.name}: no sentence")
        kind = f"{stage.name} after kills"
        trials.finish(kind, stage, folder)
        tally.note_leftovers(kind, (*folder.rglob(".*.tmp"), *(folder / "tmp").iterdir()))
        tally.print_progress(sum(tally.tried.values()), "kills")


def _killed_run(trials: Trials, stage: Stage, folder: Path, number: signal.Signals, *, alone: bool = False) -> Ended:
    log = folder.with_name("killed.log")
    child = start(stage.command(folder), folder, log)
    time.sleep(trials.moment(stage))
    killed = _encoders_of(child) if alone else [child]
    try:
        subprocess.run(["kill", f"-{int(number)}", *map(str, killed)], check=False, capture_output=True)
    finally:
        end = ended(child, log)
    return end


def _encoders_of(session: int) -> list[int]:
    """The processes of a session that lead a group of their own: those of encoders."""
    leaders = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(path.name)
            if pid != session and os.getsid(pid) == session and os.getpgid(pid) == pid:
                leaders.append(pid)
    return leaders


def pairs(trials: Trials, count: int) -> None:
    """Each stage in turn, twice side by side, the second begun at any moment of the first.

    One of the two may be refused in a sentence (another process is at it); what is there when both have ended must be
    what one alone makes.
    """
    tally = trials.tally
    for number in range(count):
        stage = trials.stages[number % len(trials.stages)]
        folder = trials.new_folder("together", stage)
        logs = [trials.scratch / f"together-{which}.log" for which in (1, 2)]
        first = start(stage.command(folder), folder, logs[0])
        time.sleep(trials.moment(stage) if number // len(trials.stages) % 2 else 0.0)
        second = start(stage.command(folder), folder, logs[1])
        both = [ended(child, log) for child, log in zip((first, second), logs, strict=True)]
        kind = f"two of {stage.name}"
        tally.tried[kind] += 1
        for end in both:
            tally.note(kind, end)
            if end.status and "camtrace: " not in end.output:
                tally.wrong.append(f"{kind}: status {end.status}, no sentence: {end.output[-300:]}")
        statuses = sorted(end.status for end in both)
        tally.outcomes[f"{kind}: statuses {statuses[0]} and {statuses[1]}"] += 1
        trials.compare(kind, next((end for end in both if end.status == 0), both[0]), stage, folder)
        tally.note_leftovers(kind, folder.rglob(".*.tmp"))
        tally.print_progress(number + 1, "pairs")
