"""Both probes end to end on arrays: what they learn, what they keep, what they refuse."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from benchmark.probe import PROTOCOLS, LabelledSplits, ProbeAnswers, labelled_probe, processing_probe
from benchmark.probe.problem import predict, stratified_split
from benchmark.probe.protocols import converged as converged_module
from benchmark.probe.solver.rows import Stacked, gather, normalised
from builders.errors import DataError, UsageError

QUICK_SGD: dict[str, Any] = {"rounds": (3,), "epochs": 20}


def processed(n: int, d: int, n_classes: int, shift: float, seed: int = 0) -> list[np.ndarray]:
    """Photos whose processings move the embedding by a constant each, plus a little of their own."""
    rng = np.random.default_rng(seed)
    photos = rng.normal(size=(n, d))
    return [
        (photos + shift * rng.normal(size=d) + 0.1 * shift * rng.normal(size=(n, d))).astype(np.float32)
        for _ in range(n_classes)
    ]


def split(banks: list[np.ndarray], n_train: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [b[:n_train] for b in banks], [b[n_train:] for b in banks]


def assigned(n_classes: int, n: int, seeds: int = 10) -> np.ndarray:
    return np.random.default_rng(3).integers(0, n_classes, (seeds, n))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_processing_probe__reads_a_constant_shift(protocol: str) -> None:
    train, test = split(processed(300, 16, 3, 2.0), 200)
    answers = processing_probe(train, test, assigned(3, 200), protocol=protocol)
    assert answers.accuracy > 0.95
    assert answers.predicted.shape == (10, 3, 100)
    assert answers.predicted.dtype == np.uint8
    assert answers.chance == pytest.approx(1 / 3)
    assert answers.protocol == protocol
    assert answers.converged.all()
    assert answers.n_train == 200
    assert answers.n_validation == 40
    assert answers.search_s > 0 < answers.fit_s
    timed = replace(answers, search_s=1.23456, fit_s=0.00049).details()
    assert (timed["search_s"], timed["fit_s"]) == (1.235, 0.0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_processing_probe__is_at_chance_where_there_is_nothing(protocol: str) -> None:
    train, test = split(processed(260, 16, 4, 0.0), 160)
    options = QUICK_SGD if protocol == "iccv2025" else {}
    answers = processing_probe(train, test, assigned(4, 160), protocol=protocol, **options)
    # the four views of a photo are equal: whatever is answered, one of them is right
    np.testing.assert_array_equal(answers.photo_accuracy, 0.25)
    assert answers.statistics.spread == 0


def test_processing_probe__every_assignment_is_its_own_sklearn_fit() -> None:
    train, test = split(processed(150, 12, 3, 0.3), 100)
    assignments = assigned(3, 100, seeds=4)
    answers = processing_probe(train, test, assignments, strengths=(1e-3,))
    assert answers.chosen == {"strength": 1e-3}
    for s, classes in enumerate(assignments):
        x = np.stack([normalised(train[c])[i] for i, c in enumerate(classes)]).astype(np.float64)
        model = LogisticRegression(C=1 / (100 * 1e-3), tol=1e-10, max_iter=10_000).fit(x, classes)
        for c in range(3):
            expected = model.predict(normalised(test[c]).astype(np.float64))
            assert (expected == answers.predicted[s, c]).mean() >= 0.98


def test_processing_probe__chooses_the_strength_that_validates_best() -> None:
    train, test = split(processed(300, 40, 3, 0.25), 200)
    answers = processing_probe(train, test, assigned(3, 200))
    accuracies = [row["validation_accuracy"] for row in answers.search]
    strengths = [row["strength"] for row in answers.search]
    best = int(np.argmax(accuracies))
    assert answers.chosen["strength"] == strengths[best]
    assert len(strengths) >= 9
    assert strengths == sorted(strengths, reverse=True)
    assert answers.details()["at_edge"] == (best in (0, len(strengths) - 1))
    assert all(row["converged"] for row in answers.search)


def test_processing_probe__path_grows_when_the_weakest_is_best(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = split(processed(400, 24, 3, 0.02), 300)
    short = processing_probe(train, test, assigned(3, 300), strengths=(1, 0.1))
    tried = [row["strength"] for row in short.search]
    assert len(tried) > 2
    np.testing.assert_allclose(tried, [10.0**-k for k in range(len(tried))])
    monkeypatch.setattr(converged_module, "EXTENSION", 0)
    flagged = processing_probe(train, test, assigned(3, 300), strengths=(1, 0.1))
    assert len(flagged.search) == 2
    assert flagged.details()["at_edge"] is True


def test_processing_probe__validation_is_pooled_only_where_photos_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = split(processed(90, 8, 3, 0.3), 60)
    assert processing_probe(train, test, assigned(3, 60)).details()["assignments_searched"] == 10
    monkeypatch.setattr(converged_module, "SEARCH_ROWS", 150)
    assert processing_probe(train, test, assigned(3, 60)).details()["assignments_searched"] == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_processing_probe__does_not_depend_on_memory(protocol: str) -> None:
    train, test = split(processed(80, 10, 3, 0.5), 50)
    options: dict[str, Any] = {"protocol": protocol, **(QUICK_SGD if protocol == "iccv2025" else {})}
    # the pool of the search would follow the memory: one assignment has one
    plenty = processing_probe(train, test, assigned(3, 50)[:1], **options)
    scarce = processing_probe(train, test, assigned(3, 50)[:1], memory_bytes=64, **options)
    assert plenty.chosen == scarce.chosen
    assert (plenty.predicted == scarce.predicted).mean() > 0.99
    np.testing.assert_allclose(plenty.final_loss, scarce.final_loss, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_processing_probe__same_call_same_answers(protocol: str) -> None:
    train, test = split(processed(80, 10, 3, 0.5), 50)
    options: dict[str, Any] = {"protocol": protocol, **(QUICK_SGD if protocol == "iccv2025" else {})}
    first = processing_probe(train, test, assigned(3, 50), **options)
    second = processing_probe(train, test, assigned(3, 50), **options)
    np.testing.assert_array_equal(first.predicted, second.predicted)
    assert first.search == second.search


class Lazy:
    """A bank that only slices, and counts the rows it gives."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows, self.shape, self.largest = rows, rows.shape, 0

    def __getitem__(self, rows: slice) -> np.ndarray:
        assert isinstance(rows, slice)
        self.largest = max(self.largest, len(range(*rows.indices(len(self._rows)))))
        return self._rows[rows]


@pytest.mark.parametrize("form", ["lazy", "memory map", "float16", "torch"])
def test_processing_probe__takes_any_bank_that_slices(form: str, tmp_path: Any) -> None:
    banks = [b.astype(np.float16).astype(np.float32) for b in processed(60, 8, 3, 1.0)]

    def as_form(index: int, rows: np.ndarray) -> Any:
        if form == "lazy":
            return Lazy(rows)
        if form == "torch":
            return torch.from_numpy(rows)
        if form == "float16":
            return rows.astype(np.float16)
        np.save(tmp_path / f"{index}-{len(rows)}.npy", rows)
        return np.load(tmp_path / f"{index}-{len(rows)}.npy", mmap_mode="r")

    train, test = split(banks, 40)
    expected = processing_probe(train, test, assigned(3, 40))
    answers = processing_probe(
        [as_form(i, b) for i, b in enumerate(train)], [as_form(i, b) for i, b in enumerate(test)], assigned(3, 40)
    )
    np.testing.assert_array_equal(answers.predicted, expected.predicted)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("n", "d", "n_classes"), [(1, 4, 3), (3, 1, 2), (4, 2, 6), (12, 5, 1)])
def test_processing_probe__degenerate_sizes_have_an_answer(protocol: str, n: int, d: int, n_classes: int) -> None:
    banks = processed(n + 2, d, n_classes, 1.0)
    train, test = split(banks, n)
    options = QUICK_SGD if protocol == "iccv2025" else {}
    answers = processing_probe(train, test, assigned(n_classes, n, 2), protocol=protocol, **options)
    assert 0 <= answers.accuracy <= 1
    assert answers.predicted.max() < n_classes
    assert all(math.isfinite(x) for x in answers.final_loss)
    json.dumps(answers.details(), allow_nan=False)


def test_processing_probe__zero_embeddings_answer_the_most_frequent_class() -> None:
    zeros = [np.zeros((30, 4), np.float32)] * 3
    classes = np.array([[0] * 8 + [1] * 14 + [2] * 8])
    answers = processing_probe(zeros, zeros, classes)
    assert (answers.predicted == 1).all()
    assert answers.accuracy == pytest.approx(1 / 3)


def test_processing_probe__class_that_no_photo_was_assigned_is_never_predicted() -> None:
    train, test = split(processed(60, 8, 3, 1.0), 40)
    answers = processing_probe(train, test, assigned(2, 40))
    assert set(np.unique(answers.predicted)) <= {0, 1}
    assert answers.statistics.correct[:, 2].sum() == 0


def test_processing_probe__says_what_is_wrong() -> None:
    train, test = split(processed(30, 4, 3, 1.0), 20)
    good = assigned(3, 20)
    with pytest.raises(UsageError, match="'converged'"):
        processing_probe(train, test, good, protocol="converge")
    with pytest.raises(ValueError, match="2 test classes"):
        processing_probe(train, test[:2], good)
    with pytest.raises(ValueError, match="19 photos assigned, 20 embedded"):
        processing_probe(train, test, good[:, :19])
    with pytest.raises(ValueError, match=r"outside 0\.\.2"):
        processing_probe(train, test, good + 1)
    with pytest.raises(ValueError, match="strengths"):
        processing_probe(train, test, good, strengths=(1.0, 0.0))
    with pytest.raises(DataError, match="no test photo"):
        processing_probe(train, [b[:0] for b in test], good)
    broken = [b.copy() for b in train]
    broken[int(good[0, 3])][3, 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        processing_probe(broken, test, good)


def test_labelled_probe__three_parts() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, 12))

    def part(n: int) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(0, 5, n)
        return (centres[y] + 0.7 * rng.normal(size=(n, 12))).astype(np.float32), y

    (train_x, train_y), (val_x, val_y), (test_x, test_y) = part(200), part(60), part(150)
    answers = labelled_probe(LabelledSplits(train_x, train_y, val_x, val_y, test_x, test_y, 5))
    assert answers.predicted.shape == (1, 1, 150)
    assert (answers.n_train, answers.n_validation) == (260, 60)
    strength = answers.chosen["strength"]
    x, y = np.concatenate([train_x, val_x]), np.concatenate([train_y, val_y])
    model = LogisticRegression(C=1 / (260 * strength), tol=1e-10, max_iter=10_000)
    model.fit(normalised(x).astype(np.float64), y)
    expected = model.predict(normalised(test_x).astype(np.float64))
    assert (answers.predicted[0, 0] == expected).mean() >= 0.99
    assert answers.accuracy == pytest.approx(np.mean(answers.predicted[0, 0] == test_y))
    assert answers.details()["seed"] == 42
    # the search's own table, again with scikit-learn
    for row in answers.search[:4]:
        model = LogisticRegression(C=1 / (200 * row["strength"]), tol=1e-10, max_iter=10_000)
        model.fit(normalised(train_x).astype(np.float64), train_y)
        accuracy = model.score(normalised(val_x).astype(np.float64), val_y)
        assert abs(accuracy - row["validation_accuracy"]) <= 1 / 60 + 1e-9


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_labelled_probe__without_validation_part(protocol: str) -> None:
    rng = np.random.default_rng(1)
    y = np.arange(120) % 3
    x = (rng.normal(size=(3, 6))[y] * 2 + rng.normal(size=(120, 6))).astype(np.float32)
    options = QUICK_SGD if protocol == "iccv2025" else {}
    answers = labelled_probe(
        LabelledSplits(x[:90], y[:90], None, None, x[90:], y[90:], 3), protocol=protocol, **options
    )
    assert (answers.n_train, answers.n_validation) == (90, 18)
    assert answers.accuracy > 0.6


@pytest.mark.slow
def test_labelled_probe__more_than_256_classes() -> None:
    x = np.eye(300, dtype=np.float32)
    y = np.arange(300)
    answers = labelled_probe(LabelledSplits(x, y, None, None, x, y, 300), strengths=(1e-4,))
    assert answers.predicted.dtype == np.uint16
    assert answers.accuracy == 1


def test_answers__statistics_by_hand() -> None:
    predicted = np.array([[[0, 0], [1, 0]], [[0, 0], [1, 1]]], np.uint8)
    answers = ProbeAnswers(
        "converged", predicted, np.array([[0, 0], [1, 1]], np.uint8), 2, 4, 1, {}, (),
        np.zeros(2), np.zeros(2), np.ones(2, int), np.ones(2, bool), {}, 0.0, 0.0,
    )  # fmt: skip
    assert answers.statistics.accuracies.tolist() == [0.75, 1.0]
    assert answers.accuracy == 0.875
    assert answers.statistics.spread == pytest.approx(0.25 / math.sqrt(2))
    assert answers.photo_accuracy.tolist() == [1.0, 0.75]
    assert answers.statistics.balanced_accuracy == 0.875


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_stratified_split__a_fifth_of_each_class(labels: list[int], seed: int) -> None:
    y = np.array(labels)
    chosen = stratified_split(y, seed=seed)
    for c in np.unique(y):
        size, held = int((y == c).sum()), int(chosen[y == c].sum())
        assert held == (0 if size == 1 else min(max(math.floor(0.2 * size + 0.5), 1), size - 1))


def test_gather__takes_each_row_from_its_bank() -> None:
    banks = processed(30, 5, 3, 1.0)
    which = assigned(3, 30, seeds=2)
    rows = np.array([1, 4, 5, 20, 29])
    block = gather(banks, which, rows)(1, 5).numpy()
    for g in range(2):
        for j, i in enumerate(rows[1:]):
            np.testing.assert_array_equal(block[g, j], normalised(banks[which[g, i]][i : i + 1])[0])


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=60, deadline=None)
def test_stacked__equals_concatenation(n: int, m: int, start: int, stop: int) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(n, 3)), rng.normal(size=(m, 3))
    stacked = Stacked(first, second)
    assert stacked.shape == (n + m, 3)
    if start <= stop:
        np.testing.assert_array_equal(stacked[start:stop], np.concatenate([first, second])[start:stop])


def test_normalised__extreme_lengths() -> None:
    rows = normalised(np.array([[3e30, 4e30], [3e-30, 4e-30], [0, 0]], np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.6, 0.8], [0, 0]], rtol=1e-6)


def test_predict__ties_go_to_the_lowest_class() -> None:
    x = np.ones((3, 2), np.float32)
    weights = torch.zeros(1, 2, 4)
    bias = torch.tensor([[0.0, 1.0, 1.0, 0.5]])
    assert predict([x], np.arange(3), weights, bias).tolist() == [[[1, 1, 1]]]
