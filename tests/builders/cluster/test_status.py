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


def test_ranks_text__is_read_back_whatever_ranks():
    rng = np.random.default_rng(0)
    for size in range(30):
        ranks = sorted(rng.choice(40, size, replace=False).tolist())
        assert rank_numbers(ranks_text(ranks)) == ranks
    assert rank_numbers("3,3,2-4") == [3, 2, 4]
    assert rank_numbers("2-2,1000000,5-") == [2, 1_000_000, 5]
    for text in ("x", "1-x", "-1", "1,", "1 2"):
        with pytest.raises(ValueError, match="neither"):
            rank_numbers(text)
    for text in ("3-1", "1-0,2", "1000001", f"0-{10**15}"):
        with pytest.raises(ValueError, match=r"range|large|number"):
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
