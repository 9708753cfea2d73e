"""Kinds of the campaign: what ranks of a sweep have made, of which embeddings and tasks were spread: files that are
damaged, lost or another's, markers and plans that fit together and lie."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripts.checks.faults.campaign import Case, Kind
from scripts.checks.faults.kinds.spoilers import damage, replace_by_object, restructure
from scripts.checks.faults.mutations import VALUES, hostile_answers, spoil
from scripts.checks.faults.processes import Ended
from scripts.checks.faults.processes import run as run_command
from scripts.checks.faults.world import World, scores_of, sign_markers

RANKED = "ranked/out.plan"
"""The plan, in the world and in a run; all of its ranks are done."""

_FILES = ("outcomes/*/*/outcome.npz", "outcomes/*/*/key.json", "outcomes/*/*/parts/*", "banks/**/*.*")

Change = Callable[[Path, random.Random], int]
"""Spoils a plan; returns the number of inputs that it has changed."""


def kinds_of_ranks() -> Iterator[Kind]:
    """Every way to spoil what ranks left, for the commands that read it."""
    for what, (change, remade) in _CHANGES.items():
        yield Kind("finish", what, _spoilt("finish", change, remade), 2.0)
        yield Kind("work", what, _spoilt("work", change, False), 0.7)
        yield Kind("status", what, _spoilt("status", change, False), 0.5)


def _spoilt(command: str, change: Change, remade: bool) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        world.copy("ranked", run)
        plan = run / RANKED
        if command == "work":  # there is something left to do
            for marker in random_.sample(sorted(plan.glob("ranks/*.done.json")), 2):
                marker.unlink()
        inputs = change(plan, random_)
        words = [command, str(plan), *(("--wait", "0") if command == "finish" else ())]
        honest = world.folder / "ranked"

        def silent(end: Ended) -> str:
            if command != "finish":
                return ""
            if end.status == 0:
                return "" if _scores(run) == _scores(honest) or not remade else "other numbers"
            return _remade(run, honest) if remade and random_.random() < 0.25 else ""

        return Case(words, inputs, silent=silent)

    return make


def _scores(folder: Path) -> dict[str, Any]:
    top = folder / ("ranked/out" if (folder / "ranked").is_dir() else "out")
    return {path.relative_to(top).as_posix(): scores_of(path) for path in sorted(top.rglob("result.json"))}


def _remade(run: Path, honest: Path) -> str:
    """What is wrong after the two commands that a refusal names."""
    for command in (["work", str(run / RANKED), "-q"], ["finish", str(run / RANKED), "--wait", "0"]):
        end = run_command(command, run.with_name("again"), run)
        if end.status:
            return f"{command[0]} after a refusal: status {end.status}: {end.output[-200:]!r}"
    return "" if _scores(run) == _scores(honest) else "other numbers after work and finish"


# ---- files of ranks


def _spoil_files(plan: Path, random_: random.Random) -> int:
    """Files of ranks are damaged, lost, no files, or those of others."""
    files = sorted(path for pattern in _FILES for path in plan.glob(pattern) if path.is_file())
    chosen = random_.sample(files, random_.randint(1, 4))
    for file in chosen:
        how = random_.randrange(5)
        if how == 0:
            file.unlink()
        elif how == 1:
            replace_by_object(file, random_)
            if file.is_dir():  # which a rank cannot replace
                file.rmdir()
        elif how == 2:
            others = [other for other in files if other.suffix == file.suffix and other.is_file()]
            data = random_.choice(others or [plan / "plan.json"]).read_bytes()
            file.write_bytes(data)
        elif how == 3 and file.suffix == ".json":
            restructure(file, random_)
        else:
            damage(file, random_)
    return len(chosen)


def _lose_folder(plan: Path, random_: random.Random) -> int:
    """A folder of what ranks made is gone."""
    folders = [*plan.glob("outcomes/*/*"), *plan.glob("outcomes/*"), *plan.glob("banks/*"), plan / "outcomes"]
    shutil.rmtree(random_.choice(folders))
    return 1


def _certified(plan: Path, random_: random.Random) -> int:
    """Files of ranks are hostile, and the markers have their hashes."""
    files = sorted(path for pattern in _FILES for path in plan.glob(pattern) if path.is_file())
    chosen = random_.sample(files, random_.randint(1, 3))
    for file in chosen:
        if file.suffix == ".json":
            restructure(file, random_)
        elif file.suffix == ".npz" and random_.random() < 0.6:
            file.write_bytes(_hostile_outcome(file.read_bytes(), random_))
        else:
            damage(file, random_)
    for marker in plan.glob("ranks/*.done.json"):
        raw = json.loads(marker.read_text())
        for file in chosen:
            name = file.relative_to(plan).as_posix()
            if name in raw["files"]:
                raw["files"][name] = hashlib.sha256(file.read_bytes()).hexdigest()
        marker.write_text(json.dumps(raw))
    sign_markers(plan)
    return len(chosen)


def _hostile_outcome(data: bytes, random_: random.Random) -> bytes:
    """An outcome whose scores or arrays are of other types, shapes or numbers."""
    if random_.random() < 0.3:
        return hostile_answers(random_)[1]
    with np.load(io.BytesIO(data)) as stored:
        arrays = dict(stored)
    name = random_.choice(sorted(arrays))
    if name == "scores.json":
        raw = json.loads(arrays[name].tobytes())
        spoil(raw, random_)
        arrays[name] = np.frombuffer(json.dumps(raw).encode("utf-8", "surrogatepass"), dtype=np.uint8)
    else:
        array = np.atleast_1d(arrays[name])
        changes: Sequence[Callable[[], Any]] = (
            lambda: array[..., :0], lambda: array.astype(np.float64) * np.nan, lambda: array.astype(np.int64) - 10**9,
            lambda: array.astype(str), lambda: array[None], lambda: np.concatenate([array, array]), lambda: array > 0,
        )  # fmt: skip
        arrays[name] = random_.choice(changes)()
    if random_.random() < 0.3:
        del arrays[random_.choice(sorted(arrays))]
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


# ---- markers and plans


def _lying_markers(plan: Path, random_: random.Random) -> int:
    """Markers whose checksums fit say other than what is there."""
    markers = sorted(plan.glob("ranks/*.done.json"))
    chosen = random_.sample(markers, random_.randint(1, len(markers)))
    for marker in chosen:
        raw = json.loads(marker.read_text())
        how = random_.randrange(6)
        if how == 0 and raw["files"]:
            name = random_.choice(sorted(raw["files"]))
            raw["files"][random_.choice(_PATHS)] = raw["files"].pop(name)
        elif how == 1:
            raw["files"] |= dict.fromkeys(random_.sample(_PATHS, 3), "0" * 64)
        elif how == 2:
            raw["machine"][random_.choice(sorted(raw["machine"]))] = random_.choice(("0.1", "", "\x1b[31m", "9.9+cpu"))
        elif how == 3:
            raw[random_.choice(sorted(set(raw) - {"plan", "crc32"}))] = random_.choice(VALUES)
        elif how == 4:
            spoil(raw, random_)
        else:  # the marker of another rank
            raw = json.loads(random_.choice(markers).read_text())
        marker.write_text(json.dumps(raw))
    if random_.random() < 0.3:
        extra = random_.choice(
            ("99999.done.json", "0000.done.json", "00000.running.json", "\x85.done.json", "x.failed.json")
        )
        shutil.copy(random_.choice(markers), plan / "ranks" / extra)
    sign_markers(plan)
    return len(chosen)


_PATHS = (
    "../../../outside.json", "/tmp/camtrace-outside.json", "outcomes/../../../outside", "", ".", "banks", "plan.json",
    "ranks/00000.done.json", "banks/\x1b[31m", "banks//x", "outcomes/x/y/parts/../../../../../../outside.npz",
    "outcomes/" + "x/" * 300 + "y", "\x00", "s3://b/x",
)  # fmt: skip


def _lying_plan(plan: Path, random_: random.Random) -> int:
    """A plan that is changed as a whole, with markers that name it: ranks, notes, facts, versions."""
    raw = json.loads((plan / "plan.json").read_text())
    count = random_.choice((1, 1, 2))
    for _ in range(count):
        random_.choice(_PLANS)(raw, random_)
    (plan / "plan.json").write_bytes(json.dumps(raw).encode("utf-8", "surrogatepass"))
    sign_markers(plan)
    return count


def _two_of_one(raw: dict[str, Any], random_: random.Random) -> None:
    """Two ranks have a unit, or a rank has it twice."""
    one, other = random_.choice(raw["ranks"]), random_.choice(raw["ranks"])
    other["units"] = [*other["units"], random_.choice(one["units"])]


def _unit(raw: dict[str, Any], random_: random.Random) -> None:
    rank = random_.choice(raw["ranks"])
    rank["units"] = [*rank["units"][1:], random_.choice(_UNITS)]


_UNITS = (
    "", "task", "task 0", "task 0 0 0/0 knn/none", "task 9 9 0/0 knn/resizing", "task -1 0 0/0 probe/resizing",
    "task 0 0 5/2 knn/resizing", "task 0 0 0/1000000000 knn/resizing", "task x y z/w knn/resizing", "0/0/99", "9/9/9",
    "0/0", "-1/-1/-1", "x", "task 0 0 0/0 ../../../outside", "task 0 0 1/2 probe/resizing", "0/0/0/0",
)  # fmt: skip


def _less(raw: dict[str, Any], random_: random.Random) -> None:
    """A rank fewer, or a note."""
    where = raw if random_.random() < 0.2 else raw["notes"]
    if random_.random() < 0.4:
        del raw["ranks"][random_.randrange(len(raw["ranks"]))]
    else:
        where.pop(random_.choice(sorted(where)), None)


_PLANS: Sequence[Callable[[dict[str, Any], random.Random], object]] = (
    _two_of_one,
    _unit,
    _less,
    lambda raw, random_: spoil(raw, random_),
    lambda raw, random_: spoil(raw["notes"], random_),
    lambda raw, random_: raw["facts"].update({random_.choice(sorted(raw["facts"])): random_.choice(("0", "x" * 999))}),
    lambda raw, random_: raw.update(format=random_.choice((0, 2, "1", None))),
    lambda raw, random_: raw.update(kind=random_.choice(("embed", "score", "build", "", "os"))),
    lambda raw, random_: random_.choice(raw["ranks"]).update(needs=random_.choice(("0-99", "x", "0-", "9" * 9, "0-0"))),
    lambda raw, random_: raw["notes"]["keys"].update(
        {random_.choice(sorted(raw["notes"]["keys"])): random_.choice(VALUES)}
    ),
)  # fmt: skip

_CHANGES: Mapping[str, tuple[Change, bool]] = {
    "files of ranks of tasks, spoilt": (_spoil_files, True),
    "folders of ranks of tasks, lost": (_lose_folder, True),
    "files of ranks of tasks, certified by their markers": (_certified, False),
    "markers of ranks of tasks that lie": (_lying_markers, False),
    "plan of ranks of tasks that lies": (_lying_plan, False),
}
"""By kind; and whether a command that ends well must give the numbers of the undisturbed run."""
