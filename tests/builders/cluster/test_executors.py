"""What Ray and jobs of the Hub are given, by recorders in the place of datatrove, Ray and the Hub's client."""

from __future__ import annotations

import os
import re
import sys
from importlib import metadata
from types import SimpleNamespace

import pytest

from builders.cluster import EngineOptions, StorageFolder, Submission
from builders.cluster.engines import on_jobs, on_ray
from builders.cluster.engines.executors import Task
from builders.errors import UsageError

GIB = 2**30


class Executor:
    """In the place of datatrove's executor."""

    made: list[dict]

    def __init__(self, **given):
        self.given = given

    def run(self):
        self.made.append(self.given)


@pytest.fixture
def made(monkeypatch):
    Executor.made = []
    executors = SimpleNamespace(JobsPipelineExecutor=Executor, RayPipelineExecutor=Executor)
    monkeypatch.setitem(sys.modules, "datatrove", SimpleNamespace(executor=executors))
    monkeypatch.setitem(sys.modules, "datatrove.executor", executors)
    monkeypatch.setitem(sys.modules, "loguru", SimpleNamespace(logger=SimpleNamespace(remove=int, add=dict)))
    return Executor.made


def without_records(given, place):
    """The records of a submission have a folder of their own."""
    given = dict(given)
    assert given.pop("logging_dir").startswith(f"{place}/engine/")
    return given


def test_on_jobs__every_option(made, monkeypatch):
    place = StorageFolder("hf://buckets/me/run.plan")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_token")
    line = on_jobs(Submission(place, (1, 4, 6), EngineOptions()))
    usual = {
        "pipeline": [Task(str(place), ("1", "4", "6"))],
        "tasks": 3,
        "workers": -1,
        "flavor": "cpu-basic",
        "dependencies": [f"camtrace[cluster,encoders]=={metadata.version('camtrace')}"],
        "timeout": 3600,
        "namespace": None,
        "token": "hf_token",
        "job_name": "camtrace",
        "poll_interval": 15.0,
    }
    assert without_records(made[0], place) == usual
    assert line == "3 jobs for 3 ranks: ended"
    monkeypatch.setenv("CAMTRACE_POLL_S", "0.5")
    options = EngineOptions(tasks=2, at_once=4, time="1-2:30:05", flavor="l4x1", namespace="us", package="./camtrace")
    on_jobs(Submission(place, (1, 4, 6), options))
    assert without_records(made[1], place) == {
        **usual,
        "pipeline": [Task(str(place), ("1,6", "4"))],
        "tasks": 2,
        "workers": 4,
        "flavor": "l4x1",
        "dependencies": ["./camtrace"],
        "timeout": 95_405,
        "namespace": "us",
        "poll_interval": 0.5,
    }
    assert made[0]["logging_dir"] != made[1]["logging_dir"]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [("90", 5400), ("1:30", 90), ("2:1:30", 7290), ("1-0", 86_400), ("2-3", 183_600), ("1-2:30", 95_400), ("0", 0)],
)
def test_on_jobs__times_are_those_of_slurm(made, monkeypatch, time, seconds):
    """Minutes, minutes:seconds, hours:minutes:seconds; after days first hours (sbatch's manual)."""
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_token")
    on_jobs(Submission(StorageFolder("hf://buckets/me/x"), (0,), EngineOptions(time=time)))
    assert made[0]["timeout"] == seconds


@pytest.mark.parametrize("time", ["", "1h", "1:2:3:4", "-3", "x-3", "1:", "1.5"])
def test_on_jobs__what_is_no_time_is_refused_before_a_job_is_submitted(made, monkeypatch, time):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_token")
    with pytest.raises(UsageError, match=re.escape(f"--time {time}")):
        on_jobs(Submission(StorageFolder("hf://buckets/me/x"), (0,), EngineOptions(time=time)))
    assert made == []


def test_on_jobs__no_disk_and_no_account(made, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UsageError, match="//buckets"):
        on_jobs(Submission(StorageFolder(str(tmp_path)), (0,), EngineOptions()))
    with pytest.raises(UsageError, match="'hf auth login'"):
        on_jobs(Submission(StorageFolder("hf://buckets/me/x"), (0,), EngineOptions()))
    assert made == []


class Ray:
    """In the place of Ray: one node that is gone and others."""

    def __init__(self, *nodes, error=None):
        self.alive, self.error = nodes, error
        self.calls = []

    def is_initialized(self):
        return False

    def init(self, **given):
        self.calls.append(given)
        if self.error:
            raise self.error

    def shutdown(self):
        self.calls.append("shutdown")

    def nodes(self):
        gone = {"Alive": False, "Resources": {"CPU": 99, "GPU": 9, "memory": 999 * GIB}}
        return [gone, *({"Alive": True, "Resources": resources} for resources in self.alive)]


@pytest.fixture
def with_ray(made, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr("os.cpu_count", lambda: 2)

    def place(*nodes, error=None):
        fake = Ray(*nodes, error=error)
        monkeypatch.setitem(sys.modules, "ray", fake)
        return fake

    return place


OPTIONS = EngineOptions(tasks=2, at_once=1, cpus=3, gpus=1, memory_gb=4, address="local")
QUIET = {"log_to_driver": False, "logging_level": "error"}


def test_on_ray__every_option_on_a_cluster_of_this_machine(made, with_ray):
    place, fake = StorageFolder("run.plan"), with_ray({"CPU": 3, "GPU": 1, "memory": 12 * GIB})
    assert on_ray(Submission(place, (1, 4, 6), OPTIONS)) == "2 tasks for 3 ranks: ended"
    assert without_records(made[0], place) == {
        "pipeline": [Task("run.plan", ("1,6", "4"), 3)],
        "tasks": 2,
        "workers": 1,
        "cpus_per_task": 3,
        "mem_per_cpu_gb": 4,
        "gpus_per_task": 1,
    }
    # the cores of one task at a time and one more
    assert fake.calls == [{"address": "local", "num_cpus": 4, "include_dashboard": False, **QUIET}, "shutdown"]
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


@pytest.mark.parametrize(
    "nodes", [[], [{"CPU": 2, "GPU": 1, "memory": 12 * GIB}, {"CPU": 8, "GPU": 1, "memory": 12 * GIB - 1}, {"CPU": 3}]]
)
def test_on_ray__no_node_has_the_resources(made, with_ray, nodes):
    fake = with_ray(*nodes)
    with pytest.raises(UsageError) as error:
        on_ray(Submission(StorageFolder("run.plan"), (0,), OPTIONS))
    most = "of 3 nodes the most are 8, 1 and 12.0 GiB" if nodes else "of 0 nodes the most are 0, 0 and 0.0 GiB"
    assert str(most) in str(error.value)
    assert (made, fake.calls[-1]) == ([], "shutdown")
