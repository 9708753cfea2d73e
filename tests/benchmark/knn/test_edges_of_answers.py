"""Edges of answers: shares of tied votes by hand, stored parts of another form, bins of histograms, opposite rows."""

from __future__ import annotations

import numpy as np

from benchmark.knn import KnnAnswers, cosine_distances, jittered
from benchmark.knn.answers import Ties


def answers_by_hand() -> KnnAnswers:
    """Two classes, one seed, two photos: votes out of 2 in every set-up."""
    correct = np.array([[2, 1], [1, 0], [2, 2], [0, 1], [1, 1], [2, 0]], np.int32)
    tied = np.array([[1, 0], [2, 1], [0, 1], [2, 0], [1, 1], [0, 2]], np.int32)
    least, greatest = np.maximum(correct - tied, 0), np.minimum(correct + tied, 2)
    worst = np.array([[1, 0], [0.5, 0.25], [0, 0], [2, 1]], float)  # nearest, random, least, greatest
    best = np.array([[2, 1], [1.5, 1.25], [1, 1], [2, 2]], float)
    return KnnAnswers(
        correct, tied, least, greatest, (least + greatest) / 2, worst, best, np.full(6, 2, np.int32),
        np.zeros((2, 2, 2), bool), np.array([[[1, 1]], [[1, 0]]], np.int16), np.array([[[1, 1]], [[1, 0.5]]]), 0.5, 3,
    )  # fmt: skip


def test_ties__of_every_score_by_hand() -> None:
    """That of ``worst`` is over the votes of all-same and all-diff: (1 + 2 + 0 + 1) / 2 photos of 2 + 2 votes."""
    made = answers_by_hand()
    assert made.tied_share == {
        "all-same": 0.25, "all-diff": 0.75, "pos-same": 0.25, "neg-same": 0.5, "uniform": 0.5, "uniform-test": 0.5
    }  # fmt: skip
    assert made.ties == {
        "all-same": Ties(0.25, 0.5, 0.75, 0.625),
        "all-diff": Ties(0.75, 0.0, 0.75, 0.375),
        "pos-same": Ties(0.25, 0.75, 1.0, 0.875),
        "neg-same": Ties(0.5, 0.25, 0.75, 0.5),
        "uniform": Ties(0.5, 0.0, 1.0, 0.5),
        "uniform-test": Ties(0.5, 0.5, 1.0, 0.75),
        "spd": Ties(0.375, 0.0, 0.75, 0.375),
        "worst": Ties(0.5, 0.0, 0.75, 0.1875),
    }


def test_answers__values_by_seed_and_flips_by_hand() -> None:
    made = answers_by_hand()
    assert made.values == {
        "all-same": 0.75, "all-diff": 0.25, "pos-same": 1.0, "neg-same": 0.25, "uniform": 0.5, "uniform-test": 0.5,
        "spd": 0.75, "worst": 0.25,
    }  # fmt: skip
    for seeds, first, second in ((made.seed_values, 0.5, 0.25), (made.random_seed_values, 0.5, 0.375)):
        lists = {name: values.tolist() for name, values in seeds.items()}
        assert lists == {"uniform": [first], "uniform-test": [second]}
    assert [made.flipped(rule).tolist() for rule in ("nearest", "random", "least", "greatest")] == [
        [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.0, 0.5]
    ]  # fmt: skip


def test_jittered__opposite_rows_stay_on_the_sphere_whatever_their_rounding() -> None:
    """Rounding may put two opposite rows a little more than a diameter apart."""
    rows = np.random.default_rng(0).normal(size=(400, 7))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert (np.linalg.norm(-unit - unit, axis=1) > 2).any()
    (made,) = jittered([-3 * rows], rows)
    np.testing.assert_allclose(made[:], -unit, atol=1e-6)


def test_cosine_distances__of_opposite_rows_are_2_at_most() -> None:
    rows = np.random.default_rng(1).normal(size=(5000, 6)).astype(np.float32)
    distances = cosine_distances(rows, -2 * rows)
    assert distances.max() == 2
    np.testing.assert_allclose(distances, 2, atol=1e-6)
    assert (cosine_distances(rows, 3 * rows) == 0).all()
