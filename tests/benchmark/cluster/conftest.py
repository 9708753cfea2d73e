"""Photos, encoders that cost nothing, and the commands in this process."""

import json
import os
import shutil
from pathlib import Path

import pytest

from benchmark.__main__ import camtrace
from builders.cluster import cut
from tests.conftest import write_dark_and_light

PROJECT = Path(__file__).parents[3]

ENCODERS = """
import os, pathlib, signal, time
import numpy as np

def small(image):
    pixels = np.asarray(image.resize((8, 8)), dtype=np.float32)
    detail = np.abs(np.diff(np.asarray(image.convert("L"), dtype=np.float32), axis=0)).mean()
    return np.append(pixels.mean((0, 1)) / 64, detail)

small.cache_key = "small, 1"

def large(image):
    return np.append(small(image), image.size)

large.cache_key = "large, 1"

def run():
    # The process of the rank: this one's parent is the encoder's process, which the rank has started.
    parent = os.getppid()
    return int(pathlib.Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])

def deadly(image):
    # Kills the rank's process on the first light photo, once.
    fuse = pathlib.Path(os.environ.get("FUSE", "/nowhere"))
    if np.asarray(image).mean() > 150 and fuse.exists():
        fuse.unlink()
        os.kill(run(), signal.SIGKILL)
    return small(image)

deadly.cache_key = "deadly, 1"

def waiting(image):
    # Says that it is there and waits to be killed on the first light photo, as long as the fuse is there.
    fuse = pathlib.Path(os.environ.get("FUSE", "/nowhere"))
    if np.asarray(image).mean() > 150 and fuse.exists():
        fuse.with_name(f"here-{run()}").touch()
        while fuse.exists():
            time.sleep(0.1)
    return small(image)

waiting.cache_key = "waiting, 1"
"""

SWEEP = (
    *("--data", "folder:photos", "--tasks", "probe/sharpening", "--tasks", "knn/sharpening", "--workers", "0"),
    *("--model", "cluster_encoders:small", "--model", "cluster_encoders:large"),
)
"""Two encoders, two tasks: 200 photos are 4 blocks."""

POISONED = ("train/dark/3.jpg", "train/light/7.jpg", "val/dark/9.jpg", "val/light/9.jpg")
"""One in each block of 64."""


def make_root(root):
    (root / "cluster_encoders.py").write_text(ENCODERS)
    write_dark_and_light(root / "photos", 60, 40, (24, 32))
    for name in POISONED:
        (root / "photos" / name).write_bytes(b"poison")
    return root


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("cluster"))


@pytest.fixture
def run(root, monkeypatch, capsys):
    """Run a command where the photos are: (status, standard output, standard error)."""
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.chdir(root)

    def command(*words):
        status = camtrace([str(word) for word in words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


@pytest.fixture
def equal_costs(monkeypatch):
    """All encoders are equally slow and so are all photos of a build, whatever a busy machine measures."""
    cost_alike(monkeypatch)


def cost_alike(monkeypatch):
    monkeypatch.setattr("benchmark.cluster.plan._seconds", lambda *_: 1.0)
    measured = "benchmark.cluster.task_ranks._measured"
    monkeypatch.setattr(measured, lambda job, *_: {task.name: 1.0 for task in job.tasks})

    def by_size(units, seconds, count=None):
        return cut([(name, items, float(items)) for name, items, _ in units], seconds, count)

    monkeypatch.setattr("benchmark.cluster.build.cut", by_size)


@pytest.fixture(scope="session")
def frozen(root, tmp_path_factory):
    """Function: a folder with the plan ``out.plan`` of the sweep in so many ranks, whose ranks are done or not.

    Each is made once; every call gives it back as it was made.
    """
    made = {}

    def folder(ranks, *, done=False):
        if (ranks, done) not in made:
            made[ranks, done] = tmp_path_factory.mktemp("frozen") / "run", tmp_path_factory.mktemp("kept") / "run"
            run, kept = made[ranks, done]
            where = ("--cache", str(run / "cache"), "--output", str(run / "out"))
            with pytest.MonkeyPatch.context() as patch:
                patch.syspath_prepend(str(root))
                patch.chdir(root)
                cost_alike(patch)
                words = ["plan", "sweep", *SWEEP, "--together", "1", *where, "--ranks", str(ranks)]
                assert camtrace(words) == 0
                assert not done or camtrace(["work", str(run / "out.plan")]) == 0
            shutil.copytree(run, kept)
        run, kept = made[ranks, done]
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(kept, run)
        return run

    return folder


@pytest.fixture
def elsewhere(root):
    """The environment of processes that find the package and the encoders."""
    return {**os.environ, "PYTHONPATH": f"{root}:{PROJECT}", "CAMTRACE_RUNTIME": "torch"}


@pytest.fixture(scope="session")
def plain(root):
    """The same by the plain command, once: (results, cache)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(root))
        patch.chdir(root)
        assert camtrace(["sweep", *SWEEP, "--cache", "plain-cache", "--output", "plain", "--quiet"]) == 0
    return root / "plain", root / "plain-cache"


def tree(folder):
    """Bytes by path of every file."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def scores(folder):
    """What results say: scores, failures and photos by encoder; and the answers, byte for byte."""
    result = {}
    for path in sorted(folder.glob("*/*/result.json")):
        raw = json.loads(path.read_text())
        answers = (path.parent / "answers.npz").read_bytes()
        result[path.parent.relative_to(folder).as_posix()] = (
            timeless(raw["scores"]),
            raw["failures"],
            raw["data"],
            answers,
        )
    return result


def timeless(value):
    """Without what was measured by a clock."""
    if isinstance(value, dict):
        return {key: timeless(inner) for key, inner in value.items() if not key.endswith("_s")}
    return [timeless(inner) for inner in value] if isinstance(value, list) else value


def same_banks(cache, other):
    """How many banks two caches have in common; all of them must be equal, byte for byte."""
    common = {path.name for path in (cache / "banks").iterdir()} & {path.name for path in (other / "banks").iterdir()}
    for name in common:
        assert tree(cache / "banks" / name) == tree(other / "banks" / name)
    return len(common)


def leftovers(folder):
    """Files that somebody was still writing."""
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]
