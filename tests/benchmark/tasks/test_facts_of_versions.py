"""Facts of stored answers as whole tables, of this version and of older ones that did not store some arrays."""

import numpy as np
import pytest

from benchmark.knn import TieRule
from benchmark.results import AnswerFacts
from benchmark.tasks import facts
from benchmark.tasks.knn import read_knn, read_plain_knn
from benchmark.tasks.scores import add_freedom, freedom_of
from tests.benchmark.knn.definition import make_case

RIGHT = np.array([[1, 0, 0.5, 0], [1, 1, 1, 0], [1, 1, 1, 0.5]])  # two processings, and the unprocessed photo
WHOLE = {
    "right": RIGHT,
    "jittered": np.array([[1, 1, 0.5, 0], [1, 1, 1, 1]]),
    "chance": np.array([0.25, 0.5, 0.25, 0.5]),
    "processings": np.array(["a", "b"]),
    "rule": np.array("random"),
    "photos": np.array([4, 5, 7, 9]),
}


@pytest.mark.parametrize("lacking", ["jittered", "chance", "processings", "rule"])
def test_adversary_facts__of_a_version_that_did_not_store_an_array(lacking):
    whole = facts.adversary_facts(WHOLE)
    older = facts.adversary_facts({name: array for name, array in WHOLE.items() if name != lacking})
    gone = {"jittered": "jitter", "processings": "by_processing", "rule": "tie_rule", "chance": ""}[lacking]
    for name, fact in whole.items():
        details = {key: value for key, value in fact.details.items() if key != gone}
        chance = None if lacking == "chance" and name != "flipped" else fact.chance
        assert older[name] == AnswerFacts(chance, None, details)


def of_setups(rule: TieRule) -> tuple:
    answers = make_case(15, n_train=40, n_test=12, labels=6, same=0.3).answers(k=4)
    names = ("correct", "least", "greatest", "random", "combinations")
    arrays = {name: getattr(answers, name) for name in names}
    arrays |= {"worst": answers.of_worst(rule), "flipped": answers.flipped(rule), "photos": np.arange(12) + 3}
    arrays |= {"by_seed": answers.random_by_seed if rule == "random" else answers.by_seed, "chance": np.full(12, 0.2)}
    return answers, {**arrays, "rule": np.array(rule)}


def test_knn_facts__of_older_versions():
    answers, arrays = of_setups("random")

    def without(*names):
        return {name: array for name, array in arrays.items() if name not in names}

    no_rule = facts.knn_facts(without("rule"))
    assert not any("tie_rule" in fact.details for fact in no_rule.values())
    by_nearest = read_knn(without("rule", "worst"))
    assert "worst" not in by_nearest
    np.testing.assert_allclose(by_nearest["all-diff"].values, answers.per_photo("nearest")["all-diff"])
    for lacking in (("flipped",), ("worst",)):
        assert "worst" not in facts.knn_facts(without(*lacking))
    oldest = facts.knn_facts(without("least", "greatest", "random", "chance", "rule", "flipped"))
    assert oldest == {
        name: AnswerFacts(None, None, {"accuracy_by_seed": made[name].details["accuracy_by_seed"]})
        for made in [facts.knn_facts(arrays)]
        for name in ("uniform", "uniform-test")
    }
    plain = {"correct": np.array([True, False]), "random": np.array([0.5, 0.25]), "photos": np.array([2, 3])}
    for rule, expected in ((None, [1, 0]), ("nearest", [1, 0]), ("random", [0.5, 0.25])):
        given = plain if rule is None else {**plain, "rule": np.array(rule)}
        read = read_plain_knn(given)["accuracy"]
        assert (read.values.tolist(), read.values.dtype, read.photos.tolist()) == (expected, np.float64, [2, 3])


def test_freedom__is_stored_once_and_again_where_it_differs():
    arrays: dict[str, np.ndarray] = {}
    for metric, freedom in (("a", 5), ("b", 5), ("c", 4)):
        add_freedom(arrays, metric, freedom)
    assert {name: int(value) for name, value in arrays.items()} == {"freedom": 5, "freedom-c": 4}
    assert [freedom_of(arrays, metric) for metric in "abc"] == [5, 5, 4]
