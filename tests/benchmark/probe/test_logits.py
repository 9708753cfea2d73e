"""Layers of one label per photo and their scores; predicted classes of many layers against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.probe import LabelledSplits, class_layer, class_scores, labelled_probe
from benchmark.probe.problem import predict, stratified_split

RNG = np.random.default_rng(6)
N, D = 60, 8
LABELS = np.arange(N) % 3
ROWS = (RNG.normal(size=(N, D)) + 2 * np.eye(D)[LABELS]).astype(np.float32)


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def test_class_layer__is_the_layer_of_a_labelled_probe() -> None:
    layer = class_layer(ROWS, LABELS, n_classes=3)
    probe = labelled_probe(LabelledSplits(ROWS, LABELS, None, None, ROWS, LABELS, 3))
    assert layer.details["chosen"] == probe.chosen
    scores = class_scores([layer], [ROWS])
    np.testing.assert_array_equal(scores[0, 0].argmax(1), probe.predicted[0, 0])
    with pytest.raises(ValueError, match=r"^59 labels for 60 embeddings$"):
        class_layer(ROWS, LABELS[:59], n_classes=3)


@pytest.mark.parametrize(("classes", "dtype"), [(256, np.uint8), (257, np.uint16)])
def test_predict__never_a_class_of_minus_infinity_and_class_0_where_a_layer_diverged(classes: int, dtype: type) -> None:
    bias = torch.full((3, classes), -torch.inf)
    bias[:, classes - 1] = 0.0
    weights = torch.zeros(3, 2, classes)
    weights[2] = torch.nan
    measured = predict([np.ones((4, 2), np.float32)], np.array([0, 3]), weights, bias)
    assert measured.dtype == dtype
    assert measured.tolist() == [[[classes - 1] * 2]] * 2 + [[[0, 0]]]
    assert predict([np.ones((4, 2), np.float32)], np.arange(0), weights, bias).shape == (3, 1, 0)


def test_stratified_split__whole_clusters_of_the_class_of_their_first_item() -> None:
    labels = np.array([0, 1, 0, 0, 1, 1, 0, 1, 1, 0])
    clusters = np.array([4, 4, 2, 2, 9, 9, 7, 7, 5, 5])
    for seed in range(5):
        held = stratified_split(labels, 0.5, seed, clusters)
        # clusters 2, 4, 5, 7, 9 begin with classes 0, 0, 1, 0, 1: half of three is two, half of two is one
        by_cluster = stratified_split(np.array([0, 0, 1, 0, 1]), 0.5, seed)
        assert by_cluster.sum() == 3
        names = np.array([2, 4, 5, 7, 9])[by_cluster]
        np.testing.assert_array_equal(held, np.isin(clusters, names))
    # one cluster of each class: items are drawn
    alone = np.repeat([0, 1], 5)
    np.testing.assert_array_equal(stratified_split(alone, 0.4, 1, alone), stratified_split(alone, 0.4, 1))
    assert stratified_split(alone, 0.4, 1).sum() == 4


@pytest.mark.parametrize(
    ("size", "share", "held"),
    [(2, 0.01, 1), (10, 0.25, 3), (10, 0.24, 2), (10, 0.99, 9), (10, 1.0, 9), (1, 1.0, 0), (3, 0.5, 2)],
)
def test_stratified_split__rounds_a_half_up_and_leaves_one_on_either_side(size: int, share: float, held: int) -> None:
    chosen = stratified_split(np.zeros(size, int), share, 3)
    order = np.random.default_rng(3).permutation(size)
    assert np.flatnonzero(chosen).tolist() == sorted(order[:held].tolist())
