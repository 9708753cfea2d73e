"""kNN of several views among one collection, against loops over everything that could be asked."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.knn import flipped_by, knn_of_views, worst_of
from builders.errors import DataError

VIEWS = 14


def case(seed: int, n_train: int = 23, n_test: int = 7, dimension: int = 6, labels: int = 4):
    """Photos that lean to their class, and views that move them."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(labels, dimension))
    train_labels, test_labels = rng.integers(0, labels, n_train), rng.integers(0, labels, n_test)
    train = centres[train_labels] + rng.normal(size=(n_train, dimension))
    photos = centres[test_labels] + rng.normal(size=(n_test, dimension))
    views = [photos + rng.normal(scale=0.8, size=dimension) for _ in range(VIEWS)]
    return train, views, train_labels, test_labels


def ordered(query: np.ndarray, train: np.ndarray) -> list[int]:
    def cosine(a, b):
        return float(a @ b) / float(np.linalg.norm(a) * np.linalg.norm(b))

    return sorted(range(len(train)), key=lambda i: (-cosine(query, train[i]), i))


def leaders(query: np.ndarray, train: np.ndarray, labels: np.ndarray, k: int) -> list[int]:
    """The labels with most votes, that of the nearest neighbour first."""
    votes: dict[int, int] = {}
    for i in ordered(query, train)[:k]:
        votes[int(labels[i])] = votes.get(int(labels[i]), 0) + 1
    return [label for label, count in votes.items() if count == max(votes.values())]


@pytest.mark.parametrize(("seed", "k"), [(0, 1), (1, 2), (2, 5), (3, 30)])
def test_knn_of_views__worst_and_flips_equal_an_exhaustive_loop(seed: int, k: int) -> None:
    """An adversary tries every processing on every query: here he does, one by one."""
    train, views, train_labels, test_labels = case(seed)
    answers = knn_of_views(train, views, train_labels, test_labels, k=k)
    turned = 0
    for rule in ("nearest", "random", "least", "greatest"):
        right = answers.right(rule)
        for q, truth in enumerate(test_labels):
            by_hand = []
            for view in views:
                top = leaders(view[q], train, train_labels, k)
                by_hand.append(
                    {
                        "nearest": float(top[0] == truth),
                        "random": (truth in top) / len(top),
                        "least": float(top == [truth]),
                        "greatest": float(truth in top),
                    }[rule]
                )
            np.testing.assert_allclose(right[:, q], by_hand, atol=1e-12)
            assert worst_of(right)[q] == pytest.approx(min(by_hand))
            assert flipped_by(right)[q] == pytest.approx(max(by_hand) - min(by_hand))
            turned += max(by_hand) != min(by_hand)
    assert answers.correct.shape == (VIEWS, len(test_labels))
    assert k == 30 or turned  # with 30 of 23 neighbours all vote, and processing can turn no vote but a tied one


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_knn_of_views__more_processings_only_help_the_adversary(seed: int) -> None:
    right = knn_of_views(*case(seed), k=3).right()
    worst = [worst_of(right[:count]) for count in range(1, VIEWS + 1)]
    assert all((later <= before).all() for before, later in itertools.pairwise(worst))
    assert (worst[-1] <= right.mean(axis=0)).all()


def test_knn_of_views__refuses_views_of_other_photos() -> None:
    train, views, train_labels, test_labels = case(5)
    with pytest.raises(DataError, match="expected"):
        knn_of_views(train, [views[0], views[1][:6]], train_labels, test_labels)
    with pytest.raises(DataError, match="least"):
        knn_of_views(train, [], train_labels, test_labels)
