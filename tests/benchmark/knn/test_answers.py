"""What is said of the neighbours' votes: counts, values, ties, the worst processing, chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.knn import SPD, KnnAnswers, cosine_distances, jittered, knn_setups, setup_shares
from benchmark.knn.answers import Ties
from tests.benchmark.knn.definition import (
    SETUPS,
    make_case,
    reference,
)


def test_answers__counts_agree_with_each_other() -> None:
    case = make_case(11)
    answers = case.answers(k=5)
    changed = np.arange(3)
    np.testing.assert_array_equal(answers.correct[0], answers.plain[changed, changed].sum(axis=0))
    np.testing.assert_array_equal(answers.correct[1], answers.plain.sum(axis=(0, 1)) - answers.correct[0])
    np.testing.assert_array_equal(answers.correct[4:], answers.by_seed.sum(axis=1))
    assert answers.combinations.tolist() == [3, 6, 6, 6, 9, 9]
    assert (answers.correct <= answers.combinations[:, None]).all()
    assert answers.values["all-diff"] == pytest.approx(answers.correct[1].sum() / (6 * 9))
    assert answers.per_photo()["neg-same"].shape == (9,)


def test_answers__worst_by_hand() -> None:
    """Two photos, two processings: the first photo's query leaves its class under processing 1, the second never."""
    train = [np.eye(2, dtype=np.float32)] * 2
    test = [np.eye(2, dtype=np.float32), np.array([[0, 1], [0, 1]], np.float32)]
    labels, drawn = np.array([0, 1]), np.zeros((1, 2), int)
    answers = knn_setups(train, test, labels, labels, train_assignments=drawn, test_assignments=drawn, k=1)
    assert answers.of_worst().tolist() == [0.0, 1.0]
    assert answers.flipped().tolist() == [1.0, 0.0]
    assert answers.values["worst"] == 0.5
    assert answers.ties["worst"] == Ties(0.0, 0.5, 0.5, 0.5)


@pytest.mark.slow
@given(st.integers(0, 10**6), st.sampled_from([1, 3, 10]))
@settings(max_examples=15, deadline=None)
def test_answers__worst_is_below_every_processing_of_the_query(seed: int, k: int) -> None:
    answers = make_case(seed).answers(k=k)
    accuracy = answers.plain.mean(axis=1)  # [processing of the query, photos], over collections
    assert (answers.of_worst() <= accuracy.min(axis=0) + 1e-12).all()
    for rule in ("nearest", "random", "least", "greatest"):
        assert (answers.of_worst(rule) <= answers.per_photo(rule)["all-same"] + 1e-12).all()
        assert ((answers.flipped(rule) >= -1e-12) & (answers.flipped(rule) <= 1)).all()


def test_answers__chance_is_that_of_a_photo_drawn_blindly() -> None:
    """Train 6, 2, 0 and test 3, 0, 1 photos of three labels: 6/8 x 3/4; half and half on both sides is 1/2."""
    case = make_case(15, n_train=8, n_test=4)
    case.train_labels[:] = [0] * 6 + [1] * 2
    case.test_labels[:] = [0, 0, 0, 2]
    assert case.answers(k=1).chance == pytest.approx(6 / 8 * 3 / 4)
    case.test_labels[:] = [0, 1, 0, 1]
    assert case.answers(k=1).chance == pytest.approx(6 / 8 * 1 / 2 + 2 / 8 * 1 / 2)
    case.test_labels[:] = [0, 0, 0, 1]
    assert case.answers(k=1).chance == pytest.approx(6 / 8 * 3 / 4 + 2 / 8 * 1 / 4)


def test_answers__expectation_of_ties_against_lots() -> None:
    """The means over photos of all six set-ups, where one vote in four is tied, within the error of 1,000 lots."""
    case = make_case(15, n_train=40, n_test=30, labels=6, same=0.3)
    answers, expected = case.answers(k=6), reference(case, 6)
    for i, name in enumerate(SETUPS):
        count = answers.combinations[i]
        error = np.sqrt(expected["variance"][i].sum()) / (30 * count)
        ties = answers.ties[name]
        assert 0 < error < 0.002
        assert ties.random == pytest.approx(expected["random"][i].mean() / count, abs=4 * error)
        assert ties.share > 0.2
        assert ties.least < ties.random < ties.greatest
        assert ties.least <= answers.values[name] <= ties.greatest


def test_answers__ties_of_a_difference_and_of_seeds() -> None:
    answers = make_case(16).answers(k=4)
    more, less, spd = (answers.ties[name] for name in ("pos-same", "neg-same", "spd"))
    assert spd.least == more.least - less.greatest
    assert spd.greatest == more.greatest - less.least
    assert spd.least <= answers.values[SPD] <= spd.greatest
    per_photo = answers.per_photo("random")
    assert spd.random == pytest.approx((per_photo["pos-same"] - per_photo["neg-same"]).mean())
    np.testing.assert_allclose(answers.random[4:], answers.random_by_seed.sum(axis=1))


def test_answers__one_neighbour_never_ties() -> None:
    answers = make_case(17).answers(k=1)
    for name, ties in answers.ties.items():
        value = answers.values[name]
        assert tuple(ties) == (0.0, value, value, value)


def test_setup_shares__rounding_leaves_no_share_beyond_one() -> None:
    """Sums less sums of thirds: 30.000000000000004 of 30 is all of them; a third more than all stays what it is."""
    right = np.array([[np.nextafter(30, 31), -1e-15, 40.0]] * 6)
    shares = setup_shares(right, np.full(6, 30))
    assert shares["pos-same"].tolist() == [1.0, 0.0, 40 / 30]
    assert shares["spd"].tolist() == [0.0, 0.0, 0.0]


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
