"""The state of a plan as a table and as a record, by hand; units cut into ranks, compared with their definition."""

from __future__ import annotations

import numpy as np
import pytest

from builders.cluster import (
    Finished,
    Plan,
    Progress,
    RankPlan,
    StorageFolder,
    cut,
    rank_numbers,
    ranks_text,
    state_record,
    state_text,
)
from builders.cluster.markers import Failed, Running, States

NOW = 1_000_000.0
PLACE = StorageFolder("run.plan")


def rank(size, needs=""):
    return RankPlan(("unit",), size, needs)


def at_work(items, started, at=NOW, moved=NOW):
    return Running("elsewhere", 1, NOW - started, at, moved, items)


PLAN = Plan("count", (), "out", (rank(2000), rank(2000), rank(1500), rank(900), rank(800), rank(700, "0-4")), {})
STATES = States(
    done={1: Finished({}, 1000, 3, 50.0, "n1"), 0: Finished({}, 2000, 1, 100.0, "n1")},
    failed={3: Failed("no space", "n3", NOW)},
    running={
        2: at_work(1000, 5400, moved=NOW - 601),
        4: at_work(30, 200, at=NOW - 100.5),
    },
)


def test_state_text__of_every_state():
    assert state_text(Progress(PLAN, STATES, NOW), PLACE).splitlines() == [
        "ranks      6: 2 done, 1 running, 1 failed, 1 killed, 1 waiting",
        "items      4,000 of 7,900, 4 of them cannot be used",
        "rate       20.0 items a second",
        "time left  2 min, then the ranks that need these",
        "rank 3: failed on n3: no space",
        "rank 4: killed on elsewhere after 30 items",
        "rank 2: running on elsewhere, 1,000 of 1,500 items, 1 h 30 min, nothing was finished for 10 minutes",
        "next: camtrace work run.plan (4 ranks; --engine for a cluster; what is done is not done again)",
    ]


def test_state_record__of_every_state():
    assert state_record(Progress(PLAN, STATES, NOW), PLACE) == {
        "plan": "run.plan",
        "ranks": 6,
        "done": [0, 1],
        "running": [{"rank": 2, "host": "elsewhere", "items": 1000}],
        "failed": [{"rank": 3, "host": "n3", "reason": "no space"}],
        "killed": [{"rank": 4, "host": "elsewhere", "items": 30}],
        "items": 7900,
        "items_done": 4000,
        "items_unusable": 4,
        "items_per_second": 20.0,
        "seconds_left": (1500 + 900 + 800 - 1000) / 20,
        "next": "camtrace work run.plan (4 ranks; --engine for a cluster; what is done is not done again)",
    }


def test_state__of_a_plan_before_its_first_rank_and_of_one_that_is_done():
    plan = Plan("count", (), "out", (rank(10), rank(5)), {})
    begun = Progress(plan, States(), NOW)
    assert state_text(begun, PLACE).splitlines() == [
        "ranks      2: 0 done, 0 running, 0 failed, 0 killed, 2 waiting",
        "items      0 of 15",
        "rate       not known yet",
        "time left  not known yet",
        "next: camtrace work run.plan (2 ranks; --engine for a cluster)",
    ]
    record = state_record(begun, PLACE)
    assert (record["items_per_second"], record["seconds_left"], record["items_unusable"]) == (None, None, 0)
    done = Progress(plan, States(done={0: Finished({}, 10, 0, 1.0), 1: Finished({}, 5, 0, 1.0)}), NOW)
    assert (state_record(done, PLACE)["next"], done.more_stages) == ("camtrace finish run.plan", False)


def test_state__a_marker_as_old_as_allowed_counts_and_ten_minutes_of_silence_are_no_matter():
    running = States(running={0: at_work(4, 89.4, at=NOW - 100, moved=NOW - 600), 1: at_work(5, 90, at=NOW - 100.1)})
    now = Progress(Plan("count", (), "out", (rank(10), rank(5)), {}), running, NOW)
    assert (now.running, now.gone) == ([0], [1])
    assert state_text(now, PLACE).splitlines()[-2] == "rank 0: running on elsewhere, 4 of 10 items, 89 s"
    later = States(running={0: at_work(4, 90)}, done={1: Finished({}, 4, 0, 2.0)})
    more = Progress(Plan("count", (), "out", (rank(3), rank(4)), {}), later, NOW)
    assert more.seconds_left == 0  # it did more than was planned
    assert "rank 0: running on elsewhere, 4 of 3 items, 2 min" in state_text(more, PLACE)
    assert "time left  0 s" in state_text(more, PLACE).splitlines()
    assert state_text(more, PLACE).endswith("next: wait: every rank that is missing is at work")


@pytest.mark.parametrize(("most", "hidden"), [(2, 4), (3, 2), (4, 0)])
def test_state_text__names_so_many_of_each_state(most, hidden):
    states = States(
        failed={n: Failed(f"reason {n}", "n", NOW) for n in (5, 4, 3, 2)},
        running={n: at_work(1, 1) for n in (0, 1)} | {n: at_work(1, 1, at=0.0) for n in (6, 7, 8, 9)},
    )
    plan = Plan("count", (), "out", tuple(rank(1) for _ in range(10)), {})
    lines = state_text(Progress(plan, states, NOW), PLACE, most=most).splitlines()
    named = [line.partition(": ")[2].partition(" ")[0] for line in lines if line.startswith("rank ")]
    assert named == ["failed"] * most + ["killed"] * most + ["running"] * 2
    assert [line for line in lines if line.startswith("and ")] == ([f"and {hidden} more"] if hidden else [])


def test_ranks_text__is_read_back_whatever_ranks():
    rng = np.random.default_rng(0)
    for size in range(30):
        ranks = sorted(rng.choice(40, size, replace=False).tolist())
        assert rank_numbers(ranks_text(ranks)) == ranks
    assert rank_numbers("3,3,2-4") == [3, 2, 4]
    assert rank_numbers("2-2,1000000,5-") == [2, 1_000_000, 5]
    for text in ("x", "1-x", "-1", "1,", "1 2"):
        with pytest.raises(ValueError, match="neither a number nor a range"):
            rank_numbers(text)
    for text in ("3-1", "1-0,2", "1000001", f"0-{10**15}"):
        with pytest.raises(ValueError):
            rank_numbers(text)


def plain_cut(units, n_ranks):
    """Each unit goes to the rank in whose share of the time its middle lies; no rank is passed over or left empty."""
    total, before, of_unit = sum(cost for _, _, cost in units) or 1.0, 0.0, []
    for i, (_, _, cost) in enumerate(units):
        wanted = max(int((before + cost / 2) / total * n_ranks), n_ranks - (len(units) - i))
        last = of_unit[-1] if of_unit else -1
        of_unit.append(min(max(last, 0) if wanted <= last else last + 1, n_ranks - 1))
        before += cost
    parts = [[unit for unit, part in zip(units, of_unit, strict=True) if part == k] for k in range(n_ranks)]
    return [RankPlan(tuple(u[0] for u in part), sum(u[1] for u in part)) for part in parts]


def test_cut__equals_its_definition():
    rng = np.random.default_rng(1)
    for _ in range(300):
        n = int(rng.integers(1, 12))
        units = [(f"u{i}", int(rng.integers(1, 9)), float(rng.choice([0, 0.5, 1, 2, 30]))) for i in range(n)]
        total = sum(cost for _, _, cost in units) or 1.0
        count = int(rng.integers(0, 14))
        assert cut(units, 60.0, count) == plain_cut(units, max(1, min(n, count)))
        seconds = float(rng.choice([0.25, 1, 4, 50]))
        assert cut(units, seconds) == plain_cut(units, max(1, min(n, int(-(-total // seconds)))))
