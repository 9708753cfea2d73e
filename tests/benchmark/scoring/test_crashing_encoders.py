"""Encoders whose compiled code ends the process: a failed row, and the other encoders have their scores."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.support.user_project import environment, script

CRASHING = """
import ctypes, os
import numpy as np
calls = 0

def _after(number, harm):
    def encode(image):
        global calls
        calls += 1
        if calls > number:
            harm()
        return np.asarray(image.resize((4, 4)), dtype=np.float32).ravel()
    encode.cache_key = f"{number} {harm}"
    return encode

at_once = _after(0, os.abort)
late = _after(25, lambda: ctypes.string_at(0))
"""


def _run(project, *words):
    options = ["-t", "probe/resizing", "-d", "folder:photos", "--cache", "cache", "-q"]
    command = [*script(project), *words, *options]
    return subprocess.run(command, cwd=project, env=environment(project), capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_sweep__an_encoder_that_ends_the_process_is_a_failed_row(project, workers):
    (project / "crashing.py").write_text(CRASHING)
    models = ["-m", "crashing:late", "-m", "control:jpeg-statistics", "-m", "crashing:at_once"]
    done = _run(project, "sweep", *models, "-o", "swept", "--workers", workers)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    rows = json.loads((project / "swept" / "sweep.json").read_text())["rows"]
    assert {row["spec"]: row["reason"] for row in rows} == {
        "crashing:late": "crashing:late: its code ended the process (SIGSEGV)",
        "crashing:at_once": "crashing:at_once: its code ended the process (SIGABRT)",
        "control:jpeg-statistics": "",
    }
    states = {row["spec"]: row["state"] for row in rows}
    assert states["control:jpeg-statistics"] in ("scored", "kept")
    assert states["crashing:late"] == states["crashing:at_once"] == "failed"


def test_score__an_encoder_that_ends_the_process_is_one_sentence(project):
    (project / "crashing.py").write_text(CRASHING)
    done = _run(project, "score", "-m", "crashing:late", "-o", "crashed", "--workers", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "camtrace: crashing:late: its code ended the process (SIGSEGV)\n"


def test_score__the_others_are_scored_without_one_that_ends_a_worker(project):
    (project / "crashing.py").write_text(CRASHING)
    models = ["-m", "crashing:late", "-m", "control:jpeg-statistics"]
    done = _run(project, "score", *models, "-o", "crashed-worker", "--workers", "1")
    assert done.returncode == 1
    assert done.stderr.startswith("camtrace: crashing:late: its code ended the process (SIGSEGV)\n")
    [path] = (project / "crashed-worker").rglob("result.json")
    result = json.loads(path.read_text())
    assert result["encoder"]["id"] == "control:jpeg-statistics"
    assert result["scores"][0]["n"] > 0
