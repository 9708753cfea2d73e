"""Kinds of the campaign: object stores that fail, and addresses with passwords and tokens, in every option that takes
an address."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from scripts.checks.faults.campaign import Case, Kind, closed_port
from scripts.checks.faults.machines import PLANTED
from scripts.checks.faults.world import MODELS, World, erase, plan, score

STORES: Mapping[str, Callable[[], dict[str, str]]] = {
    "nobody listens": lambda: {"endpoint_url": f"http://127.0.0.1:{closed_port()}"},
    "password in the endpoint": lambda: {"endpoint_url": f"http://me:{PLANTED}1@127.0.0.1:{closed_port()}"},
    "endpoint that is none": lambda: {"endpoint_url": f"ht!tp://me:{PLANTED}2@[x"},
    "unknown option": lambda: {"bogus": f"{PLANTED}3"},
}
"""Options of fsspec for ``s3``."""

_SECRET = f"me:{PLANTED}4"
_QUERY = f"token={PLANTED}5&X-Amz-Signature={PLANTED}6"

ADDRESSES = (
    *(f"webdataset:http://{_SECRET}@127.0.0.1:9/x-{{0..1}}.tar", f"webdataset:https://no-such.invalid/x.tar?{_QUERY}"),
    *(f"hub:https://{_SECRET}@no-such.invalid/a/b", f"table:https://{_SECRET}@no-such.invalid/t.csv?image=path"),
    *(
        f"folder:https://{_SECRET}@no-such.invalid/photos",
        f"built:hf://datasets/a/b?{_QUERY}",
        f"folder:s3://b/x?{_QUERY}",
    ),
    *(f"webdataset:s3://{_SECRET}@bucket/x.tar", f"webdataset:ftp://{_SECRET}@no-such.invalid/x.tar"),
)
"""Data sets at addresses with secrets."""

_WITH_DATA: Mapping[str, tuple[Callable[[str, Path], list[str]], float]] = {
    "score": (lambda data, run: score(data, run), 1.0),
    "sweep": (lambda data, run: score(data, run, models=MODELS, command="sweep"), 0.5),
    "erase": (lambda data, run: erase(data, run), 0.5),
    "audit": (lambda data, run: ["audit", data, "-o", str(run / "audit")], 1.5),
    "plan": (lambda data, run: plan(data, run), 1.5),
    "diff": (lambda data, run: ["diff", "-m", MODELS[1], "-d", data, "--b", "colour=bgr", "-q"], 1.0),
    "reproduce": (lambda data, run: ["reproduce", "iccv2025", "-d", data, "-o", str(run / "out"), "-q"], 1.0),
    "build folder": (
        lambda data, run: ["build", "folder", "--data", data, "--parameter", "jpeg", "--output", str(run / "set")],
        1.0,
    ),
}

_ADDRESS = f"https://{_SECRET}@no-such.invalid/x?{_QUERY}"

_OTHERS: Mapping[str, Callable[[Path, World], list[str]]] = {
    "verify": lambda run, world: ["verify", _ADDRESS],
    "leaderboard": lambda run, world: ["leaderboard", _ADDRESS, "-o", str(run / "site")],
    "compare": lambda run, world: ["compare", _ADDRESS, str(world.folder / "swept/out")],
    "publish": lambda run, world: ["publish", str(world.folder / "swept/out"), "--repo", _ADDRESS],
    "publish-metrics": lambda run, world: ["publish-metrics", "--repo", _ADDRESS],
    "list": lambda run, world: ["list", _ADDRESS],
    "build publish": lambda run, world: ["build", "publish", str(world.folder / "built/built"), "--repo", _ADDRESS],
    "build check": lambda run, world: ["build", "check", _ADDRESS],
    "status": lambda run, world: ["status", _ADDRESS],
    "work": lambda run, world: ["work", _ADDRESS],
    "finish": lambda run, world: ["finish", _ADDRESS],
    "pipeline": lambda run, world: ["pipeline", "web", "--photo", _ADDRESS],
    "cache list": lambda run, world: ["cache", "list", "--cache", _ADDRESS.replace("//", "/")],
    "score --model": lambda run, world: score(f"folder:{world.photos}", run, models=(_ADDRESS,)),
    "score --eraser": lambda run, world: score(f"folder:{world.photos}", run, "--eraser", _ADDRESS),
    "flickrexif search": lambda run, world: [
        word if word != world.flickr.api_url else _ADDRESS for word in world.search(run / "state")
    ],
}
"""Commands whose argument is an address with secrets."""


def kinds_of_stores() -> Iterator[Kind]:
    """A store without an answer, and addresses with secrets."""
    for command, (argv, share) in _WITH_DATA.items():
        yield Kind(command, "a store that fails", _failing(argv), share / 3, False, True)
        yield Kind(command, "an address with secrets", _named(argv), share, False, True)
    for command in ("status", "work", "finish"):
        yield Kind(command, "a store that fails", _failing_plan(command), 0.5, False, True)
    for command, make in _OTHERS.items():
        yield Kind(command, "an address with secrets", _other(make), 0.6, False, True)


def use_store(options: Mapping[str, Any]) -> None:
    """In this process every address of ``s3`` has these options of fsspec."""
    import fsspec.config

    fsspec.config.conf["s3"] = dict(options)
    os.environ.update({f"FSSPEC_S3_{name.upper()}": value for name, value in options.items() if isinstance(value, str)})
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ.pop(name, None)


def _failing(argv: Callable[[str, Path], list[str]]) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        options = random_.choice(list(STORES.values()))()
        return Case(argv("webdataset:s3://bucket/x-{0..1}.tar", run), prepare=partial(use_store, options))

    return make


def _failing_plan(command: str) -> Callable[[random.Random, Path, World], Case]:
    def make(random_: random.Random, run: Path, world: World) -> Case:
        options = random_.choice(list(STORES.values()))()
        return Case([command, "s3://bucket/set.plan"], prepare=partial(use_store, options))

    return make


def _named(argv: Callable[[str, Path], list[str]]) -> Callable[[random.Random, Path, World], Case]:
    return lambda random_, run, world: Case(argv(random_.choice(ADDRESSES), run))


def _other(argv: Callable[[Path, World], list[str]]) -> Callable[[random.Random, Path, World], Case]:
    return lambda random_, run, world: Case(argv(run, world))
