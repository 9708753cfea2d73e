"""Data that stay where they are: which parts are drawn, the window of row groups, and files of a store."""

from __future__ import annotations

import itertools

import pytest

from builders.photos import hash64
from builders.sources import Streaming
from builders.sources.remote.drawing import drawn


@pytest.mark.parametrize(
    ("limit", "count", "total", "wanted"),
    [(None, 7, 10, 7), (5, 10, 10, 5), (5, 1, 1000, 1), (1, 3, 9, 1), (4, 3, 9, 2), (100, 3, 9, 3), (5, 0, 0, 0)],
)
def test_streaming__the_share_of_a_split(limit, count, total, wanted):
    assert Streaming(limit).wanted_of(count, total) == wanted


@pytest.mark.parametrize("wanted", [0, 1, 10, 11, 25, 100])
def test_drawn__parts_until_they_hold_enough(wanted):
    names, sizes = [f"part {i}" for i in range(6)], [10, 0, 5, 10, 10, 1]
    order = sorted(range(6), key=lambda i: hash64(f"stream\0{7}\0{names[i]}"))
    held = list(itertools.accumulate((sizes[i] for i in order), initial=0))
    expected = sorted(i for i, before in zip(order, held, strict=False) if before < wanted)
    assert drawn(names, sizes, wanted, 7) == expected
