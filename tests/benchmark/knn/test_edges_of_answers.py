"""Edges of answers: shares of tied votes by hand, stored parts of another form, bins of histograms, opposite rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmark.knn import KnnAnswers, cosine_distances, histogram, jittered, knn_setups
from benchmark.knn.answers import Ties
from benchmark.knn.setups import BY_PHOTO
from benchmark.knn.similarity import STEPS
from builders.errors import DataError
from tests.benchmark.knn.test_kept import DRAWN, LABELS, TEST, TRAIN, equal, search


def answers_by_hand() -> KnnAnswers:
    """Two classes, one seed, two photos: votes out of 2 in every set-up."""
    correct = np.array([[2, 1], [1, 0], [2, 2], [0, 1], [1, 1], [2, 0]], np.int32)
    tied = np.array([[1, 0], [2, 1], [0, 1], [2, 0], [1, 1], [0, 2]], np.int32)
    least, greatest = np.maximum(correct - tied, 0), np.minimum(correct + tied, 2)
    worst = np.array([[1, 0], [0.5, 0.25], [0, 0], [2, 1]], float)  # nearest, random, least, greatest
    best = np.array([[2, 1], [1.5, 1.25], [1, 1], [2, 2]], float)
    return KnnAnswers(
        correct, tied, least, greatest, (least + greatest) / 2, worst, best, np.full(6, 2, np.int32),
        np.zeros((2, 2, 2), bool), np.array([[[1, 1]], [[1, 0]]], np.int16), np.array([[[1, 1]], [[1, 0.5]]]), 0.5, 3,
    )  # fmt: skip


def test_ties__of_every_score_by_hand() -> None:
    """That of ``worst`` is over the votes of all-same and all-diff: (1 + 2 + 0 + 1) / 2 photos of 2 + 2 votes."""
    made = answers_by_hand()
    assert made.tied_share == {
        "all-same": 0.25, "all-diff": 0.75, "pos-same": 0.25, "neg-same": 0.5, "uniform": 0.5, "uniform-test": 0.5
    }  # fmt: skip
    assert made.ties == {
        "all-same": Ties(0.25, 0.5, 0.75, 0.625),
        "all-diff": Ties(0.75, 0.0, 0.75, 0.375),
        "pos-same": Ties(0.25, 0.75, 1.0, 0.875),
        "neg-same": Ties(0.5, 0.25, 0.75, 0.5),
        "uniform": Ties(0.5, 0.0, 1.0, 0.5),
        "uniform-test": Ties(0.5, 0.5, 1.0, 0.75),
        "spd": Ties(0.375, 0.0, 0.75, 0.375),
        "worst": Ties(0.5, 0.0, 0.75, 0.1875),
    }


def test_answers__values_by_seed_and_flips_by_hand() -> None:
    made = answers_by_hand()
    assert made.values == {
        "all-same": 0.75, "all-diff": 0.25, "pos-same": 1.0, "neg-same": 0.25, "uniform": 0.5, "uniform-test": 0.5,
        "spd": 0.75, "worst": 0.25,
    }  # fmt: skip
    for seeds, first, second in ((made.seed_values, 0.5, 0.25), (made.random_seed_values, 0.5, 0.375)):
        lists = {name: values.tolist() for name, values in seeds.items()}
        assert lists == {"uniform": [first], "uniform-test": [second]}
    assert [made.flipped(rule).tolist() for rule in ("nearest", "random", "least", "greatest")] == [
        [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.0, 0.5]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"correct": lambda x: x.astype(np.int64)},
        {"worst": lambda x: x.astype(np.float32)},
        {"plain": lambda x: x.astype(np.int8)},
        {"by_seed": lambda x: x[:, :1]},
        {"photos": lambda x: x + 1},
        {"photos": lambda x: np.r_[x, 0]},
        {"random": lambda x: None},
    ],
)
def test_restore__a_part_of_another_form_is_computed_again(change: dict[str, Any], tmp_path: Any) -> None:
    """The stored numbers are zeros, so that a part that is taken all the same shows."""
    whole = search(tmp_path)
    (path,) = tmp_path.glob("*.npz")
    stored = {name: array if name == "photos" else np.zeros_like(array) for name, array in np.load(path).items()}
    assert set(stored) == {*BY_PHOTO, "photos"}
    for name, of in change.items():
        stored[name] = of(stored[name])
    np.savez(path, **{name: array for name, array in stored.items() if array is not None})
    equal(search(tmp_path), whole)


def test_restore__a_part_of_the_right_form_is_taken_as_it_is(tmp_path: Any) -> None:
    whole = search(tmp_path)
    (path,) = tmp_path.glob("*.npz")
    np.savez(path, **{n: array if n == "photos" else np.zeros_like(array) for n, array in np.load(path).items()})
    assert whole.correct.any()
    assert not search(tmp_path).correct.any()


def test_knn_setups__labels_of_another_type_are_refused() -> None:
    for wrong in (LABELS[0].astype(bool), LABELS[0].astype(float), LABELS[0].astype(str), LABELS[0][:, None]):
        with pytest.raises(DataError) as refused:
            knn_setups(list(TRAIN), list(TEST), wrong, LABELS[1], **DRAWN, k=3)
        assert str(refused.value) == (
            f"kNN: train labels must be integers of 1 dimension(s), got {wrong.dtype} {wrong.shape}"
        )
    signed, unsigned = (
        knn_setups(list(TRAIN), list(TEST), LABELS[0].astype(kind), LABELS[1], **DRAWN, k=3)
        for kind in (np.int8, np.uint16)
    )
    equal(signed, unsigned)


def test_histogram__the_fewest_steps_a_bin_that_give_48_bins_at_most() -> None:
    for used in (1, 2, 47, 48, 49, 95, 96, 97, 98, 144, 145, 480, 481, STEPS - 7):
        counts = np.zeros((4, STEPS), np.int64)
        counts[2, 7] = counts[1, 7 + used - 1] = 1
        width = next(width for width in range(1, STEPS) if width * 48 >= used)
        made = histogram(counts)
        bins = (used + width - 1) // width
        assert made.counts.shape == (4, bins)
        assert bins <= 48
        assert made.edges.tolist() == [-1 + 2 * (7 + i * width) / STEPS for i in range(bins + 1)]
        assert (made.counts[2, 0], made.counts[1, -1], made.counts.sum()) == (1, 1, 2)
    none = histogram(np.zeros((4, STEPS), np.int64), 4)
    assert (none.edges.tolist(), none.counts.tolist()) == ([-1, -0.5, 0, 0.5, 1], [[0] * 4] * 4)


def test_jittered__opposite_rows_stay_on_the_sphere_whatever_their_rounding() -> None:
    """Rounding may put two opposite rows a little more than a diameter apart."""
    rows = np.random.default_rng(0).normal(size=(400, 7))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert (np.linalg.norm(-unit - unit, axis=1) > 2).any()
    (made,) = jittered([-3 * rows], rows)
    np.testing.assert_allclose(made[:], -unit, atol=1e-6)


def test_cosine_distances__of_opposite_rows_are_2_at_most() -> None:
    rows = np.random.default_rng(1).normal(size=(5000, 6)).astype(np.float32)
    distances = cosine_distances(rows, -2 * rows)
    assert distances.max() == 2
    np.testing.assert_allclose(distances, 2, atol=1e-6)
    assert (cosine_distances(rows, 3 * rows) == 0).all()
