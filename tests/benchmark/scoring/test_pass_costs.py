"""Estimates of passes: which views are measured, by which maker, for how many photos, and what the bank has already."""

import contextlib
import io
import re

import pytest

from benchmark.cli.score import main

pytestmark = pytest.mark.usefixtures("short_projection")


def dry_run(*words):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        assert main([*words, "--dry-run"]) == 0
    [row] = re.findall(r"^\| control:random-projection .*$", text.getvalue(), re.M)
    stages = re.findall(r"^\| (.+?) +\| +[\d.]+ \w+ \| +[\d.]+ \w+ \|$", text.getvalue(), re.M)
    return [cell.strip() for cell in row.strip("|").split("|")], stages


@pytest.mark.slow
def test_score__dry_run_looks_at_what_is_there(tmp_path, photo_folder):
    """Nothing, then the bank of one parameter, then all of it with its outcomes."""
    words = ["-m", "control:random-projection", "-d", f"folder:{photo_folder}", "--cache", str(tmp_path / "c")]
    words += ["-o", str(tmp_path / "out"), "-q", "--workers", "0"]
    both = [*words, "-t", "probe/sharpening,probe/resizing"]
    row, stages = dry_run(*both)
    assert row[7] == "nothing"
    views = int(row[3])
    assert main([*words, "-t", "probe/sharpening"]) == 0
    row, stages = dry_run(*both)
    shared = int(re.fullmatch(r"(\d+) views, 1 tasks", row[7])[1])
    assert (int(row[3]), "Processing probes" in stages) == (views - shared, True)
    assert main(both) == 0
    before = sorted(path for path in tmp_path.rglob("*"))
    row, stages = dry_run(*both)
    assert (row[3], row[7]) == ("0", f"{views} views, 2 tasks")
    assert "Processing probes" not in stages
    assert sorted(path for path in tmp_path.rglob("*")) == before
    row, _ = dry_run(*both, "--fresh")
    assert (int(row[3]), row[7]) == (views, "nothing")
