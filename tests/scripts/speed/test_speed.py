"""Every speed script runs (no word about time): tiny sizes, all parts, and rows that a tracker can read."""

import importlib
import inspect
import json
import math
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest

from tests.warm_python import run_python

ROOT = Path(__file__).parents[2]


TOGETHER = """
import os, sys, types
sys.path.insert(0, "scripts")
import speed
from tests.warm_python import forked

def started(command, env, stdout, stderr):
    assert command[0] == sys.executable
    return types.SimpleNamespace(pid=forked(command[1:], env, [os.dup(file.fileno()) for file in (stdout, stderr)]))

if "pipeline" in sys.argv[2]:
    import multiprocessing, speed_pipeline
    speed_pipeline.subprocess = types.SimpleNamespace(Popen=started)
    multiprocessing.set_start_method("fork")
    multiprocessing.get_context = lambda method: multiprocessing
if "runtimes" in sys.argv[2]:
    import speed_runtimes
    speed_runtimes.VIEWS = 2
speed._in_a_process = lambda part, quick, smaller, seconds: speed._measured(part, quick, smaller)
sys.exit(speed.main())
"""
"""All parts in one process, which imports torch once, and in another those that fork: ``fetch`` its server and client,
``pipeline`` its commands. Parts in processes of their own have the test after the next."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_speed__quick_gives_figures_of_every_part(tmp_path):
    rows, said = [], ""
    for some in ("views,simcams,knn,probe,threads,runtimes,builders", "fetch,pipeline"):
        file = tmp_path / "speed.json"
        done = run_python(
            "-c", TOGETHER, "--only", some, "--quick", "--json", file, cwd=ROOT, timeout=400, forking=True
        )
        assert done.returncode == 0, done.stderr
        rows += json.loads(file.read_text())
        said += done.stdout
    assert {row["part"] for row in rows} == {
        "views",
        "pipeline",
        "knn",
        "probe",
        "threads",
        "builders",
        "fetch",
        "simcams",
        "runtimes",
    }
    assert all(row["what"] in said for row in rows)
    for row in rows:
        assert row["threads"] >= 1
        assert "cores of" in row["machine"]
        assert row["commit"]
    for part in {row["part"] for row in rows}:
        beside = {0, 1} if part in ("probe", "threads") else {0}
        assert {row["neighbours"] for row in rows if row["part"] == part} == beside
    alone = [row for row in rows if row["part"] == "threads" and row["threads"] == 1]
    assert len(alone) == 2 * 6
    assert {row["ratio"] for row in alone} == {1}
    numbers = [row["value"] for row in rows if "value" in row]
    assert numbers
    assert all(math.isfinite(number) and number >= 0 for number in numbers)
    pipeline = {row["what"]: row for row in rows if row["part"] == "pipeline"}
    assert pipeline["one encoder, whole command"]["aim"] == 1.5
    assert pipeline["three encoders, pass alone"]["value"] > 0
    if sys.platform == "linux":
        assert pipeline["photos x1"]["memory"] == 1


def test_speed__what_does_not_end_in_time_is_named():
    command = [sys.executable, "scripts/speed.py", "--quick", "--only", "views,simcams", "--minutes", "0.001"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    late = "was stopped: the minutes are over"
    assert done.stdout.split("\n\n") == [f"views: {late}", f"simcams: {late}", ""]


def test_speed__a_part_that_fails_is_named(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    speed = importlib.import_module("speed")
    monkeypatch.setattr(speed.sys, "executable", "false")
    assert speed._in_a_process("views", True, False, 60) == "failed with status 1, as told above"


def test_speed__a_part_runs_in_a_process_of_its_own(tmp_path):
    file = tmp_path / "speed.json"
    done = run_python("scripts/speed.py", "--quick", "--only", "knn", "--json", file, cwd=ROOT, forking=True)
    assert done.returncode == 0, done.stderr
    assert {row["part"] for row in json.loads(file.read_text())} == {"knn"}
    assert done.stdout.startswith("knn: ")


def test_busy__processes_that_compute_and_end(speed):
    before = {process.pid for process in multiprocessing.active_children()}
    with speed.busy(2):
        spinning = [p for p in multiprocessing.active_children() if p.pid not in before]
        assert len(spinning) == 2
        assert all(process.is_alive() for process in spinning)
    assert not any(process.is_alive() for process in spinning)


@pytest.fixture
def speed(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    return importlib.import_module("speed")


def test_sizes__are_options_of_the_parts(speed):
    assert set(speed.SIZES) == set(speed.PARTS)
    for part, given in speed.SIZES.items():
        known = inspect.signature(importlib.import_module(f"speed_{part}").rows).parameters
        assert set(given) <= set(known), part
