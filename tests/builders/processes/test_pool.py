"""Pools of worker processes."""

import multiprocessing
import os
import signal
import threading
import time

import pytest

from builders.errors import DataError
from builders.processes import WorkerKilled, default_workers, run_in_pool
from tests.support.processes import run_python


def work(shared, task, tick):
    if task == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "wrong":
        raise DataError("a task that fails")
    if task == "hangs":
        threading.Event().wait(600)
    for _ in range(task):
        tick()
    return shared["factor"] * task, os.getpid(), shared["pid"]


class Unpickled:
    """What all tasks need, with the process that unpickled it."""

    def __reduce__(self):
        return _here, ()


def _here():
    return {"factor": 10, "pid": os.getpid()}


def test_run_in_pool__results_are_in_order_and_each_worker_has_its_copy():
    items = []
    results = run_in_pool(work, [3, 0, 2, 1], shared=Unpickled(), workers=2, progress=items.append)
    assert [value for value, _, _ in results] == [30, 0, 20, 10]
    assert all(worker == owner != os.getpid() for _, worker, owner in results)
    assert len({worker for _, worker, _ in results}) <= 2
    assert sum(items) == 6


def test_run_in_pool__without_tasks_does_nothing():
    assert run_in_pool(work, [], shared=Unpickled(), workers=2) == []


def test_run_in_pool__a_killed_worker_is_an_error():
    with pytest.raises(WorkerKilled, match="process"):
        run_in_pool(work, [1, "killed", 1], shared=Unpickled(), workers=2)
    assert not multiprocessing.active_children()


def test_run_in_pool__an_error_ends_the_other_tasks():
    with pytest.raises(DataError, match=r"^a task that fails$"):
        run_in_pool(work, ["hangs", "wrong"], shared=Unpickled(), workers=2)
    assert not multiprocessing.active_children()


def write_late(shared, task, tick):
    if task == "wrong":
        raise DataError("a task that fails")
    if task == "late":
        time.sleep(5)
        shared.write_text("late")
    return task


@pytest.mark.parametrize("tasks", [["late", "wrong"], ["at once", "late", "wrong"], ["at once", "wrong", "late"]])
def test_run_in_pool__tasks_at_work_are_ended_by_an_error(tasks, tmp_path):
    """Whether others had been done before or not: nothing goes on behind the back of the run."""
    with pytest.raises(DataError, match=r"^a task that fails$"):
        run_in_pool(write_late, tasks, shared=tmp_path / "written", workers=2)
    assert not (tmp_path / "written").exists()
    assert not multiprocessing.active_children()


def test_default_workers__are_the_cores_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5, 9}, raising=False)
    assert default_workers() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert default_workers() == 1


UNGUARDED = """
import types
import builders.processes.pool as pool

pool.sys = types.SimpleNamespace(platform="darwin")  # workers are spawned, as on macOS and Windows

def work(shared, task, tick):
    return task

GUARD
    print(pool.run_in_pool(work, [1, 2], shared=b"x" * 2**20, workers=2))
"""


@pytest.mark.parametrize("guarded", [True, False])
def test_run_in_pool__spawned_workers_of_a_script_without_a_main_guard_end_with_a_sentence(guarded, tmp_path):
    guard = 'if __name__ == "__main__":' if guarded else "if True:"
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED.replace("GUARD", guard))
    done = run_python(script)
    if guarded:
        assert (done.returncode, done.stdout, done.stderr) == (0, "[1, 2]\n", "")
    else:
        assert done.returncode != 0
        assert "script" in done.stderr.splitlines()[-1]
