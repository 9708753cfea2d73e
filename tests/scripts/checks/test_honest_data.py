"""A little of ``scripts/checks/honest_data.py``, and that it sees what is wrong."""

import pytest

from scripts.checks import honest_data
from scripts.checks.honest_data import Commands, tried


@pytest.mark.slow
def test_tried__one_set_is_scored_and_nothing_is_refused(tmp_path):
    one = tried(8, tmp_path)
    assert (one.outcome, one.wrong) == ("scored", ())
    assert (tmp_path / "board" / "index.html").is_file()


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        (lambda words: print("all is well") or 0, 0),
        (lambda words: print("a.json: KeyError: 'value'") or 0, 1),
        (lambda words: [][0], 2),
    ],
)
def test_commands__see_names_of_exceptions_and_tracebacks(command, wrong, monkeypatch):
    monkeypatch.setattr(honest_data, "camtrace", command)
    commands = Commands()
    commands.run("score")
    assert len(commands.wrong) == wrong


def test_commands__expect_status_0(monkeypatch):
    monkeypatch.setattr(honest_data, "camtrace", lambda words: 3)
    commands = Commands()
    commands.expect("verify", "out")
    assert commands.wrong == ["verify out ended with status 3: "]


def test_wrong_in__an_interval_without_its_value_and_failures_that_name_exceptions():
    score = {"task": "knn/original", "metric": "accuracy", "value": 0.5, "low": 0.4, "high": 0.6}
    good = {"scores": [score], "failures": [{"reason": "site has one class"}]}
    bad = {"scores": [{**score, "low": 0.51}], "failures": [{"reason": "not measured (KeyError: 'a')"}]}
    assert honest_data._wrong_in(good) == []
    assert [text.partition(":")[0] for text in honest_data._wrong_in(bad)] == ["failure", "interval"]
