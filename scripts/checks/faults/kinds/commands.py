"""The commands of the campaign that read files, and which files of the world each of them reads."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.checks.faults.world import MODELS, World, erase, plan, score


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


RESULTS = {"result": "swept/out/*/*/result.json", "answers": "swept/out/*/*/answers.npz"}
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
    Reader("verify", "swept", RESULTS, lambda run, world: ["verify", _swept(run)], 10, results=True),
    Reader(
        "compare",
        "swept",
        RESULTS,
        lambda run, world: ["compare", *map(str, sorted((run / "swept/out").glob("*/*/")))],
        8,
        results=True,
    ),
    Reader(
        "leaderboard",
        "swept",
        RESULTS,
        lambda run, world: ["leaderboard", _swept(run), "-o", str(run / "site")],
        4,
        results=True,
    ),
    Reader(
        "publish",
        "swept",
        RESULTS,
        lambda run, world: ["publish", _swept(run), "--repo", "owner/none"],
        5,
        results=True,
    ),
    Reader(
        "sweep",
        "swept",
        {**RESULTS, "rows of it": "swept/out/*.json"},
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
