"""Which steps of kNN have more than one thread, and how many pieces go side by side: counted, not timed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.knn import KnnAnswers, knn_setups
from benchmark.knn.keys import COMPILED_FROM
from tests.support.thread_counts import Waking, pieces_parallel


def requested(n_train: int, n_test: int, dimension: int, classes: int = 6, seeds: int = 5) -> dict[str, Any]:
    """Banks with ten labels, and classes drawn for every photo."""
    rng = np.random.default_rng(0)
    train, test = (
        [rng.normal(size=(n, dimension)).astype(np.float32) for _ in range(classes)] for n in (n_train, n_test)
    )
    return {
        "train": train,
        "test": test,
        "train_labels": rng.integers(0, 10, n_train),
        "test_labels": rng.integers(0, 10, n_test),
        "train_assignments": rng.integers(0, classes, (seeds, n_train)),
        "test_assignments": rng.integers(0, classes, (seeds, n_test)),
    }


@pytest.mark.slow
@pytest.mark.parametrize(("n_train", "n_test"), [(300, 120), (1000, 400)])
def test_knn_setups__wakes_no_thread_but_those_of_pieces(n_train: int, n_test: int, two_threads: None) -> None:
    """Few photos are searched on one thread; of more each thread searches for some of them."""
    compiled = 6 * n_train * n_test >= COMPILED_FROM
    assert compiled == (n_train == 1000)
    with Waking() as waking:
        answers = knn_setups(**requested(n_train, n_test, 512))
    assert answers.correct.shape == (6, n_test)
    assert waking.operations > 100
    assert waking.seen == []


def test_knn_setups__pieces_of_the_photos_have_the_answers_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    question, before = requested(60, 45, 8, classes=3), torch.get_num_threads()
    seen = pieces_parallel(monkeypatch, "benchmark.knn.lists")
    result: list[KnnAnswers] = []
    try:
        for threads, least in ((1, 1), (3, 1 << 40), (3, 6 * 3 * 5 * 10 * 3 * 3)):
            torch.set_num_threads(threads)
            monkeypatch.setattr("benchmark.knn.lists.LEAST_KEYS", least)
            result.append(knn_setups(**question))
    finally:
        torch.set_num_threads(before)
    # 3 classes x 5 seeds x 90 keys are 1350 for each photo: six photos and more a piece, of which 45 make seven
    sizes = [[piece.stop - piece.start for piece in pieces] for pieces in seen]
    assert sizes == 2 * [[6, 6, 7, 6, 7, 6, 7]]
    for other in result[1:]:
        for field in fields(KnnAnswers):
            np.testing.assert_array_equal(
                getattr(other, field.name), getattr(result[0], field.name), err_msg=field.name
            )
