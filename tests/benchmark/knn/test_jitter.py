"""Jitters: as far from the originals as the views are, in directions of their own, in any slice the same."""

import numpy as np

from benchmark.knn import jittered


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_jittered__distances_are_those_of_the_views():
    rng = np.random.default_rng(0)
    originals = rng.normal(size=(50, 16)) * rng.uniform(0.1, 9, size=(50, 1))
    views = [originals + scale * rng.normal(size=originals.shape) for scale in (0.0, 0.3, 3.0)]
    for view, jitter in zip(views, jittered(views, originals), strict=True):
        rows = jitter[:]
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
        moved, wanted = (np.linalg.norm(unit(x) - unit(originals), axis=1) for x in (rows, view))
        np.testing.assert_allclose(moved, wanted, atol=1e-6)


def test_jittered__directions_differ_between_views_and_photos_and_not_between_slices():
    originals = np.tile([1.0, 0, 0, 0, 0, 0, 0, 0], (30, 1))
    view = np.tile([0.0, 1, 0, 0, 0, 0, 0, 0], (30, 1))
    first, second = jittered([view, view], originals, seed=3)
    assert len(np.unique(np.concatenate([first[:], second[:]]).round(4), axis=0)) == 60
    np.testing.assert_array_equal(np.concatenate([first[:7], first[7:30]]), first[:])
    assert not np.allclose(jittered([view], originals, seed=4)[0][:], first[:])
