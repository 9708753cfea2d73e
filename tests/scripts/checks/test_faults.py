"""A little of ``scripts/checks/faults``: fuzzers of results and answers, and hostile files beside a board."""

import json

import pytest

from benchmark.cli.leaderboard import main
from benchmark.leaderboard.admission import objection
from benchmark.results import read_files
from scripts.checks.faults import __main__ as faults
from scripts.checks.faults.mutations import forgeries, write_board_folder
from scripts.checks.faults.pictures import fuzz_pictures


@pytest.mark.slow
def test_results__mutations_are_refused_with_a_reason_or_harmless(tmp_path):
    tally = faults.fuzz_results(60.0, 7, tmp_path, most=150)
    assert tally.wrong == []
    assert tally.tried["result files"] == sum(tally.outcomes.values()) == 150
    assert tally.outcomes["refused with a reason"] > 75


@pytest.mark.slow
def test_answers__hostile_archives_are_refused_with_a_reason(tmp_path):
    tally = faults.fuzz_answers(60.0, 1, tmp_path, most=60)
    assert tally.wrong == []
    assert sum(tally.tried.values()) == 60


@pytest.mark.slow
def test_pictures__hostile_ones_are_decoded_or_refused():
    tally = fuzz_pictures(120.0, 3, most=150)
    assert tally.wrong == []
    assert sum(tally.tried.values()) == sum(tally.outcomes.values()) == 150
    assert min(tally.outcomes["decoded"], tally.outcomes["refused with a reason"]) > 15


@pytest.mark.parametrize(("name", "data"), list(forgeries()), ids=[name for name, _ in forgeries()])
def test_forgeries__none_is_shown(tmp_path, name, data):
    (tmp_path / "a.json").write_bytes(data)
    read = read_files(tmp_path, ["a.json"], objection=objection)
    assert read.accepted == ()
    assert len(read.refused[0].reason) > 5


def test_board__hostile_files_among_honest_ones_change_nothing_but_the_refusals(tmp_path, capsys):
    write_board_folder(tmp_path / "all", 3, 60, 0)
    boards = []
    for name, results in (("all", tmp_path / "all"), ("honest", tmp_path / "all" / "honest")):
        assert main(["--results", str(results), "-o", str(tmp_path / name / "site"), "--no-published"]) == 0
        data = json.loads((tmp_path / name / "site" / "data.json").read_text())
        assert len(data.pop("refused")) == (60 if name == "all" else 0)
        for row in data["rows"]:
            for file in row["results"]:
                file["file"] = file["file"].removeprefix("honest/")
        boards.append(data)
    assert boards[0] == boards[1]
    assert "\x1b" not in capsys.readouterr().out
