"""The key, the budget, one call and one entry of a search, by hand."""

import re

import pytest

from builders.errors import UsageError
from builders.flickrexif.api.call_budget import CallBudget, budget_file, burst_of, seconds_for
from builders.flickrexif.api.client import Credentials
from builders.flickrexif.api.search_results import SearchResult, month_of, search_result
from tests.support.clocks import SimulatedClock

MARCH = 1_330_560_000
"""2012-03-01, midnight UTC."""


def test_search_result__each_field():
    entry = {"id": "7", "owner": "1@N00", "license": "4", "dateupload": "5", "ownername": {"_content": "Ann"},
             "title": "Fog", "datetaken": "2012-01-01", "originalformat": "png", "url_o": "https://a.net/o.png",
             "width_o": "4", "height_o": 3, "url_z": "http://a.net/z.png"}  # fmt: skip
    assert search_result(entry) == SearchResult(
        7, "1@N00", "Ann", "Fog", 5, "2012-01-01", 4, "png",
        {"o": ("https://a.net/o.png", 4, 3), "z": ("http://a.net/z.png", 0, 0)},
    )  # fmt: skip
    assert search_result(entry | {"owner": "Ann"}) is None
    assert search_result({k: v for k, v in entry.items() if k != "license"}) is None
    assert (month_of(MARCH), month_of(MARCH - 1)) == ("2012-03", "2012-02")


def test_credentials__of_the_environment(monkeypatch):
    monkeypatch.setenv("FLICKR_API_KEY", " k ")
    monkeypatch.setenv("FLICKR_API_SECRET", " s\n")
    assert Credentials.from_environment() == Credentials("k", "s")
    monkeypatch.delenv("FLICKR_API_SECRET")
    assert Credentials.from_environment() == Credentials("k", "")
    monkeypatch.setenv("FLICKR_API_KEY", "  ")
    with pytest.raises(UsageError, match="FLICKR_API_KEY"):
        Credentials.from_environment()


@pytest.mark.parametrize(
    ("calls", "burst"), [(2, 1.0), (60, 1.0), (61, 61 / 60), (3599, 3599 / 60), (3600, 60.0), (7200, 60.0)]
)
def test_budget__calls_at_once_and_time(tmp_path, calls, burst):
    assert burst_of(calls) == pytest.approx(burst)
    assert seconds_for(10, calls) == pytest.approx(36_000 / (calls - burst))
    assert CallBudget(tmp_path / "b", SimulatedClock(), calls).burst == pytest.approx(burst)


def test_budget__limits_and_pauses(tmp_path, monkeypatch):
    for calls in (1, 0, -5):
        with pytest.raises(UsageError, match=re.escape(str(calls))):
            CallBudget(tmp_path / "b", SimulatedClock(), calls)
    clock = SimulatedClock()
    budget = CallBudget(tmp_path / "c", clock)
    budget.pause(100)
    budget.pause(50)  # the longer one holds
    start = clock.now()
    budget.take()
    assert clock.now() - start == pytest.approx(100, abs=2)
    budget.pause(7200)  # of a clock that was set back since: no pause is so long
    start = clock.now()
    budget.take()
    assert clock.now() - start < 10
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    assert budget_file("k").parent == tmp_path / "cache" / "flickr"
    assert budget_file("k", tmp_path).parent == tmp_path / "flickr"
