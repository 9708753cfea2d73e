"""Ranks that stall, fail with a trace, or are interrupted; stores without the folder that is listed."""

import pytest

from builders.cluster import Plan, RankPlan, StorageFolder, work_ranks, write_plan

PLAN = Plan("count", (), "out", (RankPlan(("a",), 9),), {})


@pytest.fixture
def place(tmp_path):
    place = StorageFolder.of(tmp_path / "plan")
    write_plan(PLAN, place)
    return place


@pytest.mark.parametrize("debug", [True, False])
def test_work_ranks__a_trace_where_it_is_wanted(place, monkeypatch, capsys, debug):
    monkeypatch.setenv("CAMTRACE_DEBUG", "1" if debug else "")

    def opened():
        raise ZeroDivisionError("no more numbers")

    assert work_ranks(PLAN, place, [0], opened) == {0: "ZeroDivisionError: no more numbers"}
    assert ("Traceback (most recent call last)" in capsys.readouterr().err) is debug
