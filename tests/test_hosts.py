"""The hooks of pre-commit and the action of GitHub, run as their hosts run them: what they stop, and what passes."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.support.processes import run_python

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "audit"
PHOTOS = 60
"""Of each class, so that an audit of equal photos decides."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Photos of equal qualities, photos whose quality is their class, and two results; ``bin`` has ``camtrace``."""
    home = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    qualities = (95, 60)
    for name in ("equal", "confounded"):
        for which, label in enumerate(("real", "fake")):
            (home / name / label).mkdir(parents=True)
            for number in range(PHOTOS):
                quality = qualities[number % 2 if name == "equal" else which]
                pixels = rng.integers(0, 255, (40, 48, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(home / name / label / f"{number}.jpg", quality=quality)
    (home / "score.py").write_text(
        "import camtrace\n"
        "for name in ('old', 'new'):\n"
        "    scores = camtrace.score('control:jpeg-statistics', data='folder:equal', tasks='probe/jpeg', workers=0)\n"
        "    scores.save(name)\n"
    )
    done = run_python("score.py", cwd=home, timeout=600)
    assert done.returncode == 0, done.stderr
    (home / "bin").mkdir()
    command = home / "bin" / "camtrace"
    command.write_text(f"#!{sys.executable}\nimport camtrace\nraise SystemExit(camtrace.script())\n")
    command.chmod(0o755)
    return home


@pytest.fixture
def environment(work, tmp_path):
    return {
        **os.environ,
        "PATH": f"{work / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CAMTRACE_CACHE": str(tmp_path / "cache"),
        "PRE_COMMIT_HOME": str(tmp_path / "pre-commit"),
        "GITHUB_ACTION_PATH": str(ACTION),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }


@pytest.mark.parametrize(
    ("hook", "arguments", "status"),
    [
        ("camtrace-audit", ["folder:equal"], 0),
        ("camtrace-audit", ["folder:confounded"], 1),
        ("camtrace-compare", ["old", "new", "--worse-by", "50"], 0),
        ("camtrace-compare", ["old", "new", "--worse-by", "0", "--fail-undecided"], 1),
    ],
)
def test_hook__is_run_by_pre_commit(hook, arguments, status, work, environment):
    if shutil.which("pre-commit") is None:
        pytest.skip("pre-commit is not installed")
    (declared,) = (each for each in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()) if each["id"] == hook)
    # pre-commit would install the package from the network; everything else is as it is declared
    local = {**declared, "language": "system", "args": arguments}
    (work / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": [local]}]}))
    subprocess.run(["git", "init", "--quiet"], cwd=work, check=True)
    subprocess.run(["git", "add", ".pre-commit-config.yaml"], cwd=work, check=True)
    command = ["pre-commit", "run", hook, "--all-files"]
    done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    assert ("Passed" if status == 0 else "exit code: 1") in done.stdout


def run_action(inputs, work, environment):
    """The exit status of the action's steps under some inputs, as a runner computes it, and the job's summary."""
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    values = {**{name: about["default"] for name, about in action["inputs"].items()}, **inputs}
    assert inputs.keys() <= action["inputs"].keys()

    def evaluated(text):
        return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: values[match[1]], text)

    for step in action["runs"]["steps"]:
        name, wanted = re.fullmatch(r"inputs\.([\w-]+) != '(\w*)'", step["if"]).groups()
        if values[name] == wanted:
            continue
        variables = {key: evaluated(value) for key, value in step["env"].items()}
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(shell, cwd=work, env={**environment, **variables}, capture_output=True, text=True)
        if done.returncode:
            return done.returncode, done.stderr
    return 0, Path(environment["GITHUB_STEP_SUMMARY"]).read_text()


@pytest.mark.parametrize(
    ("inputs", "status", "says"),
    [
        ({"data": "folder:confounded"}, 1, ("confound",)),
        ({"data": "folder:equal", "old": "old", "new": "new", "worse-by": "50"}, 0, ("No confound", "probe/jpeg")),
        ({"old": "old", "new": "gone"}, 2, ("gone",)),
    ],
)
def test_action__runs_its_steps(inputs, status, says, work, environment):
    ended, text = run_action({"install": "none", **inputs}, work, environment)
    assert ended == status, text
    assert all(words in text for words in says), text


def test_action__installs_the_checkout_that_it_is_part_of():
    steps = yaml.safe_load((ACTION / "action.yml").read_text())["runs"]["steps"]
    assert "GITHUB_ACTION_PATH/../../.." in steps[0]["run"]
    assert (ACTION / "../../.." / "pyproject.toml").resolve() == ROOT / "pyproject.toml"
