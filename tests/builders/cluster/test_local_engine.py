"""Processes of this machine that take rank after rank."""

import os
import sys
from types import SimpleNamespace

import pytest

from builders.cluster import run_locally
from builders.cluster.engines import local
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
    ("visible", "devices"),
    [("", []), ("-1", []), ("0,-1", ["0"]), (" 2 , ,MIG-a/1", ["2", "MIG-a/1"]), ("10", ["10"]), ("-1,-1,3", ["3"])],
)
def test_devices__those_that_the_environment_shows(monkeypatch, visible, devices):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert local._devices() == devices


@pytest.mark.parametrize("threads", [None, "5"])
@pytest.mark.parametrize(
    ("workers", "devices", "cpus", "seen", "cores"),
    [
        (5, ["3", "MIG-a"], None, ["3", "MIG-a", "3", "MIG-a", "3"], "3"),  # 16 cores for 5 processes
        (3, ["0", "1", "2", "3"], 4, ["0", "1", "2"], "4"),
        (20, ["7"], None, ["7"] * 20, "1"),
        (2, [], 9, [None, None], "9"),
    ],
)
def test_environment__gpus_in_turn_and_an_equal_share_of_the_cores(
    monkeypatch, workers, devices, cpus, seen, cores, threads
):
    """The rest is that of this process; a number of threads that the user has set stays."""
    monkeypatch.setattr(local, "default_workers", lambda: 16)
    mine = {"PATH": "/bin", local.CPUS: "8", local.SHARE: "9", **({"OMP_NUM_THREADS": threads} if threads else {})}
    monkeypatch.setattr(local, "os", SimpleNamespace(environ=mine))
    for number, device in enumerate(seen):
        assert local._environment(number, workers, devices, cpus) == {
            "PATH": "/bin", local.CPUS: cores, local.SHARE: str(workers), local.ENDS_WITH_PARENT: "1",
            "OMP_NUM_THREADS": threads or cores, **({"CUDA_VISIBLE_DEVICES": device} if device else {}),
        }  # fmt: skip
    assert len(seen) == workers
    assert mine[local.SHARE] == "9"


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


SLICED = """GPU 0: NVIDIA H100 (UUID: GPU-0)
  MIG 1g.10gb     Device  0: (UUID: MIG-aaaa-1)
  MIG 2g.20gb     Device  1: (UUID: MIG-GPU-0/3/0)
GPU 1: NVIDIA H100 (UUID: GPU-1)
GPU 2: NVIDIA H100 (UUID: GPU-2)
  MIG 7g.80gb     Device  0: (UUID: MIG-cccc-3)
"""


def test_devices__slices_by_uuid_in_place_of_their_gpu(tmp_path, monkeypatch):
    """A number would name the whole GPU, or one that is not there: lines of slices were counted as GPUs."""
    driver = tmp_path / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\ncat <<'END'\n{SLICED}END\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert local._devices() == ["MIG-aaaa-1", "MIG-GPU-0/3/0", "1", "MIG-cccc-3"]


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
    with pytest.raises(RuntimeError, match=r"ranks 0: status 1, see 'camtrace status plan\.json'"):
        task(None, 0, 2)
