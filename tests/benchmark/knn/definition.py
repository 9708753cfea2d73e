"""The full definition of the kNN suite, triple by triple and query by query, and cases on which arithmetic is exact."""

from __future__ import annotations

import dataclasses

import numpy as np

from benchmark.knn import KnnAnswers, Setup, knn_setups

SETUPS = [setup.label for setup in Setup]


def exact_vectors(rng: np.random.Generator, n: int, dimension: int = 16, *, zeros: float = 0.05) -> np.ndarray:
    """Vectors whose norms are powers of two: unit vectors, and all their products, are exact and tie often."""
    vectors = np.zeros((n, dimension), np.float32)
    for row in vectors:
        nonzero = rng.choice([1, 4, 16])
        row[rng.choice(dimension, nonzero, replace=False)] = rng.choice([-1, 1], nonzero)
        row *= 2.0 ** rng.integers(-3, 4) if rng.random() >= zeros else 0.0
    return vectors


@dataclasses.dataclass
class Case:
    train: list[np.ndarray]
    test: list[np.ndarray]
    train_labels: np.ndarray
    test_labels: np.ndarray
    train_assignments: np.ndarray
    test_assignments: np.ndarray

    def answers(self, **options: object) -> KnnAnswers:
        return knn_setups(**vars(self), **options)


def make_case(
    seed: int, *, c: int = 3, n_train: int = 40, n_test: int = 9, labels: int = 4, seeds: int = 3, same: float = 0.5
) -> Case:
    """Classes of one photo share their vector with probability ``same``."""
    rng = np.random.default_rng(seed)

    def banks(n: int) -> list[np.ndarray]:
        base = exact_vectors(rng, n)
        return [np.where(rng.random((n, 1)) < same, base, exact_vectors(rng, n)) for _ in range(c)]

    return Case(
        banks(n_train),
        banks(n_test),
        rng.integers(0, labels, n_train),
        rng.integers(0, labels, n_test),
        rng.integers(0, c, (seeds, n_train)),
        rng.integers(0, c, (seeds, n_test)),
    )


DRAWS = 1000


def reference(case: Case, k: int) -> dict[str, np.ndarray]:
    """Votes by outcome [6 set-ups, photos], by the text of the protocol: every combination, every query.

    ``random`` is the mean of 1,000 times in which every tie went to one of its labels by lot; ``variance`` is that of
    such a mean.
    """
    c, n_test, seeds = len(case.train), len(case.test_labels), len(case.train_assignments)
    result = {name: np.zeros((6, n_test)) for name in ("correct", "tied", "least", "greatest", "random", "variance")}
    rules = {name: np.zeros((4, n_test)) for name in ("worst", "best")}
    rng = np.random.default_rng(0)
    others = [(t, o) for t in range(c) for o in range(c) if o != t]
    for q in range(n_test):
        same_label = case.train_labels == case.test_labels[q]

        def ask(setup: str, t: int, drawn: np.ndarray, q: int = q) -> None:
            collection = np.stack([case.train[drawn[i]][i] for i in range(len(drawn))])
            leaders = reference_vote(case.test[t][q], collection, case.train_labels, k)
            truth, at = case.test_labels[q], (SETUPS.index(setup), q)
            lots = np.array(leaders)[rng.integers(0, len(leaders), DRAWS)]
            result["correct"][at] += leaders[0] == truth
            result["tied"][at] += len(leaders) > 1
            result["least"][at] += all(label == truth for label in leaders)
            result["greatest"][at] += any(label == truth for label in leaders)
            result["random"][at] += np.mean(lots == truth)
            result["variance"][at] += 0.25 / DRAWS if len(leaders) > 1 and truth in leaders else 0.0

        for o in range(c):  # the collection; an adversary tries every processing of the query
            votes = [reference_vote(case.test[t][q], case.train[o], case.train_labels, k) for t in range(c)]
            truth = case.test_labels[q]
            by_rule = (
                [float(leaders[0] == truth) for leaders in votes],
                [(truth in leaders) / len(leaders) for leaders in votes],
                [float(leaders == [truth]) for leaders in votes],
                [float(truth in leaders) for leaders in votes],
            )
            rules["worst"][:, q] += [min(answers) for answers in by_rule]
            rules["best"][:, q] += [max(answers) for answers in by_rule]
        for t in range(c):
            ask("all-same", t, np.where(same_label, t, t))
            for s in range(seeds):
                ask("uniform", t, case.train_assignments[s])
        for t, o in others:
            ask("all-diff", t, np.where(same_label, o, o))
            ask("pos-same", t, np.where(same_label, t, o))
            ask("neg-same", t, np.where(same_label, o, t))
        for fixed in range(c):
            for s in range(seeds):
                ask("uniform-test", case.test_assignments[s, q], np.where(same_label, fixed, fixed))
    return result | rules


def reference_vote(query: np.ndarray, collection: np.ndarray, labels: np.ndarray, k: int) -> list[int]:
    """The labels with most votes, in order of their nearest neighbour."""

    query, rows = query.astype(float), collection.astype(float)
    norms = np.sqrt(np.sum(query**2)) * np.sqrt(np.sum(rows**2, axis=1))
    cosines = np.divide((query * rows).sum(axis=1), norms, out=np.zeros(len(rows)), where=norms > 0)
    similarity = cosines.tolist()
    order = sorted(range(len(collection)), key=lambda i: (-similarity[i], i))[:k]
    votes: dict[int, int] = {}
    for i in order:
        votes[labels[i]] = votes.get(labels[i], 0) + 1
    return [label for label in votes if votes[label] == max(votes.values())]


def assert_equals_reference(case: Case, k: int, **options: object) -> None:
    answers, expected = case.answers(k=k, **options), reference(case, k)
    for name in ("correct", "tied", "least", "greatest"):
        np.testing.assert_array_equal(getattr(answers, name), expected[name], err_msg=name)
    for name in ("worst", "best"):
        np.testing.assert_allclose(getattr(answers, name), expected[name], rtol=0, atol=1e-12, err_msg=name)
    # six standard errors of the lots of one photo and set-up
    assert (np.abs(answers.random - expected["random"]) <= 6 * np.sqrt(expected["variance"]) + 1e-9).all()


def assert_same(a: KnnAnswers, b: KnnAnswers, photos: np.ndarray | slice = slice(None)) -> None:
    """Equal answers; ``photos`` is where the photos of ``b`` stand in ``a``."""
    for field in dataclasses.fields(KnnAnswers):
        x, y = getattr(a, field.name), getattr(b, field.name)
        per_photo = isinstance(x, np.ndarray) and field.name != "combinations"
        np.testing.assert_array_equal(x[..., photos] if per_photo else x, y, err_msg=field.name)
