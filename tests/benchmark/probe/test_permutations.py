"""Probes on shuffled labels: one by one with the public probe, by symmetry, and where they find what a probe finds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmark.probe import LabelledSplits, labelled_probe, shuffled_accuracies
from benchmark.probe.probe import shuffled_by_unit
from benchmark.probe.problem import stratified_split
from benchmark.probe.protocols.registry import protocol_named
from benchmark.probe.solver.rows import normalised
from benchmark.probe.solver.sgd import descend
from benchmark.stats import null_range
from builders.errors import UsageError


@pytest.fixture(scope="module")
def photos() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.permutation(np.arange(120) % 4)
    x = (rng.normal(size=(120, 12)) + 1.5 * np.eye(12)[y]).astype(np.float32)
    return {
        "train_x": x[:60],
        "train_y": y[:60],
        "val_x": x[60:80],
        "val_y": y[60:80],
        "test_x": x[80:],
        "test_y": y[80:],
    }


def shufflings(y: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.permutation(y.astype(np.int64)) for _ in range(count)]


def test_shuffled_accuracies__each_is_that_of_the_probe(photos) -> None:
    """Against one converged probe a shuffling, without a search (one strength), fitted on train and val together."""
    null = shuffled_accuracies(LabelledSplits(**photos, n_classes=4), chosen={"strength": 1e-2}, permutations=6, seed=5)
    x = np.concatenate([photos["train_x"], photos["val_x"]])
    labels = np.concatenate([photos["train_y"], photos["val_y"]])
    for accuracy, y in zip(null, shufflings(labels, 6, 5), strict=True):
        alone = labelled_probe(
            LabelledSplits(x, y, None, None, photos["test_x"], photos["test_y"], 4), strengths=[1e-2]
        )
        assert accuracy == pytest.approx(alone.accuracy)


def test_shuffled_accuracies__sgd_each_is_a_descent_of_its_own(photos) -> None:
    chosen = {"learning_rate": 3.0, "weight_decay": 1e-6}
    given = {**photos, "val_x": None, "val_y": None}
    null = shuffled_accuracies(
        LabelledSplits(**given, n_classes=4), chosen=chosen, protocol="iccv2025", permutations=3, seed=1
    )
    x = torch.from_numpy(normalised(photos["train_x"]))[None]
    for accuracy, y in zip(null, shufflings(photos["train_y"], 3, 1), strict=True):
        run = descend(lambda index: x[:, index], torch.from_numpy(y)[None], [3.0], [1e-6], n_classes=4)
        logits = normalised(photos["test_x"]) @ run.weights[0, 0].numpy() + run.bias[0, 0].numpy()
        assert accuracy == pytest.approx((logits.argmax(1) == photos["test_y"]).mean())


def test_shuffled_accuracies__mean_is_chance_for_balanced_classes(photos) -> None:
    null = shuffled_accuracies(LabelledSplits(**photos, n_classes=4), chosen={"strength": 1e-3}, permutations=400)
    assert null.mean() == pytest.approx(0.25, abs=4 * null.std() / 20)
    assert null.std() > 0.02


def test_shuffled_accuracies__does_not_depend_on_how_many_run_together(photos, monkeypatch) -> None:
    whole = shuffled_accuracies(LabelledSplits(**photos, n_classes=4), chosen={"strength": 1e-3}, permutations=7)
    monkeypatch.setattr("benchmark.probe.protocols.converged.STACK_BYTES", 80 * 4 * 8 * 3)
    assert shuffled_accuracies(
        LabelledSplits(**photos, n_classes=4), chosen={"strength": 1e-3}, permutations=7
    ) == pytest.approx(whole)


def test_shuffled_accuracies__a_probe_that_reads_lies_beyond_them(photos) -> None:
    given = dict(photos)
    real = labelled_probe(
        LabelledSplits(*(given[k] for k in ("train_x", "train_y", "val_x", "val_y", "test_x", "test_y")), 4)
    )
    null = null_range(shuffled_accuracies(LabelledSplits(**photos, n_classes=4), chosen=real.chosen), real.accuracy)
    assert real.accuracy > null.high
    assert null.p_value == pytest.approx(1 / (1 + protocol_named("converged").permutations))
    assert null.mean_low <= 0.25 <= null.mean_high


def test_shuffled_accuracies__unknown_protocol(photos) -> None:
    with pytest.raises(UsageError, match="probe protocol"):
        shuffled_accuracies(LabelledSplits(**photos, n_classes=4), chosen={}, protocol="converge")


def test_null_range__by_hand() -> None:
    """Of 0.1, 0.2, 0.3 the standard deviation is 0.1, and Student's t with two degrees of freedom 4.303."""
    null = null_range(np.array([0.1, 0.2, 0.3]), 0.3)
    assert (null.accuracy, null.spread, null.permutations) == (pytest.approx(0.2), pytest.approx(0.1), 3)
    assert [null.mean_low, null.mean_high] == pytest.approx([0.2 - 0.2484, 0.2 + 0.2484], abs=1e-4)
    assert (null.low, null.high) == (0.0, pytest.approx(0.2 + 0.4968, abs=1e-4))
    assert null.p_value == 0.5


@pytest.mark.parametrize("sizes", [[6] * 12, [30, 12, 6, 3, 2, 1, 1, 9, 9, 8]])
def test_shuffled_by_unit__photos_of_a_unit_keep_one_label(sizes: list[int]) -> None:
    clusters = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)) * 7, sizes))
    labels = clusters // 7 % 2
    shuffled = shuffled_by_unit(labels, clusters, np.random.default_rng(1))
    of_unit = [set(shuffled[clusters == unit].tolist()) for unit in np.unique(clusters)]
    assert all(len(unit) == 1 for unit in of_unit)
    assert sorted(unit.pop() for unit in of_unit) == sorted(np.arange(len(sizes)) % 2)
    assert any((shuffled_by_unit(labels, clusters, np.random.default_rng(i)) != labels).any() for i in range(5))


def test_shuffled_by_unit__labels_within_units_go_together() -> None:
    labels, clusters = np.array([0, 1, 0, 1, 2, 2, 2, 2]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    shuffled = shuffled_by_unit(labels, clusters, np.random.default_rng(0))
    assert {tuple(sorted(part)) for part in shuffled.reshape(2, 4).tolist()} == {(0, 0, 1, 1), (2, 2, 2, 2)}


@pytest.mark.slow
def test_shuffled_accuracies__of_bursts_is_a_test_of_bursts() -> None:
    """12 train and 12 test bursts of 6 with a random make each. Shuffled by photo, the null is far too narrow."""
    rng = np.random.default_rng(3)
    beyond_by_burst = beyond_by_photo = 0
    for _ in range(40):
        bursts = np.arange(24).repeat(6)
        x = (rng.normal(size=(24, 8))[bursts] + 0.05 * rng.normal(size=(144, 8))).astype(np.float32)
        y = rng.permutation(np.arange(24) % 2)[bursts]
        splits = LabelledSplits(x[:72], y[:72], None, None, x[72:], y[72:], 2)
        for_bursts = replace(splits, train_clusters=bursts[:72], test_clusters=bursts[72:])
        real = labelled_probe(for_bursts, strengths=[1e-3])
        for clusters in (True, False):
            given = for_bursts if clusters else splits
            null = shuffled_accuracies(given, chosen=real.chosen, permutations=60)
            rejected = null_range(null, real.accuracy).p_value <= 0.05
            beyond_by_burst += rejected and clusters
            beyond_by_photo += rejected and not clusters
    assert beyond_by_burst <= 5
    assert beyond_by_photo > beyond_by_burst


def test_labelled_probe__holds_out_whole_units() -> None:
    clusters = np.arange(10).repeat(6)
    labels = clusters % 2
    held_out = stratified_split(labels, clusters=clusters)
    assert {held_out[clusters == unit].all() == held_out[clusters == unit].any() for unit in range(10)} == {True}
    assert held_out.sum() == 12
    assert stratified_split(labels, clusters=labels).sum() == stratified_split(labels).sum()  # one unit a class


@pytest.mark.parametrize("chunk", [100, 3, 2])
def test_shuffled_accuracies__labels_of_the_test_are_shuffled_in_the_same_order(photos, chunk, monkeypatch) -> None:
    """Each fit is judged by its own row of test labels, however many fits are solved together."""
    monkeypatch.setattr("benchmark.probe.protocols.converged.STACK_BYTES", 80 * 4 * 8 * chunk)
    rng = np.random.default_rng(2)
    labels = np.concatenate([photos["train_y"], photos["val_y"]]).astype(np.int64)
    trained = np.stack([rng.permutation(labels) for _ in range(5)])
    tested = np.stack([rng.permutation(photos["test_y"]) for _ in range(5)])
    counts = []

    def shuffled(count: int) -> tuple[np.ndarray, np.ndarray]:
        counts.append(count)
        return trained[:count], tested[:count]

    splits = LabelledSplits(**photos, n_classes=4)
    null = shuffled_accuracies(splits, chosen={"strength": 1e-2}, permutations=5, shuffled=shuffled)
    x = np.concatenate([photos["train_x"], photos["val_x"]])
    alone = [
        labelled_probe(LabelledSplits(x, y, None, None, photos["test_x"], test_y, 4), strengths=[1e-2]).accuracy
        for y, test_y in zip(trained, tested, strict=True)
    ]
    assert null == pytest.approx(alone)
    assert len(set(np.round(null, 6))) > 2
    shuffled_accuracies(splits, chosen={"strength": 1e-2}, shuffled=lambda count: shuffled(min(count, 5)))
    assert counts == [5, 5]


@pytest.mark.parametrize("seed", range(4))
def test_shuffled_by_unit__a_unit_gets_the_labels_of_another_in_turn(seed: int) -> None:
    """Each label is that of one photo. Of a smaller unit every label comes as often as any other, or once more."""
    clusters = np.random.default_rng(seed).permutation(np.repeat([3, 4, 8, 9], [2, 3, 7, 1]))
    shuffled = shuffled_by_unit(np.arange(13), clusters, np.random.default_rng(seed))
    sources = []
    for unit in (3, 4, 8, 9):
        given = shuffled[clusters == unit]
        source = set(clusters[given].tolist())
        assert len(source) == 1
        sources += source
        size = int((clusters == sources[-1]).sum())
        times = sorted(np.unique(given, return_counts=True)[1].tolist())
        assert len(times) == min(size, len(given))
        assert times[-1] - times[0] <= 1
    assert sorted(sources) == [3, 4, 8, 9]
