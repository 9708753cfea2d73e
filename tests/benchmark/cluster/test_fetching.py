"""``build flickrexif fetch`` by ranks, from a loopback double: the files and rows of the plain command."""

import json
import time

import pytest

from benchmark.__main__ import camtrace
from builders.cluster import StorageFolder
from builders.flickrexif.fetch.transfer import FileRow
from builders.flickrexif.store.store import State
from builders.flickrexif.store.tombstones import forget
from tests.benchmark.cluster.conftest import leftovers, tree
from tests.support.flickr import Faults, add, serving
from tests.support.flickr_world import World
from tests.support.processes import start_python

pytestmark = pytest.mark.slow

WORLD = World(count=400, burst=0)
OPTIONS = ("--allow-loopback", "--first-wait", "0.001", "--connections", "8", "--per-host", "6")


def fetching(state, *more):
    return ("build", "flickrexif", "fetch", "--state", state, *OPTIONS, *more)


def stored(folder):
    """(rows without the time and the number of attempts, bytes by path) of a state."""
    with State(folder) as state:
        rows = [FileRow(*row)._replace(at=0.0, attempts=0) for row in state.rows("SELECT * FROM files ORDER BY 1")]
    return rows, {row.path: (folder / row.path).read_bytes() for row in rows if row.path}


@pytest.fixture(scope="module")
def flickr():
    with serving(WORLD, Faults(busy=0.05, broken=0.05, html=0.05, cut=0.05)) as double:
        yield double


@pytest.fixture(scope="module")
def plain(flickr, tmp_path_factory):
    """What the plain command makes of all photos: rows and bytes."""
    folder = tmp_path_factory.mktemp("plain") / "state"
    with State(folder, create=True) as state:
        add(state, flickr, range(WORLD.count))
    assert camtrace([str(word) for word in fetching(folder)]) == 0
    return stored(folder)


@pytest.fixture
def ranked(flickr, tmp_path):
    """A state of the same photos, and servers that fail as they did."""
    with State(tmp_path / "ranked", create=True) as state:
        add(state, flickr, range(WORLD.count))
    flickr.attempts.clear()
    return tmp_path / "ranked"


def test_ranks__files_and_rows_of_the_plain_command(run, plain, ranked, tmp_path):
    status, printed, _ = run("plan", *fetching(ranked), "--ranks", 3)
    assert status == 0
    assert "3 ranks, 400 photos" in printed
    plan = tmp_path / "ranked.plan"
    assert plan.stat().st_mode & 0o77 == 0
    assert run("plan", *fetching(ranked), "--ranks", 3)[0] == 0
    for rank in (2, 0):
        assert run("work", plan, "--rank", rank)[0] == 0
    assert stored(ranked)[0] == []
    assert run("finish", plan)[0] == 2
    assert run("work", plan)[0] == 0
    status, printed, _ = run("finish", plan)
    assert status == 0
    assert stored(ranked) == plain
    rows, files = plain
    assert f"{len(files)} photos fetched" in printed
    assert len(rows) == WORLD.count
    assert {f"files/{path}" for path in tree(ranked / "files")} == set(files)
    assert not leftovers(tmp_path)
    addresses = [path for path in plan.rglob("*") if path.is_file() and b"jpg" in path.read_bytes()]
    assert addresses == []
    assert run("finish", plan)[0] == 0
    assert stored(ranked) == plain


def test_ranks__a_killed_one_keeps_its_units(run, plain, ranked, flickr, elsewhere, tmp_path):
    assert run("plan", *fetching(ranked), "--ranks", 1)[0] == 0
    plan = tmp_path / "ranked.plan"
    object.__setattr__(flickr.faults, "latency_s", 0.03)
    rank = start_python("-m", "camtrace", "work", plan, "--rank", 0, env=elsewhere)
    end = time.monotonic() + 600
    while not (first := sorted((plan / "rows").glob("*.jsonl")) if (plan / "rows").is_dir() else []):
        assert time.monotonic() < end
        time.sleep(0.02)
    rank.kill()
    rank.wait()
    object.__setattr__(flickr.faults, "latency_s", 0.0)
    before = {path: path.stat().st_mtime_ns for path in first}
    assert 0 < len(list((plan / "rows").glob("*.jsonl"))) < 4
    assert run("work", plan)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in first} == before
    failures = sum(row.status != "ok" for row in (FileRow(*json.loads(line)) for line in lines(plan)))
    assert f"400 of 400, {failures} of them" in run("status", plan)[1]
    assert run("finish", plan)[0] == 0
    assert stored(ranked) == plain
    assert not leftovers(tmp_path)


def lines(plan):
    return [line for path in sorted((plan / "rows").glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_ranks__by_an_object_store(run, plain, ranked, tmp_path):
    plan = f"memory://{tmp_path.name}/plan"
    assert run("plan", *fetching(ranked), "--ranks", 2, "--plan", plan)[0] == 0
    assert run("work", plan)[0] == 0
    assert run("finish", plan)[0] == 0
    assert stored(ranked) == plain
    assert not [name for name in StorageFolder.of(plan).all_names() if name.startswith(("files", "lists", "rows"))]


def test_finish__heeds_take_downs_and_refuses_other_bytes(run, ranked, tmp_path):
    assert run("plan", *fetching(ranked), "--ranks", 2)[0] == 0
    plan = tmp_path / "ranked.plan"
    assert run("work", plan)[0] == 0
    rows = [FileRow(*json.loads(line)) for line in lines(plan)]
    gone, bad = [row for row in rows if row.content_type == "image/jpeg"][:2]
    with State(ranked) as state:
        forget(state, photos=[str(gone.photo_id)])
    good = (plan / bad.path).read_bytes()
    (plan / bad.path).write_bytes(good[:-1] + b"x")
    status, _, printed = run("finish", plan)
    assert status == 2
    assert bad.path in printed
    (plan / bad.path).write_bytes(good)
    assert run("finish", plan)[0] == 0
    result, files = stored(ranked)
    assert gone.photo_id not in {row.photo_id for row in result}
    assert files[bad.path] == good
    assert not list((ranked / "files").rglob(f"{gone.photo_id}_*"))


def test_plan__retries_what_failed_and_follows_a_finished_one(run, tmp_path):
    folder = tmp_path / "state"
    with serving(WORLD, Faults(broken=1.0, times=2)) as flickr:
        with State(folder, create=True) as state:
            add(state, flickr, [at for at in range(100) if WORLD.kind[at] > 0.25][:5])
        once = fetching(folder, "--attempts", 2)
        assert run("plan", *once)[0] == 0
        assert run("work", f"{folder}.plan")[0] == 0
        assert run("finish", f"{folder}.plan")[1].startswith("0 photos fetched")
        assert run("plan", *once)[0] == 2
        assert run("plan", *once, "--retry-failed")[0] == 0
        assert run("work", f"{folder}.plan")[0] == 0
        assert "5 photos fetched" in run("finish", f"{folder}.plan")[1]
    assert {row.status for row in stored(folder)[0]} == {"ok"}


def test_rank__refuses_another_list(run, ranked, tmp_path):
    assert run("plan", *fetching(ranked), "--ranks", 1)[0] == 0
    path = next((tmp_path / "ranked.plan/lists").iterdir())
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    status, _, printed = run("work", tmp_path / "ranked.plan")
    assert status == 1
    assert "399" in printed
