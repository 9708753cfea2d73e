"""Embeddings by ranks: equal to the plain command, whatever is killed, and refused where a machine differs."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

from builders.cluster import read_plan
from builders.files import temporary_path
from tests.benchmark.cluster.conftest import ENCODERS, POISONED, SWEEP, leftovers, make_root, same_banks, scores, tree
from tests.support.processes import run_python, start_python

pytestmark = [pytest.mark.usefixtures("unpainted"), pytest.mark.slow]


@pytest.fixture
def planned(frozen, capsys):
    """A plan of four ranks that embed, one for each half of the photos and encoder, and of one for each task."""
    folder = frozen(4)
    capsys.readouterr()
    return folder / "out.plan"


def test_ranks__photos_that_cannot_be_read_are_recorded_once_after_restarts(run, planned):
    """One in each block; a rank is taken up again with a block gone, and all of them with nothing gone."""
    for restart in range(3):
        assert run("work", planned)[0] == 0
        assert "404 of 404, 4 of them" in run("status", planned)[1]
        if restart < 2:
            for marker in (planned / "ranks").glob("*.done.json"):
                marker.unlink()
            for path in sorted((planned / "banks").rglob("*.npz"))[: 1 - restart]:
                path.unlink()
    assert run("finish", planned)[0] == 0
    result = {path: json.loads(path.read_text())["failures"] for path in planned.parent.glob("out/*/*/result.json")}
    assert len(result) == 2
    for failures in result.values():
        assert sorted(failure["name"] for failure in failures) == sorted(POISONED)


def test_work__a_killed_rank_costs_itself_and_is_made_again(elsewhere, plain, tmp_path, run, equal_costs):
    """The first to meet a light photo kills its process: the other ranks are done; the same command does the rest."""
    words = [word.replace(":large", ":deadly") for word in SWEEP]
    status, _, _ = run(
        "plan", "sweep", *words, "--together", 1, "--cache", tmp_path / "cache", "--output", tmp_path / "out",
        "--ranks", 4,
    )  # fmt: skip
    assert status == 0
    fuse = tmp_path / "fuse"
    fuse.touch()
    environment = {**elsewhere, "FUSE": str(fuse)}
    first = run_python("-m", "camtrace", "work", tmp_path / "out.plan", "--workers", 2, env=environment, forking=True)
    assert first.returncode == 1, first.stderr
    assert "SIGKILL" in first.stderr
    assert first.stdout.startswith("5 ranks done, 1 failed, 2 ranks waiting")
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out.plan/ranks").glob("*.done.json")}
    assert len(before) == 5
    assert run("finish", tmp_path / "out.plan")[0] == 2
    half = temporary_path(next((tmp_path / "out.plan/banks").glob("*/*/*.npz")))  # as a rank leaves it that is killed
    half.touch()
    assert run("work", tmp_path / "out.plan")[0] == 0
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out.plan/ranks").glob("*.done.json")}
    assert before.items() < after.items()
    assert run("finish", tmp_path / "out.plan")[0] == 0
    name = "cluster_encoders-small/folder-photos"
    assert scores(tmp_path / "out")[name] == scores(plain[0])[name]
    assert same_banks(tmp_path / "cache", plain[1]) == 1
    assert not leftovers(tmp_path)


def test_rank__keeps_the_blocks_of_an_attempt_that_was_killed(run, planned):
    assert run("work", planned, "--rank", 0)[0] == 0
    (planned / "ranks/00000.done.json").unlink()
    stored = sorted((planned / "banks").rglob("*.npz"))
    stored[0].write_bytes(stored[0].read_bytes()[:-40])
    damaged, times = stored[0], {path: path.stat().st_mtime_ns for path in stored[1:]}
    assert run("work", planned, "--rank", 0)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in stored[1:]} == times
    np.load(damaged)


def refused(run, planned, rank=0):
    """What a rank says that is refused."""
    status, _, printed = run("work", planned, "--rank", rank)
    assert status == 1
    assert not list((planned / "banks").rglob("*.npz"))
    reason = json.loads((planned / "ranks" / f"{rank:05d}.failed.json").read_text())["reason"]
    assert reason in printed
    assert f"rank {rank}: failed on" in run("status", planned)[1]
    return reason


def test_rank__refuses_other_weights_and_the_others_finish(run, planned, monkeypatch, tmp_path):
    (tmp_path / "cluster_encoders.py").write_text(ENCODERS.replace('"small, 1"', '"small, 2"'))
    monkeypatch.syspath_prepend(str(tmp_path))
    plan, _ = read_plan(str(planned))
    of_small = [
        n
        for n, rank in enumerate(plan.ranks)
        if not rank.needs and plan.notes["groups"][int(rank.units[0].split("/")[1])] == ["cluster_encoders:small"]
    ]
    assert "cluster_encoders:small" in refused(run, planned, of_small[0])
    assert run("work", planned)[0] == 1
    assert len(list((planned / "ranks").glob("*.done.json"))) == 4 - len(of_small) + 2


def test_rank__refuses_another_list_of_photos_and_other_bytes(tmp_path, monkeypatch, run):
    there = make_root(tmp_path / "other" if (tmp_path / "other").mkdir() is None else tmp_path)
    monkeypatch.chdir(there)
    where = ("--cache", tmp_path / "cache", "--output", tmp_path / "out")
    assert run("plan", "embed", *SWEEP[:2], *SWEEP[4:10], *where, "--ranks", 2)[0] == 0
    planned, photo = tmp_path / "out.plan", there / "photos/train/light/0.jpg"
    (there / "photos/train/light/new.jpg").write_bytes(photo.read_bytes())
    assert "folder:photos here: 201" in refused(run, planned)
    (there / "photos/train/light/new.jpg").unlink()
    changed = there / "photos/train/light/44.jpg"  # not among those that are looked at beforehand
    bytes_before = changed.read_bytes()
    changed.write_bytes(photo.read_bytes())
    failed = [run("work", planned, "--rank", rank)[2] for rank in (0, 1)]
    assert sum("done" in printed for printed in failed) == 1
    changed.write_bytes(bytes_before)
    assert run("work", planned)[0] == 0


def test_embed__fills_banks_equal_to_those_of_the_plain_command(run, plain, tmp_path):
    words = ("--cache", tmp_path / "cache", "--output", tmp_path / "out")
    assert run("plan", "embed", *SWEEP, *words)[0] == 0
    assert run("work", tmp_path / "out.plan")[0] == 0
    assert run("finish", tmp_path / "out.plan")[0] == 0
    assert tree(tmp_path / "cache" / "banks") == tree(plain[1] / "banks")
    assert not (tmp_path / "out").exists()


def test_plan__says_what_cannot_be_planned(run, tmp_path):
    for words, printed in (
        (("audit",), "audit"),
        (("sweep", *SWEEP, "--fresh", "--output", tmp_path / "o"), "--fresh"),
        (("sweep", *SWEEP, "--ranks", "0"), "--ranks"),
        (("build", "check", "x"), "--output"),
        (
            ("sweep", "--model", "cluster_encoders:nothing", *SWEEP[:4], "--output", tmp_path / "o"),
            "cluster_encoders:nothing",
        ),
    ):
        status, _, error = run("plan", *words)
        assert status in (1, 2)
        assert printed in error
    assert run("work", tmp_path)[0] == 2


def test_plan__the_same_plan_stays_and_another_is_refused(run, planned):
    words = ("--cache", planned.with_name("cache"), "--output", planned.with_name("out"))
    status, _, printed = run("plan", "sweep", *SWEEP, "--together", 1, *words, "--ranks", 3)
    assert status == 2
    assert str(planned) in printed


def test_work__a_killed_coordinator_ends_its_ranks_too(elsewhere, tmp_path, run):
    words = [word.replace(":large", ":waiting") for word in SWEEP]
    plan, fuse = tmp_path / "out.plan", tmp_path / "fuse"
    where = ("--cache", tmp_path / "cache", "--output", tmp_path / "out")
    assert run("plan", "sweep", *words, "--together", 1, "--ranks", 2, *where)[0] == 0
    fuse.touch()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        f"import os, pathlib; pathlib.Path({str(tmp_path)!r}, f'at-work-{{os.getpid()}}').touch()"
    )
    environment = {**elsewhere, "FUSE": str(fuse), "PYTHONPATH": f"{tmp_path}/site:{elsewhere['PYTHONPATH']}"}
    first = start_python("-m", "camtrace", "work", plan, "--workers", 2, env=environment, forking=True)
    rank = wait_for(lambda: next((int(path.name[5:]) for path in tmp_path.glob("here-*")), None))
    first.kill()
    first.wait()
    processes = [int(path.name[8:]) for path in tmp_path.glob("at-work-*")]
    assert {first.pid, rank} < set(processes)
    wait_for(lambda: not any(alive(process) for process in processes))  # the other rank too


def wait_for(answer, seconds=600):
    """Its first answer that is not empty."""
    end = time.monotonic() + seconds
    while not (result := answer()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return result


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
