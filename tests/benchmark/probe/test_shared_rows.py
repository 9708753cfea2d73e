"""Photos that several labelled probes learn from are turned once for all; each probe answers as it would alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from benchmark.probe import Among, LabelledSplits, SharedRows, SharedSplits, labelled_probe, labelled_spread, probe
from benchmark.probe.probe import in_solver_space
from benchmark.probe.solver import projected as together_module
from benchmark.probe.solver.projected import project_rows
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


def test_together__turned_once_though_two_threads_ask(
    photos: tuple[np.ndarray, np.ndarray], together: SharedRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    monkeypatch.setattr(together_module, "project_rows", lambda *rows: made.append(1) or project_rows(*rows))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(in_solver_space, [some(photos, together, 1), some(photos, together, 2)]))
    assert len(made) == 1


def test_together__the_first_of_the_order_have_most_zeros(together: SharedRows) -> None:
    order = np.random.default_rng(4).permutation(TRAIN + VAL)
    first = (together.projected().train[order] != 0).argmax(axis=1)
    np.testing.assert_array_equal(first, TRAIN + VAL - np.arange(TRAIN + VAL))


def test_in_solver_space__alone_where_turning_all_does_not_pay_or_fit(
    photos: tuple[np.ndarray, np.ndarray], together: SharedRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, _ = photos
    alone = TRAIN + VAL + 2
    parts = in_solver_space(replace(some(photos, together, 1).splits, is_subset=True))
    assert parts.frame is None
    few = SharedRows(x[: TRAIN + VAL], x[TRAIN + VAL :], np.arange(TRAIN + VAL), 0)
    assert not few.is_worthwhile(TRAIN + VAL)
    assert together.is_worthwhile(TRAIN + VAL)
    assert together.is_worthwhile(90)
    assert not together.is_worthwhile(89)
    assert in_solver_space(some(photos, together, 3)).frame is None  # 60 photos are too few
    half = some(photos, few, 2)
    assert in_solver_space(half).frame is None  # 90 photos are rotated as they are
    monkeypatch.setattr(probe, "is_worthwhile", lambda *counts: True)
    assert in_solver_space(half).train_x.shape[1] == alone // 2 + 1
    needed = 32 * (TRAIN + VAL) * D
    half = some(photos, together, 2)
    assert in_solver_space(half, memory_bytes=needed - 1).train_x.shape[1] == alone // 2 + 1
    assert in_solver_space(half, memory_bytes=needed).train_x.shape[1] == alone
