"""Every speed script runs (no word about time): tiny sizes, all parts, and rows that a tracker can read."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_speed__quick_gives_figures_of_every_part(tmp_path):
    file = tmp_path / "speed.json"
    command = [sys.executable, "scripts/speed.py", "--quick", "--json", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(file.read_text())
    assert {row["part"] for row in rows} == {
        "views",
        "pipeline",
        "knn",
        "probe",
        "builders",
        "fetch",
        "simcams",
        "runtimes",
    }
    assert all(row["what"] in done.stdout for row in rows)
    numbers = [row["value"] for row in rows if "value" in row]
    assert numbers
    assert all(math.isfinite(number) and number >= 0 for number in numbers)
    pipeline = {row["what"]: row for row in rows if row["part"] == "pipeline"}
    assert pipeline["one encoder, whole command"]["aim"] == 1.5
    assert pipeline["three encoders, pass alone"]["value"] > 0
    if sys.platform == "linux":
        assert pipeline["photos x1"]["memory"] == 1
