"""What a ``Diff`` says: which rows decide whether it passes, the texts of its table, and rows of measures by hand."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.extras.diff import Measured
from benchmark.extras.diff.embed import Embedded, Lane
from benchmark.extras.diff.paths import PathSpec
from benchmark.extras.diff.rows import Comparer, Photos, rows_of
from benchmark.stats import photo_interval
from builders.photos import UNLABELLED
from tests.benchmark.extras.diff.invented import compared, row

N = 24


def lanes(**kinds):
    return {
        name: (Lane(name, PathSpec(), None, 1, "web" if kind == "trace" else ""), kind) for name, kind in kinds.items()
    }


def comparer_of(rows, labels, clusters=None):
    units = SimpleNamespace(clusters=clusters, count=N if clusters is None else len(set(clusters)))
    return Comparer(Embedded(rows, None, None), Photos(np.asarray(labels), units, 3))


def test_comparer__equal_ways_are_identical_and_one_class_has_no_answers():
    rng = np.random.default_rng(2)
    base = rng.normal(size=(N, 6))
    for labels in (np.full(N, UNLABELLED), np.zeros(N, int), np.where(np.arange(N) < 9, 0, UNLABELLED)):
        comparer = comparer_of(base, labels)
        same = comparer.measured(Embedded(base.copy(), np.zeros(N), np.zeros(N)))
        assert (same.answers, same.correct, same.identical) == (None, None, True)
        assert comparer.measured(Embedded(base.copy(), None, None)).identical
        assert not comparer.measured(Embedded(base.copy(), np.eye(N)[0], np.zeros(N))).identical
        assert not comparer.measured(Embedded(base + 1e-9, np.zeros(N), np.zeros(N))).identical
    comparer = comparer_of(base, np.arange(N) % 3, np.arange(N) // 2)
    given = lanes(same="path", weakest="trace")
    measures = {
        "same": comparer.measured(Embedded(base.copy(), None, None)),
        "weakest": comparer.measured(Embedded(base + rng.normal(size=base.shape), None, None)),
    }
    same, _ = rows_of(given, measures, comparer, at_most=1.0)
    zero = Measured(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert (same.cosine, same.neighbours, same.answers, same.lost) == (zero,) * 4
    assert (same.only_first, same.only_second, same.mcnemar_p, same.over_limit) == (0, 0, 1.0, "no")
    [same] = rows_of(lanes(same="path"), measures, comparer, at_most=1.0)
    assert same.cosine == Measured(0.0, 0.0, 0.0)


def test_to_frame__a_column_for_each_number():
    measured = Measured(0.125, 0.1, 0.2, 2.0, 1.5, 3.0)
    [flat] = compared([dataclasses.replace(row("path", 1.0), name="w", cosine=measured)]).to_frame().to_dict("records")
    fields = ("value", "low", "high", "traces", "traces_low", "traces_high")
    of_cosine = dict(zip(("cosine", *(f"cosine_{f}" for f in fields[1:])), dataclasses.astuple(measured), strict=True))
    assert of_cosine.items() <= flat.items()
    assert "path" not in flat
    assert "cosine_value" not in flat
    assert (flat["name"], flat["kind"], flat["n"], flat["text"]) == ("w", "path", 90, "path: said.")


def test_rows_of__means_and_intervals_over_clusters_of_photos():
    """Without a trace, with a label for some photos: each measure has the interval of ``photo_interval``."""
    rng = np.random.default_rng(4)
    base = rng.normal(size=(N, 6))
    labels = np.arange(N) % 2
    labels[:4] = UNLABELLED
    clusters = np.arange(N) // 3
    comparer = comparer_of(base, labels, clusters)
    other = Embedded(base + rng.normal(size=base.shape), rng.random(N), rng.random(N) / 9)
    of_way = comparer.measured(other)
    for kinds in ({"b": "path"}, {"b": "path", "same": "trace"}):  # a trace that moves nothing is no unit
        measures = {"b": of_way, "same": comparer.measured(Embedded(base.copy(), None, None))}
        measured = rows_of(lanes(**kinds), measures, comparer, at_most=1.0)[0]
        for field in ("neighbours", "lost", "answers"):
            values = np.asarray(getattr(of_way, field), float)
            ends = photo_interval(values, clusters=clusters[-len(values) :])
            assert getattr(measured, field) == Measured(ends.value, ends.low, ends.high), field
        assert len(of_way.answers) == N - 4
        for field in ("pixels", "cosine"):
            values = getattr(of_way, field)
            ends = photo_interval(values / values.max(), clusters=clusters, bounds=(-1.0, 1.0))
            expected = [values.max() * end for end in (ends.value, max(0.0, ends.low), ends.high)]
            made = getattr(measured, field)
            assert [made.value, made.low, made.high, made.traces] == [*map(pytest.approx, expected), None]
            assert made.low < made.value < made.high
