"""Paths that are taken seldom, each by a direct call."""

from benchmark.results.proof import _difference


def test_difference__a_mapping_that_is_none():
    assert _difference("details", 5, {"value": 1.0}, 1.0, True) == ("details", 5, {"value": 1.0})
    assert _difference("details", 5, None, 1.0, True) is None
