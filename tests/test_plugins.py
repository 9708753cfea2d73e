"""The example package of ``docs/how-to/plugins.md``: what it adds is found once it is installed, and not before."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import run_python

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "tests" / "support" / "plugin"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the installed example."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, folder / "source")
    install = ["pip", "install", "--no-deps", "--no-build-isolation", "--target", "installed", "./source"]
    done = subprocess.run([sys.executable, "-m", *install], cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder / "installed"


def camtrace(folder: Path | None, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(folder or ""), "CAMTRACE_CACHE": str(cwd / "cache")}
    return run_python("-m", "camtrace", *arguments, cwd=cwd, env=environment, timeout=600)


def test_docs__show_the_entry_points_of_the_example() -> None:
    page = (ROOT / "docs" / "how-to" / "plugins.md").read_text(encoding="utf-8")
    block = page.partition("```toml\n")[2].partition("```")[0]
    assert block.count("entry-points") == 3
    assert block in (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")


def test_score__takes_task_encoder_and_data_of_a_package(installed: Path, tmp_path: Path) -> None:
    words = ["--model", "colour:mean", "--data", "colours?count=90", "--tasks", "colour/*", "--workers", "0"]
    done = camtrace(installed, "score", *words, "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    [file] = (tmp_path / "out").rglob("result.json")
    result = json.loads(file.read_text(encoding="utf-8"))
    [score] = result["scores"]
    assert (score["task"], score["value"], score["n"], score["chance"]) == ("colour/nearest", 1.0, 30, 0.5)
    assert result["environment"]["versions"]["camtrace-colour"] == "1.2"
    proved = camtrace(installed, "verify", "out", cwd=tmp_path)
    assert "1 of 1 scores" in proved.stdout, proved.stdout + proved.stderr
    without = camtrace(None, "verify", "out", cwd=tmp_path)
    assert "0 of 1 scores" in without.stdout, without.stdout + without.stderr


def test_names_of_a_package__are_unknown_without_it_and_one_sentence_where_it_is_broken(
    installed: Path, tmp_path: Path
) -> None:
    words = ["score", "--model", "colour:mean", "--data", "colours", "--tasks", "colour/nearest"]
    assert camtrace(None, *words, cwd=tmp_path).returncode == 2
    broken = shutil.copytree(installed, tmp_path / "broken")
    (broken / "camtrace_colour.py").write_text("raise RuntimeError('too old')", encoding="utf-8")
    failed = camtrace(broken, *words, cwd=tmp_path)
    assert failed.returncode == 2
    assert "camtrace-colour 1.2" in failed.stderr
    assert "too old" in failed.stderr
    assert "Traceback" not in failed.stderr
    listed = camtrace(broken, "list", "tasks", cwd=tmp_path)
    assert listed.returncode == 0
    assert "probe/jpeg" in listed.stdout
    assert "colour/nearest" not in listed.stdout
