"""What a probe passes on to its protocol, what it refuses in whole sentences, and what it records."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.probe import LabelledSplits, labelled_probe, probe, processing_probe, shuffled_accuracies
from benchmark.probe.probe import _in_memory, default_memory, with_validation
from benchmark.probe.problem import Fit, Problem, predict, stratified_split
from benchmark.probe.protocols.registry import PROTOCOLS, protocol_named
from benchmark.probe.solver.rows import Gathered
from builders.errors import DataError, UsageError

CPU = torch.device("cpu")
RNG = np.random.default_rng(7)
TRAIN, TEST = ([RNG.normal(size=(n, 5)).astype(np.float32) for _ in range(3)] for n in (20, 6))
ASSIGNED = np.arange(40).reshape(2, 20) % 3


def splits_of(val: int = 0, **more: Any) -> LabelledSplits:
    x, y = np.concatenate(TRAIN), np.arange(60) % 4
    held = (x[30 : 30 + val], y[30 : 30 + val]) if val else (None, None)
    return LabelledSplits(x[:30], y[:30], *held, x[50:], y[50:], 4, **more)


def constant_fit(problem: Problem, **more: Any) -> Fit:
    """A fit that always predicts class 1."""
    fits, classes = len(problem.which), problem.n_classes
    bias = torch.zeros(fits, classes)
    bias[:, 1] = 1
    given: dict[str, Any] = {
        "weights": torch.zeros(fits, problem.dimension, classes),
        "bias": bias,
        "chosen": {"strength": 0.5},
        "search": ({"strength": 0.5, "validation_accuracy": 0.25},),
        "final_loss": np.array([0.5, np.inf])[:fits],
        "gradient_norm": np.array([np.nan, 0.125])[:fits],
        "iterations": np.array([3, 4])[:fits],
        "converged": np.array([True, False])[:fits],
        "constants": {"path": [0.5], "seed": 99},
        "search_s": 1.23456,
        "fit_s": 0.0049,
    }
    return Fit(**{**given, **more})


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Problem, dict[str, Any]]]:
    """What the protocol is called with; it fits nothing."""
    calls: list[tuple[Problem, dict[str, Any]]] = []

    def fit(problem: Problem, **options: Any) -> Fit:
        calls.append((problem, options))
        assert torch.is_inference_mode_enabled()
        return constant_fit(problem)

    monkeypatch.setattr(probe, "protocol_named", lambda name: replace(protocol_named(name), fit=fit))
    return calls


def test_processing_probe__the_problem_of_its_protocol(passed: list[tuple[Problem, dict[str, Any]]]) -> None:
    clusters = np.arange(20) // 2
    answers = processing_probe(
        TRAIN, TEST, ASSIGNED.tolist(), device="cpu", seed=5, memory_bytes=12345, clusters=clusters, extend=False
    )
    ((problem, options),) = passed
    assert options == {"device": CPU, "seed": 5, "memory_bytes": 12345, "extend": False}
    assert problem.banks is TRAIN
    assert (problem.n, problem.dimension, problem.n_classes) == (20, 5, 3)
    for table in (problem.which, problem.labels):
        np.testing.assert_array_equal(table, ASSIGNED)
        assert table.dtype == np.int64
    held = stratified_split(ASSIGNED[0], seed=5, clusters=clusters)
    assert held.tolist() != stratified_split(ASSIGNED[0], clusters=clusters).tolist()
    assert held.tolist() != stratified_split(ASSIGNED[0], seed=5).tolist()
    np.testing.assert_array_equal(problem.validation_rows, np.flatnonzero(held))
    np.testing.assert_array_equal(problem.fit_rows, np.flatnonzero(~held))
    assert (problem.gathered, problem.frame, problem.features) == (None, None, None)
    assert answers.expected.tolist() == [[0] * 6, [1] * 6, [2] * 6]
    assert answers.expected.dtype == answers.predicted.dtype == np.uint8
    assert (answers.predicted == 1).all()
    assert answers.predicted.shape == (2, 3, 6)


def test_processing_probe__details_of_its_fit(passed: list[tuple[Problem, dict[str, Any]]]) -> None:
    answers = processing_probe(TRAIN, TEST, ASSIGNED, seed=5)
    assert answers.details() == {
        "protocol": "converged",
        "n_train": 20,
        "n_validation": 3,
        "accuracy_by_seed": [0.333333, 0.333333],
        "spread": 0.0,
        "balanced_accuracy": 0.333333,
        "chosen": {"strength": 0.5},
        "search": [{"strength": 0.5, "validation_accuracy": 0.25}],
        "final_loss": [0.5, None],
        "gradient_norm": [None, 0.125],
        "iterations": [3, 4],
        "converged": False,
        "search_s": 1.235,
        "fit_s": 0.005,
        "seed": 99,  # of the protocol, where it names one
        "validation_share": 0.2,
        "device": "cpu",
        "path": [0.5],
    }
    assert processing_probe(TRAIN, TEST, ASSIGNED, protocol="iccv2025").protocol == "iccv2025"


@pytest.mark.parametrize("val", [0, 20])
def test_labelled_probe__the_problem_of_its_protocol(val: int, passed: list[tuple[Problem, dict[str, Any]]]) -> None:
    clusters = np.arange(30) // 3
    splits = splits_of(val, train_clusters=clusters)
    answers = labelled_probe(splits, seed=8, memory_bytes=7777, tolerance=1e-3)
    ((problem, options),) = passed
    assert options == {"device": CPU, "seed": 8, "memory_bytes": 7777, "tolerance": 1e-3}
    assert problem.which.tolist() == [[0] * (30 + val)]
    np.testing.assert_array_equal(problem.labels, [np.arange(30 + val) % 4])
    assert (problem.which.dtype, problem.labels.dtype, problem.n_classes) == (np.int64, np.int64, 4)
    held = np.arange(30 + val) >= 30 if val else stratified_split(np.arange(30) % 4, seed=8, clusters=clusters)
    np.testing.assert_array_equal(problem.validation_rows, np.flatnonzero(held))
    np.testing.assert_array_equal(problem.fit_rows, np.flatnonzero(~held))
    np.testing.assert_array_equal(problem.banks[0][0 : 30 + val], np.concatenate(TRAIN)[: 30 + val])
    assert answers.details()["seed"] == 99
    assert answers.expected.tolist() == [(np.arange(50, 60) % 4).tolist()]
    assert answers.accuracy == 0.2
    np.testing.assert_array_equal(answers.correct, [[np.arange(50, 60) % 4 == 1]])


def test_probe__memory_is_that_of_the_device_where_none_is_given(
    passed: list[tuple[Problem, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "default_memory", lambda device: {"cpu": 4321}[device.type])
    processing_probe(TRAIN, TEST, ASSIGNED)
    labelled_probe(splits_of())
    assert [(o["memory_bytes"], o["seed"]) for _, o in passed] == [(4321, 22), (4321, 42)]


@pytest.mark.parametrize(("device", "share"), [("cpu", None), ("cuda:1", 0.6)])
def test_default_memory__a_larger_share_of_a_card(
    device: str, share: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(probe, "budget", lambda *given: calls.append(given) or 5)
    assert default_memory(torch.device(device)) == 5
    assert calls == [(torch.device(device), *([] if share is None else [share]))]


def test_probe__runs_out_of_memory_under_its_name(
    passed: list[tuple[Problem, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[tuple[str, int]] = []

    def once(what: str, work: Any, memory_bytes: int) -> Any:
        names.append((what, memory_bytes))
        return work(memory_bytes // 2)

    monkeypatch.setattr(probe, "with_less_memory", once)
    processing_probe(TRAIN, TEST, ASSIGNED, memory_bytes=100)
    assert passed[0][1]["memory_bytes"] == 50
    shuffled_accuracies(splits_of(), chosen={"strength": 1e-2}, permutations=2, memory_bytes=1 << 20)
    assert names == [("probe", 100), ("permuted probe", 1 << 20)]


def problem_of(banks: int, fits: int) -> Problem:
    rows = np.arange(20)
    table = np.zeros((fits, 20), np.int64)
    return Problem(TRAIN[:banks], table, table, 3, rows, rows[:0])


@pytest.mark.parametrize(
    ("banks", "fits", "threshold", "memory", "left"),
    [
        (3, 2, 400, 2000, 800),  # sets of 4 x 20 x 5 bytes: three banks and two sets are 2000 bytes
        (3, 2, 400, 1999, None),
        (3, 2, 401, 2000, None),
        (3, 1, 400, 2000, None),
        (1, 2, 400, 2000, None),
        (2, 2, 400, 1600, 800),
        (2, 2, 400, 1599, None),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_in_memory__all_rows_at_once_where_memory_holds_them_and_two_sets(
    device: str,
    banks: int,
    fits: int,
    threshold: int,
    memory: int,
    left: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "GATHERED_FROM_ON_CPU" if device == "cpu" else "GATHERED_FROM", threshold)
    calls: list[tuple[Any, str]] = []
    monkeypatch.setattr(probe, "Gathered", lambda rows, on: calls.append((rows, on.type)) or Gathered(rows, CPU))
    problem = problem_of(banks, fits)
    made, rest = _in_memory(problem, torch.device(device), memory)
    assert rest == (memory if left is None else left)
    assert calls == ([] if left is None else [(TRAIN[:banks], device)])
    assert (made is problem) == (left is None)


def refusals() -> dict[str, tuple[Any, type[Exception], str]]:
    good = splits_of()
    x, y = good.train_x, good.train_y
    return {
        "protocol": (
            lambda: labelled_probe(good, protocol="conv"),
            UsageError,
            "unknown probe protocol 'conv': did you mean 'converged'?",
        ),
        "test classes": (
            lambda: processing_probe(TRAIN, TEST[:2], ASSIGNED),
            ValueError,
            "3 training classes but 2 test classes",
        ),
        "photos": (
            lambda: processing_probe(TRAIN, TEST, ASSIGNED[:, :19]),
            ValueError,
            "19 photos assigned, 20 embedded",
        ),
        "above": (
            lambda: processing_probe(TRAIN, TEST, ASSIGNED + (ASSIGNED == 2)),
            ValueError,
            "assignments hold a class outside 0..2",
        ),
        "below": (
            lambda: processing_probe(TRAIN, TEST, -ASSIGNED),
            ValueError,
            "assignments hold a class outside 0..2",
        ),
        "unlike train": (
            lambda: processing_probe([*TRAIN[:2], TRAIN[2][:, :4]], TEST, ASSIGNED),
            ValueError,
            "train banks must be [n, d] and alike, not [(20, 4), (20, 5)]",
        ),
        "flat test": (
            lambda: processing_probe(TRAIN, [t[0] for t in TEST], ASSIGNED),
            ValueError,
            "test banks must be [n, d] and alike, not [(5,)]",
        ),
        "no train": (
            lambda: processing_probe([t[:0] for t in TRAIN], TEST, ASSIGNED[:, :0]),
            DataError,
            "there is no train photo to probe",
        ),
        "no dimension": (
            lambda: processing_probe(TRAIN, [t[:, :0] for t in TEST], ASSIGNED),
            DataError,
            "there is no test photo to probe",
        ),
        "train labels": (
            lambda: labelled_probe(replace(good, train_y=y[:29])),
            ValueError,
            "29 training labels for 30 embeddings",
        ),
        "test labels": (
            lambda: labelled_probe(replace(good, test_y=y[:9])),
            ValueError,
            "9 test labels for 10 embeddings",
        ),
        "train classes": (
            lambda: labelled_probe(replace(good, n_classes=3)),
            ValueError,
            "training labels hold a class outside 0..2",
        ),
        "test classes below": (
            lambda: labelled_probe(replace(good, test_y=-np.asarray(good.test_y))),
            ValueError,
            "test labels hold a class outside 0..3",
        ),
        "val without labels": (
            lambda: labelled_probe(replace(good, val_x=x)),
            ValueError,
            "val_x and val_y go together",
        ),
        "labels without val": (
            lambda: labelled_probe(replace(good, val_y=y)),
            ValueError,
            "val_x and val_y go together",
        ),
        "no train photo": (
            lambda: labelled_probe(replace(good, train_x=x[:0], train_y=y[:0])),
            DataError,
            "there is no train photo to probe",
        ),
        "no test photo": (
            lambda: labelled_probe(replace(good, test_x=x[:0], test_y=y[:0])),
            DataError,
            "there is no test photo to probe",
        ),
    }


@pytest.mark.parametrize("case", refusals())
def test_probe__refuses_in_a_sentence(case: str) -> None:
    call, kind, sentence = refusals()[case]
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == sentence


def test_with_validation__val_photos_come_after_those_of_train() -> None:
    plain = splits_of()
    bank, labels = with_validation(plain)
    assert bank is plain.train_x
    assert labels.tolist() == (np.arange(30) % 4).tolist()
    empty = replace(plain, val_x=np.zeros((0, 5), np.float32), val_y=np.zeros(0))
    assert with_validation(empty)[0] is empty.train_x
    bank, labels = with_validation(splits_of(20))
    assert (bank.shape, labels.dtype) == ((50, 5), np.int64)
    assert labels.tolist() == (np.arange(50) % 4).tolist()


def test_labelled_probe__a_val_part_without_photos_holds_out_a_fifth() -> None:
    empty = replace(splits_of(), val_x=np.zeros((0, 5), np.float32), val_y=np.zeros(0, np.int64))
    one, other = labelled_probe(empty, strengths=[1e-2, 1e-3]), labelled_probe(splits_of(), strengths=[1e-2, 1e-3])
    assert one.n_validation == other.n_validation == 6  # 2 of 8 twice, 1 of 7 twice
    assert one.search == other.search


def test_shuffled_accuracies__labels_of_a_caller_and_their_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shuffling has its test labels, also where several steps give the layers."""
    splits = splits_of(20)
    rng = np.random.default_rng(3)
    trained, tested = rng.integers(0, 4, (5, 50)), rng.integers(0, 4, (5, 10))
    layers = [(torch.from_numpy(rng.normal(size=(k, 5, 4))), torch.from_numpy(rng.normal(size=(k, 4)))) for k in (2, 3)]
    calls: list[Any] = []

    def refit(*given: Any) -> Any:
        calls.append(given)
        return iter(layers)

    fake = SimpleNamespace(permutations=5, refit=refit, rotation_invariant=False)
    monkeypatch.setattr(probe, "protocol_named", lambda name: {"means": fake}[name])
    counts: list[int] = []
    measured = shuffled_accuracies(
        splits,
        chosen={"a": 2.0},
        protocol="means",
        memory_bytes=99,
        shuffled=lambda count: counts.append(count) or (trained, tested),
    )
    assert counts == [5]
    ((problem, *rest),) = calls
    assert rest == [{"a": 2.0}, CPU, 99]
    assert (problem.n_classes, problem.frame, problem.n) == (4, None, 50)
    assert problem.labels is trained
    assert not problem.which.any()
    assert problem.which.shape == (5, 50)
    assert (problem.fit_rows.tolist(), problem.validation_rows.tolist()) == (list(range(50)), [])
    predicted = np.concatenate([predict([splits.test_x], np.arange(10), w, b)[:, 0] for w, b in layers])
    np.testing.assert_allclose(measured, (predicted == tested).mean(axis=1))
    shuffled_accuracies(splits, chosen={"a": 2.0}, protocol="means", permutations=4)
    other = calls[-1][0]
    expected = np.random.default_rng(42)
    np.testing.assert_array_equal(other.labels, [expected.permutation(np.arange(50) % 4) for _ in range(4)])


def test_protocols__their_names_are_those_that_they_say() -> None:
    assert list(PROTOCOLS) == ["converged", "iccv2025"]
    assert [protocol_named(name).name for name in PROTOCOLS] == list(PROTOCOLS)
