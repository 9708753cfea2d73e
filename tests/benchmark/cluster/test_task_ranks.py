"""Tasks by ranks: ``finish`` merges outcomes. What is lost, late or of another version is named and made again."""

import hashlib
import importlib.metadata
import json
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmark.cluster.task_ranks import PlannedTask
from benchmark.results import read_result
from builders.cluster import Markers, read_plan
from tests.benchmark.cluster.conftest import SWEEP, leftovers, scores, tree

pytestmark = [pytest.mark.usefixtures("unpainted"), pytest.mark.slow]


@pytest.fixture
def planned(frozen, capsys):
    """A plan of 8 ranks that embed, 4 that compute halves of kNN queries, and 4 of one task each."""
    folder = frozen(8)
    capsys.readouterr()
    return folder / "out.plan"


@pytest.fixture
def done(frozen, capsys):
    """The same plan, all of whose ranks are done."""
    folder = frozen(8, done=True)
    capsys.readouterr()
    return folder / "out.plan"


@pytest.fixture
def out(done):
    """Where ``finish`` writes the results of the plan whose ranks are done."""
    return done.with_name("out")


def test_finish__gives_the_bytes_of_the_plain_command(run, done, out, plain):
    plan, _ = read_plan(str(done))
    assert len(plan.ranks) == 16
    assert {rank.units for rank in plan.ranks[12:]} == {
        (f"task 0 {encoder} 0/0 {kind}/sharpening",) for encoder in (0, 1) for kind in ("knn", "probe")
    }
    assert len(list((done / "outcomes").glob("*/*/parts/*.npz"))) == 4
    status, _, printed = run("finish", done)
    assert status == 0
    assert "failed in ranks" not in printed
    assert scores(out) == scores(plain[0])
    assert tree(out.with_name("cache") / "banks") == tree(plain[1] / "banks")
    keys = [
        {k: v for k, v in tree(cache / "outcomes").items() if "key.json" in k}
        for cache in (out.with_name("cache"), plain[1])
    ]
    assert keys[0] == keys[1]
    assert len(keys[0]) == 4
    assert not leftovers(out.parent)


def test_finish__results_carry_the_facts_of_all_ranks(run, done, out, plain, tmp_path):
    marker = json.loads((done / "ranks/00000.done.json").read_text())
    assert marker["machine"]["torch"]
    assert set(marker["machine"]) >= {"device", "python", "torch", "numpy", "scipy", "pillow"}
    plan, storage = read_plan(str(done))
    markers = Markers(storage, plan.name)
    first = markers.done(0)
    on_gpu = {**first.machine, "device": "NVIDIA H100", "torch": first.machine["torch"].partition("+")[0] + "+cu130"}
    for rank in range(8):
        markers.finish(rank, replace(markers.done(rank), host="n7", machine=on_gpu, seconds=2.0))
    _, _, printed = run("finish", done)
    assert on_gpu["torch"] in printed
    for path in (out).glob("*/*/result.json"):
        environment = read_result(path).environment
        assert environment["device"] == "NVIDIA H100, cpu"
        gpu, cpu = environment["ranks"]
        assert (gpu["ranks"], gpu["host"], gpu["device"], gpu["seconds"]) == ("0-7", "n7", "NVIDIA H100", 16.0)
        assert (gpu["versions"]["torch"], cpu["ranks"], cpu["host"]) == (on_gpu["torch"], "8-15", first.host)
    assert scores(out) == scores(plain[0])


def test_rank__is_not_begun_before_the_ranks_that_it_needs(run, planned):
    status, _, printed = run("work", planned, "--rank", 8)
    assert status == 1
    assert "0-3" in printed
    assert not list((planned / "ranks").glob("*"))
    assert run("work", planned, "--rank", "0-3,8")[0] == 0


def test_finish__a_bad_file_is_named_with_its_rank_and_made_again_by_the_command_it_gives(run, done, out, plain):
    path = next(p for p in sorted((done / "banks").rglob("*.npz")) if "parts" not in p.parts)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    plan, storage = read_plan(str(done))
    markers, name = Markers(storage, plan.name), path.relative_to(done).as_posix()
    rank, host = next((r, finished.host) for r, finished in markers.all().done.items() if name in finished.files)
    status, _, printed = run("finish", done, "--wait", 0)
    assert status == 2
    assert all(named in printed for named in (str(path), f"rank {rank} on {host}", f"camtrace work {done}"))
    now = run("status", done)[1]
    assert all(named in now for named in (f"rank {rank}: failed on {host}", name, f"next: camtrace work {done}"))
    assert run("work", done)[0] == 0
    assert run("finish", done)[0] == 0
    assert scores(out) == scores(plain[0])


def test_rank_of_a_task__sets_back_the_rank_of_a_bad_block(run, planned):
    assert run("work", planned, "--rank", "0-7")[0] == 0
    for path in sorted((planned / "banks").rglob("*.npz"))[:3:2]:
        path.write_bytes(b"no block")
    assert run("work", planned)[0] == 1
    assert run("work", planned)[0] == 0


def test_finish__waits_for_a_file_that_is_late(run, done, out, plain, tmp_path):
    path = sorted((done / "banks").rglob("*.npz"))[1]
    hidden = path.rename(tmp_path / "hidden")
    thread = threading.Thread(target=lambda: (time.sleep(0.5), hidden.rename(path)))
    thread.start()
    status, _, printed = run("finish", done, "--wait", 60)
    thread.join()
    assert status == 0
    assert path.name in printed
    assert scores(out) == scores(plain[0])


def test_finish__takes_outcomes_of_another_device_and_build(run, done, out, plain):
    """They have keys that this machine would not give; the entries of its own keys stay absent."""
    plan, storage = read_plan(str(done))
    markers = Markers(storage, plan.name)
    for rank, finished in markers.all().done.items():
        files = dict(finished.files)
        for name in (n for n in files if n.endswith("key.json")):
            key = json.loads((done / name).read_text())
            key = {**key, "device": "cuda", "libraries": {**key["libraries"], "torch": "2.13.0+cu130"}}
            (done / name).write_text(json.dumps(key))
            files[name] = hashlib.sha256((done / name).read_bytes()).hexdigest()
        markers.finish(rank, replace(finished, files=files))
    assert run("finish", done)[0] == 0
    assert scores(out) == scores(plain[0])
    stored = [json.loads(path.read_text()) for path in (out.with_name("cache") / "outcomes").glob("*/key.json")]
    assert [key["device"] for key in stored] == ["cuda"] * 4


def test_finish__refuses_an_outcome_of_another_task(run, done):
    plan, storage = read_plan(str(done))
    markers = Markers(storage, plan.name)
    rank, name = next((r, n) for r, f in markers.all().done.items() for n in f.files if n.endswith("key.json"))
    key = json.loads((done / name).read_text())
    (done / name).write_text(json.dumps({**key, "task": "probe/jpeg"}))
    digest = hashlib.sha256((done / name).read_bytes()).hexdigest()
    markers.finish(rank, replace(markers.done(rank), files={**markers.done(rank).files, name: digest}))
    assert run("finish", done)[0] == 2


def fake_version(monkeypatch, package, version):
    real = importlib.metadata.version
    monkeypatch.setattr("importlib.metadata.version", lambda name: version if name == package else real(name))


def test_rank__of_another_version_is_refused_by_both_versions(run, planned, done, monkeypatch):
    package, version = "torch", "2.9.1+cu126"
    with monkeypatch.context() as patch:
        fake_version(patch, package, version)
        status, _, printed = run("work", planned, "--rank", 0)
        assert status == 1
        assert f"{package} here: {version.partition('+')[0]}" in printed
        assert not list((planned / "banks").rglob("*.npz"))
        assert run("work", planned, "--rank", 0)[0] == 1
        status, _, printed = run("finish", done)
        assert status == 2
        assert f"{package} here: {version.partition('+')[0]}" in printed


def test_finish__sets_back_a_rank_whose_marker_has_another_version(run, done, out, plain, tmp_path):
    plan, storage = read_plan(str(done))
    markers = Markers(storage, plan.name)
    finished = markers.done(3)
    markers.finish(3, replace(finished, host="n2", machine={**finished.machine, "torch": "2.9.1+cpu"}))
    status, _, printed = run("finish", done)
    assert status == 2
    assert all(named in printed for named in ("rank 3", "n2", "2.9.1+cpu", plan.facts["the version of torch"]))
    assert not any((done / path).exists() for path in finished.files)
    assert run("work", done)[0] == 0
    assert run("finish", done)[0] == 0
    assert scores(out) == scores(plain[0])


def test_finish__removes_blocks_on_request_and_the_plan_states_the_disk(run, done, out, plain):
    plan, _ = read_plan(str(done))
    paths = list((done / "banks").rglob("*.npz"))
    blocks = sum(path.stat().st_size for path in paths)
    # a photo that cannot be read has its reason in the files of its block
    assert 0 <= blocks - plan.estimate["bytes"] < 200 * len(paths)
    stated = " ".join(plan.estimate["disk"])
    banks = sum(path.stat().st_size for path in (plain[1] / "banks").rglob("rows.*"))
    assert f"{banks / 1e6:.1f} MB more of banks" in stated
    status, _, printed = run("finish", done, "--remove-blocks")
    assert status == 0
    assert f"{len(paths):,} files" in printed
    assert not [path for path in done.rglob("*.npz") if "banks" in path.parts or "parts" in path.parts]
    assert run("finish", done)[0] == 0
    assert scores(out) == scores(plain[0])


def test_ranks__what_no_rank_can_compute_fails_as_on_one_machine(run, tmp_path):
    """With 4 photos that cannot be read, all of the rest are too few."""
    words = (*SWEEP, "--min-usable", "0.99")
    assert run("sweep", *words, "--cache", tmp_path / "one", "--output", tmp_path / "plain")[0] == 1
    assert (
        run("plan", "sweep", *words, "--cache", tmp_path / "cache", "--output", tmp_path / "out", "--ranks", 2)[0] == 0
    )
    assert run("work", tmp_path / "out.plan")[0] == 0
    status, _, printed = run("finish", tmp_path / "out.plan")
    assert status == 1
    assert "4 of 4 tasks" in printed
    rows = [json.loads((tmp_path / name / "sweep.json").read_text())["rows"] for name in ("plain", "out")]
    assert rows[0] == rows[1]
    assert "99.0 %" in rows[0][0]["reason"]


def task(name, number, encoder, seconds, *, divided=False):
    return PlannedTask(number, encoder, SimpleNamespace(name=name, run_part=divided or None), seconds)
