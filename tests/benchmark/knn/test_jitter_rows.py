"""Jitters by their definition: which of the shared directions a photo takes in which view, and extremes by a loop."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.knn import TieRule, cosine_distances, extremes_of_jitters, jittered, knn_of_views
from benchmark.knn.jitter import DIRECTIONS


def unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, float)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


def moved(view: np.ndarray, original: np.ndarray, directions: np.ndarray, number: int, count: int) -> np.ndarray:
    """Each photo, one by one: as far from its original as its view is, in its direction for this view."""
    rows = []
    for photo, (one, still) in enumerate(zip(unit(view), unit(original), strict=True)):
        drawn = directions[(photo * count + number) % len(directions)].astype(float)
        sideways = unit(drawn - (drawn @ still) * still)
        cosine = one @ still
        rows.append(cosine * still + np.sqrt(max(0.0, 1 - cosine**2)) * sideways)
    return np.array(rows)


@pytest.mark.parametrize(("photos", "views", "seed"), [(5, 3, 0), (5, 2, 9), (1500, 3, 4)])
def test_jittered__rows_by_definition(photos: int, views: int, seed: int) -> None:
    """As many directions as there are moves, at most 4,096, which are then taken again from the first on."""
    assert DIRECTIONS == 4096
    rng = np.random.default_rng(1)
    originals = rng.normal(size=(photos, 6)) * rng.uniform(0.1, 5, size=(photos, 1))
    of_views = [originals + rng.normal(size=originals.shape) for _ in range(views)]
    drawn = np.random.default_rng(seed).standard_normal((min(4096, photos * views), 6), dtype=np.float32)
    for number, (made, view) in enumerate(zip(jittered(of_views, originals, seed=seed), of_views, strict=True)):
        expected = moved(view, originals, drawn, number, views)
        assert (made[:].dtype, made.shape, len(made)) == (np.float32, originals.shape, photos)
        np.testing.assert_allclose(made[:], expected, atol=2e-6)
        np.testing.assert_allclose(made[photos // 2 :], expected[photos // 2 :], atol=2e-6)
    again, other = (jittered(of_views, originals, **more)[0][:] for more in ({}, {"seed": 0}))
    np.testing.assert_array_equal(again, other)


def test_jittered__the_opposite_and_a_zero_row() -> None:
    """The farthest point on the sphere has no direction; a zero row has none to move in either."""
    originals, view = np.array([[2.0, 0, 0], [1.0, 0, 0]]), np.array([[-3.0, 0, 0], [0.0, 0, 0]])
    (made,) = jittered([view], originals)
    np.testing.assert_allclose(made[0:1], [[-1, 0, 0]], atol=1e-7)
    # a zero row lies at distance 1 of the sphere's radius: a chord of 1 is an angle of 60 degrees
    assert made[1:2][0, 0] == pytest.approx(0.5)
    assert np.linalg.norm(made[1:2]) == pytest.approx(1)


@pytest.mark.parametrize("rule", ["nearest", "random", "least", "greatest"])
@pytest.mark.parametrize("classes", [2, 3])
def test_extremes__by_a_loop_over_collections(rule: TieRule, classes: int) -> None:
    """In each collection the query stands still, or is moved as far as each other processing moves it."""
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 20), rng.integers(0, 3, 8)
    centres = rng.normal(size=(3, 4))
    train, test = (
        [centres[of] + rng.normal(size=(len(of), 4)) + rng.normal(size=4) for _ in range(classes)] for of in labels
    )
    directions = np.random.default_rng(6).standard_normal((8 * classes * (classes - 1), 4), dtype=np.float32)
    least, spread, number = [], [], 0
    for c in range(classes):
        views = []
        for t in range(classes):
            if t != c:
                views.append(moved(test[t], test[c], directions, number, classes * (classes - 1)))
                number += 1
        table = knn_of_views(train[c], [*views, test[c]], *labels, k=4).right(rule)
        least.append(table.min(axis=0))
        spread.append(table.max(axis=0) - table.min(axis=0))
    made = extremes_of_jitters(train, test, *labels, k=4, rule=rule, seed=6)
    np.testing.assert_allclose(made.worst, np.mean(least, axis=0), atol=1e-12)
    np.testing.assert_allclose(made.flipped, np.mean(spread, axis=0), atol=1e-12)
    assert made.flipped.any()


def test_extremes__defaults_are_the_nearest_label_and_seed_0() -> None:
    rng = np.random.default_rng(2)
    train, test = ([rng.normal(size=(n, 4)) for _ in range(3)] for n in (12, 9))
    labels = rng.integers(0, 2, 12), rng.integers(0, 2, 9)
    plain = extremes_of_jitters(train, test, *labels, k=2)
    stated = extremes_of_jitters(train, test, *labels, k=2, rule="nearest", seed=0)
    for one, other in zip(plain, stated, strict=True):
        np.testing.assert_array_equal(one, other)


def test_cosine_distances__closer_than_a_millionth_is_none() -> None:
    """1 - cos of a small angle is half its square: 5e-7 for 0.001, and 2e-6 for 0.002."""
    first = np.array([[1.0, 0], [1, 0], [1, 0]])
    second = np.array([[1, 0.001], [1, 0.002], [1, -0.002]])
    distances = cosine_distances(first, second)
    assert distances[0] == 0
    assert distances[1:] == pytest.approx([2e-6, 2e-6], rel=0.1)
