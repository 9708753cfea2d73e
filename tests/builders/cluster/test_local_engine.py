"""Processes of this machine that take rank after rank."""

import os
import sys

import pytest

from builders.cluster import run_locally
from builders.cluster.engines.executors import Task
from builders.errors import UsageError
from builders.processes import default_workers

DEVICE = """
import json, os, sys
for line in sys.stdin:
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    print(json.dumps({"rank": int(line), "reason": f"{seen}, {os.environ['OMP_NUM_THREADS']}"}), flush=True)
"""

DYING = """
import os, sys
for line in sys.stdin:
    os._exit(3) if line.strip() == "1" else print('{"reason": ""}', flush=True)
"""


@pytest.mark.parametrize(
    ("visible", "listed", "seen"),
    [
        ("2,5", 8, {"2", "5"}),
        ("", 8, {""}),
        (None, 3, {"0", "1", "2"}),
        (None, 0, {"all"}),
    ],
)
def test_run_locally__a_process_sees_one_usable_gpu(tmp_path, monkeypatch, visible, listed, seen):
    """Four processes; the driver's list counts where ``CUDA_VISIBLE_DEVICES`` is not set."""
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\n" + "".join(f"echo 'GPU {n}: Fake (UUID: GPU-{n})'\n" for n in range(listed)))
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    reasons = run_locally([sys.executable, "-S", "-c", DEVICE], range(12), 4)
    assert sorted(reasons) == list(range(12))
    assert {reason.rpartition(", ")[0] for reason in reasons.values()} <= seen


def test_run_locally__a_killed_process_costs_its_rank():
    assert run_locally([sys.executable, "-S", "-c", DYING], range(4), 1) == {
        1: "its process ended with status 3; what it said stands above"
    }


CORES = """
import json, os, sys
for line in sys.stdin:
    seen = [os.environ["CAMTRACE_CPUS"], os.environ["OMP_NUM_THREADS"]]
    print(json.dumps({"rank": int(line), "reason": " ".join(seen)}), flush=True)
"""


@pytest.mark.parametrize(("cpus", "workers", "seen"), [(None, 2, "8 8"), (3, 2, "3 3"), (None, 4, "4 4")])
def test_run_locally__processes_have_equal_shares_of_the_cores_or_as_many_as_requested(
    monkeypatch, cpus, workers, seen
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CAMTRACE_CPUS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(16)))
    reasons = run_locally([sys.executable, "-S", "-c", CORES], range(4), workers, cpus=cpus)
    assert set(reasons.values()) == {seen}
    assert default_workers() == 16
    monkeypatch.setenv("CAMTRACE_CPUS", "3")
    assert default_workers() == 3
    monkeypatch.setenv("CAMTRACE_CPUS", "40")
    assert default_workers() == 16


def test_run_locally__zero_processes_are_refused():
    with pytest.raises(UsageError, match="--workers 0: at least 1"):
        run_locally(["true"], [0], 0)


def test_task__a_failed_rank_fails_the_task_of_the_executor(tmp_path, monkeypatch):
    command = tmp_path / "python"
    command.write_text('#!/bin/sh\n[ "$6" = 1 ]\n')  # rank 1 succeeds
    command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(command))
    task = Task("plan.json", ("0", "1"))
    task(None, 1, 2)
    with pytest.raises(RuntimeError, match=r"plan\.json"):
        task(None, 0, 2)
