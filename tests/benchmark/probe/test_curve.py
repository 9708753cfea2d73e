"""Learning curves: nested parts, the probe itself on each, and what counts as still rising."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.probe import (
    LabelledSplits,
    LearningCurve,
    Some,
    labelled_curve,
    labelled_probe,
    processing_curve,
    processing_probe,
)
from benchmark.probe.parts import ORDER_SEED, order_of, part
from benchmark.probe.probe import joined_clusters
from builders.errors import DataError


def labelled(noise: float, n: int = 160, classes: int = 4, dimension: int = 40) -> tuple:
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(n) % classes)
    x = (noise * rng.normal(size=(n, dimension)) + np.eye(dimension)[y]).astype(np.float32)
    test = n // 2
    return x[: test - 20], y[: test - 20], x[test - 20 : test], y[test - 20 : test], x[test:], y[test:], classes


def test_parts__are_nested_and_hold_every_class() -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(3), [40, 16, 3]))
    order = order_of(labels, ORDER_SEED)
    parts = [part(order, share) for share in (1 / 8, 1 / 4, 1 / 2)]
    assert [np.bincount(labels[part]).tolist() for part in parts] == [[5, 2, 1], [10, 4, 1], [20, 8, 2]]
    assert set(parts[0]) < set(parts[1]) < set(parts[2])
    assert all((np.diff(part) > 0).all() for part in parts)


def test_some__reads_like_the_rows_it_names() -> None:
    bank, rows = np.arange(40.0).reshape(20, 2), np.array([1, 4, 5, 19])
    some = Some(bank, rows)
    assert some.shape == (4, 2)
    for wanted in (slice(0, 4), slice(1, 3), slice(3, 9), slice(2, 2), np.array([0, 3])):
        np.testing.assert_array_equal(some[wanted], bank[rows][wanted])


def test_joined_clusters__those_of_validation_are_others() -> None:
    x, y = np.zeros((3, 2)), np.zeros(3, np.int64)
    names = np.array(["b", "a", "b"]), np.array(["a", "a", "c"])

    def joined(*clusters):
        of_train, of_val = clusters
        units = joined_clusters(LabelledSplits(x, y, x, y, x, y, 2, train_clusters=of_train, val_clusters=of_val))
        return None if units is None else units.tolist()

    assert joined(*names) == [1, 0, 1, 2, 2, 3]
    assert joined(names[0], None) == [1, 0, 1, 2, 3, 4]
    assert joined(None, names[1]) == [0, 1, 2, 3, 3, 4]
    assert joined(None, None) is None


def test_labelled_curve__is_the_probe_on_eachpart() -> None:
    given = labelled(0.5)
    curve = labelled_curve(LabelledSplits(*given))
    whole = labelled_probe(LabelledSplits(*given))
    near = {"strengths": [whole.chosen["strength"] * more for more in (1, 10, 100)], "extend": False}
    train_x, train_y, val_x, val_y, *requested = given
    expected = []
    for share in (1 / 8, 1 / 4, 1 / 2):
        a, b = (part(order_of(y, ORDER_SEED), share) for y in (train_y, val_y))
        expected.append(labelled_probe(LabelledSplits(train_x[a], train_y[a], val_x[b], val_y[b], *requested), **near))
    expected.append(whole)
    assert curve.n_train == tuple(e.n_train for e in expected)
    of_classes = np.concatenate([np.bincount(train_y), np.bincount(val_y)])
    assert curve.n_train == tuple(int(np.ceil(share * of_classes).sum()) for share in (1 / 8, 1 / 4, 1 / 2, 1))
    assert curve.accuracies == pytest.approx([e.accuracy for e in expected])
    assert curve.gain is not None
    assert curve.gain.value == pytest.approx(expected[-1].accuracy - expected[-2].accuracy)


def test_labelled_curve__rises_where_photos_are_too_few_and_not_where_they_are_plenty() -> None:
    few, plenty = (
        labelled_curve(LabelledSplits(*labelled(0.6, n=600))),
        labelled_curve(LabelledSplits(*labelled(0.02, n=240))),
    )
    assert few.rises
    assert few.accuracies[0] < few.accuracies[-1] - 0.1
    assert plenty.accuracies[-1] == 1
    assert not plenty.rises
    assert plenty.details()["rises"] is False


def test_labelled_curve__without_validation_photos_and_with_clusters() -> None:
    x, y, _, _, test_x, test_y, classes = labelled(0.5)
    curve = labelled_curve(
        LabelledSplits(x, y, None, None, test_x, test_y, classes, test_clusters=np.arange(len(test_y)) // 8)
    )
    assert curve.n_train[-1] == len(y)
    assert curve.gain is not None
    assert curve.gain.units == 10


def test_processing_curve__where_photos_are_many_compares_the_same_assignments(monkeypatch) -> None:
    monkeypatch.setattr("benchmark.probe.parts.PART_ROWS", 60)
    rng = np.random.default_rng(2)
    photos, shifts = rng.normal(size=(90, 12)), rng.normal(size=(3, 12))
    banks = [photos + 0.5 * shift for shift in shifts]
    train, test, assigned = [b[:60] for b in banks], [b[60:] for b in banks], rng.integers(0, 3, (4, 60))
    whole = processing_probe(train, test, assigned)
    curve = processing_curve(train, test, assigned, whole=whole)
    assert curve.assignments == 1
    assert curve.accuracies[-1] == pytest.approx(whole.statistics.accuracies[0])
    assert abs(whole.accuracy - whole.statistics.accuracies[0]) > 1e-3
    assert curve.gain is not None
    assert curve.gain.value == pytest.approx(curve.accuracies[-1] - curve.accuracies[-2])
    assert curve.gain.value == pytest.approx(whole.statistics.accuracies[0] - curve.accuracies[-2])


@pytest.mark.parametrize(("after", "rises"), [(0.6, True), (0.508, False), (0.5, False)])
def test_learning_curve__a_gain_is_sure_and_not_tiny(after: float, rises: bool) -> None:
    before = np.tile([0.0, 0.9], 500) + 0.05
    curve = LearningCurve(np.array([before, before + (after - 0.5) / 2]), 1)
    assert curve.gain is not None
    assert curve.gain.value == pytest.approx((after - 0.5) / 2)
    assert curve.rises == curve.numbers()["rises"] == rises
    assert not LearningCurve(np.array([before]), 1).rises


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5])
def test_processing_curve__shares_are_parts(share: float) -> None:
    bank = [np.eye(8), -np.eye(8)]
    with pytest.raises(DataError, match="between 0 and 1"):
        processing_curve(bank, bank, np.arange(8)[None] % 2, shares=[share])
