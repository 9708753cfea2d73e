"""Kinds of the campaign: every file that a command reads, damaged, changed in its structure, or no file at all."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.checks.faults.campaign import Case, Kind
from scripts.checks.faults.kinds import sources
from scripts.checks.faults.kinds.commands import READERS, RESULTS, Reader
from scripts.checks.faults.kinds.spoilers import (
    SPOILERS,
    answer_otherwise,
    damage,
    forge,
    replace_by_object,
    restructure,
)
from scripts.checks.faults.processes import Ended
from scripts.checks.faults.world import MOST_BYTES, World, scores_of


def kinds_of_files() -> Iterator[Kind]:
    """Every reader with every way to spoil what it reads."""
    for reader in (*READERS, *sources.READERS):
        for what, pattern in reader.files.items():
            for how, spoiler in SPOILERS.items():
                if how == "changed structure" and not pattern.endswith(
                    (".json", ".jsonl", ".toml", ".csv", ".tsv", ".yaml", ".txt", ".sqlite")
                ):
                    continue
                make = _maker(reader, pattern, spoiler)
                yield Kind(reader.command, f"{what}, {how}", make, reader.share / 3)
        if reader.results:
            yield Kind(reader.command, "forged results", _maker(reader, RESULTS["result"], forge), reader.share / 2)
            yield Kind(
                reader.command,
                "hostile answers",
                _maker(reader, RESULTS["answers"], answer_otherwise),
                reader.share / 2,
            )
            if reader.command != "compare":
                yield Kind(reader.command, "many hostile results", _with_honest(reader), reader.share * 3)


def _maker(
    reader: Reader, pattern: str, spoiler: Callable[[Path, random.Random], object]
) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        world.copy(reader.folder, run)
        files = sorted(path for path in run.glob(pattern) if path.is_file())
        chosen = random_.sample(files, min(len(files), random_.randint(1, reader.files_at_once)))
        pairs = [(world.folder / file.relative_to(run), file) for file in chosen]
        for file in chosen:
            spoiler(file, random_)

        def silent(end: Ended) -> str:
            return next((reason for good, bad in pairs if (reason := _changed_number(good, bad, end))), "")

        nothing = (lambda end: "") if not reader.results else silent
        return Case(reader.argv(run, world), len(chosen), silent=nothing)

    return make


def _with_honest(reader: Reader) -> Callable[[random.Random, Path, World], Case]:
    """Hostile results of other encoders beside the honest ones, which must all be there as without them."""

    def make(random_: random.Random, run: Path, world: World) -> Case:
        world.copy(reader.folder, run)
        honest = sorted((run / reader.folder / "out").glob("*/*/result.json"))
        changed: list[str] = []
        count, good = random_.randint(20, 120), [scores_of(path) for path in honest]
        for i in range(count):
            which = random_.randrange(len(honest))
            source = honest[which]
            place = run / reader.folder / "out" / f"hostile-{i}" / "x"
            place.mkdir(parents=True)
            raw = json.loads(source.read_text())
            raw["encoder"]["id"] = f"hostile-{i}"
            (place / "result.json").write_text(json.dumps(raw))
            if random_.random() < 0.5:
                shutil.copy(source.with_name("answers.npz"), place)
            random_.choice((damage, restructure, replace_by_object, forge))(place / "result.json", random_)
            if scores_of(place / "result.json") not in (None, good[which]):
                changed.append(f"hostile-{i}")
        return Case(reader.argv(run, world), count, silent=lambda end: _gone(run, len(honest), changed, end))

    return make


def _gone(run: Path, honest: int, changed: Sequence[str], end: Ended) -> str:
    """Whether an honest encoder is no longer named, or a board has a row of numbers that were changed."""
    board = run / "site" / "data.json"
    rows = {row["id"] for row in json.loads(board.read_text())["rows"]} if board.is_file() else set()
    if taken := rows.intersection(changed):
        return f"other numbers, taken: {sorted(taken)}"
    text = board.read_text() if board.is_file() else end.output
    named = sum(name in text for name in ("control:random-projection", "control:jpeg-statistics"))
    files = sum(f"control-{name}" in text for name in ("random-projection", "jpeg-statistics"))
    return "" if max(named, files) >= honest else f"{honest} honest results, {named} named: {end.output[-200:]}"


def _changed_number(good: Path, bad: Path, end: Ended) -> str:
    """Whether a command ended well on a result with other numbers, or on answers that are not its own."""
    if end.status or re.search(
        r"refused|warning|left out|edited|not those|contradict|differ|not published|without answers", end.output
    ):
        return ""
    if bad.name == "answers.npz":
        return (
            "" if _arrays(bad) == _arrays(good) or not bad.is_file() else f"other answers, taken: {end.output[-200:]}"
        )
    scores = scores_of(bad)
    return "" if scores is None or scores == scores_of(good) else f"other numbers, taken: {end.output[-200:]}"


def _arrays(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            return None
        with np.load(io.BytesIO(path.read_bytes())) as stored:
            return {name: (stored[name].shape, stored[name].tobytes()) for name in stored.files}
    except Exception:
        return None
