"""CITATION.cff says what pyproject.toml says."""

from pathlib import Path

import yaml

from tests.test_dependencies import pyproject

ROOT = Path(__file__).parents[1]


def test_citation__names_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = pyproject()
    assert citation["title"].startswith(project["name"] + ":")
    assert str(citation["version"]) == project["version"]
    assert citation["license"] == project["license"]
    assert citation["keywords"][0] in project["keywords"]
