"""Pairs proposed by time: the difference of two clocks, photos next to each other, and the table to review."""

import numpy as np
import pytest

from builders.sources.pair_proposals import (
    APART_S,
    CLOCK_BIN_S,
    Proposal,
    ProposedPair,
    clock_offset,
    nearest_pairs,
)


def times(*seconds):
    return np.array(seconds, dtype=float)


@pytest.mark.parametrize(
    ("phone", "camera", "offset"),
    [
        ((), (5,), 0.0),
        ((5,), (), 0.0),
        ((0,), (7,), 7.0),
        ((0, 1000), (CLOCK_BIN_S - 1, 1000 + CLOCK_BIN_S + 1), CLOCK_BIN_S),  # two neighbouring bins count together
        ((0,), (-900, 500), 500.0),  # equally common: the one nearest to 0
        ((0,), (-500, 900), -500.0),
        ((0, 10_000, 30_000), (-7200, 2800, 22_800, 50_000), -7200.0),
    ],
)
def test_clock_offset__that_most_pairs_share(phone, camera, offset):
    assert clock_offset(times(*phone), times(*camera)) == offset


@pytest.mark.parametrize(
    ("phone", "camera", "pairs"),
    [
        ((), (5,), []),
        ((5,), (), []),
        ((0,), (APART_S,), [(0, 0)]),
        ((0,), (-APART_S,), [(0, 0)]),
        ((0,), (APART_S + 1,), []),
        ((0, 10, 1000), (4, 1001), [(0, 0), (2, 1)]),  # 10 is nearest to 4, which is nearer to 0
        ((10,), (0, 20), [(0, 0)]),  # equally near: the earlier
        ((0, 100, 200), (210, 220, 230), [(2, 0)]),
        ((500, 600), (100, 510), [(0, 1)]),
    ],
)
def test_nearest_pairs__each_is_the_others_nearest(phone, camera, pairs):
    assert nearest_pairs(times(*phone), times(*camera)) == pairs


def test_csv__two_rows_a_pair():
    pairs = (
        ProposedPair("phone/a.jpg", "camera/b.jpg", ("iPhone", "EOS"), 12.4),
        ProposedPair("phone/c.jpg", "camera/d.jpg", ("iPhone", "camera"), -0.6),
    )
    assert Proposal(pairs, 0.0, 0, 0).csv().splitlines() == [
        "file,pair_id,camera,camera_type,seconds_apart",
        "phone/a.jpg,p0000,iPhone,phone,12",
        "camera/b.jpg,p0000,EOS,camera,12",
        "phone/c.jpg,p0001,iPhone,phone,-1",
        "camera/d.jpg,p0001,camera,camera,-1",
    ]
