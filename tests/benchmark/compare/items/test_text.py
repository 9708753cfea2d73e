"""A comparison by item as text, JSON values, files and figure: the whole of each, of rows that are written here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmark.compare import ComparedItems, Gate, ItemRanks, ItemRow, flat_rows, items_record, items_text
from benchmark.compare.items.alignment import Missing
from benchmark.compare.items.text import notes, rank_rows, row_cells, shown_rows
from benchmark.judgement import RANKS_RULE, differing_text
from benchmark.report import markdown_table
from benchmark.stats import paired_differences

[BASE] = paired_differences(np.array([[1.0, 0, 0, -1, 1, 1, 0, 1]]), binary=True)


def row(task="t", first="a", second="b", *, bounds=(0.0, 1.0), answer="yes", metric="m", **changed):
    values = {"value": 0.125, "low": -0.0625, "high": 0.5, "p_value": 0.03125, "test_p_value": 0.5}
    values |= {"n": 1200, "units": 1200, "first_higher": 7, "second_higher": 3, "test": "exact McNemar"}
    d = replace(BASE, **{**values, **changed})
    return ItemRow(task, metric, first, second, 0.75, 0.625, d, bounds, 4321, 0.0525, 0.00004, answer)


def compared(rows, **changed):
    names = dict.fromkeys(name for each in rows for name in (each.first, each.second))
    values = {"ranks": (), "missing": (), "repeats": (), "other_metrics": ()}
    return ComparedItems(tuple(names), tuple(rows), **{**values, **changed})


def test_row_cells():
    first = ["t m", "a", "b", "75.0", "62.5", "+12.5", "-6.2 to +50.0", "exact McNemar"]
    assert row_cells(row()) == [*first, "0.0312", "< 0.0001", "yes", "1,200", "5.2", "4,321"]
    clustered = row(metric="", bounds=(1.0, 5.0), answer="no", units=1100, test="cluster-robust t", p_value=0.5)
    other = ["t", "a", "b", "0.75", "0.625", "+0.125", "-0.0625 to +0.5", "cluster-robust t", "0.5000"]
    assert row_cells(replace(clustered, holm_p=1.0)) == [
        *other,
        *("1.0000", "no", "1,200 (1,100 clusters)", "0.0525", "4,321"),
    ]
    assert row_cells(replace(row(), detectable=None, needed_items=None))[-2:] == ["-", "-"]
    assert row_cells(row(units=600, test="paired t"))[-3] == "1,200"


HEADER = [
    *("score", "first", "second", "first value", "second value", "difference", "95 % interval", "test", "p"),
    *("p (Holm)", "differs", "n", "detectable", "items needed"),
]
RANKS = ItemRanks(
    "t", "m", ("a", "b", "c"), (0.5, 1.0, 0.0), (2, 1, 2), (1, 1, 3), (2, 1, 3), (True, True, False), True
)
DETECTABLE = (
    "Detectable: the smallest true difference that so many items show in 80 % of repeats, not corrected. "
    "Items needed: those that would show the observed difference in 80 % of repeats if it is the true one."
)
SHARES = "Scores between 0 and 1 are in percent, their differences in points."


def test_notes():
    rows = [row(), row("u", bounds=(1.0, 5.0), answer="undecided", units=100), row("t", "a", "c")]
    answers, units = ["yes", "undecided", "yes"], [(1200, 1200), (1200, 100), (1200, 1200)]
    first = differing_text(answers, "2 tasks", units, unit="item")
    assert "the 2 tasks of each pair" in first
    changed = {
        "repeats": (("", 2, 2), ("u", 1, 1500)),
        "missing": (
            Missing("u", "b", 3, ("x",), "b lacks 3 items (x)"),
            Missing("v", "b", 0, (), "b lacks the task v"),
            Missing("", "a", 1, ("y",), "a lacks 1 item (y)"),
        ),
        "other_metrics": ("f1", "em"),
    }
    assert notes(compared(rows, **changed)) == [
        first,
        SHARES,
        "u m: scores from 1 to 5, of which a hundredth is a point.",
        DETECTABLE,
        "Each item: a score is the mean of 2 rows of an item.",
        "u: a score is the mean of 1 to 1500 rows of an item.",
        "Left out: u: b lacks 3 items (x).",
        "Left out: b lacks the task v.",
        "Left out: a lacks 1 item (y).",
        "Not compared: f1, em (--score names one).",
    ]
    alone = [row("u", bounds=(1.0, 5.0)), row("u", "a", "c", bounds=(1.0, 5.0))]
    assert notes(compared(alone)) == [
        differing_text(["yes"] * 2, "1 task", [(1200, 1200)] * 2, unit="item"),
        "u m: scores from 1 to 5, of which a hundredth is a point.",
        DETECTABLE,
    ]


def test_rank_rows__the_best_first_in_percent_where_all_are_shares():
    above = replace(RANKS, task="u", metric="", values=(0.5, 12345.6, 0.0), is_share=False)
    below = replace(RANKS, is_share=False)  # means between 0 and 1, of scores that need not be
    assert rank_rows([RANKS, above, below]) == [
        ["t m", "b", "100.0", "1", "1 to 1", "yes"],
        ["t m", "a", "50.0", "2", "1 to 2", "yes"],
        ["t m", "c", "0.0", "2", "3 to 3", ""],
        ["u", "b", "1.235e+04", "1", "1 to 1", "yes"],
        ["u", "a", "0.5", "2", "1 to 2", "yes"],
        ["u", "c", "0", "2", "3 to 3", ""],
        ["t m", "b", "1", "1", "1 to 1", "yes"],
        ["t m", "a", "0.5", "2", "1 to 2", "yes"],
        ["t m", "c", "0", "2", "3 to 3", ""],
    ]


def pairs(names):
    return [row("t", first, second) for i, first in enumerate(names) for second in names[i + 1 :]]


def test_items_text__the_whole():
    few = compared(pairs("abc"), ranks=(RANKS,))
    table = markdown_table(HEADER, [row_cells(each) for each in few.rows])
    of_ranks = markdown_table(
        ["score", "system", "value", "rank", "rank interval", "tied with the best"], rank_rows((RANKS,))
    )
    assert items_text(few) == "\n\n".join([table, "\n".join(notes(few)), of_ranks, RANKS_RULE])
    two = compared(pairs("ab"))
    assert items_text(two) == "\n\n".join([markdown_table(HEADER, [row_cells(row())]), "\n".join(notes(two))])
    assert len(shown_rows(compared(pairs("abcde")))) == 10
    many = compared([*pairs("abcdef"), row("u", "a", "b")])
    assert [(each.task, each.second) for each in shown_rows(many)] == [*(("t", n) for n in "bcdef"), ("u", "b")]
    parts = items_text(many).split("\n\n")
    assert parts[1] == "The table has the 6 of 16 rows with a; --output and --json have all."
    assert len(parts[0].splitlines()) == 8


def test_items_record__every_value():
    gone = Missing("u", "b", 3, ("x", "y"), "b lacks 3 items")
    made = items_record(compared([row()], ranks=(RANKS,), missing=(gone,), repeats=(("t", 1, 3),)))
    ranks = [
        {"system": "a", "value": 0.5, "rank": 2, "low": 1, "high": 2, "tied_with_best": True},
        {"system": "b", "value": 1.0, "rank": 1, "low": 1, "high": 1, "tied_with_best": True},
        {"system": "c", "value": 0.0, "rank": 2, "low": 3, "high": 3, "tied_with_best": False},
    ]
    difference = {
        **{"task": "t", "metric": "m", "first": "a", "second": "b", "first_value": 0.75, "second_value": 0.625},
        **{"difference": 0.125, "low": -0.0625, "high": 0.5, "p_value": 0.03125, "test": "exact McNemar"},
        **{"test_p_value": 0.5, "first_higher": 7, "second_higher": 3, "n": 1200, "units": 1200},
        **{"holm_p": 0.00004, "differs": "yes", "detectable": 0.0525, "needed_items": 4321},
    }
    assert made == {
        "systems": ["a", "b"],
        "differences": [difference],
        "ranks": [{"task": "t", "metric": "m", "systems": ranks}],
        "left_out": [{"task": "u", "system": "b", "items": 3, "first": ["x", "y"]}],
        "averaged": [{"task": "t", "least": 1, "most": 3}],
    }
    assert list(made["differences"][0]) == list(difference)
    assert flat_rows([row()]) == [difference]
    gate = Gate(0.02, 0.9, (), ())
    assert items_record(compared([row()]), gate)["gate"] == gate.to_json()
