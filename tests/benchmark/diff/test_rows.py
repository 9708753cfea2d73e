"""Rows of measures: which way round differences and answers go, and which units and level intervals have."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.diff.embed import Lane
from benchmark.diff.paths import PathSpec
from benchmark.diff.rows import ByPhoto, _moves, _row, ratio_to
from benchmark.judgement import PathMoves
from benchmark.stats import mcnemar, paired_difference

RNG = np.random.default_rng(0)
FIRST_RIGHT = np.array([True] * 30 + [False] * 10)
SECOND_RIGHT = np.array([True] * 23 + [False] * 7 + [True] * 3 + [False] * 7)
CLUSTERS = np.arange(40) // 4


def by_photo(cosine: np.ndarray) -> ByPhoto:
    return ByPhoto(None, None, cosine, np.zeros(40), None, None, SECOND_RIGHT, False)


def test_rows__first_minus_second_and_the_way_minus_noise():
    units = SimpleNamespace(clusters=CLUSTERS)
    photos = SimpleNamespace(units=units, labelled=np.arange(40))
    comparer = SimpleNamespace(photos=photos, accuracy=FIRST_RIGHT)
    shift = np.repeat(RNG.uniform(0, 0.3, 10), 4)  # photos of one cluster err together
    way, trace, noise = (by_photo(c) for c in (0.2 + shift, RNG.uniform(0.1, 0.2, 40), RNG.uniform(0, 0.01, 40)))
    row = _row("b", Lane("b", PathSpec(), None, 1), "path", way, trace, comparer)
    assert (row.only_first, row.only_second) == (7, 3)
    moves = _moves(row, way, trace, noise, comparer, 0.99)
    assert moves.flips == (7, 3)
    assert moves.accuracy.value == pytest.approx(4 / 40)
    assert moves.beyond_noise.value == pytest.approx((way.cosine - noise.cosine).mean())
    assert moves.traces == ratio_to(way.cosine, trace.cosine, CLUSTERS, 0.99)
    _, low, high = ratio_to(way.cosine, trace.cosine, CLUSTERS)
    assert moves.traces[2] - moves.traces[1] > 1.1 * (high - low)
    _, low_alone, high_alone = ratio_to(way.cosine, trace.cosine, None)
    assert high - low > 1.3 * (high_alone - low_alone)


@pytest.mark.parametrize("clusters", [CLUSTERS, None])
@pytest.mark.parametrize("labelled", [40, 24])
def test_moves__flips_have_the_p_value_of_clusters_where_photos_err_together(clusters, labelled):
    at = np.arange(40)[40 - labelled :]
    comparer = SimpleNamespace(
        photos=SimpleNamespace(units=SimpleNamespace(clusters=clusters), labelled=at), accuracy=FIRST_RIGHT[at]
    )
    way = ByPhoto(None, None, None, np.zeros(40), None, None, SECOND_RIGHT[at], False)
    row = _row("b", Lane("b", PathSpec(), None, 1), "path", way, None, comparer)
    moves = _moves(row, way, None, None, comparer, 0.95)
    of_labelled = None if clusters is None else clusters[at]
    accuracy = paired_difference(FIRST_RIGHT[at], SECOND_RIGHT[at], clusters=of_labelled)
    flips = (int((FIRST_RIGHT & ~SECOND_RIGHT)[at].sum()), int((SECOND_RIGHT & ~FIRST_RIGHT)[at].sum()))
    p_value = mcnemar(*flips) if clusters is None else accuracy.p_value
    assert moves == PathMoves("b", False, None, None, flips, p_value, accuracy)
    assert accuracy.p_value != mcnemar(*flips) or clusters is None
    assert (row.accuracy_first, row.accuracy_second) == (FIRST_RIGHT[at].mean(), SECOND_RIGHT[at].mean())


def test_moves__without_labels_noise_or_trace_nothing_is_known():
    photos = SimpleNamespace(units=SimpleNamespace(clusters=None), labelled=np.zeros(0, int))
    comparer = SimpleNamespace(photos=photos)
    none, still, moving = (
        ByPhoto(None, None, cosine, np.zeros(40), None, None, None, False)
        for cosine in (None, np.zeros(40), np.arange(40.0))
    )
    row = _row("b", Lane("b", PathSpec(), None, 1), "path", moving, None, comparer)
    nothing = PathMoves("b", False, None, None, None, 1.0, None)
    for way, trace, noise in (
        (none, moving, moving),
        (moving, None, None),
        (moving, none, none),
        (moving, still, none),
    ):
        assert _moves(row, way, trace, noise, comparer, 0.95) == nothing
