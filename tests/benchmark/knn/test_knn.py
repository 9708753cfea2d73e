"""The kNN suite against the full definition, on data where arithmetic is exact, and the laws that it keeps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.knn import SPD
from benchmark.knn.answers import Ties
from builders.errors import DataError, UsageError
from tests.benchmark.knn.definition import (
    SETUPS,
    Case,
    assert_equals_reference,
    assert_same,
    make_case,
)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 5, 10])
def test_knn_setups__equals_the_definition(seed: int, k: int) -> None:
    assert_equals_reference(make_case(seed, same=[0.0, 0.5, 0.9][seed % 3]), k)


def test_knn_setups__wide_blocks_by_group_maxima() -> None:
    case = make_case(1, c=2, n_train=700, n_test=6, labels=2, seeds=2)
    assert_equals_reference(case, 3)


@pytest.mark.parametrize("k", [7, 60])
def test_knn_setups__k_beyond_positives_or_train_photos(k: int) -> None:
    assert_equals_reference(make_case(3, n_train=30, labels=10), k)


def test_knn_setups__fewer_train_photos_than_k() -> None:
    assert_equals_reference(make_case(4, n_train=1, n_test=5, labels=2), 10)


def test_knn_setups__labels_absent_from_train() -> None:
    case = make_case(5)
    case.train_labels[:] = np.where(case.train_labels == 0, 1, case.train_labels)
    assert (case.test_labels == 0).any()
    assert_equals_reference(case, 5)
    answers = case.answers(k=5)
    assert not answers.correct[:, case.test_labels == 0].any()


def test_knn_setups__one_label() -> None:
    case = make_case(6, labels=1)
    assert_equals_reference(case, 5)
    values = case.answers(k=5).values
    assert {name: value for name, value in values.items() if name != SPD} == dict.fromkeys([*SETUPS, "worst"], 1.0)


def test_knn_setups__one_processing_class() -> None:
    case = make_case(7, c=1)
    assert_equals_reference(case, 5)
    answers = case.answers(k=5)
    assert list(answers.values) == ["all-same", "uniform", "uniform-test"]
    assert SPD not in answers.values
    assert len(set(answers.values.values())) == 1


def test_knn_setups__duplicates_and_zero_vectors() -> None:
    case = make_case(8, n_train=60)
    for bank in case.train:
        bank[20:50] = bank[:30]
        bank[50:] = 0
    case.test[0][:3] = 0
    assert_equals_reference(case, 6)


def test_knn_setups__all_embeddings_equal() -> None:
    case = make_case(9, n_train=300)
    for bank in (*case.train, *case.test):
        bank[:] = 1
    answers = case.answers(k=10)
    first = np.bincount(case.train_labels[:10])
    assert (answers.plain == (case.test_labels == first.argmax())).all()
    assert_equals_reference(case, 10)


@pytest.mark.slow
def test_knn_setups__unproven_uniform_neighbours_are_computed() -> None:
    """All neighbours of every list come from one class that few train photos are seen through."""
    case = make_case(10, c=3, n_train=500, n_test=5, labels=3, same=0)
    for bank in case.train[1:]:
        bank[:] = np.where(np.arange(16) < 4, -case.test[0][0], 0)
    case.train_assignments[:] = np.random.default_rng(0).choice(3, case.train_assignments.shape, p=[0.02, 0.49, 0.49])
    assert_equals_reference(case, 3)
    assert_equals_reference(case, 3, memory_bytes=1)


def test_knn_setups__drawn_class_is_the_farthest() -> None:
    """Every list is complete, but the nearest of all lists together hold nothing of the class that was drawn."""
    rng = np.random.default_rng(0)
    case = make_case(14, c=4, n_train=12, n_test=3, labels=3, same=0)
    for bank in case.test:
        bank[:] = 1
    for bank in case.train[:3]:
        bank[:] = np.eye(16)[rng.integers(0, 16, 12)]
    far = case.train[3]
    far[:] = 0
    for row in far:
        row[rng.choice(16, 4, replace=False)] = rng.choice([[-1, -1, -1, -1], [-1, -1, 1, -1], [1, -1, -1, 1]])
    case.train_assignments[:] = 3
    assert_equals_reference(case, 3)


def test_knn_setups__hand_computed_tie() -> None:
    """Two votes for each of two labels: the label of the nearest neighbour wins."""
    train = [np.array([[0.6, 0.8], [1, 0], [0.8, 0.6], [0.6, 0.8], [-1, 0]], np.float32)]
    case = Case(
        train,
        [np.array([[2.0, 0]], np.float32)],
        np.array([5, 5, 9, 9, 7]),
        np.array([9]),
        np.zeros((1, 5), int),
        np.zeros((1, 1), int),
    )
    # order: 1 (label 5, 1.0), 2 (label 9, 0.8), 0 (label 5, 0.6, lower index), 3 (label 9, 0.6), 4
    assert case.answers(k=4).values["all-same"] == 0.0
    assert case.answers(k=4).tied_share["all-same"] == 1.0
    assert case.answers(k=3).tied_share["all-same"] == 0.0
    case.test_labels[:] = 5
    assert case.answers(k=4).values["all-same"] == 1.0
    assert case.answers(k=4).ties["all-same"] == Ties(share=1.0, least=0.0, greatest=1.0, random=0.5)
    assert case.answers(k=3).ties["all-same"] == Ties(share=0.0, least=1.0, greatest=1.0, random=1.0)
    # three labels with one vote each, four votes in which the query's label does not lead
    case.train_labels[:] = [5, 6, 9, 8, 7]
    assert case.answers(k=3).ties["all-same"].random == pytest.approx(1 / 3)
    case.train_labels[:] = [5, 6, 6, 9, 9]
    assert case.answers(k=5).ties["all-same"] == Ties(share=1.0, least=0.0, greatest=0.0, random=0.0)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.sampled_from([1, 20_000, 400_000, 1 << 26]))
def test_knn_setups__memory_changes_nothing(seed: int, k: int, memory_bytes: int) -> None:
    case = make_case(seed, c=2, n_train=150, n_test=7)
    assert_same(case.answers(k=k, memory_bytes=memory_bytes), case.answers(k=k))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_knn_setups__permuted_queries(seed: int) -> None:
    case = make_case(seed)
    order = np.random.default_rng(seed).permutation(len(case.test_labels))
    permuted = dataclasses.replace(
        case,
        test=[bank[order] for bank in case.test],
        test_labels=case.test_labels[order],
        test_assignments=case.test_assignments[:, order],
    )
    assert_same(case.answers(k=4), permuted.answers(k=4), order)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_knn_setups__scale_of_embeddings_is_irrelevant(seed: int) -> None:
    case = make_case(seed)
    scaled = dataclasses.replace(
        case, train=[bank * 2.0**90 for bank in case.train], test=[b * 2.0**-90 for b in case.test]
    )
    assert_same(case.answers(k=4), scaled.answers(k=4))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_knn_setups__invariant_encoder_scores_alike_in_all_setups(seed: int) -> None:
    answers = make_case(seed, same=1.0).answers(k=5)
    assert answers.values[SPD] == 0
    assert len({value for name, value in answers.values.items() if name != SPD}) == 1


def test_knn_setups__sensitive_encoder() -> None:
    """Embeddings that hold little but the processing: attraction helps pos-same and hurts neg-same."""
    rng = np.random.default_rng(0)
    n, labels, c = 200, 10, 3
    label = np.arange(n) % labels
    content = rng.normal(size=(labels, 32))[label] + rng.normal(size=(n, 32))
    trace = 9 * rng.normal(size=(c, 32))
    banks = [(content + trace[i]).astype(np.float32) for i in range(c)]
    case = Case(
        [b[:150] for b in banks],
        [b[150:] for b in banks],
        label[:150],
        label[150:],
        rng.integers(0, c, (10, 150)),
        rng.integers(0, c, (10, 50)),
    )
    answers = case.answers(k=10)
    values = answers.values
    assert values["pos-same"] == 1.0
    assert values["neg-same"] < 0.05
    assert values[SPD] == pytest.approx(values["pos-same"] - values["neg-same"], abs=1e-12)
    assert answers.chance == pytest.approx(0.1)


class Lazy:
    """Counts what is read, and gives nothing but slices."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.shape, self.longest = array.astype(np.float16), array.shape, 0

    def __getitem__(self, rows: slice) -> np.ndarray:
        assert isinstance(rows, slice)
        self.longest = max(self.longest, rows.stop - rows.start)
        return self.array[rows]


def test_knn_setups__lazy_banks_are_never_read_whole() -> None:
    case = make_case(12, n_train=400)
    lazy = dataclasses.replace(case, train=[Lazy(b) for b in case.train], test=[Lazy(b) for b in case.test])
    assert_same(lazy.answers(k=3, memory_bytes=100_000), case.answers(k=3))
    assert max(bank.longest for bank in lazy.train) <= 128


def test_knn_setups__memory_maps(tmp_path) -> None:
    case = make_case(13)
    for i, bank in enumerate(case.train):
        np.save(tmp_path / f"{i}.npy", bank)
    mapped = [np.load(tmp_path / f"{i}.npy", mmap_mode="r") for i in range(3)]
    assert_same(dataclasses.replace(case, train=mapped).answers(), case.answers())


def test_knn_setups__leaves_matmul_precision_as_it_was() -> None:
    torch.set_float32_matmul_precision("high")
    try:
        make_case(0).answers()
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": []}, "same classes"),
        ({"test_labels": np.zeros(4, int)}, "class 0"),
        ({"train_labels": np.full(40, -1)}, "train photo"),
        ({"train_labels": np.zeros(40)}, "train labels"),
        ({"train_assignments": np.full((3, 40), 3)}, "assignments"),
        ({"test_assignments": np.zeros((3, 5), int)}, "assignments"),
        ({"test_assignments": np.zeros((2, 9), int)}, "per seed"),
        ({"train": [np.full((40, 16), np.nan)] * 3}, "NaN or infinity"),
        ({"test": [np.full((9, 16), np.inf)] * 3}, "NaN or infinity"),
    ],
)
def test_knn_setups__bad_input_is_one_sentence(change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        dataclasses.replace(make_case(0), **change).answers()
    assert "\n" not in str(error.value)


def test_knn_setups__no_photos() -> None:
    with pytest.raises(DataError, match="there are none"):
        make_case(0, n_test=0).answers()


def test_knn_setups__k_zero() -> None:
    with pytest.raises(UsageError, match="k is 0"):
        make_case(0).answers(k=0)
