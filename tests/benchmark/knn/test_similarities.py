"""Similarities of queries to a collection, against one pair after the other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from benchmark.knn import KINDS, histogram, similarities, similarity_counts
from benchmark.knn.similarity import OTHERS_ALIKE, SAME_CLASS_ELSEWHERE, STEPS, beats, overlap
from builders.errors import DataError


def case(seed: int, n_train: int = 60, queries: int = 12, classes: int = 3, labels: int = 3, dimension: int = 8):
    rng = np.random.default_rng(seed)
    train = [rng.normal(size=(n_train, dimension)).astype(np.float32) for _ in range(classes)]
    of = rng.integers(0, labels, n_train), rng.integers(0, labels, queries), rng.integers(0, classes, queries)
    return train, rng.normal(size=(queries, dimension)).astype(np.float32), *of


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def by_hand(train, queries, train_labels, query_labels, query_classes):
    """Each query's similarities by kind, as lists."""
    result = []
    for query, label, kind in zip(queries, query_labels, query_classes, strict=True):
        lists = {name: [] for name in KINDS}
        for c, bank in enumerate(train):
            for row, other in zip(bank, train_labels, strict=True):
                side = "same-class" if other == label else "other-class"
                lists[f"{side} {'same' if c == kind else 'other'}-processing"].append(cosine(query, row))
        result.append(lists)
    return result


@pytest.mark.parametrize("seed", range(4))
def test_similarities__equal_a_loop_over_pairs(seed: int) -> None:
    arguments = case(seed)
    counts = similarity_counts(*arguments)
    result = similarities(*arguments)
    for q, lists in enumerate(by_hand(*arguments)):
        for row, name in enumerate(KINDS):
            steps = np.floor((np.array(lists[name]) + 1) * STEPS / 2).astype(int)
            expected = np.bincount(np.clip(steps, 0, STEPS - 1), minlength=STEPS)
            # A similarity on the border of a step may fall on either side in float32.
            assert np.abs(counts[q, row] - expected).sum() <= 2
            assert counts[q, row].sum() == len(lists[name])
            shown = histogram(counts[q])
            assert shown.counts[row].tolist() == np.histogram(lists[name], shown.edges)[0].tolist()
        alike, changed = lists["other-class same-processing"], lists["same-class other-processing"]
        pairs = [1.0 if a > b else 0.0 for a, b in itertools.product(alike, changed)]
        assert result.beats[q] == pytest.approx(np.mean(pairs), abs=2 / len(changed))
        edges = histogram(counts[q]).edges
        shares = [np.histogram(values, edges)[0] / len(values) for values in (alike, changed)]
        assert result.overlap[q] == pytest.approx(np.minimum(*shares).sum())


def test_beats__equals_a_loop_over_pairs_of_steps() -> None:
    """Exactly: steps are whole numbers, and equal ones count half."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        counts = np.zeros((len(KINDS), STEPS), np.int32)
        places = rng.integers(8000, 8020, (2, 30))
        for row, steps in zip((OTHERS_ALIKE, SAME_CLASS_ELSEWHERE), places, strict=True):
            np.add.at(counts[row], steps, 1)
        won = [(a > b) + (a == b) / 2 for a, b in itertools.product(*places)]
        assert beats(counts) == np.mean(won)


def test_beats_and_overlap__of_the_extremes() -> None:
    counts = np.zeros((len(KINDS), STEPS), np.int64)
    assert np.isnan(beats(counts))
    assert np.isnan(overlap(counts))
    counts[OTHERS_ALIKE, 9000], counts[SAME_CLASS_ELSEWHERE, 8500] = 7, 3
    assert (beats(counts), overlap(counts)) == (1.0, 0.0)
    counts[SAME_CLASS_ELSEWHERE, 8500], counts[SAME_CLASS_ELSEWHERE, 9000] = 0, 3
    assert (beats(counts), overlap(counts)) == (0.5, 1.0)


def test_similarities__of_a_photo_with_itself_and_its_opposite_are_counted() -> None:
    """Rounding may carry a cosine beyond 1: it stands in the last step, its opposite in the first."""
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(200, 7)).astype(np.float32)
    counts = similarity_counts(
        [np.stack([q, -q])[:, 0] for q in [queries[:1]]],
        queries[:1],
        np.array([0, 1]),
        np.zeros(1, int),
        np.zeros(1, int),
    )
    changed = counts[0, KINDS.index("same-class same-processing")]
    other = counts[0, KINDS.index("other-class same-processing")]
    assert changed[-2:].sum() == other[:2].sum() == 1


def test_histogram__is_bounded_and_holds_everything() -> None:
    rng = np.random.default_rng(3)
    for first, last in ((0, STEPS), (16000, STEPS), (8192, 8193), (8000, 8100)):
        counts = np.zeros((4, STEPS), np.int64)
        counts[:, first:last] = rng.integers(0, 3, (4, last - first))
        counts[0, first] = counts[0, last - 1] = 1
        result = histogram(counts)
        assert result.counts.shape[1] == len(result.edges) - 1 <= 48
        assert result.counts.sum(axis=1).tolist() == counts.sum(axis=1).tolist()
        assert np.allclose(np.diff(result.edges), np.diff(result.edges)[0])


def test_similarities__refuse_what_is_not_finite() -> None:
    train, queries, *labels = case(1)
    train[1][3, 2] = np.nan
    with pytest.raises(DataError, match="NaN or infinity"):
        similarities(train, queries, *labels)


def test_similarities__leave_matmul_precision_as_it_was() -> None:
    before = torch.get_float32_matmul_precision()
    similarities(*case(2))
    assert torch.get_float32_matmul_precision() == before
