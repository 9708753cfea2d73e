"""Scores of the metrics as functions on plain sequences: one row for each view, photos identified by their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

from benchmark.stats import photo_interval, photo_intervals
from builders.errors import DataError
from builders.pixels import ALL_PARAMETERS, Parameter, assigned_class

TRAIN, TEST = "train", "test"
"""Values of the column ``splits`` of ``knn_setup_scores``."""


class ProbeScores(TypedDict):
    """Result of ``probe_scores``."""

    accuracy: float
    balanced_accuracy: float
    low: float
    high: float
    chance: float
    n: int
    rows: int


def probe_scores(
    predictions: Sequence[Any], references: Sequence[Any], photo_ids: Sequence[Any], n_classes: int | None = None
) -> ProbeScores:
    """Accuracy of predicted classes, with an interval that resamples whole photos.

    Args:
        predictions: [views], predicted classes, integers or names.
        references: [views], true classes.
        photo_ids: [views], photo of each view. Views of one photo have correlated errors and are resampled together.
        n_classes: number of possible classes; by default the number in ``references``.

    Returns:
        ``accuracy`` over views; ``balanced_accuracy``, the mean over classes of their recall; ``low`` and ``high``,
        the 95 % interval of ``accuracy``; ``chance``, one over the number of classes; ``n`` photos and ``rows`` views.

    Raises:
        DataError: no rows, columns of different lengths, or fewer classes than ``references`` hold.

    >>> scores = probe_scores([0, 1, 1, 1], [0, 1, 0, 1], ["a", "a", "b", "b"])
    >>> scores["accuracy"], scores["balanced_accuracy"], scores["chance"], scores["n"]
    (0.75, 0.75, 0.5, 2)
    """
    predicted, expected, photos = np.asarray(predictions), np.asarray(references), np.asarray(photo_ids)
    if not len(expected) or not len(predicted) == len(expected) == len(photos):
        raise DataError(
            f"{len(predicted)} predictions, {len(expected)} references and {len(photos)} photo ids: as many of each"
            " are needed, and at least one"
        )
    classes = np.unique(expected)
    count = len(classes) if n_classes is None else n_classes
    if count < len(classes):
        raise DataError(f"n_classes is {count}, but the references hold {len(classes)} classes")
    correct = (predicted == expected).astype(np.float64)
    _, of_photo = np.unique(photos, return_inverse=True)
    trials = np.bincount(of_photo).astype(np.float64)
    ends = photo_interval(np.bincount(of_photo, weights=correct), trials)
    return ProbeScores(
        accuracy=float(correct.mean()),
        balanced_accuracy=float(np.mean([correct[expected == c].mean() for c in classes])),
        low=ends.low,
        high=ends.high,
        chance=1 / count,
        n=len(trials),
        rows=len(correct),
    )


def knn_setup_scores(
    embeddings: Sequence[Any],
    labels: Sequence[Any],
    photo_ids: Sequence[Any],
    classes: Sequence[int],
    splits: Sequence[str],
    *,
    k: int = 10,
    parameter: str | None = None,
    seeds: int = 10,
) -> dict[str, Any]:
    """The kNN set-ups of one processing parameter from one table of views.

    Args:
        embeddings: [views, dimension].
        labels: [views], semantic classes, integers or names.
        photo_ids: [views], photo of each view.
        classes: [views], class of the processing, 0 to C - 1; every photo needs one view of each class.
        splits: [views], ``train`` (the collection) or ``test`` (the queries).
        k: neighbours that vote.
        parameter: ``jpeg``, ``sharpening``, ``resizing`` or ``interpolation``: the random classes of ``uniform`` and
            ``uniform-test`` are then those of the benchmark. By default they are others, equally reproducible.
        seeds: random assignments over which ``uniform`` and ``uniform-test`` are averaged.

    Returns:
        Accuracy by set-up, signed ``spd``, ``worst``, ``worst_jitter`` (the same of as many random moves of each query,
        as large as those of processing), ``intervals`` [low, high] and ``ties`` (share of tied votes;
        least, greatest and expected accuracy under any rule for them) by the same names, ``chance``, ``n`` test photos,
        ``train_photos`` and ``k``.

    Raises:
        DataError: no rows, columns of different lengths, a photo that lacks a class or has one twice, an unknown split,
            a class below 0, a parameter with another number of classes.
    """
    from benchmark.knn import extremes_of_jitters, knn_setups

    rows = np.asarray(embeddings, dtype=np.float32)
    _, label_codes = np.unique(np.asarray(labels), return_inverse=True)
    photos, kinds, parts = np.asarray(photo_ids), np.asarray(classes), np.asarray(splits)
    if rows.ndim != 2 or not 0 < len(rows) == len(label_codes) == len(photos) == len(kinds) == len(parts):
        raise DataError(f"one embedding, label, photo id, class and split per view is needed, got {rows.shape}")
    if unknown := set(parts.tolist()) - {TRAIN, TEST}:
        raise DataError(f"splits are {TRAIN!r} or {TEST!r}, not {sorted(unknown)[0]!r}")
    if kinds.min() < 0:
        raise DataError(f"classes are numbers from 0, not {kinds.min()}")
    count = int(kinds.max()) + 1
    question = _parameter(parameter, count)
    table = {split: _by_photo(photos, kinds, parts == split, count, split) for split in (TRAIN, TEST)}
    drawn = {
        split: np.array(
            [[assigned_class(str(photos[r]), question, seed) for r in table[split][0]] for seed in range(seeds)]
        )
        for split in table
    }
    train, test = ([rows[at] for at in table[split]] for split in (TRAIN, TEST))
    codes = label_codes[table[TRAIN][0]], label_codes[table[TEST][0]]
    answers = knn_setups(
        train,
        test,
        *codes,
        train_assignments=drawn[TRAIN],
        test_assignments=drawn[TEST],
        k=k,
    )
    jitter = {"worst_jitter": float(extremes_of_jitters(train, test, *codes, k=k).worst.mean())} if count > 1 else {}
    return {
        **_with_intervals(answers.per_photo()),
        **jitter,
        "ties": {name: ties._asdict() for name, ties in answers.ties.items()},
        "chance": answers.chance,
        "n": len(table[TEST][0]),
        "train_photos": len(table[TRAIN][0]),
        "k": k,
    }


def pair_scores(embeddings: Sequence[Any], pair_ids: Sequence[Any], camera_types: Sequence[Any]) -> dict[str, Any]:
    """Pair retrieval: whether a photo retrieves the other photo of its pair, among distractors of either camera type.

    Args:
        embeddings: [photos, dimension].
        pair_ids: [photos], pair of each photo.
        camera_types: [photos], one of two types; each pair has one photo of each.

    Returns:
        ``same``, ``different``, signed ``spd`` and further metrics as in ``benchmark.retrieval``, ``intervals``
        [low, high] and ``chance`` by the same names, ``n`` pairs.

    Raises:
        DataError: a pair that is not one photo of each type, or columns of different lengths.
    """
    from benchmark.retrieval import pair_retrieval

    answers = pair_retrieval(np.asarray(embeddings, dtype=np.float32), np.asarray(pair_ids), np.asarray(camera_types))
    return {**_with_intervals(answers.per_pair()), "chance": answers.chance, "n": answers.n}


def _with_intervals(per_photo: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Means and intervals of values by photo; shares and differences have different bounds."""
    from benchmark.knn import SPD

    intervals: dict[str, list[float]] = {}
    for bounds in ((0.0, 1.0), (-1.0, 1.0)):
        names = [name for name in per_photo if (name == SPD) == (bounds[0] < 0)]
        if names:
            ends = photo_intervals([per_photo[name] for name in names], bounds=bounds)
            intervals.update({name: [end.low, end.high] for name, end in zip(names, ends, strict=True)})
    return {**{name: float(values.mean()) for name, values in per_photo.items()}, "intervals": intervals}


def _by_photo(photos: np.ndarray, kinds: np.ndarray, chosen: np.ndarray, count: int, split: str) -> np.ndarray:
    """int64 [C, photos]: the row of each photo in each class, photos in order of their first row."""
    at = np.flatnonzero(chosen)
    if not len(at):
        raise DataError(f"there is no view whose split is {split!r}")
    _, first, of_photo = np.unique(photos[at], return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first, kind="stable")] = np.arange(len(first))
    rows = np.full((count, len(first)), -1, dtype=np.int64)
    rows[kinds[at], order[of_photo]] = at
    if len(at) != rows.size or (rows < 0).any():
        raise DataError(f"every {split} photo must be there once in each of the {count} classes")
    return rows


def _parameter(name: str | None, count: int) -> Parameter:
    if name is None:
        return Parameter("metric", tuple(map(str, range(count))), ())
    if name not in ALL_PARAMETERS or len(ALL_PARAMETERS[name].classes) != count:
        raise DataError(f"{name!r} is not a parameter with {count} classes (known: {', '.join(ALL_PARAMETERS)})")
    return ALL_PARAMETERS[name]
