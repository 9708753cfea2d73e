"""Paths that are taken seldom, each by a direct call."""

from benchmark.publishing.repository import hub_api


def test_hub_api__names_camtrace():
    assert hub_api().library_name == "camtrace"
