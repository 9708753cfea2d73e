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


@pytest.mark.slow
def test_sweep__an_encoder_that_ends_the_process_is_a_failed_row(project):
    (project / "crashing.py").write_text(CRASHING)
    models = ["-m", "crashing:late", "-m", "control:jpeg-statistics", "-m", "crashing:at_once"]
    done = _run(project, "sweep", *models, "-o", "swept", "--workers", "0")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    rows = json.loads((project / "swept" / "sweep.json").read_text())["rows"]
    reasons = {row["spec"]: row["reason"] for row in rows}
    assert "SIGSEGV" in reasons["crashing:late"]
    assert "SIGABRT" in reasons["crashing:at_once"]
    assert reasons["control:jpeg-statistics"] == ""
    states = {row["spec"]: row["state"] for row in rows}
    assert states["control:jpeg-statistics"] in ("scored", "kept")
    assert states["crashing:late"] == states["crashing:at_once"] == "failed"


@pytest.mark.slow
def test_score__the_others_are_scored_without_one_that_ends_a_worker(project):
    (project / "crashing.py").write_text(CRASHING)
    models = ["-m", "crashing:late", "-m", "control:jpeg-statistics"]
    done = _run(project, "score", *models, "-o", "crashed-worker", "--workers", "1")
    assert done.returncode == 1
    assert "crashing:late" in done.stderr
    assert "Traceback" not in done.stderr
    results = [json.loads(path.read_text()) for path in (project / "crashed-worker").rglob("result.json")]
    scored = {result["encoder"]["id"]: result["scores"] for result in results}
    assert scored["control:jpeg-statistics"][0]["n"] > 0
    assert not scored.get("crashing:late")
