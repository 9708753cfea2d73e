"""Stored verdicts of proofs: one proof for the same bytes and code, another for anything that changed."""

import dataclasses
import json

import pytest

from benchmark.results import answers, known_contradiction, proven, read_files, read_result, write_result
from benchmark.scoring import write_scored
from benchmark.tasks import all_tasks
from tests.support.toy_answers import toy_scored


@pytest.fixture
def proofs(monkeypatch, tmp_path):
    """The files that are really proved."""
    proved = []
    contradiction = answers.contradiction
    monkeypatch.setattr(proven, "contradiction", lambda file, q: proved.append(file.file) or contradiction(file, q))
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    return proved


def verdict(folder):
    (file,) = read_files(folder, ["result.json"]).accepted
    return known_contradiction(file, all_tasks())


def changed(folder):
    """Another value of the first score, sealed again."""
    result = read_result(folder / "result.json")
    first, *others = result.scores
    scores = (dataclasses.replace(first, value=first.value + 0.001), *others)
    write_result(dataclasses.replace(result, scores=scores), folder / "result.json")


def test_known_contradiction__the_same_bytes_are_proved_once(proofs, tmp_path):
    write_scored(toy_scored(), tmp_path / "run", single=True)
    assert [verdict(tmp_path / "run") for _ in range(3)] == ["", "", ""]
    assert len(proofs) == 1


def test_known_contradiction__a_changed_result_is_proved_again_and_refused_each_time(proofs, tmp_path):
    write_scored(toy_scored(), tmp_path / "run", single=True)
    assert verdict(tmp_path / "run") == ""
    changed(tmp_path / "run")
    first = verdict(tmp_path / "run")
    assert "answers.npz give" in first
    assert verdict(tmp_path / "run") == first
    assert len(proofs) == 2


def test_known_contradiction__changed_answers_are_proved_again(proofs, tmp_path):
    write_scored(toy_scored(), tmp_path / "run", single=True)
    assert verdict(tmp_path / "run") == ""
    with open(tmp_path / "run" / "answers.npz", "ab") as file:
        file.write(b"\0")
    assert "SHA-256" in verdict(tmp_path / "run")
    assert len(proofs) == 2


@pytest.mark.parametrize("stored", ["", "[]", "{}", "not JSON"])
def test_known_contradiction__a_damaged_verdict_is_no_verdict(proofs, tmp_path, stored):
    write_scored(toy_scored(), tmp_path / "run", single=True)
    verdict(tmp_path / "run")
    (file,) = (tmp_path / "cache" / "proofs").iterdir()
    file.write_text(stored)
    assert verdict(tmp_path / "run") == ""
    assert len(proofs) == 2
    assert json.loads(file.read_text()) == {"contradiction": ""}
