"""What ``sbatch --test-only`` refuses is one sentence with Slurm's reason: by a script in its place, without Slurm."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.cluster import EngineOptions, StorageFolder, Submission
from builders.cluster.engines import on_slurm
from builders.cluster.engines.executors import Task
from builders.cluster.engines.local import ENDS_WITH_PARENT
from builders.errors import DataError, UsageError


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """Puts a script in the place of ``sbatch``, and returns a function that reads its last arguments."""

    def place(text):
        (tmp_path / "sbatch").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n{text}\n')
        (tmp_path / "sbatch").chmod(0o755)
        return lambda: (tmp_path / "arguments").read_text().split()

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return place


class Recorded:
    """In the place of datatrove's executor: keeps what it is given."""

    job_id = "77"

    def __init__(self, **given):
        self.given = given

    def run(self):
        self.merged = self.launch_merge_stats()
        made.append(self)


made: list[Recorded] = []


@pytest.fixture
def place(tmp_path, monkeypatch):
    made.clear()
    executors = SimpleNamespace(SlurmPipelineExecutor=Recorded)
    monkeypatch.setitem(sys.modules, "datatrove", SimpleNamespace(executor=executors))
    monkeypatch.setitem(sys.modules, "datatrove.executor", executors)
    return StorageFolder(str(tmp_path / "run.plan"))


def test_on_slurm__an_array_job_with_its_resources(place, sbatch):
    sbatch("echo may run")
    options = EngineOptions(
        tasks=2, at_once=4, cpus=3, gpus=1, memory_gb=5, time="2:00:00", partition="main", qos="high",
        setup="module load cuda", sbatch={"account": "a"},
    )  # fmt: skip
    line = on_slurm(Submission(place, (1, 4, 6), options))
    given = made[0].given
    assert made[0].merged is None
    path = f"export PATH={Path(sys.executable).parent}:$PATH"
    expected = {
        "tasks": 2, "workers": 4, "time": "2:00:00", "partition": "main", "cpus_per_task": 3, "mem_per_cpu_gb": 5,
        "gpus_per_task": 1, "qos": "high", "job_name": "camtrace", "env_command": f"{path}\nmodule load cuda",
        "sbatch_args": {"account": "a"}, "srun_args": None,
    }  # fmt: skip
    assert {name: given[name] for name in expected} == expected
    assert given["pipeline"] == [Task(place.address, ("1,6", "4"), 3)]
    assert given["slurm_logs_folder"].endswith("run.plan/slurm-logs")
    assert json.loads(place.read("submitted.json")) == {"engine": "slurm", "job": "77"}
    assert line.startswith("job 77: 2 tasks for 3 ranks; logs in ")
    on_slurm(Submission(place, (1, 4, 6), EngineOptions(partition="main")))
    assert (made[1].given["tasks"], made[1].given["workers"], made[1].given["env_command"]) == (3, -1, path)
    with pytest.raises(UsageError, match="'sinfo'"):
        on_slurm(Submission(place, (1,), EngineOptions()))


@pytest.mark.parametrize(
    ("script", "refused"),
    [
        ("echo PENDING; echo RUNNING; echo PENDING", "2 pending, 1 running"),
        ("true", ""),  # the job has ended
        ("echo RUNNING; exit 1", ""),  # an unknown job
    ],
)
def test_on_slurm__a_job_that_is_still_there(place, sbatch, tmp_path, script, refused):
    sbatch("echo may run")
    submission = Submission(place, (0,), EngineOptions(partition="main"))
    on_slurm(submission)
    (tmp_path / "squeue").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n{script}\n')
    (tmp_path / "squeue").chmod(0o755)
    if refused:
        with pytest.raises(DataError) as error:
            on_slurm(submission)
        assert str(refused) in str(error.value)
    else:
        on_slurm(submission)
    assert len(made) == (1 if refused else 2)
    assert (tmp_path / "asked").read_text().split() == ["-h", "-j", "77", "-o", "%T"]


def test_task__runs_its_share_and_fails_with_it(monkeypatch, tmp_path):
    commands = []

    class Child(subprocess.Popen):
        def __init__(self, command, env):
            commands.append((command, env[ENDS_WITH_PARENT]))
            super().__init__(["sh", "-c", f"exit {3 if command[-3] == '4' else 0}"])

    monkeypatch.setattr(subprocess, "Popen", Child)
    task = Task("run.plan", ("1,6", "4"), 3)
    task(None, 0, 2)
    with pytest.raises(RuntimeError, match=r"run\.plan"):
        task(None, 1, 2)
    assert commands == [
        ([sys.executable, "-m", "camtrace", "work", "run.plan", "--rank", share, "--cpus", "3"], "1")
        for share in ("1,6", "4")
    ]


def test_on_slurm__ranks_that_need_others_are_an_array_after_theirs(place, sbatch, monkeypatch):
    """It begins however the first ends; the numbers of both are asked for when more is submitted."""
    sbatch("echo may run")
    options = EngineOptions(partition="main")
    on_slurm(Submission(place, (0, 1), options))
    monkeypatch.setattr(Recorded, "job_id", "78")
    line = on_slurm(Submission(place, (2,), options, first=False))
    monkeypatch.setattr(Recorded, "job_id", "79")
    on_slurm(Submission(place, (3,), options, first=False))
    given = [(one.given["depends_job_id"], one.given["run_on_dependency_fail"]) for one in made]
    assert given == [(None, True), ("77", True), ("78", True)]
    assert len({one.given["logging_dir"] for one in made}) == 3  # the tasks of a job are read from there
    assert line.startswith("job 78: 1 task for 1 rank, after job 77; logs in ")
    assert json.loads(place.read("submitted.json"))["job"] == "77,78,79"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"job": null}', '{"job": 77}', '{"job": ""}', '{"job": "7 8"}', '{"job": "-x"}']
)
def test_on_slurm__a_file_that_names_no_job_is_one_sentence(place, sbatch, text):
    """It lies in the plan's folder, as markers do: whoever may write there may have changed it."""
    sbatch("echo may run")
    place.write("submitted.json", text.encode())
    for first in (True, False):
        with pytest.raises(DataError, match=rf"^{place}/submitted\.json: "):
            on_slurm(Submission(place, (0,), EngineOptions(partition="main"), first=first))
    assert made == []


def test_on_slurm__logs_of_a_plan_in_a_store_lie_here(sbatch, monkeypatch, tmp_path, place):
    sbatch("echo may run")
    monkeypatch.chdir(tmp_path)
    store = StorageFolder(f"memory://{tmp_path.name}/run.plan")
    line = on_slurm(Submission(store, (0,), EngineOptions(partition="main")))
    assert made[-1].given["slurm_logs_folder"] == f"{tmp_path}/slurm-logs"
    assert line.startswith(f"job 77: 1 task for 1 rank; logs in {tmp_path}/slurm-logs; 'camtrace status {store}'")
