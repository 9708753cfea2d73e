"""Rows, ranks, plans and gates of a comparison by item against the functions of ``benchmark.stats`` and plain loops."""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from benchmark.compare import compare_rows, gate_items
from benchmark.compare.items import comparison
from benchmark.compare.items.comparison import ItemRow, _plan
from benchmark.compare.items.scores import ScoredRows
from benchmark.compare.judged import Loss, MissingScore
from benchmark.judgement import decide_differences, judge_loss
from benchmark.stats import PairedDifference, detectable_effect, needed_units, paired_differences, ranks_of_pairs
from builders.errors import DataError, UsageError

N = 24
RNG = np.random.default_rng(5)
ITEMS = pa.array([f"i{i:02d}" for i in range(N)], pa.large_string())
CLUSTERS = pa.array([f"c{i // 3}" for i in range(N)], pa.large_string())
RIGHT = {name: (RNG.random(N) < share).astype(float) for name, share in (("a", 0.9), ("b", 0.5), ("c", 0.6))}
POINTS = {name: 1 + np.round(4 * RNG.random(N), 2) - (name == "b") * 0.5 for name in "abc"}


def rows(values, task, *, clusters=None, names="abc", others=()):
    return [
        ScoredRows(f"{name}.csv", i, name, task, "m", ITEMS, values[name], clusters, other_metrics=others)
        for i, name in enumerate(names)
    ]


def plan(d, width):
    spread = d.standard_error * math.sqrt(d.units)
    units = needed_units(d.value / spread) if d.first_higher + d.second_higher else None
    detectable = detectable_effect(d.units) * spread
    return None if units is None else math.ceil(units * d.n / d.units), detectable if detectable <= width else None


def fields(row):
    return [v for v in (*vars(row).values(), *vars(row.difference).values()) if not isinstance(v, PairedDifference)]


def numbers(row):
    return [value for value in fields(row) if isinstance(value, float)]


def words(row):
    return [value for value in fields(row) if not isinstance(value, float)]


@pytest.mark.parametrize("chunk", [1, 2 * 8 * N, 1 << 25])
def test_compare_rows__every_pair_of_every_task(monkeypatch, chunk):
    monkeypatch.setattr(comparison, "CHUNK_BYTES", chunk)
    given = [*rows(RIGHT, "t", clusters=CLUSTERS), *rows(POINTS, "u", others=("m2", "m3"))]
    compared, aligned = compare_rows(given)
    assert compared.systems == ("a", "b", "c")
    assert (compared.missing, compared.repeats, compared.other_metrics) == ((), (), ("m2", "m3"))
    codes = np.arange(N) // 3
    bounds = {"t": (0.0, 1.0), "u": (min(map(min, POINTS.values())), max(map(max, POINTS.values())))}
    differences = []
    for (task, values), (first, second) in itertools.product(
        (("t", RIGHT), ("u", POINTS)), itertools.combinations("abc", 2)
    ):
        width = bounds[task][1] - bounds[task][0]
        options = {"clusters": codes if task == "t" else None, "width": width, "binary": task == "t"}
        [d] = paired_differences((values[first] - values[second])[None], **options)
        differences.append((task, first, second, values, d, width))
    in_widths = [replace(d, **{n: getattr(d, n) / w for n in ("value", "low", "high")}) for *_, d, w in differences]
    decisions = decide_differences(in_widths, [(first, second) for _, first, second, *_ in differences])
    expected = [
        ItemRow(
            *(task, "m", first, second, values[first].mean(), values[second].mean(), d, bounds[task]),
            *plan(d, width),
            decision.p_value,
            decision.answer,
        )
        for (task, first, second, values, d, width), decision in zip(differences, decisions, strict=True)
    ]
    assert [words(row) for row in compared.rows] == [words(row) for row in expected]
    assert np.array([numbers(row) for row in compared.rows]) == pytest.approx(
        np.array([numbers(row) for row in expected]), rel=1e-12
    )
    assert len({row.answer for row in expected}) > 1
    assert [row.is_share for row in expected] == [True] * 3 + [False] * 3
    assert [task.clusters is None for task in aligned] == [False, True]


@pytest.mark.parametrize("lower", [False, True])
def test_compare_rows__ranks_are_those_of_the_pairs(lower):
    values = {"a": POINTS["a"] + 1.5, "b": POINTS["b"], "c": POINTS["c"] + 1.2}
    compared, _ = compare_rows(rows(values, "u"), lower_is_better=lower)
    [ranks] = compared.ranks
    p_values = np.ones((3, 3))
    for (i, j), row in zip(((0, 1), (0, 2), (1, 2)), compared.rows, strict=True):
        p_values[i, j] = row.difference.p_value
    means = [values[name].mean() for name in "abc"]
    expected = ranks_of_pairs([-mean for mean in means] if lower else means, p_values)
    assert dataclasses.astuple(ranks) == (
        *("u", "m", ("a", "b", "c"), tuple(means), tuple(expected.rank.tolist())),
        *(tuple(column.tolist()) for column in (expected.low, expected.high, expected.tied_with_best)),
        False,
    )
    assert ranks.rank == ((3, 1, 2) if lower else (1, 3, 2))
    assert compare_rows(rows(values, "u", names="ab"))[0].ranks == ()


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("margin", [0.0, 0.1, 0.9])
def test_gate_items__losses_as_a_share_of_the_range(lower, margin):
    given = [*rows(RIGHT, "t", names="ab"), *rows(POINTS, "u", names="ab", clusters=CLUSTERS)]
    given += [replace(each, task="v") for each in rows(RIGHT, "v", names="a")]
    compared, aligned = compare_rows(given, on_missing="drop", score_range=(-1.0, 7.0))
    gate = gate_items(compared, aligned, margin=margin, lower_is_better=lower)
    assert (gate.margin, gate.coverage) == (margin, pytest.approx(1 - 0.1 / 2))
    assert gate.missing == (MissingScore("items", "v", "", "b does not have it"),)
    assert len(gate.rows) == 2
    for row, (task, values, clusters) in zip(
        gate.rows, (("t", RIGHT, None), ("u", POINTS, np.arange(N) // 3)), strict=True
    ):
        apart = (values["a"] - values["b"]) * (-1 if lower else 1)
        options = {"clusters": clusters, "width": 8.0, "binary": task == "t", "level": gate.coverage}
        [d] = paired_differences(apart[None], **options)
        loss = Loss(d.value / 8, d.low / 8, d.high / 8)
        assert (row.data, row.task, row.metric, row.old, row.new) == ("items", task, "m", "a", "b")
        assert (row.old_value, row.new_value) == tuple((values[name].mean() + 1) / 8 for name in "ab")
        assert (row.loss, row.n, row.units, row.signed) == (loss, N, N if clusters is None else 8, False)
        assert row.judgement == judge_loss(loss.low, loss.high, margin)
    with pytest.raises(UsageError) as error:
        gate_items(replace(compared, systems=("a", "b", "c")), aligned)
    assert str(error.value) == "a gate takes two systems, OLD and NEW, not 3"


def test_gate_items__by_default_any_loss_is_one():
    compared, aligned = compare_rows(rows(RIGHT, "t", names="ab"))
    gate = gate_items(compared, aligned)
    assert (gate.margin, gate.rows[0].judgement) == (0.0, "worse")
    assert gate.rows[0].loss.value == pytest.approx(RIGHT["a"].mean() - RIGHT["b"].mean())


def test_compare_rows__repeats_and_metrics_of_tasks():
    twice = pa.concat_arrays([ITEMS, ITEMS[:4]])
    given = []
    for each in rows(RIGHT, "t", names="ab"):
        scores = np.concatenate([each.scores, 1 - each.scores[:4]])
        given.append(replace(each, items=twice, scores=scores, other_metrics=("x", "y")))
    given += rows(RIGHT, "u", names="ab", others=("z", "x"))
    compared, aligned = compare_rows(given, on_repeated="mean")
    assert compared.repeats == (("t", 1, 2),)
    assert compared.other_metrics == ("x", "y", "z")
    assert aligned[0].scores[:, :4].tolist() == [[0.5] * 4] * 2
    assert compared.rows[0].difference.test == "paired t"  # halves are not binary
    for limits in ((0.5, 1.0), (0.0, 0.5)):
        with pytest.raises(DataError) as error:
            compare_rows(rows(RIGHT, "u", names="ab"), score_range=limits)
        assert str(error.value) == f"u m: a score is outside {limits[0]:g} to {limits[1]:g}"
    with pytest.raises(DataError) as error:
        compare_rows([replace(each, metric="") for each in rows(RIGHT, "", names="ab")], score_range=(0.5, 1.0))
    assert str(error.value).endswith(": a score is outside 0.5 to 1")


def difference(**changed):
    [d] = paired_differences((RIGHT["a"] - RIGHT["b"])[None], binary=True)
    return replace(d, **changed)


def test_plan__nothing_where_no_number_of_items_would_do():
    d = difference()
    assert isinstance(d, PairedDifference)
    needed, detectable = _plan(d, 1.0)
    assert (needed, detectable) == plan(d, 1.0)
    assert needed > 2
    assert _plan(replace(d, n=3 * N), 1.0) == (
        math.ceil(3 * needed_units(d.value / (d.standard_error * math.sqrt(N)))),
        detectable,
    )
    assert _plan(replace(d, units=1), 1.0) == (None, None)
    assert _plan(replace(d, units=2), 1e9)[1] is not None
    assert _plan(d, detectable) == (needed, detectable)
    assert _plan(d, detectable * 0.999) == (needed, None)
    assert _plan(replace(d, first_higher=0, second_higher=0), 1.0) == (None, detectable)
    assert _plan(replace(d, first_higher=0, second_higher=1), 1.0)[0] == needed
    assert _plan(replace(d, value=0.0), 1.0) == (None, detectable)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 7.0), (2.5, 3.5), (0.0, 0.25)])
def test_in_widths__value_and_both_ends_are_shares_of_the_range(bounds):
    d = difference(value=-0.25, low=-0.75, high=0.5)
    width = bounds[1] - bounds[0]
    row = ItemRow("t", "m", "a", "b", 1.0, 1.25, d, bounds, None, None)
    assert comparison._in_widths(row) == replace(d, value=-0.25 / width, low=-0.75 / width, high=0.5 / width)


@pytest.mark.parametrize(
    ("scale", "score_range", "is_share"),
    [(1.0, None, True), (1.0, (0.0, 1.0), True), (1.0, (0.0, 5.0), False), (1.25, None, False)],
)
def test_compare_rows__ranks_are_in_percent_where_the_differences_are(scale, score_range, is_share):
    """Also where all means lie between 0 and 1, and single scores do not."""
    compared, _ = compare_rows(rows({n: scale * v for n, v in RIGHT.items()}, "t"), score_range=score_range)
    [ranks] = compared.ranks
    assert {row.is_share for row in compared.rows} == {ranks.is_share} == {is_share}
    if scale > 1:
        assert min(ranks.values) < 1
