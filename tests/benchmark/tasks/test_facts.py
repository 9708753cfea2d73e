"""What stored answers determine, by plain loops over small arrays."""

import numpy as np
import pytest

from benchmark.stats import paired_difference, photo_interval
from benchmark.tasks import facts
from benchmark.tasks.groups.neighbours import ROBUSTNESS_METRICS, read_statistics
from benchmark.tasks.scores import add_freedom, freedom_of


def test_processing_facts__every_metric_of_predictions():
    predicted = np.array([[[0, 0, 1], [1, 0, 1]], [[0, 0, 0], [1, 1, 1]]], np.uint8)  # [fits, classes, photos]
    knn = np.zeros((1, 2, 3), np.uint8)
    made = facts.processing_facts({"predicted": predicted, "predicted-knn": knn, "photos": np.arange(3)})
    assert set(made) == {"accuracy", "accuracy-knn"}
    assert (made["accuracy"].chance, made["accuracy"].guess) == (0.5, 0.5)
    assert made["accuracy"].details == {
        "classes": 2,
        "accuracy_by_seed": [round(4 / 6, 6), 1.0],
        "balanced_accuracy": pytest.approx(5 / 6, abs=1e-6),
        "spread": pytest.approx(np.std([4 / 6, 1], ddof=1), abs=1e-6),
    }
    assert made["accuracy-knn"].details["accuracy_by_seed"] == [0.5]


def test_labelled_facts__balanced_accuracy_and_the_most_frequent_class():
    arrays = {
        "expected": np.array([0, 0, 0, 2]),
        "predicted": np.array([[[0, 0, 1, 2]], [[0, 1, 1, 0]]]),
        "classes": np.array(3),
    }
    (made,) = facts.labelled_facts(arrays).values()
    assert (made.chance, made.guess) == (1 / 3, 0.75)
    assert made.details == {
        "accuracy_by_seed": [0.75, 0.25],
        "balanced_accuracy": pytest.approx(((1 + 0.5 + 0) / 3 + 0.5) / 2, abs=1e-6),
        "spread": pytest.approx(np.std([0.75, 0.25], ddof=1), abs=1e-6),
        "classes": 3,
        "most_frequent_class": 0.75,
    }
    even = facts.labelled_facts({**arrays, "expected": np.array([0, 1, 2, 3]), "classes": np.array(2)})["accuracy"]
    assert (even.chance, even.guess) == (0.5, 0.5)  # chance, where it is more than the largest share
    (older,) = facts.labelled_facts({name: arrays[name] for name in ("expected", "predicted")}).values()
    assert (older.chance, older.guess) == (None, None)
    assert "classes" not in older.details
    assert facts.labelled_facts({"predicted": arrays["predicted"]}) == {}


@pytest.mark.parametrize("clustered", [False, True])
def test_curve__steps_before_the_whole_and_the_gain_of_the_last(clustered):
    rng = np.random.default_rng(0)
    predicted = rng.integers(0, 2, (3, 1, 40))
    expected = rng.integers(0, 2, 40)
    clusters = np.arange(40) // 2 if clustered else None
    curve = rng.random((2, 40)).astype(np.float32)
    arrays = {"expected": expected, "predicted": predicted, "curve": curve, "curve_fits": np.array(2)}
    arrays |= {"predicted-knn": predicted} | ({} if clusters is None else {"clusters": clusters})
    made = facts.labelled_facts(arrays)
    assert "learning_curve" not in made["accuracy-knn"].details
    whole = (predicted[:2, 0] == expected).mean(axis=0)  # the fits that the parts have, too
    ends = [photo_interval(row, clusters=clusters) for row in (curve[0].astype(float), curve[1].astype(float), whole)]
    gain = paired_difference(whole, curve[1].astype(float), clusters=clusters)
    assert made["accuracy"].details["learning_curve"] == {
        "accuracy": [round(e.value, 6) for e in ends],
        "low": [round(e.low, 6) for e in ends],
        "high": [round(e.high, 6) for e in ends],
        "gain": {"value": gain.value, "low": gain.low, "high": gain.high, "p_value": gain.p_value},
        "assignments": 2,
        "rises": gain.low > 0 and gain.value >= 0.005,
    }
    alone = facts.labelled_facts({**arrays, "curve": curve[:0]})["accuracy"].details["learning_curve"]
    assert alone["gain"] is None


def test_curve__photos_that_are_all_alike_gain_as_in_the_run():
    """Each photo has one of three views right at every step; float32 stores another third."""
    share = np.full(9, 1 / 3)
    arrays = {"predicted": np.zeros((1, 3, 9), np.uint8), "curve": np.float32([share]), "curve_fits": np.array(1)}
    gain = paired_difference(share, share)
    made = facts.processing_facts(arrays)["accuracy"].details["learning_curve"]["gain"]
    assert gain.high - gain.low > 0.1
    assert made == {"value": gain.value, "low": gain.low, "high": gain.high, "p_value": gain.p_value}


def test_plain_knn_facts__chance_and_ties():
    arrays = {"chance": np.array([0.1, 0.2]), "least": np.array([0.0, 1.0]), "greatest": np.array([1.0, 1.0])}
    made = facts.plain_knn_facts(arrays)["accuracy"]
    assert made.chance == pytest.approx(0.15)
    assert made.details == {"ties": {"least": 0.5, "greatest": 1.0}}
    assert facts.plain_knn_facts({})["accuracy"] == facts.AnswerFacts(None, None, {})


def test_adversary_facts__spoiled_answers_are_right_before_and_wrong_after():
    right = np.array([[1, 0, 0.5, 0, 1], [1, 1, 1, 0, 1], [1, 1, 1, 0, 0.5]])  # the last row is the photo itself
    made = facts.adversary_facts({"right": right, "chance": np.array([0.25])})
    assert made["flipped"].details["spoiled"] == 0.2
    assert made["flipped"].chance == 0.0
    assert [made[name].chance for name in ("worst", "average", "best")] == [0.25] * 3
    assert "jitter" not in made["worst"].details
    jittered = facts.adversary_facts({"right": right, "jittered": np.ones((2, 5))})
    assert {name: "jitter" in fact.details for name, fact in jittered.items()} == {
        "worst": True, "average": False, "best": True, "flipped": True,
    }  # fmt: skip


@pytest.mark.parametrize("clusters", [None, np.array([0, 0, 1, 2, 2, 3])])
def test_jitter_details__what_is_beyond_a_jitter_of_equal_size(clusters):
    right = np.array([[0, 1, 0, 1, 0, 1], [1, 1, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1]], float)
    jittered = np.array([[1, 1, 0, 1, 1, 1], [1, 0, 1, 1, 1, 1]], float)
    made = facts.jitter_details(right, jittered, clusters)["worst"]["jitter"]
    of_processing, of_jitter = right[:-1].min(axis=0), jittered.min(axis=0)
    ends, beyond = (
        photo_interval(of_jitter, clusters=clusters),
        paired_difference(of_jitter, of_processing, clusters=clusters),
    )
    assert made == {
        "value": ends.value, "low": ends.low, "high": ends.high, "jitters": 2,
        "beyond": {n: getattr(beyond, n) for n in ("value", "low", "high", "p_value")},
    }  # fmt: skip
    assert made["beyond"]["value"] == pytest.approx(4 / 6 - 2 / 6)


def test_neighbour_chance__of_labels_that_the_collection_lacks():
    made = facts.neighbour_chance(np.array([5, 5, 1, 5]), np.array([0, 1, 5, 7]))
    assert (made.tolist(), made.dtype) == ([0, 0.25, 0.75, 0], np.float32)


def test_freedom__of_metrics_that_are_unknown_without_some_cluster():
    """Another number of degrees of freedom than the first metric's is stored beside it, and read with its values."""
    arrays = {"photos": np.arange(3), "clusters": np.arange(3)}
    names = [metric.name for metric in ROBUSTNESS_METRICS[:3]]
    for name, freedom in zip(names, (1, 2, 1), strict=True):
        arrays[name] = np.zeros(3)
        add_freedom(arrays, name, freedom)
    assert {name: int(value) for name, value in arrays.items() if "freedom" in name} == {
        "freedom": 1,
        f"freedom-{names[1]}": 2,
    }
    assert [freedom_of(arrays, name) for name in names] == [1, 2, 1]
    assert [read.freedom for read in read_statistics(ROBUSTNESS_METRICS[:3], arrays).values()] == [1, 2, 1]
