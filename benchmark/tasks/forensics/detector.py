"""The detector that the tasks test: a linear layer on embeddings, or one made elsewhere, whose scores a file has.

A score above 0 says that a photo was generated. A layer is trained here, on all generators or without one. A detector
made elsewhere is trained already: only its threshold may be chosen here, on training photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmark.tasks.forensics.data import DetectionData
from benchmark.tasks.forensics.given import given_pair, given_scores, given_threshold
from benchmark.tasks.scores import units_of
from benchmark.tasks.task import TaskInput
from builders.processes import step_bar

if TYPE_CHECKING:
    from benchmark.probe import ClassLayer


class Tested(NamedTuple):
    """Scores of test photos, and how the detector came about."""

    scores: np.ndarray
    """float [V, test photos]; above 0: generated."""
    details: dict[str, Any]


def scores_under(inputs: TaskInput, data: DetectionData, views: Sequence[str]) -> Tested:
    """Scores of the test photos under some views by the detector of all generators. Tasks share the fitted layer.

    Raises:
        DataError: a file lacks the score of a test photo, or there is nothing to choose a threshold on.
    """
    if inputs.given is not None:
        threshold = given_threshold(inputs, inputs.given, data, data.train)
        scores = given_scores(inputs, inputs.given, data.test, views) - threshold.value
        return Tested(scores, {"threshold": threshold.value, "threshold_from": threshold.origin})
    layer = _layer_of_all(inputs, data)
    rows = [inputs.view(view, data.test) for view in views]
    return Tested(_differences([layer], rows)[0], dict(layer.details))


def scores_without(inputs: TaskInput, data: DetectionData, left_out: Sequence[int], task: str) -> np.ndarray:
    """float [G, test photos], scores by detectors that were not trained on one generator each.

    A detector made elsewhere is not trained again: its threshold is chosen without the generator.
    """
    from benchmark.views import ORIGINAL

    assert data.generators is not None
    made, of_train = data.generated[data.train], data.generators.values[data.train]
    parts = [~made | (of_train != value) for value in left_out]
    if inputs.given is not None:
        scores = given_scores(inputs, inputs.given, data.test, [ORIGINAL])[0]
        return np.stack([scores - given_threshold(inputs, inputs.given, data, data.train[p]).value for p in parts])
    with step_bar(parts, desc=task, unit="generator") as bar:
        layers = [_layer(inputs, data.train[part], made[part]) for part in bar]
    return _differences(layers, [inputs.view(ORIGINAL, data.test)])[:, 0]


def scores_of_pair(
    inputs: TaskInput, train: np.ndarray, second: np.ndarray, test: np.ndarray, of_test: np.ndarray
) -> np.ndarray:
    """float [test photos], scores that are higher for the second of two sources of real photos.

    Args:
        inputs: of the task.
        train: int64 [m], training photos of both sources.
        second: bool [m], those of the second source.
        test: int64 [n], real test photos.
        of_test: int8 [n], 1 for a photo of the second source, 0 for one of the first, -1 for others.
    """
    from benchmark.views import ORIGINAL

    if inputs.given is not None:
        return given_pair(inputs, inputs.given, train, second, test, of_test)
    return _differences([_layer(inputs, train, second)], [inputs.view(ORIGINAL, test)])[0, 0]


def scores_by_training_view(
    inputs: TaskInput, data: DetectionData, views: Sequence[str], trained: Sequence[str], task: str
) -> np.ndarray:
    """float [T, V, test photos], scores by layers that were trained on photos under other views than the original.

    All use the hyper-parameters that were chosen on photos as they are.
    """
    first, made = _layer_of_all(inputs, data), data.generated[data.train]
    with step_bar(trained, desc=task, unit="view") as bar:
        layers = [_layer(inputs, data.train, made, view, first) for view in bar]
    return _differences(layers, [inputs.view(view, data.test) for view in views])


def _layer_of_all(inputs: TaskInput, data: DetectionData) -> ClassLayer:
    return inputs.shared.get(("forensics", "layer"), lambda: _layer(inputs, data.train, data.generated[data.train]))


def _layer(
    inputs: TaskInput, train: np.ndarray, classes: np.ndarray, view: str = "", chosen_for: ClassLayer | None = None
) -> ClassLayer:
    """A layer that is trained on photos under a view, by default as they are; ``classes`` are bool [m]."""
    from benchmark.probe import class_layer
    from benchmark.views import ORIGINAL

    return class_layer(
        inputs.view(view or ORIGINAL, train),
        classes.astype(np.int64),
        n_classes=2,
        clusters=units_of(inputs, train).clusters,
        protocol=inputs.options.protocol,
        device=inputs.device,
        chosen_for=chosen_for,
    )


def _differences(layers: Sequence[ClassLayer], views: Sequence[Any]) -> np.ndarray:
    """float32 [L, V, n], the score of class 1 minus that of class 0."""
    from benchmark.probe import class_scores

    scores = class_scores(layers, views)
    return scores[..., 1] - scores[..., 0]
