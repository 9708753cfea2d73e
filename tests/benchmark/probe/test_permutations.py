"""Probes on shuffled labels: one by one with the public probe, by symmetry, and where they find what a probe finds."""

import numpy as np
import pytest
import torch

from benchmark.probe import labelled_probe, shuffled_accuracies
from benchmark.probe.problem import LabelledSplits
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
