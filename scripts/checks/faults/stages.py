"""A small run through every stage that writes, and what its outputs must equal however it was disturbed."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from benchmark.publishing.files import result_path
from scripts.checks.faults.mutations import honest_result
from scripts.checks.faults.processes import run as run_command
from tests.support.flickr import KEY, SECRET, Faults, serving
from tests.support.flickr_world import World
from tests.support.hub import OWNER_TOKEN, HubDouble

VOLATILE = ("created", "cost")
"""Of a result: when it was made and what it took."""

RUN_DEPENDENT = ("report.html", "report.md", "sweep.json")
"""Files with the times of a run, or with what was there before it; their other numbers are those of results."""


REPO = "owner/results"
NO_WAITING = ["--first-wait", "0.01"]
NO_LIMIT = ["--calls-per-hour", "100000000"]


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
    isolated: bool = False
    """Whether it has encoders in processes of their own, which can be killed alone."""

    def make_ready(self, run: Path) -> None:
        """Make a folder in which the command can begin."""
        self.prepare(run)
        (run / "tmp").mkdir(parents=True, exist_ok=True)

    def outcome(self, run: Path) -> dict[str, str]:
        """What of this command is compared, by name."""
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
    """Scoring (banks, outcomes, results), building (shards, folder), the board of ``results``, sweep and audit.
    Networks in processes of their own, erasing, two ways to an embedding, ranks of a plan and what finishes it.
    """
    networks = [data.with_name(f"network-{seed}") for seed in (0, 1)]
    for seed, folder in enumerate(networks):
        _write_network(folder, seed)
    of_photos = ["-d", f"folder:{data}", "--workers", "0", "-q", "--runtime", "torch"]
    two_networks = [part for folder in networks for part in ("-m", f"local-dir:{folder}")]

    def score(run: Path) -> list[str]:
        tasks = ["-t", "probe/resizing", "-t", "knn/resizing", "-t", "probe/sharpening"]
        where = ["-o", str(run / "out"), "--cache", str(run / "cache")]
        options = [
            "-m",
            "control:random-projection",
            "-d",
            f"folder:{data}",
            "--workers",
            "0",
            "-q",
            "--runtime",
            "torch",
        ]
        return ["score", *options, *tasks, *where]

    def build(run: Path) -> list[str]:
        what = ["folder", "--source", str(data), "--parameter", "resizing", "--workers", "1", "--assignment", "every"]
        return ["build", *what, "--output", str(run / "built")]

    def board(run: Path) -> list[str]:
        return ["leaderboard", "--results", str(results), "-o", str(run / "site")]

    def sweep(run: Path) -> list[str]:
        models = ["-m", "control:random-projection", "-m", "control:jpeg-statistics"]
        options = [
            *models,
            "-d",
            f"folder:{data}",
            "-t",
            "probe/resizing",
            "-t",
            "knn/resizing",
            "--workers",
            "0",
            "-q",
            "--runtime",
            "torch",
        ]
        return ["sweep", *options, "-o", str(run / "swept"), "--cache", str(run / "cache")]

    def audit(run: Path) -> list[str]:
        return ["audit", f"folder:{data}", "-o", str(run / "audit"), "--pixels", "20", "--near-duplicates"]

    def encoders(run: Path) -> list[str]:
        where = ["-o", str(run / "networks"), "--cache", str(run / "cache")]
        return ["sweep", *two_networks, *of_photos, "-t", "knn/resizing", *where]

    def erase(run: Path) -> list[str]:
        what = [
            "-m",
            "control:random-projection",
            "-d",
            f"folder:{data}",
            "--trace",
            "resizing",
            "--workers",
            "0",
            "-q",
        ]
        return ["erase", *what, "-o", str(run / "eraser"), "--cache", str(run / "cache")]

    def diff(run: Path) -> list[str]:
        what = ["-m", f"local-dir:{networks[0]}", "-d", f"folder:{data}", "--b", "processing=jpeg-q75-420", "-q"]
        return ["diff", *what, "-o", str(run / "diff")]

    def plan(run: Path) -> None:
        made = ["plan", "sweep", *two_networks, *of_photos, "-t", "knn/resizing", "-o", str(run / "planned")]
        end = run_command([*made, "--ranks", "3", "--cache", str(run / "cache")], run)
        assert end.status == 0, end.output

    def work(run: Path) -> list[str]:
        return ["work", str(run / "planned.plan"), "-q", "--at-once", "1"]

    def plan_and_work(run: Path) -> None:
        plan(run)
        end = run_command(work(run), run)
        assert end.status == 0, end.output

    def finish(run: Path) -> list[str]:
        return ["finish", str(run / "planned.plan"), "-q"]

    def finished(run: Path) -> dict[str, str]:
        """What the ranks made: a plan has the paths of its run, and their markers times."""
        end = run_command(finish(run), run)
        assert end.status == 0, end.output
        return content(run, ("planned",))

    return (
        Stage("score", score, ("out/result.json", "out/answers.npz", "cache/banks")),
        Stage("build", build, ("built",)),
        Stage("board", board, ("site",)),
        Stage("sweep", sweep, ("swept",)),
        Stage("audit", audit, ("audit",)),
        Stage("encoders", encoders, ("networks",), isolated=True),
        Stage("erase", erase, ("eraser",)),
        Stage("diff", diff, ("diff",), isolated=True),
        Stage("work", work, prepare=plan, read=finished, isolated=True),
        Stage("finish", finish, ("planned",), prepare=plan_and_work),
    )


def _write_network(folder: Path, seed: int) -> None:
    """A small network of timm with random weights, as a folder."""
    import timm
    import torch
    from timm.models import save_for_hf

    torch.manual_seed(seed)
    size = {"layers": [1, 1, 1, 1], "channels": [8, 16, 16, 24], "stem_width": 8}
    save_for_hf(timm.create_model("resnet18", pretrained=False, **size), folder, model_args=size)


@contextmanager
def service_stages(results: Path, scratch: Path) -> Iterator[tuple[Stage, ...]]:
    """Publishing ``results``, searching Flickr, and fetching what was found; the doubles run meanwhile."""
    from huggingface_hub import constants

    with ExitStack() as stack:
        hub = stack.enter_context(HubDouble())
        flickr = stack.enter_context(serving(World(), Faults(busy=0.02, broken=0.02, latency_s=0.001)))
        constants.ENDPOINT, constants.HF_HUB_DISABLE_XET = hub.url, True
        constants.HUGGINGFACE_CO_URL_TEMPLATE = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        os.environ |= {"HF_TOKEN": OWNER_TOKEN, "FLICKR_API_KEY": KEY, "FLICKR_API_SECRET": SECRET}

        def repository(folder: Path) -> None:
            """One that holds a result of another encoder."""
            other = honest_result("timm/other", 3)
            repo = hub.create(REPO)
            repo.commit({**repo.files, result_path(other, other.to_json()): other.to_json().encode()}, "a result")

        def publish(folder: Path) -> list[str]:
            return ["publish", str(results), "--results", REPO, "--push"]

        def published(folder: Path) -> dict[str, str]:
            files = hub.repo(REPO).files
            return {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != ".gitattributes"}

        def search(folder: Path) -> list[str]:
            when = ["--from", "2012-04-01", "--to", "2012-04-04", "--per-user-month", "1", *NO_LIMIT]
            where = ["--state", str(folder / "state"), "--api-url", flickr.api_url, "--contact", "a@b.org"]
            return ["build", "flickrexif", "search", *where, *when, *NO_WAITING, "--connections", "2"]

        def fetch(folder: Path) -> list[str]:
            where = ["--state", str(folder / "state"), "--allow-loopback", "--size", "o,l"]
            return ["build", "flickrexif", "fetch", *where, *NO_WAITING]

        searched = scratch / "searched"
        done = run_command(search(searched), searched)
        assert done.status == 0, done.output
        yield (
            Stage("publish", publish, read=published, prepare=repository),
            Stage("search", search, read=_state),
            Stage("fetch", fetch, read=_state, prepare=lambda folder: shutil.copytree(searched, folder)),
        )


def _state(folder: Path) -> dict[str, str]:
    """Everything in a state but times and counts of tries."""
    state = folder / "state"
    columns_of = {
        "photos": "id, owner, title, month, uploaded, taken, licence, urls, rank, selected, exif_status, exif_error",
        "exif": "*",
        "files": "photo_id, size, url, status, path, sha256, bytes, content_type, error_class",
    }
    made = {}
    with closing(sqlite3.connect(state / "state.sqlite")) as db:
        for table, columns in columns_of.items():
            rows = db.execute(f"SELECT {columns} FROM {table} ORDER BY 1").fetchall()
            made[table] = hashlib.sha256(repr(rows).encode()).hexdigest()
    for path in sorted((state / "files").rglob("*")):
        if path.is_file():
            made[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return made


def content(folder: Path, outputs: Sequence[str]) -> dict[str, str]:
    """SHA-256 by path of everything that a stage promises; of results without time and cost, of banks the rows."""
    hashes: dict[str, str] = {}
    for name in outputs:
        top = folder / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            relative = path.relative_to(folder).as_posix()
            if path.is_file() and path.name not in ("lock", *RUN_DEPENDENT):
                hashes[relative] = hashlib.sha256(_plain(path)).hexdigest()
    return hashes


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
    raw["environment"].pop("ranks", None)
    for measured in ("speed", "reason"):
        (raw["environment"].get("runtime") or {}).pop(measured, None)
    for score in raw["scores"]:
        score["details"] = {k: v for k, v in score["details"].items() if not k.endswith("_s")}
    return json.dumps(raw, sort_keys=True).encode()


def difference(whole: Path, disturbed: Path, name: str) -> str:
    """What of a JSON file is not as in the undisturbed run: the first few places and their two values."""
    if not name.endswith(".json") or not (whole / name).is_file() or not (disturbed / name).is_file():
        return ""
    one, other = (dict(_leaves(json.loads(_plain(folder / name)))) for folder in (whole, disturbed))
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


@contextmanager
def short_runs() -> Iterator[None]:
    """Within, runs of this process's children cost a tenth: few numbers, no curves, no pictures, kernels loaded, and
    clients wait a tenth of the time before they try again."""
    from benchmark.tasks import TaskInput
    from builders.files import write_bytes_atomically
    from builders.pixels.engine.selection import chosen_engine

    point = io.BytesIO()
    Image.new("L", (1, 1), 128).save(point, "PNG")

    impatient = SimpleNamespace(**vars(time))
    impatient.sleep = lambda seconds: time.sleep(seconds / 10)

    def brief(*given: Any, **named: Any) -> TaskInput:
        return TaskInput(*given, **{**named, "brief": True})

    def draw(_: object, path: Path) -> None:
        write_bytes_atomically(path, point.getvalue())

    places = [
        ("benchmark.encoders.loaders.controls", "PROJECTION_DIMENSION", 16),
        ("benchmark.scoring.passes", "TaskInput", brief),
        ("benchmark.report.figure", "write_png", draw),
        ("benchmark.audit.report", "write_png", draw),
        ("builders.publish.push", "FIRST_WAIT_S", 0.1),
        ("builders.untrusted.pace", "OUTAGE_S", 0.6),
        *((f"huggingface_hub.{name}", "time", impatient) for name in ("utils._http", "file_download")),
    ]
    before = []
    for module, name, value in places:
        holder = importlib.import_module(module)
        before.append((holder, name, getattr(holder, name)))
        setattr(holder, name, value)
    with contextlib.suppress(Exception):
        chosen_engine()
        importlib.import_module("benchmark.probe.solver.newton")._compiled()
    try:
        yield
    finally:
        for holder, name, value in before:
            setattr(holder, name, value)
