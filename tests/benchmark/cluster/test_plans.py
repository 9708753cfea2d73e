"""What is no plan, no request and no rank is refused, whoever wrote it."""

import pytest

from benchmark.cluster import read_request, request_of
from builders.cluster import Plan, RankPlan
from builders.errors import DataError, UsageError
from tests.benchmark.cluster.test_builds import BUILD

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


def key_with(**encoder):
    return {"0/a": {**KEY, "encoder": {**KEY["encoder"], **encoder}}, "0/b": KEY}


@pytest.mark.parametrize(
    "plan",
    [
        plan_with(),
        plan_with("score"),
        plan_with("build", ("anything",), sizes={"a/train": 4}),
        plan_with(keys=key_with(dimension=(1 << 24) - 1)),
        plan_with(units=["0/0/99", "task 0 0 0/1 knn/jpeg", "task 0 1 4/5 a/b"]),
    ],
)
def test_request_of__a_plan_of_this_form_is_taken(plan):
    request = request_of(plan)
    assert (request.kind, request.words) == (plan.kind, ("sweep",))


@pytest.mark.parametrize(
    "plan",
    [
        plan_with("x" * 50),
        *(plan_with(**{name: "absent"}) for name in NOTES),
        *(plan_with(groups=groups) for groups in (5, [[]], [["a", 5]])),
        plan_with(device=0),
        plan_with(runtimes={"a": None}),
        *(plan_with(keys=key_with(dimension=d)) for d in (0, 1 << 24, True, 1.5, "8")),
        plan_with(keys=key_with(id=7)),
        *(plan_with(keys={name: KEY}) for name in ("0/c", "-1/a", "x/a")),
        plan_with(keys={"0/a": {**KEY, "photos": {"bytes": 5}}}),
        *(plan_with(inputs={"0/a": size, "0/b": None}) for size in ("5", [1], [1, 2.0], [True, 2], [1, 2, 3])),
        plan_with(bytes={}),
        plan_with(answers=[]),
        *(plan_with(units=[unit]) for unit in ("", "0/0", "1/0/0", "0/0/-1", "0/-1/0", "task 0 0", "9/9/9")),
        *(plan_with(units=[f"task 0 0 {part} knn/jpeg"]) for part in ("1/1", "1/0", "-1/2", "2/2")),
        *(plan_with(units=[f"task {at} 0/0 knn/jpeg"]) for at in ("0 -1", "1 0", "0 2", "9 0")),
        *(plan_with(units=[f"task 0 0 0/0 {task}"]) for task in ("knn", "a/..b", "../../x")),
        *(plan_with("build", sizes=sizes) for sizes in ({"a": 0}, {"a": 1.0}, {"a": "x"}, [1])),
    ],
)
def test_request_of__a_plan_that_was_changed_is_refused(plan):
    with pytest.raises(DataError, match="out"):
        request_of(plan)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("sweep", "--fresh"), "--fresh"),
        (("score", "--config=x"), "--config"),
        (("embed", "--dry-run"), "--dry-run"),
        (("sweep", "--push-to", "me/x"), "--push-to"),
        (("build", "check", "x"), "build check"),
        (("sweeps",), "sweep"),
    ],
)
def test_read_request__names_what_cannot_be_planned(words, named):
    with pytest.raises(UsageError, match=named):
        read_request(words)


def test_work__takes_numbers_of_ranks_of_the_plan(run, tmp_path):
    assert run("plan", "--ranks", 3, *BUILD, "--output", tmp_path / "out")[0] == 0
    assert run("work", tmp_path / "out.plan")[0] == 0
    for text, status in (("1,1-2", 0), ("0-2", 0), ("1-", 0), ("3", 2), ("0-3", 2), ("1-b", 2), ("-1", 2), ("", 2)):
        assert run("work", tmp_path / "out.plan", f"--rank={text}")[0] == status, text
