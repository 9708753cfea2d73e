"""Scores of a detector made elsewhere (``--model scores:FILE``), which is tested and not trained here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmark.tasks.forensics.data import DetectionData
from benchmark.tasks.task import TaskInput
from builders.errors import DataError
from builders.untrusted import readable

if TYPE_CHECKING:
    from benchmark.encoders import StoredEmbeddings


class Threshold(NamedTuple):
    """A score above it says that a photo was generated."""

    value: float
    origin: str
    """Where it comes from, in words."""


def given_scores(inputs: TaskInput, given: StoredEmbeddings, at: np.ndarray, views: Sequence[str]) -> np.ndarray:
    """float64 [V, n], the scores of photos under some views.

    Raises:
        DataError: one has none. A detector that may leave photos out would choose its own test.
    """
    ids = [inputs.photos.ids[i] for i in at]
    scores = []
    for view in views:
        of_view, missing = given.of(view, ids)
        if missing:
            raise DataError(
                f"{given.name}: it has no score of {len(missing)} of {len(ids)} test photos under {view} (the first: "
                f"{readable(missing[0])!r}); each photo needs one, and ids must be those of the data set"
            )
        scores.append(of_view[:, 0].astype(np.float64))
    return np.stack(scores)


def given_threshold(inputs: TaskInput, given: StoredEmbeddings, data: DetectionData, train: np.ndarray) -> Threshold:
    """The stated threshold, or the best one for the training photos that have scores.

    Raises:
        DataError: none is stated, and the training photos with scores are not of both classes.
    """
    from benchmark.detection import best_threshold

    assert given.detector is not None
    if given.detector.threshold is not None:
        return Threshold(given.detector.threshold, "stated by the user")
    scores, generated = _scores_held(inputs, given, train, data.generated[train])
    if len(np.unique(generated)) < 2:
        raise DataError(
            f"{given.name}: it has no scores of training photos of both classes, on which a threshold could be chosen: "
            "state the detector's own (scores:FILE?threshold=0.5)"
        )
    return Threshold(best_threshold(scores, generated), f"chosen on {len(scores)} training photos")


def given_pair(
    inputs: TaskInput,
    given: StoredEmbeddings,
    train: np.ndarray,
    second: np.ndarray,
    test: np.ndarray,
    of_test: np.ndarray,
) -> np.ndarray:
    """float64 [test photos], the score with the sign that tells two sources of real photos apart.

    The sign is chosen on training photos that have scores; without these on the test photos, which makes the floor
    rather too high than too low. Arguments as in ``scores_of_pair``.
    """
    from benchmark.detection import auc
    from benchmark.views import ORIGINAL

    scores = given_scores(inputs, given, test, [ORIGINAL])[0]
    held, classes = _scores_held(inputs, given, train, second)
    if len(np.unique(classes)) < 2:
        tested = of_test >= 0
        held, classes = scores[tested], of_test[tested] == 1
    return scores if auc(held, classes).value >= 0.5 else -scores


def _scores_held(
    inputs: TaskInput, given: StoredEmbeddings, at: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of those of some photos that have one, and the values of these photos."""
    from benchmark.views import ORIGINAL

    ids = [inputs.photos.ids[i] for i in at]
    scores, missing = given.of(ORIGINAL, ids)
    without = set(missing)
    held = np.array([photo_id not in without for photo_id in ids], bool)
    return scores[held, 0].astype(np.float64), values[held]
