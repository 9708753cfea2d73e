"""Ranks on a real Slurm of two nodes, where its packages are installed."""

import json
import os
import time

import pytest

from tests.benchmark.cluster.conftest import SWEEP, leftovers, same_banks, scores, tree
from tests.benchmark.cluster.test_builds import BUILD
from tests.support.slurm import missing, two_nodes

pytestmark = [pytest.mark.skipif(bool(missing()), reason=missing() or "-"), pytest.mark.slow]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    with two_nodes(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def submit(slurm, elsewhere, run, monkeypatch):
    """``work --engine slurm`` on a plan; (status, standard output, standard error)."""
    for name, value in {**elsewhere, **slurm.environment}.items():
        if os.environ.get(name) != value and name in ("PYTHONPATH", "SLURM_CONF", "CAMTRACE_RUNTIME"):
            monkeypatch.setenv(name, value)
    options = ("--engine", "slurm", "--partition", "main", "--memory-gb", 1)
    return lambda plan, *more: run("work", plan, *options, *more)


def job_of(plan):
    return json.loads((plan / "submitted.json").read_text())["job"]


def test_slurm__two_nodes_give_the_bytes_of_the_plain_command(slurm, submit, run, tmp_path):
    assert run(*BUILD, "--output", tmp_path / "plain", "--workers", 1)[0] == 0
    assert run("plan", *BUILD, "--output", tmp_path / "out", "--ranks", 4)[0] == 0
    plan = tmp_path / "out.plan"
    assert run("work", plan, "--rank", 2)[0] == 0
    status, printed, _ = submit(plan, "--tasks", 2)
    assert status == 0
    assert "2 tasks for 3 ranks" in printed
    slurm.wait(job_of(plan), 600)
    hosts = {path.name[:5]: json.loads(path.read_text())["host"] for path in (plan / "ranks").glob("*.done.json")}
    assert set(hosts) == {f"{n:05d}" for n in range(4)}, run("status", plan)[1]
    assert {hosts[name] for name in ("00000", "00001", "00003")} == {"n1", "n2"}
    assert submit(plan)[1].startswith("done already")
    assert run("finish", plan)[0] == 0
    assert tree(tmp_path / "out") == tree(tmp_path / "plain")


def test_slurm__a_killed_node_is_requeued_and_nothing_differs(
    slurm, submit, run, plain, tmp_path, monkeypatch, equal_costs
):
    """Two ranks that embed, and two of tasks in an array after theirs."""
    words = [word.replace(":large", ":waiting") for word in SWEEP]
    plan, fuse = tmp_path / "out.plan", tmp_path / "fuse"
    where = ("--cache", tmp_path / "cache", "--output", tmp_path / "out")
    assert run("plan", "sweep", *words, "--together", 1, "--ranks", 2, *where)[0] == 0
    fuse.touch()
    monkeypatch.setenv("FUSE", str(fuse))
    assert submit(plan)[0] == 0
    job, end = job_of(plan), time.monotonic() + 600
    while not list(tmp_path.glob("here-*")):
        assert time.monotonic() < end, run("status", plan)[1]
        time.sleep(0.2)
    status, _, printed = submit(plan)
    assert status == 2
    assert f"{job}" in printed
    assert len(job.split(",")) == 2
    assert "rank 1: running on n" in run("status", plan)[1]
    running = next(path for path in (plan / "ranks").glob("*.running.json") if path.name == "00001.running.json")
    node = json.loads(running.read_text())["host"]
    slurm.kill_node(node)
    fuse.unlink()
    slurm.wait(job, 600)  # the node is found to be down, and its task runs on the other one
    slurm.start_node(node)
    assert "4: 4 done" in run("status", plan)[1]
    assert run("finish", plan)[0] == 0
    name = "cluster_encoders-small/folder-photos"
    assert scores(tmp_path / "out")[name] == scores(plain[0])[name]
    assert same_banks(tmp_path / "cache", plain[1]) == 1
    assert not leftovers(tmp_path)


def test_slurm__what_cannot_run_is_reported_beforehand(submit, run, tmp_path):
    assert run("plan", *BUILD, "--output", tmp_path / "out", "--ranks", 2)[0] == 0
    plan = tmp_path / "out.plan"
    for more in (("--partition", "nowhere"), ("--memory-gb", 4000), ("--gpus", 1)):
        status, _, printed = submit(plan, *more)
        assert status == 2
        assert str(more[1]) in printed
    assert not (plan / "submitted.json").exists()
