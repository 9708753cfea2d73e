"""A small run through every stage that writes, in processes that can be killed, and what its outputs must equal."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

VOLATILE = ("created", "cost")
"""Of a result: when it was made and what it took."""

TELLS_TIMES = ("report.html", "report.md", "sweep.json")
"""Files that tell how long a run took, or what of it was there already; the numbers in them are those of results."""


@dataclass(frozen=True)
class Ended:
    """How a run of a command ended."""

    status: int
    """Exit status; minus the signal where one ended it."""
    said: str
    """Standard output and error."""
    seconds: float


@dataclass(frozen=True)
class Stage:
    """One command that writes, and what of it must be equal however it was disturbed."""

    name: str
    command: Callable[[Path], list[str]]
    """Folder of the run -> arguments."""
    outputs: tuple[str, ...] = ()
    """Folders and files in it, whose content is compared."""
    prepare: Callable[[Path], object] = lambda run: None
    """Done to a new folder before the command."""
    read: Callable[[Path], dict[str, str]] | None = None
    """What is compared, where it is not files of the folder alone."""

    def ready(self, run: Path) -> None:
        """Make a folder in which the command can begin."""
        self.prepare(run)
        (run / "tmp").mkdir(parents=True, exist_ok=True)

    def made(self, run: Path) -> dict[str, str]:
        """What this command promises, by name."""
        return self.read(run) if self.read else content(run, self.outputs)


def photos(folder: Path) -> Path:
    """30 small JPEG photos of two classes in train and val."""
    for i in range(30):
        random_ = np.random.default_rng(i)
        coarse = random_.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=70 + i % 3 * 9)
        path = folder / ("val" if i % 3 == 0 else "train") / ("cat", "dog")[i % 2] / f"{i:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())
    return folder


def stages(data: Path, results: Path) -> tuple[Stage, ...]:
    """Scoring (banks, outcomes, results), building (shards, folder), the board of ``results``, sweep and audit."""

    def score(run: Path) -> list[str]:
        tasks = ["-t", "probe/resizing", "-t", "knn/resizing", "-t", "probe/sharpening"]
        where = ["-o", str(run / "out"), "--cache", str(run / "cache")]
        asked = ["-m", "control:random-projection", "-d", f"folder:{data}", "--workers", "0", "-q"]
        return ["score", *asked, *tasks, *where]

    def build(run: Path) -> list[str]:
        what = ["folder", "--source", str(data), "--parameter", "resizing", "--workers", "1", "--assignment", "every"]
        return ["build", *what, "--output", str(run / "built")]

    def board(run: Path) -> list[str]:
        return ["leaderboard", "--results", str(results), "-o", str(run / "site")]

    def sweep(run: Path) -> list[str]:
        models = ["-m", "control:random-projection", "-m", "control:jpeg-statistics"]
        asked = [*models, "-d", f"folder:{data}", "-t", "probe/resizing", "-t", "knn/resizing", "--workers", "0", "-q"]
        return ["sweep", *asked, "-o", str(run / "swept"), "--cache", str(run / "cache")]

    def audit(run: Path) -> list[str]:
        return ["audit", f"folder:{data}", "-o", str(run / "audit"), "--pixels", "20", "--near-duplicates"]

    return (
        Stage("score", score, ("out/result.json", "out/answers.npz", "cache/banks")),
        Stage("build", build, ("built",)),
        Stage("board", board, ("site",)),
        Stage("sweep", sweep, ("swept",)),
        Stage("audit", audit, ("audit",)),
    )


def start(argv: Sequence[str], folder: Path, log: Path) -> int:
    """Run a command in a child of this process, which has imported what is slow; its process id.

    The child's caches and temporary files lie in the folder of its run, too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        _live_in(folder)
        from benchmark.__main__ import main

        status = main(list(argv))
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 99
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status or 0)


def _live_in(folder: Path) -> None:
    """Caches and temporary files of this process lie in a folder from now on."""
    from huggingface_hub import constants

    with contextlib.suppress(OSError):
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
    os.environ |= {"CAMTRACE_CACHE": str(folder / "camtrace-cache"), "TMPDIR": str(folder / "tmp")}
    tempfile.tempdir = None
    constants.HF_HUB_CACHE = str(folder / "hub")


def ended(child: int, log: Path, limit_s: float = 300.0) -> Ended:
    """Wait for it; one that does not end in time is a hang, and is killed."""
    started = time.monotonic()
    while True:
        found, raw = os.waitpid(child, os.WNOHANG)
        if found:
            break
        if time.monotonic() - started > limit_s:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Ended(-99, "hang", limit_s)
        time.sleep(0.005)
    return Ended(os.waitstatus_to_exitcode(raw), log.read_text(errors="replace"), time.monotonic() - started)


def warm_up(command: Sequence[str], folder: Path) -> None:
    """Import here what a command imports, so that every later child of this process is spared it."""
    names = folder.with_name("modules")
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException), contextlib.redirect_stdout(io.StringIO()):
            _live_in(folder)
            from benchmark.__main__ import main

            with contextlib.redirect_stderr(io.StringIO()):
                main(list(command))
        names.write_text("\n".join(sys.modules))
        os._exit(0)
    os.waitpid(child, 0)
    for name in names.read_text().splitlines():
        with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
            importlib.import_module(name)


def run(argv: Sequence[str], folder: Path, lives_in: Path | None = None) -> Ended:
    """A command from beginning to end; its log lies beside ``folder``."""
    log = folder.with_name(f"{folder.name}.log")
    return ended(start(argv, lives_in or folder, log), log)


def content(folder: Path, outputs: Sequence[str]) -> dict[str, str]:
    """SHA-256 by path of everything that a stage promises; of results without time and cost, of banks the rows."""
    found: dict[str, str] = {}
    for name in outputs:
        top = folder / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            relative = path.relative_to(folder).as_posix()
            if path.is_file() and path.name not in ("lock", *TELLS_TIMES):
                found[relative] = hashlib.sha256(_plain(path)).hexdigest()
    return found


def _plain(path: Path) -> bytes:
    data = path.read_bytes()
    if path.name != "result.json":
        return data
    try:
        raw = json.loads(data)
    except ValueError:
        return data
    for name in VOLATILE:
        raw.pop(name, None)
    raw["environment"].pop("values_sha256", None)
    (raw["environment"].get("runtime") or {}).pop("speed", None)
    for score in raw["scores"]:
        score["details"] = {k: v for k, v in score["details"].items() if not k.endswith("_s")}
    return json.dumps(raw, sort_keys=True).encode()


def difference(whole: Path, found: Path, name: str) -> str:
    """What of a JSON file is not as in the undisturbed run: the first few places and their two values."""
    if not name.endswith(".json") or not (whole / name).is_file() or not (found / name).is_file():
        return ""
    one, other = (dict(_leaves(json.loads(_plain(folder / name)))) for folder in (whole, found))
    places = [place for place in {**one, **other} if one.get(place) != other.get(place)]
    return "; ".join(f"{place}: {str(one.get(place))[:80]} was {str(other.get(place))[:80]}" for place in places[:3])


def _leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if inside is None:
        yield place, value
        return
    for name, part in inside:
        yield from _leaves(part, f"{place}/{name}")


def bytes_on_disk(folder: Path) -> int:
    """What the files below a folder take."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def traceback_in(one: Ended) -> bool:
    """Whether a run told of itself in a traceback."""
    return "Traceback (most recent call last)" in one.said


def moment(random_: random.Random, seconds: float) -> float:
    """When to break a run: any moment of it, the beginning as likely as the end."""
    return random_.uniform(0.0, seconds)
