"""Photos that several labelled probes learn from are turned once for all; each probe answers as it would alone."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.probe import (
    Among,
    LabelledSplits,
    SharedRows,
    SharedSplits,
    in_solver_space,
    labelled_probe,
    labelled_spread,
)
from benchmark.probe.solver import projected as together_module
from benchmark.probe.solver.rows import normalised

TRAIN, VAL, TESTED, D, CLASSES = 150, 30, 60, 400, 3


@pytest.fixture(scope="module")
def photos() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    y = np.arange(TRAIN + VAL + TESTED) % CLASSES
    return (rng.normal(size=(len(y), D)) + 2 + 0.12 * rng.normal(size=(CLASSES, D))[y]).astype(np.float32), y


@pytest.fixture
def together(photos: tuple[np.ndarray, np.ndarray]) -> SharedRows:
    x, _ = photos
    order = np.random.default_rng(4).permutation(TRAIN + VAL)
    return SharedRows(x[: TRAIN + VAL], x[TRAIN + VAL :], order, 2 * CLASSES)


def some(photos: tuple[np.ndarray, np.ndarray], together: SharedRows, every: int) -> SharedSplits:
    """Every so-manieth photo of each split."""
    x, y = photos
    train, val = np.arange(0, TRAIN, every), np.arange(TRAIN, TRAIN + VAL, every)
    test = np.arange(TRAIN + VAL, len(y), every)
    given = [part for at in (train, val, test) for part in (x[at], y[at])]
    among = Among(together, np.concatenate([train, val]), test - TRAIN - VAL)
    return SharedSplits(LabelledSplits(*given, CLASSES), among)


@pytest.fixture(autouse=True)
def half_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together_module, "SHARE", 0.5)


@pytest.mark.parametrize("every", [1, 2])
def test_labelled_probe__of_some_photos_answers_as_alone(
    photos: tuple[np.ndarray, np.ndarray], together: SharedRows, every: int
) -> None:
    shared = some(photos, together, every)
    splits, learnt = shared.splits, in_solver_space(shared)
    assert learnt.train_x.shape == (-(-TRAIN // every), TRAIN + VAL + 2)  # among all, not alone
    assert in_solver_space(learnt) is learnt
    for name in ("train_y", "val_y", "test_y"):
        np.testing.assert_array_equal(getattr(learnt, name), getattr(splits, name))
    rows, plain = (
        np.concatenate([normalised(part) for part in (s.train_x, s.val_x, s.test_x)]) for s in (learnt, splits)
    )
    n = len(splits.train_x) + len(splits.val_x)
    np.testing.assert_allclose(rows @ rows[:n].T, plain @ plain[:n].T, atol=2e-6)
    result, alone = labelled_probe(shared), labelled_probe(splits)
    assert result.chosen == alone.chosen
    np.testing.assert_array_equal(result.predicted, alone.predicted)
    np.testing.assert_allclose(result.final_loss, alone.final_loss, rtol=1e-4)
    assert 0.4 < result.accuracy < 1
    spreads = [labelled_spread(s, whole=result, probes=3).deviation for s in (shared, splits)]
    assert spreads[0] == spreads[1] > 0


def test_together__the_first_of_the_order_have_most_zeros(together: SharedRows) -> None:
    order = np.random.default_rng(4).permutation(TRAIN + VAL)
    first = (together.projected().train[order] != 0).argmax(axis=1)
    np.testing.assert_array_equal(first, TRAIN + VAL - np.arange(TRAIN + VAL))
