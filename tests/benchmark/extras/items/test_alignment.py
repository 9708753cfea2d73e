"""Scores by item: repeats, joined files, systems with other items, and ranges, against what a reader counts by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from benchmark.extras.items import Columns, compare_rows, gate_items, items_text, read_sources
from benchmark.extras.items.alignment import align_task
from benchmark.extras.items.scores import ScoredRows, joined, one_per_item, score_values
from builders.errors import DataError, UsageError

TEXT = pa.large_string()


def rows(system="a", task="t", clusters=None, metric="m", **scores) -> ScoredRows:
    """An item for each keyword; a list has a row for each value, and clusters are by row."""
    pairs = [(name, v) for name, value in scores.items() for v in (value if isinstance(value, list) else [value])]
    of_rows = None if clusters is None else pa.array(clusters, TEXT)
    items = pa.array([name for name, _ in pairs], TEXT)
    return ScoredRows(f"{system}.csv", 0, system, task, metric, items, np.array([v for _, v in pairs], float), of_rows)


def sentence(call, *arguments, error=DataError, **options) -> str:
    with pytest.raises(error) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_one_per_item__averages_repeats_and_counts_them():
    made = one_per_item(rows(x=[1, 0, 0, 1], y=[1], z=[0, 1]), "mean")
    assert (made.items.to_pylist(), made.scores.tolist(), made.repeats) == (["x", "y", "z"], [0.5, 1, 0.5], (1, 4))
    made = one_per_item(rows(x=[1, 0], y=[1, 1], clusters="ppqq"), "mean")
    assert (made.clusters.to_pylist(), made.repeats) == (["p", "q"], (2, 2))
    epochs = replace(rows(x=[1, 0]), epochs=True)
    assert one_per_item(epochs).scores.tolist() == [0.5]
    once = one_per_item(rows(x=1, y=0, clusters="pq"))
    assert (once.clusters.to_pylist(), once.repeats) == (["p", "q"], (1, 1))
    assert "--on-repeated" in sentence(one_per_item, rows(x=[1, 0], y=1))
    assert "several" in sentence(one_per_item, rows(x=[1, 0], y=[1, 1]))
    apart = rows(x=[1, 0], y=1, clusters="pqp")
    assert "a.csv" in sentence(one_per_item, apart, "mean")
    nameless = replace(rows(x=1, y=1), items=pa.array([None, "y"], TEXT))
    assert "a.csv" in sentence(one_per_item, nameless)


def test_joined__files_of_one_system_are_one_unless_they_differ():
    first, second = rows(x=1, clusters="p"), rows(y=0, clusters="q")
    assert joined([first]) is first
    both = joined([replace(first, epochs=True), replace(second, where="b.csv", epochs=True)])
    assert (both.items.to_pylist(), both.scores.tolist(), both.clusters.to_pylist()) == (["x", "y"], [1, 0], ["p", "q"])
    assert (both.epochs, both.where, joined([rows(x=1), rows(y=1)]).clusters) == (False, "a.csv", None)
    for other in (replace(second, metric="n"), replace(second, clusters=None)):
        message = "a.csv and b.csv: the same system and task, but other scores or clusters"
        assert sentence(joined, [first, replace(other, where="b.csv")]) == message


def test_score_values__numbers_and_words_for_them():
    for values, expected in (
        ([" TRUE ", "False", "NaN", "", None, "2.5"], [1, 0, np.nan, np.nan, np.nan, 2.5]),
        ([True, False, None], [1, 0, np.nan]),
        ([3, -1, None], [3, -1, np.nan]),
        ([2**53 + 1, 2**62 + 1], [2.0**53, 2.0**62]),
    ):
        np.testing.assert_array_equal(score_values(pa.array(values), "f"), expected)
    for values, example in (
        (["1", "yes", "no"], "'yes'"),
        (["1", "y" * 80], "'" + "y" * 59),
        ([[1]], "[1]"),
    ):
        assert example in sentence(score_values, pa.array(values), "f")
    assert sentence(score_values, pa.array([1.0, -np.inf]), "f") == "f: a score is infinite"


def test_align_task__keeps_the_items_of_all_in_the_order_of_their_names():
    members = [
        one_per_item(each, "mean")
        for each in (
            rows("a", x=[1, 0], y=1, z=np.nan, w=1, clusters="ppqrq"),
            rows("b", w=0, q=1, y=[1, 0, 1], x=0, z=1, clusters="sqqqqpr"[:2] + "qqqpr"),
            rows("c", v=0, w=1, q=1, y=0, x=1, clusters="tqsqp"),
        )
    ]
    made = align_task([replace(m, clusters=None) for m in members], "drop")
    assert made.scores.tolist() == [[1, 0.5, 1], [0, 0, pytest.approx(2 / 3)], [1, 1, 0]]  # of w, x, y
    assert (made.systems, made.repeats, made.clusters) == (("a", "b", "c"), (1, 3), None)
    assert [(m.system, m.count, m.first) for m in made.missing] == [
        ("a", 3, ("z", "q", "v")),
        ("b", 1, ("v",)),
        ("c", 1, ("z",)),
    ]
    assert [m.sentence for m in made.missing][1:] == ["b lacks 1 item (v)", "c lacks 1 item (z)"]
    known = {"x": "p", "y": "q", "z": "r", "w": "q", "q": "s", "v": "t"}
    alike = [replace(m, clusters=pa.array([known[i] for i in m.items.to_pylist()], TEXT)) for m in members]
    assert align_task(alike, "drop").clusters.tolist() == [0, 1, 0]  # x in p, y and w in q
    message = sentence(align_task, [replace(m, clusters=None) for m in members])
    assert "systems" in message
    assert "--on-missing" in message
    repeated = [one_per_item(rows("a", x=[1, 0]), "mean"), one_per_item(rows("b", x=[1, 0, 1]), "mean")]
    assert align_task(repeated).repeats == align_task(repeated[::-1]).repeats == (2, 3)
    none = [one_per_item(rows("a", x=1)), one_per_item(rows("b", y=1))]
    for on_missing in ("fail", "drop"):
        assert "lacks" in sentence(align_task, none, on_missing)
    other = [one_per_item(rows("a", x=1)), one_per_item(rows("b", metric="n", x=1))]
    assert "--score" in sentence(align_task, other)


def test_compare_rows__of_rows_in_any_order_is_equal_to_the_last_digit():
    rng = np.random.default_rng(3)
    names = [f"i{k}" for k in range(60) for _ in range(2)]
    made = []
    for order in (np.arange(120), rng.permutation(120), rng.permutation(120)):
        systems = []
        for seed in range(3):
            scores = np.random.default_rng(seed).normal(size=120) / 3
            items, clusters = ([of[i] for i in order] for of in (names, [name[:2] for name in names]))
            systems.append(
                ScoredRows("x", 0, f"s{seed}", "t", "m", pa.array(items, TEXT), scores[order], pa.array(clusters, TEXT))
            )
        made.append(compare_rows(systems, on_repeated="mean")[0])
    assert made[0] == made[1] == made[2]


def test_compare_rows__tasks_that_only_some_have():
    both = {"x": 1, "y": 0, "z": 1}
    old, new = rows("old", **both), rows("new", x=1, y=1, z=0)
    only_old, only_new = rows("old", "u", **both), rows("new", "v", **both)
    message = sentence(compare_rows, [old, new, only_old, only_new])
    assert "--on-missing" in message
    assert "none" in sentence(compare_rows, [only_old, only_new], on_missing="drop")
    for count, dots in ((10, False), (11, True)):
        many = [rows("old", f"t{i:02d}", **both) for i in range(count)]
        message = sentence(compare_rows, [old, new, *many])
        assert ("new lacks the task t09; ...;" in message, message.count(" lacks ")) == (dots, 10)
    for extra, lost in ((only_old, ["u"]), (only_new, [])):
        compared, aligned = compare_rows([old, new, extra], on_missing="drop")
        gate = gate_items(compared, aligned, worse_by=99)
        assert [m.task for m in gate.missing] == lost
        assert [m.reason for m in gate.missing] == ["new does not have it"] * len(lost)
    compared, aligned = compare_rows([old, rows("new", x=1, y=1)], on_missing="drop")
    assert gate_items(compared, aligned).missing == ()  # an item is no task
    for members, systems in (([old], "old"), ([], "none")):
        message = f"two systems are needed, there is only {systems}"
        assert sentence(compare_rows, members, error=UsageError) == message


def test_compare_rows__ranges_of_scores():
    for scores, given, expected in (
        ([0, 1], None, (0, 1)),
        ([0.25, 0.25], None, (0, 1)),
        ([0, 1.5], None, None),
        ([-0.5, 1], None, None),
        ([3, 3], None, None),
        ([2, 4], (2.0, 4.0), (2, 4)),
        ([2, 4], (2.5, 4.0), "t m: a score (2) is outside 2.5 to 4"),
        ([2, 4], (2.0, 3.5), "t m: a score (4) is outside 2 to 3.5"),
    ):
        pair = [rows(name, x=scores[0], y=scores[1]) for name in "ab"]
        if isinstance(expected, str):
            assert sentence(compare_rows, pair, score_range=given) == expected
        else:
            [row] = compare_rows(pair, score_range=given)[0].rows
            assert (row.bounds, row.is_share) == (expected, expected == (0, 1))
            assert row.needed_items is None


def test_items_text__pairs_ranks_and_notes():
    rng = np.random.default_rng(0)
    frames = {name: pd.DataFrame({"id": range(40), "s": rng.random(40) < 0.5, "extra": 1}) for name in "abcdef"}
    frames["a"].loc[3, "s"] = True
    made = {}
    for count in (2, 5, 6):
        sources = [(name, frames[name].astype({"s": int})) for name in list(frames)[:count]]
        made[count], _ = compare_rows(read_sources(sources, Columns("id", "s")))
    texts = {count: items_text(compared) for count, compared in made.items()}
    assert [len(compared.ranks) for compared in made.values()] == [0, 1, 1]
    assert ["rank interval" in text for text in texts.values()] == [False, True, True]
    assert ["The table has the" in text for text in texts.values()] == [False, False, True]
    assert "The table has the 5 of 15 rows with a; --output and --json have all." in texts[6]
    [ranks] = made[6].ranks
    lines = [line.split("|") for line in texts[6].splitlines() if line.startswith("| s ")][-6:]
    assert [int(line[4]) for line in lines] == sorted(ranks.rank)
    assert [line[2].strip() for line in lines] == sorted("abcdef", key=lambda n: (ranks.rank["abcdef".index(n)], n))
    repeated = pd.concat([frames["a"], frames["a"].iloc[:4]]).assign(s=2)
    pair = [("a", repeated), ("b", frames["b"].assign(s=3))]
    compared, _ = compare_rows(read_sources(pair, Columns("id", "s")), on_repeated="mean")
    text = items_text(compared)
    assert "Each item: a score is the mean of 1 to 2 rows of an item." in text
    assert "s: the range of scores is not known" in text
    assert "in percent" not in text
    assert "in percent" in texts[2]
