"""Rows for programs: scores, statements and failures of results."""

from types import SimpleNamespace

from benchmark.report import tables
from benchmark.results import Failure, Score
from benchmark.tasks import all_tasks


def test_as_json__scores_statements_and_every_failure():
    scores = (Score("probe/jpeg", "toy", "accuracy", 0.5, 0.4, 0.6, 10, 0.25, {"more": 1}),)
    result = SimpleNamespace(
        encoder={"id": "mine", "library": "x"},
        data={"name": "toy"},
        scores=scores,
        failures=(Failure("photo", "a.jpg", "empty"),),
        outputs=(),
        environment={},
    )
    record = tables.as_json([result], {"other": "no weights"}, all_tasks())
    names = {"encoder": "mine", "data": "toy"}
    values = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10, "chance": 0.25}
    assert record["scores"] == [{**names, "task": "probe/jpeg", "metric": "accuracy", **values}]
    assert record["failures"] == [
        {**names, "kind": "photo", "name": "a.jpg", "reason": "empty"},
        {"encoder": None, "data": None, "kind": "not scored", "name": "other", "reason": "no weights"},
    ]
    assert [(s["encoder"], s["data"], s["task"]) for s in record["statements"]] == [("mine", "toy", "probe/jpeg")]
