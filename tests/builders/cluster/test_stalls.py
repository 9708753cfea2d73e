"""Ranks that stall, fail with a trace, or are interrupted; stores without the folder that is listed."""

import subprocess
import threading
import time
from types import SimpleNamespace

import pytest

from builders.cluster import Markers, Plan, RankPlan, StorageFolder, run_locally, write_plan
from builders.cluster import worker as module
from builders.cluster.engines import local, slurm
from builders.cluster.worker import work_ranks
from builders.errors import DataError

PLAN = Plan("count", (), "out", (RankPlan(("a",), 9),), {})


@pytest.fixture
def place(tmp_path):
    place = StorageFolder.of(tmp_path / "plan")
    write_plan(PLAN, place)
    return place


def test_beating__warns_once_for_each_stall(place, monkeypatch, capsys):
    """The clock is set by the waits of the thread: five of them, with an item after the third."""
    now, allowed, beats = [1000.0], threading.Semaphore(0), []
    waits = iter([600.0, 1.0, 60.0, 600.0, 900.0])
    seen = threading.Semaphore(0)

    class Ended:
        def wait(self, seconds):
            assert seconds == module.BEAT_S
            seen.release()
            allowed.acquire()
            step = next(waits, None)
            if step is None:
                return True
            now[0] += step
            return False

        def set(self):
            for _ in range(9):
                allowed.release()

    monkeypatch.setattr(module, "threading", SimpleNamespace(Event=Ended, Thread=threading.Thread))
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: now[0]))
    monkeypatch.setattr(module, "host", lambda: "n7")
    monkeypatch.setattr(Markers, "beat", lambda self, *given: beats.append(given))
    place.write("ranks/00003.failed.json", b"{}")
    with module._beating(Markers(place, PLAN.name), 3, 10.0) as beat:
        seen.acquire()
        for step in range(5):
            if step == 3:
                beat.tick(4)
            allowed.release()
            seen.acquire()
        place.write("ranks/00003.running.json", b"{}")
    assert (place / "ranks").names() == []
    warning = "camtrace: warning: rank 3 on n7: nothing was finished for {} minutes ({} items so far)"
    assert capsys.readouterr().err.splitlines() == [warning.format(10, 0), warning.format(25, 4)]
    assert beats == [(3, 1000.0, 1000.0, 0)] * 4 + [(3, 1000.0, 1661.0, 4)] * 2


@pytest.mark.parametrize("debug", [True, False])
def test_work_ranks__a_trace_where_it_is_wanted(place, monkeypatch, capsys, debug):
    monkeypatch.setenv("CAMTRACE_DEBUG", "1" if debug else "")

    def opened():
        raise ZeroDivisionError("no more numbers")

    assert work_ranks(PLAN, place, [0], opened) == {0: "ZeroDivisionError: no more numbers"}
    assert ("Traceback (most recent call last)" in capsys.readouterr().err) is debug


def test_run_locally__an_interrupt_ends_the_processes(monkeypatch, tmp_path):
    script = tmp_path / "rank"
    script.write_text("#!/bin/sh\nread n\nexec sleep 600\n")
    script.chmod(0o755)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    started, popen = [], subprocess.Popen
    monkeypatch.setattr(local.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])

    def interrupted(seconds):
        time.sleep(0.3)  # until the process has its rank
        if started:
            raise KeyboardInterrupt

    monkeypatch.setattr(local, "time", SimpleNamespace(sleep=interrupted))
    with pytest.raises(KeyboardInterrupt):
        run_locally([str(script)], [0, 1], 1)
    assert [process.returncode for process in started] == [-15]


def test_all_names__of_a_folder_that_a_store_does_not_have(monkeypatch):
    class Store:
        def invalidate_cache(self):
            pass

        def find(self, root):
            if self.names is None:
                raise FileNotFoundError(root)
            return self.names

    store = Store()
    monkeypatch.setattr("builders.cluster.storage.open_store", lambda address: (store, "bucket/run/"))
    store.names = None
    assert StorageFolder("s3://bucket/run").all_names() == []
    store.names = ["bucket/run/b", "bucket/run/a/c", "bucket/run"]
    assert StorageFolder("s3://bucket/run").all_names() == ["a/c", "b"]


def test_on_slurm__without_squeue_nothing_is_known_of_the_job_before(place, tmp_path, monkeypatch):
    """A machine that submits may lack it; then the job before refuses nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    place.write(slurm.SUBMITTED, b'{"engine": "slurm", "job": "77"}')
    slurm._refuse_still_running(place)
    (tmp_path / "squeue").write_text("#!/bin/sh\necho RUNNING\n")
    (tmp_path / "squeue").chmod(0o755)
    with pytest.raises(DataError) as error:
        slurm._refuse_still_running(place)
    assert str(error.value) == (
        f"{place}: job 77 is still there (1 running); nothing was submitted: wait for it, or 'scancel 77'"
    )
