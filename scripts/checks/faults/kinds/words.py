"""Kinds of the campaign: hostile words in the place of arguments, for every command and option that there is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scripts.checks.faults.campaign import Case, Kind
from scripts.checks.faults.world import MODELS, World, erase, plan, score

WORDS: Sequence[str] = (
    *("", "-", "--", "-1", "0", "1e400", "nan", "inf", "0x10", "1_0", "\u0661", "9" * 400, "a" * 5000),
    *("\x1b[31m", "\u202e", "\udcff", "\u3164", "a\nb", "%s", "{}", "[", "*", "**", "?", "~", "$(id)", "'", '"', ","),
    *(",,", "a=b=c", "=", ":", "::", "@", "/", "//", "..", "/dev/null/x", "/etc/passwd", "/proc/self/mem", "/dev/zero"),
    *(
        "folder:",
        "folder:/etc",
        "hub:",
        "hub:a/b/c",
        "hub:../..@x",
        "table:/etc/passwd?image=a",
        "built:.",
        "sample?x=1",
    ),
    *(
        "embeddings:",
        "scores:",
        "answers:",
        "vlm:",
        "timm/",
        "os:getcwd",
        "checkpoint:x",
        "webdataset:{0..9999999999}.tar",
    ),
    *(
        "webdataset:{000..146",
        "simcams:?scenes=999999999",
        "exif-folder:/",
        "http://[::1",
        "file:///etc/passwd",
        "owner/none",
    ),
    *("probe/*", "[a-", "knn/", "None", "true", "8G", "-8G", "1e99G", "cuda:99", "layers[::0]", "layers[", "S3://x"),
)
"""What may be in the place of an argument."""

_OF_PLACES = frozenset(
    ("-o", "--output", "--cache", "--state", "--push-to", "--push", "--ranks", "--workers", "--site")
)
"""Options whose value stays: they say where is written to, and how many processes there are."""


def kinds_of_words() -> Iterator[Kind]:
    """Each command with one to three hostile words."""
    for name, argv in _COMMANDS.items():
        share = 0.6 if name in ("score", "sweep", "erase", "reproduce", "diff") else 2.0
        yield Kind(name, "hostile words", _hostile(argv), share)


def _copied(folder: str, argv: Callable[[Path, World], list[str]]) -> Callable[[Path, World], list[str]]:
    def made(run: Path, world: World) -> list[str]:
        world.copy(folder, run)
        return argv(run, world)

    return made


_COMMANDS: dict[str, Callable[[Path, World], list[str]]] = {
    "score": lambda run, world: score(f"folder:{world.photos}", run),
    "sweep": lambda run, world: score(f"folder:{world.photos}", run, models=MODELS, command="sweep"),
    "erase": lambda run, world: erase(f"folder:{world.photos}", run),
    "plan": lambda run, world: plan(str(world.photos), run),
    "status": _copied("planned", lambda run, world: ["status", str(run / "planned/set.plan")]),
    "work": _copied("planned", lambda run, world: ["work", str(run / "planned/set.plan"), "--rank", "0"]),
    "finish": _copied("planned", lambda run, world: ["finish", str(run / "planned/set.plan"), "-o", str(run / "done")]),
    "audit": lambda run, world: ["audit", f"folder:{world.photos}", "-o", str(run / "audit"), "--pixels", "5"],
    "pipeline": lambda run, world: ["pipeline", "web", "--photo", str(next(world.photos.rglob("*.jpg")))],
    "list": lambda run, world: ["list", "tasks", "--json"],
    "reproduce": lambda run, world: [
        *("reproduce", "iccv2025", "-d", f"imagenet:{world.folder / 'sets/imagenet'}", "-m", "facebook/dino-vits16"),
        *("-o", str(run / "out"), "--cache", str(run / "cache"), "-q"),
    ],
    "diff": lambda run, world: [
        *("diff", "-m", MODELS[1], "-d", f"folder:{world.photos}", "--b", "colour=bgr", "--limit", "8", "-q"),
        *("-o", str(run / "diff")),
    ],
    "compare": lambda run, world: ["compare", *map(str, sorted((world.folder / "swept/out").glob("*/*/")))],
    "compare --item": lambda run, world: [
        *("compare", str(world.folder / "items/old.csv"), str(world.folder / "items/new.csv")),
        *("--item", "id", "--score", "right"),
    ],
    "verify": lambda run, world: ["verify", str(world.folder / "swept/out")],
    "leaderboard": lambda run, world: ["leaderboard", str(world.folder / "swept/out"), "-o", str(run / "site")],
    "publish": lambda run, world: ["publish", str(world.folder / "swept/out"), "--repo", "owner/none"],
    "publish-metrics": lambda run, world: ["publish-metrics", "--repo", "owner"],
    "cache list": _copied("swept", lambda run, world: ["cache", "list", "--cache", str(run / "swept/cache")]),
    "cache clear": _copied("swept", lambda run, world: ["cache", "clear", "--cache", str(run / "swept/cache")]),
    "build folder": lambda run, world: [
        *("build", "folder", "--data", str(world.photos), "--parameter", "jpeg", "--workers", "1", "--limit", "6"),
        *("--output", str(run / "set")),
    ],
    "build check": lambda run, world: ["build", "check", str(world.folder / "built/built")],
    "build diff": lambda run, world: ["build", "diff", *[str(world.folder / "built/built")] * 2],
    "build publish": _copied(
        "built", lambda run, world: ["build", "publish", str(run / "built/built"), "--repo", "owner/built"]
    ),
    "build report": lambda run, world: [
        *("build", "report", str(world.folder / "built/built"), "-o", str(run / "r.html"), "--workers", "1"),
    ],
    "build simcams": lambda run, world: [
        *("build", "simcams", "--scenes", "2", "--size", "32", "--configs", "iso", "--workers", "1"),
        *("--output", str(run / "set")),
    ],
    "flickrexif search": lambda run, world: world.search(run / "state"),
    "flickrexif fetch": _copied("searched", lambda run, world: world.fetch(run / "searched/state")),
}
"""A good call of each command."""


def _hostile(argv: Callable[[Path, World], list[str]]) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        words = argv(run, world)
        count = random_.choice((1, 1, 2, 3))
        places = [i for i in range(1, len(words)) if words[i - 1] not in _OF_PLACES and not words[i].startswith("-")]
        places = [i for i in places if words[0] != "build" or i > 1]
        for _ in range(count):
            if places and random_.random() < 0.7:
                words[random_.choice(places)] = random_.choice(WORDS)
            else:  # an option, and what it does not expect
                words += [random_.choice(_options(words)), *random_.sample(WORDS, random_.choice((0, 1, 1)))]
        return Case(words, count)

    return make


def _options(words: Sequence[str]) -> list[str]:
    """The options of the command that words begin with, but for those that write elsewhere."""
    from benchmark.__main__ import COMMANDS
    from builders.__main__ import COMMANDS as BUILD

    command = COMMANDS.get(words[0])
    if words[0] == "build" and len(words) > 1:
        command = BUILD.get(words[1])
    parsers = [] if command is None else [command.parser()]
    names = [name for one in parsers for action in one._actions for name in action.option_strings]
    return [name for name in names if name not in _OF_PLACES and name not in _WRITING] or ["--help"]


_WRITING = frozenset(("--figure", "--record", "--state", "--report", "--log"))
"""Further options that name a file which is written."""
