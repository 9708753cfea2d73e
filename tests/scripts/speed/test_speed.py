"""Every part of ``scripts/speed`` runs (no word about time): tiny sizes, and rows that a tracker can read."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.speed import __main__ as speed
from scripts.speed.measure import Row
from tests.support.processes import run_python

ROOT = Path(__file__).parents[3]


TOGETHER = """
import os, subprocess, sys, types
from scripts.speed import __main__ as speed, measure
from tests.support.processes import forked

def started(command, env, stdout, stderr):
    assert command[0] == sys.executable
    return types.SimpleNamespace(pid=forked(command[1:], env, [os.dup(file.fileno()) for file in (stdout, stderr)]))

if "pipeline" in sys.argv[2]:
    import multiprocessing
    from scripts.speed import pipeline
    measure.subprocess = types.SimpleNamespace(Popen=started, run=subprocess.run)
    pipeline.apart = lambda call, *arguments: pipeline.forward_alone(*arguments)
    multiprocessing.set_start_method("fork")
    multiprocessing.get_context = lambda method: multiprocessing
if "runtimes" in sys.argv[2]:
    from scripts.speed import runtimes
    runtimes.VIEWS = 2
speed.apart = lambda call, part, options, timeout: speed.measured(part, options)
sys.exit(speed.main())
"""
"""All parts in one process, which imports torch once, and in another those that fork: ``fetch`` its server and client,
``pipeline`` its commands. Parts in processes of their own have the test after the next."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_speed__quick_gives_figures_of_every_part(tmp_path):
    rows, printed = [], ""
    for some in ("views,simcams,knn,probe,threads,runtimes,processed_build,layers", "fetch,pipeline"):
        file = tmp_path / "speed.json"
        done = run_python(
            "-c", TOGETHER, "--only", some, "--quick", "--json", file, cwd=ROOT, timeout=400, forking=True
        )
        assert done.returncode == 0, done.stderr
        rows += json.loads(file.read_text())
        printed += done.stdout
    assert {row["part"] for row in rows} == {*speed.USUAL, "layers"}
    assert all(row["what"] in printed for row in rows)
    for row in rows:
        assert row["threads"] >= 1
        assert "cores of" in row["machine"]
        assert row["commit"]
    for part in {row["part"] for row in rows}:
        neighbours = {0, 1} if part in ("probe", "threads") else {0}
        assert {row["neighbours"] for row in rows if row["part"] == part} == neighbours
    alone = [row for row in rows if row["part"] == "threads" and row["threads"] == 1]
    assert len(alone) == 2 * 6
    assert {row["value"] for row in alone} == {1}
    assert all(math.isfinite(row["value"]) and row["value"] >= 0 for row in rows)
    pipeline = {row["what"]: row for row in rows if row["part"] == "pipeline"}
    assert pipeline["one encoder, whole command"]["aim"] == 1.5
    assert pipeline["three encoders, pass alone"]["value"] > 0
    if sys.platform == "linux":
        assert pipeline["photos x1"]["memory"] == 1


def test_speed__what_does_not_end_in_time_is_named():
    command = [sys.executable, "scripts/speed", "--quick", "--only", "views,simcams", "--minutes", "0.001"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    late = "was stopped: the minutes are over"
    assert done.stdout.split("\n\n") == [f"views: {late}", f"simcams: {late}", ""]


def test_speed__a_part_runs_in_a_process_of_its_own(tmp_path):
    file = tmp_path / "speed.json"
    done = run_python("-m", "scripts.speed", "--quick", "--only", "knn", "--json", file, cwd=ROOT, forking=True)
    assert done.returncode == 0, done.stderr
    assert {row["part"] for row in json.loads(file.read_text())} == {"knn"}
    assert done.stdout.startswith("knn: ")


def test_speed__a_row_that_is_wrong_gives_status_1(monkeypatch, capsys):
    row = Row("different banks", 1.0, "", wrong=True).to_json()
    measured = {"rows": [row], "machine": "m", "commit": "c", "load": 1.0, "seconds": 2.0}
    monkeypatch.setattr(speed, "apart", lambda *arguments, **options: measured)
    assert speed.main(["--only", "cluster"]) == 1
    assert "different banks" in capsys.readouterr().out


def test_parts__are_the_modules():
    modules = {path.stem for path in (ROOT / "scripts" / "speed").glob("*.py")}
    assert modules - {"__init__", "__main__", "measure", "synthetic"} == {*speed.USUAL, *speed.MORE}
