"""Rows, ranks, plans and gates of a comparison by item against the functions of ``benchmark.stats`` and plain loops."""

from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from benchmark.extras.items import compare_rows, gate_items
from benchmark.extras.items.scores import ScoredRows
from benchmark.stats import ranks_of_pairs
from builders.errors import DataError

N = 24
RNG = np.random.default_rng(5)
ITEMS = pa.array([f"i{i:02d}" for i in range(N)], pa.large_string())
RIGHT = {name: (RNG.random(N) < share).astype(float) for name, share in (("a", 0.9), ("b", 0.5), ("c", 0.6))}
POINTS = {name: 1 + np.round(4 * RNG.random(N), 2) - (name == "b") * 0.5 for name in "abc"}


def rows(values, task, *, clusters=None, names="abc", others=()):
    return [
        ScoredRows(f"{name}.csv", i, name, task, "m", ITEMS, values[name], clusters, other_metrics=others)
        for i, name in enumerate(names)
    ]


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
        assert str(error.value).startswith("u m: a score (")
    with pytest.raises(DataError) as error:
        compare_rows([replace(each, metric="") for each in rows(RIGHT, "", names="ab")], score_range=(0.5, 1.0))
    assert str(error.value).endswith("is outside 0.5 to 1")


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
