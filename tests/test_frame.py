"""What stands in several files of the project's frame stands there alike."""

import json
import re
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

from tests.test_dependencies import pyproject

ROOT = Path(__file__).parents[1]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def test_citation__names_this_version_and_licence():
    citation, project = yaml.safe_load(read("CITATION.cff")), pyproject()
    assert citation["title"].startswith(project["name"] + ":")
    assert str(citation["version"]) == project["version"]
    assert citation["license"] == project["license"]
    assert citation["keywords"][0] in project["keywords"]
    codemeta = json.loads(read("codemeta.json"))
    assert (codemeta["name"], codemeta["version"]) == (project["name"], project["version"])
    assert codemeta["license"].endswith(f"/{project['license']}")
    assert [author["name"] for author in codemeta["author"]] == [author["name"] for author in citation["authors"]]
    assert codemeta["keywords"] == citation["keywords"]


def test_workflow__runs_the_checks_on_every_python_that_is_promised():
    job = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["run"]
    project = pyproject()
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert job["strategy"]["matrix"]["python"] == promised
    assert all(version in SpecifierSet(project["requires-python"]) for version in promised)
    assert next(step["run"] for step in job["steps"] if "run" in step) == ".ci/run"


def test_pre_commit__checks_what_ci_checks():
    (repository,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    hooks = {" ".join(hook["entry"].split()[:2]).removesuffix(" --force-exclude") for hook in repository["hooks"]}
    checks = re.findall(r"^(ruff \w+|mypy|lint-imports)", read(".ci/run"), flags=re.MULTILINE)
    assert hooks == set(checks)


def test_ci__runs_the_readmes_own_test_command():
    (command,) = re.findall(
        r"^    (pip install .*&& pytest -n 3 --dist worksteal)$", read("README.md"), flags=re.MULTILINE
    )
    assert command.replace("install ", "install --quiet ", 1) in read(".ci/run")
