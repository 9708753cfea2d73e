"""What ``sbatch --test-only`` refuses is one sentence with Slurm's reason: by a script in its place, without Slurm."""

import pytest

from builders.cluster.engines import slurm
from builders.cluster.engines.executors import EngineOptions
from builders.errors import UsageError


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """Puts a script in the place of ``sbatch``, and returns a function that reads its last arguments."""

    def place(text):
        (tmp_path / "sbatch").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n{text}\n')
        (tmp_path / "sbatch").chmod(0o755)
        return lambda: (tmp_path / "arguments").read_text().split()

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return place


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("echo first >&2; echo 'allocation failure: Memory specification' >&2", "Memory specification"),
        ("echo 'sbatch: error: invalid partition' >&2", "sbatch: error: invalid partition"),
        ("echo to standard output", "no reason given"),
    ],
)
def test_slurm__a_job_that_it_refuses_is_one_sentence_with_the_last_line(sbatch, printed, reason):
    sbatch(f"{printed}\nexit 1")
    with pytest.raises(UsageError) as error:
        slurm._test_slurm(EngineOptions(partition="main"))
    assert str(error.value) == f"--engine slurm: such a job cannot run here: {reason}"


def test_slurm__resources_of_a_task_are_checked_and_those_without_a_value_are_not(sbatch):
    arguments = sbatch("echo may run >&2")
    slurm._test_slurm(EngineOptions(cpus=3, memory_gb=5, partition="main", sbatch={"account": "a"}))
    assert {"--test-only", "--cpus-per-task=3", "--mem-per-cpu=5G", "--partition=main", "--account=a"} < set(
        arguments()
    )
    assert not [word for word in arguments() if word.startswith(("--gpus", "--qos"))]
    slurm._test_slurm(EngineOptions(partition="main", gpus=2, qos="high"))
    assert {"--gpus=2", "--qos=high"} < set(arguments())


def test_slurm__no_sbatch_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no sbatch is here; submit from a machine of the cluster"):
        slurm._test_slurm(EngineOptions(partition="main"))
