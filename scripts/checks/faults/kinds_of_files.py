"""Kinds of the campaign: every file that a command reads, damaged, changed in its structure, or no file at all."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.checks.faults.campaign import Case, Kind
from scripts.checks.faults.mutations import VALUES, flipped, forgeries, hostile_answers, spoil
from scripts.checks.faults.processes import Ended
from scripts.checks.faults.world import FAST, MODELS, MOST_BYTES, World, erase, plan, score, scores_of


@dataclass(frozen=True)
class Reader:
    """A command that reads a folder of the world."""

    command: str
    folder: str
    """Of the world; copied into the run."""
    files: Mapping[str, str]
    """Pattern below the folder, by the name of what is damaged."""
    argv: Callable[[Path, World], list[str]]
    """Folder of the run -> arguments."""
    share: float = 1.0
    files_at_once: int = 1
    """Most files that are spoilt in one case."""
    results: bool = False
    """Whether it reads results, whose numbers must then be those of the good file, or refused."""


_RESULTS = {"result": "swept/out/*/*/result.json", "answers": "swept/out/*/*/answers.npz"}
_BUILT = {"build.json": "built/built/build.json", "shard": "built/built/data/*/*.parquet"}
_PLAN = {"plan": "planned/set.plan/plan.json", "marker": "planned/set.plan/ranks/*.json"}
_CACHE = {
    "rows": "swept/cache/banks/**/rows.npy",
    "marker of a block": "swept/cache/banks/**/blocks/*.json",
    "key": "swept/cache/banks/**/key.json",
    "outcome": "swept/cache/outcomes/**/*.*",
}


def _swept(run: Path) -> str:
    return str(run / "swept" / "out")


def _resume(run: Path, world: World) -> list[str]:
    """The sweep again, without its results."""
    shutil.rmtree(run / "swept" / "out")
    if (run / "swept/cache").is_dir() and random.Random(len(str(run))).random() < 0.5:
        shutil.rmtree(run / "swept/cache/outcomes", ignore_errors=True)
    return score(f"folder:{world.photos}", run / "swept", models=MODELS, command="sweep")


READERS = (
    Reader("verify", "swept", _RESULTS, lambda run, world: ["verify", _swept(run)], 10, results=True),
    Reader(
        "compare",
        "swept",
        _RESULTS,
        lambda run, world: ["compare", *map(str, sorted((run / "swept/out").glob("*/*/")))],
        8,
        results=True,
    ),
    Reader(
        "leaderboard",
        "swept",
        _RESULTS,
        lambda run, world: ["leaderboard", _swept(run), "-o", str(run / "site")],
        4,
        results=True,
    ),
    Reader(
        "publish",
        "swept",
        _RESULTS,
        lambda run, world: ["publish", _swept(run), "--repo", "owner/none"],
        5,
        results=True,
    ),
    Reader(
        "sweep",
        "swept",
        {**_RESULTS, "rows of it": "swept/out/*.json"},
        lambda run, world: score(f"folder:{world.photos}", run / "swept", models=MODELS, command="sweep"),
        1,
    ),
    Reader("sweep", "swept", _CACHE, _resume, 1.5, 4),
    Reader(
        "cache check",
        "swept",
        _CACHE,
        lambda run, world: ["cache", "check", "--cache", str(run / "swept/cache")],
        5,
        20,
    ),
    Reader(
        "cache list", "swept", _CACHE, lambda run, world: ["cache", "list", "--cache", str(run / "swept/cache")], 3, 20
    ),
    Reader("build check", "built", _BUILT, lambda run, world: ["build", "check", str(run / "built/built")], 3),
    Reader(
        "build diff",
        "built",
        _BUILT,
        lambda run, world: ["build", "diff", str(run / "built/built"), str(world.folder / "built/built")],
        4,
    ),
    Reader(
        "build publish",
        "built",
        {**_BUILT, "card": "built/built/README.md", "croissant": "built/built/croissant.json"},
        lambda run, world: ["build", "publish", str(run / "built/built"), "--repo", "owner/built"],
        6,
    ),
    Reader(
        "build report",
        "built",
        _BUILT,
        lambda run, world: ["build", "report", str(run / "built/built"), "-o", str(run / "r.html"), "--workers", "1"],
        0.5,
    ),
    Reader("build folder", "built", _BUILT, lambda run, world: _rebuild(run, world), 1.5),
    Reader("build folder --update", "built", _BUILT, lambda run, world: [*_rebuild(run, world), "--update"], 1.5),
    Reader(
        "build folder --recipe",
        "built",
        {"build.json": _BUILT["build.json"]},
        lambda run, world: [
            "build",
            "folder",
            "--data",
            str(world.photos),
            "--recipe",
            str(run / "built/built"),
            "--output",
            str(run / "again"),
            "--workers",
            "1",
        ],
        1.5,
    ),
    Reader(
        "audit",
        "built",
        _BUILT,
        lambda run, world: ["audit", f"built:{run / 'built/built'}", "-o", str(run / "audit")],
        2,
    ),
    Reader("score", "built", _BUILT, lambda run, world: score(f"built:{run / 'built/built'}", run), 0.8),
    Reader("status", "planned", _PLAN, lambda run, world: ["status", str(run / "planned/set.plan")], 6),
    Reader("work", "planned", _PLAN, lambda run, world: ["work", str(run / "planned/set.plan"), "--rank", "0"], 3),
    Reader(
        "finish",
        "planned",
        {**_PLAN, "shard": "planned/set/**/*.parquet"},
        lambda run, world: ["finish", str(run / "planned/set.plan"), "-o", str(run / "done")],
        3,
    ),
    Reader(
        "score --eraser",
        "erased",
        {"card": "erased/eraser/eraser.json", "weights": "erased/eraser/*.safetensors"},
        lambda run, world: score(f"folder:{world.photos}", run, "--eraser", str(run / "erased/eraser")),
        1,
    ),
    Reader(
        "flickrexif search",
        "searched",
        {"state": "searched/state/state.sqlite"},
        lambda run, world: world.search(run / "searched/state"),
        2,
    ),
    Reader(
        "flickrexif fetch",
        "searched",
        {"state": "searched/state/state.sqlite"},
        lambda run, world: world.fetch(run / "searched/state"),
        2,
    ),
    Reader(
        "flickrexif build",
        "searched",
        {"state": "searched/state/state.sqlite"},
        lambda run, world: [
            "build",
            "flickrexif",
            "build",
            "--state",
            str(run / "searched/state"),
            "--output",
            str(run / "set"),
            "--least",
            "1",
            "--workers",
            "1",
        ],
        1.5,
    ),
    Reader(
        "pipeline",
        "texts",
        {"processings": "texts/pipeline.toml"},
        lambda run, world: ["pipeline", str(run / "texts/pipeline.toml"), "--photo", _photo(world)],
        6,
    ),
    Reader(
        "score --processings",
        "texts",
        {"processings": "texts/pipeline.toml"},
        lambda run, world: [
            *_no_tasks(score(f"folder:{world.photos}", run)),
            "--processings",
            str(run / "texts/pipeline.toml"),
        ],
        1,
    ),
    Reader(
        "score --config",
        "texts",
        {"options": "texts/config.toml"},
        lambda run, world: [
            "score",
            "-d",
            f"folder:{world.photos}",
            "--config",
            str(run / "texts/config.toml"),
            "-o",
            str(run / "out"),
            "--cache",
            str(run / "cache"),
        ],
        1,
    ),
    Reader(
        "sweep --models",
        "texts",
        {"encoders": "texts/models.txt"},
        lambda run, world: [
            *score(f"folder:{world.photos}", run, models=(), command="sweep"),
            "--models",
            str(run / "texts/models.txt"),
        ],
        1,
    ),
    Reader(
        "score --model embeddings",
        "texts",
        {"embeddings": "texts/embeddings.parquet"},
        lambda run, world: _no_tasks(
            score(
                f"table:{world.folder / 'texts/table.csv'}?id=path&label=label&group=site&split=split",
                run,
                models=(f"embeddings:{run / 'texts/embeddings.parquet'}?id=id",),
            )
        ),
        1,
    ),
    Reader(
        "audit",
        "texts",
        {"table": "texts/table.csv"},
        lambda run, world: [
            "audit",
            _table(run, world),
            "-o",
            str(run / "audit"),
        ],
        3,
    ),
    Reader(
        "score",
        "texts",
        {"table": "texts/table.csv"},
        lambda run, world: score(_table(run, world), run),
        1,
    ),
    Reader("erase", "texts", {"table": "texts/table.csv"}, lambda run, world: erase(_table(run, world), run), 0.3),
    Reader("plan", "texts", {"table": "texts/table.csv"}, lambda run, world: plan(_table(run, world), run), 3),
    Reader("build paircams", "texts", {"pairs": "texts/pairs.csv"}, lambda run, world: _paircams(run, world), 1.5),
    Reader(
        "build simcams",
        "texts",
        {"cameras": "texts/cameras.yaml"},
        lambda run, world: [
            "build",
            "simcams",
            "--scenes",
            "3",
            "--size",
            "64",
            "--configs",
            "iso",
            "--workers",
            "1",
            "--cameras",
            str(run / "texts/cameras.yaml"),
            "--output",
            str(run / "set"),
        ],
        0.7,
    ),
)
"""Commands and what they read."""


def _table(run: Path, world: World) -> str:
    return f"table:{run / 'texts/table.csv'}?image=path&root={world.photos}&label=label&group=site&split=split"


def _photo(world: World) -> str:
    return str(next(world.photos.rglob("*.jpg")))


def _no_tasks(argv: list[str]) -> list[str]:
    """Without ``-t``, so that the data and the file decide."""
    return [word for i, word in enumerate(argv) if word != "-t" and argv[i - 1] != "-t"]


def _rebuild(run: Path, world: World) -> list[str]:
    what = ["build", "folder", "--data", str(world.photos), "--parameter", "resizing", "--workers", "1"]
    return [*what, "--assignment", "every", "--output", str(run / "built" / "built")]


def _paircams(run: Path, world: World) -> list[str]:
    shutil.copytree(world.photos, run / "pairs")
    if (run / "texts/pairs.csv").is_file() and not (run / "texts/pairs.csv").is_symlink():
        shutil.move(run / "texts/pairs.csv", run / "pairs/pairs.csv")
    return ["build", "paircams", "--data", str(run / "pairs"), "--output", str(run / "set"), "--workers", "1"]


def kinds_of_files() -> Iterator[Kind]:
    """Every reader with every way to spoil what it reads."""
    for reader in READERS:
        for what, pattern in reader.files.items():
            for how, spoiler in SPOILERS.items():
                if how == "changed structure" and not pattern.endswith((".json", ".toml", ".csv", ".yaml", ".txt")):
                    continue
                make = _maker(reader, pattern, spoiler)
                yield Kind(reader.command, f"{what}, {how}", make, reader.share / 3)
        if reader.results:
            yield Kind(reader.command, "forged results", _maker(reader, _RESULTS["result"], _forge), reader.share / 2)
            yield Kind(
                reader.command, "hostile answers", _maker(reader, _RESULTS["answers"], _answer), reader.share / 2
            )
            if reader.command != "compare":
                yield Kind(reader.command, "many hostile results", _with_honest(reader), reader.share * 3)


def _maker(
    reader: Reader, pattern: str, spoiler: Callable[[Path, random.Random], object]
) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        shutil.copytree(world.folder / reader.folder, run / reader.folder)
        for file in (run / reader.folder).glob("*.plan/plan.json"):  # it names where it writes to
            file.write_text(file.read_text().replace(str(world.folder / reader.folder), str(run / reader.folder)))
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
        shutil.copytree(world.folder / reader.folder, run / reader.folder)
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
            random_.choice((damage, restructure, replace_by_object, _forge))(place / "result.json", random_)
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


def damage(file: Path, random_: random.Random) -> None:
    """Bytes of a file are flipped, cut off, overwritten, doubled or another's."""
    data = file.read_bytes() or b"\0"
    how = random_.randrange(7)
    at, length = random_.randrange(len(data)), random_.choice((1, 16, 512, 4096))
    if how <= 1:
        for _ in range(random_.choice((1, 1, 4, 64))):
            data = flipped(data, random_)
    elif how == 2:
        data = data[:at]
    elif how == 3:
        data = data[:at] + bytes(length) + data[at + length :]
    elif how == 4:
        data = data[:at] + data[at : at + length] * 2 + data[at + length :]
    elif how == 5:
        data = data[:at] + random_.randbytes(length) + data[at + length :]
    else:
        others = (b"", b"{}", b"[]", b"null", b"PK\x03\x04", b"\xff\xd8\xff", bytes(64), b"SQLite format 3" + bytes(85))
        data = random_.choice((*others, b"\xef\xbb\xbf" + data, data.replace(b"\n", b"\r\n"), data * 3))
    file.write_bytes(data)


def restructure(file: Path, random_: random.Random) -> None:
    """The structure of a text is changed: values of JSON, words of other texts."""
    if file.suffix == ".json":
        raw = json.loads(file.read_text())
        spoil(raw, random_)
        file.write_bytes(json.dumps(raw, ensure_ascii=random_.random() < 0.5).encode("utf-8", "surrogatepass"))
        return
    lines = file.read_text().splitlines()
    for _ in range(random_.choice((1, 1, 2, 4))):
        at = random_.randrange(len(lines))
        words = re.split(r"([\s,=\[\]{}:]+)", lines[at])
        word = random_.randrange(len(words))
        how = random_.randrange(6)
        if how <= 2:
            value = random_.choice(VALUES)
            words[word] = json.dumps(value) if random_.random() < 0.5 and not _huge(value) else str(value)[:20_000]
            lines[at] = "".join(words)
        elif how == 3:
            lines.insert(random_.randrange(len(lines)), lines[at])
        elif how == 4 and len(lines) > 1:
            del lines[at]
        else:
            lines[at] = random_.choice(_LINES)
    file.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))


def _huge(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > 2**64


_LINES: Sequence[str] = (
    "x = 1", "= 1", "[[processing]]", "[a.b]\nc = 1", "&a [*a, *a]", "a: &b [*b]",
    "!!python/object/apply:os.getcwd []",
    '"""', "'", ",,,,,,", '"a\nb",c', "../../etc/passwd,cat,a,train", "/etc/passwd,cat,a,val",
    "\x00", "\x1b[31m,\u202e,a",
    "name = 'a\\u001b[2J'", "steps = []", "steps = [{step = 'resize', width = 1000000000}]", "batch-size = -1",
    "limit = 0", "seed = 1e400", "model = []", "tasks = ['*']", "memory = '1'", "output = '/proc/x'", "# \ud800",
    "builders.cli:main", "os:getcwd", "antigravity:fly", "timm/no_such_network", "a" * 5000,
    "classes = {a = 'a', a = 'b'}",
)  # fmt: skip


def replace_by_object(file: Path, random_: random.Random) -> None:
    """In the place of a file is what is no file, or one without end."""
    how = random_.randrange(8)
    data = file.read_bytes()
    file.unlink()
    if how == 0:
        os.mkfifo(file)
    elif how in (1, 2, 3, 4):
        file.symlink_to(("/dev/zero", "/etc/passwd", "nowhere", file.name)[how - 1])
    elif how == 5:
        file.mkdir()
    elif how == 6:
        with open(file, "wb") as stream:
            stream.truncate(5 << 30)
    else:
        file.with_name(os.fsdecode(b"\xff\xfe\x1b[31m") + file.suffix).write_bytes(data)


def _forge(file: Path, random_: random.Random) -> None:
    file.write_bytes(random_.choice(list(forgeries()))[1])


def _answer(file: Path, random_: random.Random) -> None:
    file.write_bytes(hostile_answers(random_)[1])


SPOILERS: Mapping[str, Callable[[Path, random.Random], object]] = {
    "damaged": damage,
    "changed structure": restructure,
    "no file": replace_by_object,
}

__all__ = ("FAST", "kinds_of_files")
