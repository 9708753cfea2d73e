"""Layers of one label per photo and their scores; predicted classes of many layers against plain arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.probe import AsGiven, ClassLayer, class_layer, class_scores, labelled_probe, logits
from benchmark.probe import problem as problem_module
from benchmark.probe.problem import LabelledSplits, predict, stratified_split
from benchmark.probe.protocols.registry import protocol_named
from benchmark.probe.solver.rows import normalised
from tests.benchmark.probe.test_passed_on import CPU, constant_fit

RNG = np.random.default_rng(6)
N, D = 60, 8
LABELS = np.arange(N) % 3
ROWS = (RNG.normal(size=(N, D)) + 2 * np.eye(D)[LABELS]).astype(np.float32)


@pytest.fixture(autouse=True)
def drawn_anew() -> None:
    """Draws do not depend on the tests before."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def test_class_layer__what_its_protocol_is_called_with(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, dict[str, Any]]] = []

    def fit(problem: Any, **options: Any) -> Any:
        calls.append((problem, options))
        return constant_fit(problem)

    monkeypatch.setattr(logits, "protocol_named", lambda name: replace(protocol_named(name), fit=fit))
    monkeypatch.setattr(logits, "default_memory", lambda device: {"cpu": 4321}[device.type])
    clusters = np.arange(N) // 4
    layer = class_layer(ROWS, LABELS.tolist(), n_classes=5, clusters=clusters, seed=9, memory_bytes=1234)
    other = class_layer(ROWS, LABELS, n_classes=3, chosen_for=layer)
    (problem, options), (second, second_options) = calls
    assert options == {"device": CPU, "seed": 9, "memory_bytes": 1234}
    assert second_options == {"device": CPU, "seed": 42, "memory_bytes": 4321, "strengths": [0.5]}
    held = stratified_split(LABELS, seed=9, clusters=clusters)
    np.testing.assert_array_equal(problem.validation_rows, np.flatnonzero(held))
    np.testing.assert_array_equal(problem.fit_rows, np.flatnonzero(~held))
    np.testing.assert_array_equal(second.validation_rows, np.flatnonzero(stratified_split(LABELS, seed=42)))
    assert problem.banks == [ROWS] or problem.banks[0] is ROWS
    assert (problem.n_classes, problem.which.tolist()) == (5, [[0] * N])
    np.testing.assert_array_equal(problem.labels, LABELS[None])
    assert layer.details == {
        "protocol": "converged",
        "n_train": N,
        "validation_share": 0.2,
        "chosen": {"strength": 0.5},
        "converged": True,
    }
    assert (layer.weights.shape, layer.bias.tolist()) == ((D, 5), [0, 1, 0, 0, 0])
    assert layer.weights.dtype == layer.bias.dtype == torch.float32
    assert other.weights.shape == (D, 3)


def test_class_layer__is_fitted_again_with_less_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def fit(problem: Any, **options: Any) -> Any:
        calls.append(options["memory_bytes"])
        return constant_fit(problem)

    def less(name: str, work: Any, memory: int) -> Any:
        calls.append((name, memory))
        return work(memory // 2)

    monkeypatch.setattr(logits, "protocol_named", lambda name: replace(protocol_named(name), fit=fit))
    monkeypatch.setattr(logits, "with_less_memory", less)
    class_layer(ROWS, LABELS, n_classes=3, memory_bytes=1000)
    assert calls == [("probe", 1000), 500]


def test_class_layer__is_the_layer_of_a_labelled_probe() -> None:
    layer = class_layer(ROWS, LABELS, n_classes=3)
    probe = labelled_probe(LabelledSplits(ROWS, LABELS, None, None, ROWS, LABELS, 3))
    assert layer.details["chosen"] == probe.chosen
    scores = class_scores([layer], [ROWS])
    np.testing.assert_array_equal(scores[0, 0].argmax(1), probe.predicted[0, 0])
    with pytest.raises(ValueError, match=r"^59 labels for 60 embeddings$"):
        class_layer(ROWS, LABELS[:59], n_classes=3)


@pytest.mark.parametrize("rows_of_block", [1, 7, 1000])
def test_class_scores__rows_times_weights_plus_bias_of_each_layer_and_view(
    rows_of_block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logits, "GATHER_BYTES", 4 * D * rows_of_block)
    read: list[int] = []
    scored = logits.layer_scores
    monkeypatch.setattr(logits, "layer_scores", lambda rows, at, *more: read.append(len(at)) or scored(rows, at, *more))
    layers = [
        ClassLayer(*(torch.from_numpy(RNG.normal(size=s).astype(np.float32)) for s in ((D, 3), (3,))), {}) for _ in "ab"
    ]
    views: list[Any] = [ROWS[:20], AsGiven(3 * ROWS[20:40])]
    scores = class_scores(layers, views)
    assert (scores.shape, scores.dtype) == ((2, 2, 20, 3), np.float32)
    assert scores.flags["C_CONTIGUOUS"]
    for i, layer in enumerate(layers):
        for v, rows in enumerate((normalised(ROWS[:20]), 3 * ROWS[20:40])):
            expected = rows.astype(float) @ layer.weights.double().numpy() + layer.bias.double().numpy()
            np.testing.assert_allclose(scores[i, v], expected, atol=1e-5)
    assert max(read) == min(rows_of_block, 20)
    assert sum(read) == 40
    assert class_scores(layers, [ROWS[:0]]).shape == (2, 1, 0, 3)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("step", [1, 4, 1000])
def test_predict__in_blocks_of_every_size(step: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The larger of the dimension and all logits of a row decides how many rows a block has."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(problem_module, "parallel_map", lambda work, pieces: [work(piece) for piece in pieces])
    rows = np.array([0, 2, 3, 5, 8, 9, 13, 14, 20])
    banks = [RNG.normal(size=(25, 6)).astype(np.float32) for _ in range(2)]
    read: list[int] = []
    scored = problem_module.layer_scores
    monkeypatch.setattr(
        problem_module, "layer_scores", lambda bank, at, *more: read.append(len(at)) or scored(bank, at, *more)
    )
    for count, classes in ((1, 3), (5, 4)):
        read.clear()
        monkeypatch.setattr(problem_module, "GATHER_BYTES", 4 * threads * max(6, count * classes) * step)
        weights, bias = (torch.from_numpy(RNG.normal(size=s)) for s in ((count, 6, classes), (count, classes)))
        measured = predict(banks, rows, weights, bias)
        plain = np.stack([normalised(bank[rows]) for bank in banks]).astype(float)
        scores = np.einsum("vmd,kdc->kvmc", plain, weights.numpy()) + bias.numpy()[:, None, None]
        np.testing.assert_array_equal(measured, scores.argmax(-1))
        assert measured.dtype == np.uint8
        assert max(read) == min(step, len(rows))


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
