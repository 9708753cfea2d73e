"""The words of a planned command: where its output goes, and what a file that may change is replaced by."""

import pytest

from benchmark.cluster.request import OUTPUT, _freeze_processings, _taken_output

DEFINITIONS = '[[parameter]]\nname = "blur"\n'


@pytest.mark.parametrize(
    ("words", "frozen"),
    [
        (["--processings", "f.toml", "x"], ["--processings", DEFINITIONS, "x"]),
        (["x", "--processings=f.toml"], ["x", f"--processings={DEFINITIONS}"]),
        (["x", "--processings"], ["x", "--processings"]),
        (["a--processings=", "--processing=f.toml"], ["a--processings=", "--processing=f.toml"]),
    ],
)
def test_freeze_processings__the_file_becomes_its_text(monkeypatch, words, frozen):
    monkeypatch.setattr("benchmark.cluster.request.read_definitions", lambda what: type("D", (), {"text": DEFINITIONS}))
    _freeze_processings(words, "f.toml")
    assert words == frozen


@pytest.mark.parametrize(
    ("words", "output", "left"),
    [
        (["a", "-o", "out"], "out", ["a", "-o", OUTPUT]),
        (["--output", "out", "b"], "out", ["--output", OUTPUT, "b"]),
        (["--output=out", "b"], "out", ["--output", OUTPUT, "b"]),
        (["--outputs=layers", "-o"], None, ["--outputs=layers", "-o"]),
    ],
)
def test_taken_output__is_replaced_by_a_placeholder(words, output, left):
    assert _taken_output(words, "--output") == output
    assert words == left
