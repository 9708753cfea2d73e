"""A comparison by item as text, JSON values, files and figure: the whole of each, of rows that are written here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmark.extras.items import ComparedItems, ItemRow
from benchmark.extras.items.alignment import Missing
from benchmark.extras.items.text import notes
from benchmark.judgement import differing_text
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
