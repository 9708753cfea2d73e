"""The inputs of a campaign: one good example of everything that commands read, and what they make of it."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import shutil
import sqlite3
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image

from benchmark.cluster.work import CODE, code
from builders.cluster import read_plan
from builders.errors import CamtraceError
from scripts.checks.faults.kinds.data_sets import write_data_sets
from scripts.checks.faults.processes import import_all, run, warm_up
from scripts.checks.faults.stages import NO_LIMIT, NO_WAITING, photos
from tests.support.flickr import KEY, SECRET, Faults, Flickr, serving
from tests.support.flickr_world import World as FlickrWorld
from tests.support.hub import OWNER_TOKEN, HubDouble

MODELS = ("control:random-projection", "control:jpeg-statistics")
TASKS = ("-t", "probe/resizing", "-t", "knn/resizing")
FAST = ("--workers", "0", "--runtime", "torch", "-q")

MOST_BYTES = 1 << 26
"""Larger files are not searched or compared: they are hostile inputs that are mostly holes."""

PIPELINE = """schema = 1

[[processing]]
name = "thumb"
steps = [{step = "resize", width = 32, filter = "lanczos"}, {step = "webp", quality = 80}]

[[processing]]
name = "upload"
steps = [{step = "jpeg", quality = 85, chroma = "4:2:0"}]

[[parameter]]
name = "pipeline"
classes = {upload = "upload", thumb = "thumb"}
"""

CAMERAS = Path(__file__).resolve().parents[3] / "builders" / "simcams" / "cameras.yaml"


@dataclass
class World:
    """Folders and doubles that cases copy or talk to. Nothing in ``folder`` may change."""

    folder: Path
    hub: HubDouble
    flickr: Flickr

    @property
    def photos(self) -> Path:
        return self.folder / "photos"

    def copy(self, name: str, run_folder: Path) -> None:
        """Copy one of its folders into that of a run; plans in it then write there, and their ranks stay done."""
        shutil.copytree(self.folder / name, run_folder / name)
        for file in (run_folder / name).glob("*.plan/plan.json"):  # it names where it writes to, and the code
            raw = json.loads(file.read_text().replace(str(self.folder / name), str(run_folder / name)))
            raw["facts"][CODE] = code()  # the world may be older
            file.write_text(json.dumps(raw))
            sign_markers(file.parent)

    def search(self, state: Path) -> list[str]:
        """The arguments of a search."""
        when = ["--from", "2012-04-01", "--to", "2012-04-04", "--per-user-month", "1", *NO_LIMIT]
        where = ["--state", str(state), "--api-url", self.flickr.api_url, "--contact", "a@b.org"]
        return ["build", "flickrexif", "search", *where, *when, *NO_WAITING, "--connections", "2"]

    def fetch(self, state: Path) -> list[str]:
        """The arguments of a fetch."""
        return ["build", "flickrexif", "fetch", "--state", str(state), "--allow-loopback", "--size", "o,l", *NO_WAITING]


def score(
    data: str, run_folder: Path, *more: str, models: Sequence[str] = MODELS[:1], command: str = "score"
) -> list[str]:
    """The arguments of a small ``score`` or ``sweep``, whose outputs and cache are in a folder."""
    named = [word for model in models for word in ("-m", model)]
    where = ["-o", str(run_folder / "out"), "--cache", str(run_folder / "cache")]
    return [command, *named, "-d", data, *TASKS, *FAST, *where, *more]


def erase(data: str, run_folder: Path, *more: str, model: str = MODELS[0]) -> list[str]:
    """The arguments of a small ``erase``."""
    where = ["-o", str(run_folder / "eraser"), "--cache", str(run_folder / "cache")]
    return ["erase", "-m", model, "-d", data, "--trace", "resizing", "--readers", "linear", *FAST, *where, *more]


def plan(data: str, run_folder: Path) -> list[str]:
    """The arguments of a ``plan`` of two ranks."""
    build = ("build", "folder", "--data", data, "--parameter", "resizing", "--assignment", "every")
    return ["plan", *build, "--output", str(run_folder / "set"), "--ranks", "2"]


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Make the inputs below ``folder``, unless an earlier campaign has made them; the doubles run meanwhile, and this
    process is prepared for short runs."""
    import torch
    from huggingface_hub import constants

    torch.set_num_threads(1)
    with ExitStack() as stack:
        stack.enter_context(short_runs())
        hub = stack.enter_context(HubDouble())
        flickr = stack.enter_context(serving(FlickrWorld(), Faults(latency_s=0.0)))
        constants.ENDPOINT, constants.HF_HUB_DISABLE_XET = hub.url, True
        constants.HUGGINGFACE_CO_URL_TEMPLATE = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        os.environ |= {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": OWNER_TOKEN,
            "FLICKR_API_KEY": KEY,
            "FLICKR_API_SECRET": SECRET,
        }
        made = World(folder, hub, flickr)
        is_new = not (folder / _DONE).exists()
        if is_new:
            photos(made.photos)
        else:
            done = json.loads((folder / _DONE).read_text())
            import_all(done["modules"])
            move_addresses(folder / "searched" / "state", done["flickr"], flickr.base)
        for name, command in _commands(made).items():
            if not (where := folder / name).exists():  # an earlier campaign may have had fewer
                _make(where, command)
        if is_new:
            _write_texts(made)
            write_data_sets(folder, made.photos)
        text = json.dumps({"flickr": flickr.base, "modules": sorted(sys.modules)})
        (folder / _DONE).write_text(text)
        yield made


def _make(where: Path, command: Callable[[Path], list[str]]) -> None:
    """Run a command whose outputs are inputs of others; ranks of a plan are done, too."""
    warm_up(command(where.with_name("warm")), where.with_name("warm"))
    shutil.rmtree(where.with_name("warm"))
    commands = [command(where)]
    if commands[0][0] == "plan":
        plan = str(where / ("out.plan" if where.name == "ranked" else "set.plan"))
        commands += [["work", plan], *([["finish", plan]] if where.name == "ranked" else [])]
    for words in commands:
        end = run(words, where, where)
        assert end.status == 0, f"{where.name}: {end.output}"
        shutil.rmtree(where / "tmp")


_DONE = "done.json"
"""Where the double of Flickr was, and what commands import."""


def sign_markers(folder: Path) -> None:
    """Let the markers in the folder of a plan name this plan, whatever else they say, with a checksum that fits."""
    try:
        name = read_plan(str(folder))[0].name
    except CamtraceError:  # a plan that nobody reads
        return
    for path in (folder / "ranks").glob("*.json"):
        raw = json.loads(path.read_text())
        if isinstance(raw, dict):
            content = {**{key: value for key, value in raw.items() if key != "crc32"}, "plan": name}
            checksum = zlib.crc32(json.dumps(content, sort_keys=True).encode())
            path.write_text(json.dumps({**content, "crc32": checksum}, sort_keys=True) + "\n")


def move_addresses(state: Path, old: str, new: str) -> None:
    """Let the addresses of photos of a search lead elsewhere."""
    with closing(sqlite3.connect(state / "state.sqlite")) as db, db:
        db.execute("UPDATE photos SET urls = replace(urls, ?, ?)", (old, new))


def _commands(made: World) -> dict[str, Callable[[Path], list[str]]]:
    """The commands that make the inputs, by the folder below the world's."""
    data, folder = f"folder:{made.photos}", made.folder
    return {
        "scored": lambda run: score(data, run),
        "swept": lambda run: score(data, run, models=MODELS, command="sweep"),
        "built": lambda run: [
            *("build", "folder", "--data", str(made.photos), "--parameter", "resizing", "--workers", "1"),
            *("--assignment", "every", "--output", str(run / "built")),
        ],
        "planned": lambda run: plan(str(made.photos), run),
        "ranked": lambda run: ["plan", *score(data, run, models=MODELS, command="sweep"), "--ranks", "2"],
        "erased": lambda run: erase(data, run),
        "searched": lambda run: made.search(run / "state"),
        "audited": lambda run: ["audit", data, "-o", str(run / "audit"), "--pixels", "20"],
        "checked": lambda run: ["build", "check", str(folder / "built" / "built")],
        "simulated": lambda run: [
            *("build", "simcams", "--scenes", "3", "--size", "64", "--configs", "iso", "--workers", "1"),
            *("--output", str(run / "set")),
        ],
    }


def _write_texts(made: World) -> None:
    """Tables, configurations and embeddings."""
    import numpy as np

    texts = made.folder / "texts"
    texts.mkdir()
    names = sorted(path.relative_to(made.photos) for path in made.photos.rglob("*.jpg"))
    rows = [f"{name},{name.parts[1]},{('a', 'b')[i % 2]},{name.parts[0]}" for i, name in enumerate(names)]
    (texts / "table.csv").write_text("path,label,site,split\n" + "\n".join(rows) + "\n")
    (texts / "pairs.csv").write_text(
        "file,pair_id,camera,camera_type\n"
        + "\n".join(f"{name},{i // 2},{('P', 'C')[i % 2]},{('phone', 'camera')[i % 2]}" for i, name in enumerate(names))
        + "\n"
    )
    (texts / "pipeline.toml").write_text(PIPELINE)
    (texts / "config.toml").write_text(
        'model = ["control:jpeg-statistics"]\ntasks = ["probe/resizing"]\nlimit = 20\nseed = 1\nworkers = 0\n'
        'runtime = "torch"\nbatch-size = 32\nquiet = true\n'
    )
    (texts / "models.txt").write_text("# two\ncontrol:jpeg-statistics\ncontrol:random-projection\n")
    shutil.copy(CAMERAS, texts / "cameras.yaml")
    import pyarrow
    import pyarrow.parquet

    random_ = np.random.default_rng(0)
    vectors = random_.normal(size=(len(names), 8)).astype(np.float32)
    table = pyarrow.table({"id": [str(name) for name in names], "embedding": vectors.tolist()})
    pyarrow.parquet.write_table(table, texts / "embeddings.parquet")


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


def scores_of(path: Path) -> list[tuple[Any, ...]] | None:
    """What a result claims of each score; None if the file is no result."""
    names = ("task", "data", "metric", "value", "low", "high", "n", "chance")
    if not path.is_file():
        return None
    try:
        scores = json.loads(path.read_bytes() if path.stat().st_size < MOST_BYTES else b"null")["scores"]
        return [tuple(one.get(name) for name in names) for one in scores]
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError):
        return None
