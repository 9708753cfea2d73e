import json

import pytest

from benchmark.leaderboard import read
from benchmark.leaderboard.read import parse_result, read_results
from benchmark.results import write_result
from builders.errors import DataError, UsageError


@pytest.fixture
def good(make):
    return json.loads(make.result("timm/a", make.probes(0.5, 0.6)).to_json())


def test_parse_result__accepts_what_a_run_writes(good):
    assert parse_result(json.dumps(good), "a.json").encoder["id"] == "timm/a"


def edited(raw, path, value):
    *parents, last = path
    place = raw
    for name in parents:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(raw)


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (["encoder", "id"], '<img src=x onerror="alert(1)">', "markup"),
        (["encoder", "id"], "a\u202eb", "invisible"),
        (["encoder", "id"], "a\nb", "control"),
        (["encoder", "id"], "x" * 201, "201 characters"),
        (["encoder", "id"], None, "encoder id is missing"),
        (["encoder", "id"], 7, "encoder id is missing or not text"),
        (["encoder"], [], "encoder is not an object"),
        (["data", "name"], "<b>", "data name"),
        (["data", "name"], " ", "data name"),
        (["scores", 0, "task"], "probe/<script>", "task"),
        (["scores", 0, "value"], "0.5", "not a number"),
        (["scores", 0, "value"], 0.1, "outside its own interval"),
        (["scores", 0, "value"], 1.5, "outside"),
        (["scores", 0, "n"], None, "missing"),
        (["scores", 0, "surprise"], 1, "unknown"),
        (["scores", 0, "details"], "text", "details"),
        (["scores", 0, "n"], -1, "count"),
        (["scores"], [], "no score"),
        (["scores"], None, "missing"),
        (["created"], "yesterday", "ISO 8601"),
        (["created"], 5, "ISO 8601"),
        (["schema_version"], 99, "schema_version"),
        (["failures"], [{"kind": "task", "name": "x", "reason": 5}], "failure"),
    ],
)
def test_parse_result__refuses_with_a_reason(good, path, value, reason):
    with pytest.raises(DataError, match=reason) as error:
        parse_result(edited(good, path, value), "a.json")
    assert str(error.value).startswith("a.json: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_parse_result__refuses_numbers_that_are_none(good, number):
    text = json.dumps(good).replace('"dimension": 512', f'"dimension": {number}')
    assert number in text
    with pytest.raises(DataError, match=r"not JSON|not finite"):
        parse_result(text, "a.json")


def test_parse_result__refuses_a_score_that_is_there_twice(good):
    good["scores"].append(good["scores"][0])
    with pytest.raises(DataError, match="2 times"):
        parse_result(json.dumps(good), "a.json")


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "[" * 100_000, '"' + "x" * 10, "\x00"])
def test_parse_result__refuses_what_is_no_result(text):
    with pytest.raises(DataError):
        parse_result(text, "a.json")


def test_read_results__takes_the_good_and_names_the_bad(make, tmp_path):
    write_result(make.result("a", make.probes(0.5)), tmp_path / "results" / "a" / "toy" / "1.json")
    (tmp_path / "results" / "b.json").write_text("{}")
    (tmp_path / "results" / "c.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "elsewhere.json").write_text("{}")
    found = read_results(str(tmp_path))
    assert [f.file for f in found.accepted] == ["results/a/toy/1.json"]
    assert [r.file for r in found.refused] == ["results/b.json", "results/c.json"]
    assert "schema_version" in found.refused[0].reason


def test_read_results__a_huge_file_is_refused_unread(tmp_path):
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(100 * 2**20)
    (refusal,) = read_results(str(tmp_path)).refused
    assert refusal.reason == "100 MB, more than the 16 MB that a result may have"


def test_read_results__a_link_out_of_the_folder_is_refused(make, tmp_path):
    write_result(make.result("a", make.probes(0.5)), tmp_path / "outside" / "a.json")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "a.json").symlink_to(tmp_path / "outside" / "a.json")
    found = read_results(str(tmp_path / "inside"))
    assert found.accepted == ()
    assert "leaves the folder" in found.refused[0].reason


@pytest.mark.parametrize("source", ["no/such/folder", "nothing", "../up", "./here", "a b/c"])
def test_read_results__neither_folder_nor_repo(source):
    with pytest.raises(UsageError, match="no such folder"):
        read_results(source)


def test_literal__a_pattern_that_matches_only_the_name():
    import fnmatch

    name = "results/a[1]*?/x.json"
    assert fnmatch.fnmatchcase(name, read._literal(name))
    assert not fnmatch.fnmatchcase("results/a1bc/x.json", read._literal(name))
