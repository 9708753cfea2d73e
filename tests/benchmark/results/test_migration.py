"""A real result of schema version 1 is read without invented fields, and keeps the name of its file."""

import copy
import json
from pathlib import Path

import pytest

from benchmark.leaderboard.board import build_board
from benchmark.leaderboard.entries import measured_entries
from benchmark.publishing import verified
from benchmark.publishing.files import edited, gather_results, result_path
from benchmark.publishing.table import results_table
from benchmark.results import SCHEMA_VERSION, Result, read_files, read_result
from benchmark.results.files import parse_result
from benchmark.results.schema import MIGRATIONS, migrated
from builders.errors import DataError
from builders.pixels import codec_canary

VERSION_1 = Path(__file__).parent / "data" / "version-1.json"
"""``python -m benchmark --data sample --limit 40 --tasks probe/jpeg``, as the last camtrace of version 1 wrote it."""


@pytest.fixture
def raw():
    return json.loads(VERSION_1.read_text())


def test_migrated__version_1_gains_an_unknown_question_and_nothing_else(raw):
    before = copy.deepcopy(raw)
    new = migrated(raw, "a.json")
    assert raw == before
    assert new["schema_version"] == SCHEMA_VERSION == 2
    assert new["data"].pop("question_hash") is None
    assert {**new, "schema_version": 1} == before


def test_migrated__every_version_has_its_step_and_the_current_one_is_unchanged(raw):
    assert sorted(MIGRATIONS) == list(range(1, SCHEMA_VERSION))
    current = migrated(raw, "a.json")
    assert migrated(current, "a.json") == current


def test_read_result__of_version_1(raw):
    result = read_result(VERSION_1)
    assert result.score("probe/jpeg", "accuracy").value == 0.17564102564102563
    assert result.data["ids_hash"] == "070ec80f1b1d14cb"
    assert result.data["question_hash"] is None
    assert result.environment["command"] == "python -m benchmark --data sample --limit 40 --tasks probe/jpeg"
    assert Result.from_json(result.to_json()) == result


@pytest.mark.parametrize("data", [None, [], "text"])
def test_from_json__broken_data_of_version_1_is_no_traceback(raw, data):
    with pytest.raises(DataError, match="data"):
        parse_result(json.dumps({**raw, "data": data}), "a.json")


@pytest.fixture
def published(tmp_path):
    """The file in a repository of results, under the name that version 1 gave it."""
    text = VERSION_1.read_text()
    path = tmp_path / result_path(read_result(VERSION_1), text)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_verify__a_published_file_of_version_1_is_not_called_edited(published, tmp_path):
    name = published.relative_to(tmp_path).as_posix()
    # The first 16 digits of `sha256sum version-1.json`.
    assert name == "results/bundled-efficientnet-lite0/sample/33cebd0774748d55.json"
    (file,) = read_files(tmp_path, [name]).accepted
    check = verified(file, local_canary="78e492f7fbf1fa50")
    assert (check.verdict, "ids alone" in check.why) == ("repeatable here", True)
    published.write_text(published.read_text().replace('"n": 13,', '"n": 14,'))
    (file,) = read_files(tmp_path, [name]).accepted
    assert verified(file).verdict == "edited"
    assert edited(name, file.result, file.text)


def test_gather__a_file_of_version_1_is_published_unchanged(tmp_path):
    (tmp_path / "result.json").write_text(VERSION_1.read_text())
    gathered = gather_results(tmp_path, smoke_tests=True, unknown_codec=codec_canary() != "78e492f7fbf1fa50")
    (file,) = gathered.files
    assert file.text == VERSION_1.read_text()
    assert file.path.endswith("/33cebd0774748d55.json")
    assert results_table({file.path: file.result}).column("question_hash").to_pylist() == [None]


def test_board__a_result_of_version_1_has_its_column(tmp_path):
    (tmp_path / "a.json").write_text(VERSION_1.read_text())
    board = build_board(measured_entries(read_files(tmp_path, ["a.json"]).accepted))
    (data,) = board.data
    assert "070ec80f1b1d" in data.note
