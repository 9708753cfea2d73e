"""Scores of the metrics on plain sequences, by hand; every refusal as its sentence; texts that the Hub shows."""

import numpy as np
import pytest

from benchmark.knn import knn_setups
from benchmark.metrics import (
    knn_setup_scores,
    pair_scores,
    probe_scores,
)
from benchmark.stats import photo_interval
from builders.errors import DataError
from builders.pixels import Parameter, assigned_class


def refusal(function, *args, **more) -> str:
    with pytest.raises(DataError) as refused:
        function(*args, **more)
    return str(refused.value)


def test_probe_scores__photos_with_other_numbers_of_views_by_hand():
    """Views of one photo need not stand together; a weighs one view, b three, c two."""
    photos = ["b", "a", "c", "b", "c", "b"]
    expected = ["x", "y", "y", "y", "z", "x"]
    predicted = ["x", "y", "x", "y", "z", "z"]
    made = probe_scores(predicted, expected, photos)
    # right: b yes, a yes, c no, b yes, c yes, b no
    ends = photo_interval(np.array([1.0, 2.0, 1.0]), np.array([1.0, 3.0, 2.0]))
    assert made == {
        "accuracy": 4 / 6,
        "balanced_accuracy": pytest.approx((1 / 2 + 2 / 3 + 1) / 3),
        "low": ends.low,
        "high": ends.high,
        "chance": 1 / 3,
        "n": 3,
        "rows": 6,
    }
    assert list(made) == ["accuracy", "balanced_accuracy", "low", "high", "chance", "n", "rows"]
    assert probe_scores(predicted, expected, photos, 3)["chance"] == 1 / 3
    assert probe_scores(predicted, expected, photos, 8)["chance"] == 1 / 8


def views(train: int, test: int, classes: int, dim: int = 4, seed: int = 0):
    """Rows of photos in every class, photos in the order 0, 1, ..., classes in falling order."""
    rng = np.random.default_rng(seed)
    photos = [i for i in range(train + test) for _ in range(classes)]
    kinds = [c for _ in range(train + test) for c in reversed(range(classes))]
    splits = ["test" if i % 3 == 0 and i // 3 < test else "train" for i in photos]
    labels = [f"label {i * 7 % 3}" for i in photos]
    return rng.normal(size=(len(photos), dim)), labels, photos, kinds, splits


@pytest.mark.parametrize("classes", [1, 2])
def test_knn_setup_scores__every_number_of_the_answers(classes):
    """Ids that are numbers are drawn by their text; photos stand in the order of their first row."""
    rows, labels, photos, kinds, splits = views(14, 5, classes)
    made = knn_setup_scores(rows, labels, photos, kinds, splits, k=2, seeds=3)
    of = {s: [i for i in dict.fromkeys(photos) if splits[photos.index(i)] == s] for s in ("train", "test")}
    at = {(i, c): row for row, (i, c) in enumerate(zip(photos, kinds, strict=True))}
    question = Parameter("metric", tuple(map(str, range(classes))), ())
    banks = {s: [np.float32(rows)[[at[i, c] for i in of[s]]] for c in range(classes)] for s in of}
    codes = {s: np.array([i * 7 % 3 for i in of[s]]) for s in of}
    drawn = {s: np.array([[assigned_class(str(i), question, seed) for i in of[s]] for seed in range(3)]) for s in of}
    answers = knn_setups(banks["train"], banks["test"], codes["train"], codes["test"], k=2,
                         train_assignments=drawn["train"], test_assignments=drawn["test"])  # fmt: skip
    expected = {**answers.values, "chance": answers.chance, "n": 5, "train_photos": 14, "k": 2}
    assert {name: made[name] for name in expected} == pytest.approx(expected)
    assert set(made) == {*expected, "intervals", "ties", *(["worst_jitter"] if classes > 1 else [])}
    assert set(made["intervals"]) == set(answers.values)
    assert made["ties"] == {name: ties._asdict() for name, ties in answers.ties.items()}
    assert all(set(ties) == {"share", "least", "greatest", "random"} for ties in made["ties"].values())


def test_pair_scores__every_number_of_the_answers():
    rows = [[1, 0, 0], [3, 4, 0], [4, 0, 3], [0, 0, 1]]
    made = pair_scores(rows, [7, 7, 8, 8], list("abab"))
    # pair 7: a finds b in same and loses in different; pair 8 finds and loses the other way round
    expected = {"same": 1.0, "different": 0.5, "spd": 0.5, "n": 2}
    assert {name: made[name] for name in expected} == expected
    names = {"same", "different", "spd", "all"}
    names |= {f"{c}-{m}" for c in ("same", "different") for m in ("at-5", "mrr", "to-a", "to-b")}
    assert set(made) == {*names, "intervals", "chance", "n"}
    assert set(made["intervals"]) == set(made["chance"]) == names
    assert made["chance"]["same"] == 0.5
    low, high = made["intervals"]["spd"]
    assert low < 0 < high  # a difference may be below 0
    assert refusal(pair_scores, rows, [7, 7, 8], list("abab")) == (
        "pair retrieval needs one embedding, pair id and camera type per photo, got (4, 3), (3,) and (4,)"
    )
