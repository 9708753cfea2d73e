"""The words of a planned command: where its output goes, and what a file that may change is replaced by."""

import pytest

from benchmark.cluster import request_of
from benchmark.cluster.request import OUTPUT, _freeze_processings, _taken_output
from builders.cluster import Plan, RankPlan
from builders.errors import DataError

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


KEY = {"encoder": {"id": "a", "dimension": 8}, "photos": {"bytes": "1f"}}

NOTES = {
    "device": "cpu",
    "groups": [["a", "b"]],
    "runtimes": {"a": "torch", "b": "torch"},
    "keys": {"0/a": KEY, "0/b": KEY},
    "inputs": {"0/a": None, "0/b": [224, 224]},
    "bytes": [["1f"]],
}

UNITS = ("0/0/0", "task 0 0 0/0 probe/jpeg", "task 0 1 1/2 knn/jpeg")


def plan_with(kind="sweep", units=UNITS, **notes):
    changed = {name: value for name, value in {**NOTES, **notes}.items() if value != "absent"}
    return Plan(kind, ("sweep",), "out", (RankPlan(tuple(units), 1),), {}, changed)


def test_request_of__a_plan_of_this_form_is_taken():
    assert request_of(plan_with()).words == ("sweep",)
    assert request_of(plan_with("build", ("anything",), sizes={"a/train": 4})).kind == "build"


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (plan_with(""), "the kind '' is none that is planned"),
        *((plan_with(**{name: "absent"}), f"KeyError: '{name}'") for name in NOTES),
        (plan_with(groups=5), "TypeError"),
        (plan_with(groups=[[]]), "its encoders have no names"),
        (plan_with(keys={"0/c": KEY}), "a key of '0/c', which it does not have"),
        (plan_with(keys={"0/a": {**KEY, "encoder": {"id": "a", "dimension": 10**9}}}), "has no dimension"),
        (plan_with(keys={"0/a": {**KEY, "photos": {"bytes": 5}}}), "names no encoder or photos"),
        (plan_with(inputs={"0/a": "5", "0/b": None}), "has no size"),
        *(
            (plan_with(units=[unit]), "ValueError" if unit in ("", "0/0", "task 0 0") else "")
            for unit in (
                *("", "0/0", "1/0/0", "0/0/-1", "0/-1/0", "9/9/9", "task 0 0", "task 9 0 0/0 probe/jpeg"),
                *(
                    "task 0 -1 0/0 probe/jpeg",
                    "task 0 9 0/0 probe/jpeg",
                    "task 0 0 2/2 knn/jpeg",
                    "task 0 0 0/0 ../../x",
                ),
            )
        ),
        (plan_with("build", sizes={"a": "x"}), "the sizes of its shards are no numbers"),
    ],
)
def test_request_of__a_plan_that_was_changed_is_refused_in_a_sentence(plan, sentence):
    with pytest.raises(DataError, match="is none that camtrace wrote") as refused:
        request_of(plan)
    assert sentence in str(refused.value)
