"""Accuracy of a cross-validated logistic regression that predicts the label from a layer, against chance.

Each value, and each bin of a number, is one column, so that any table of counts shows what the classifier uses. Photos
of one owner are never on both sides of a fold.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from benchmark.audit.features import CONTENT_LAYERS, FEATURES, FILE_LAYERS, LAYERS
from benchmark.audit.questions import codes_of, units_of
from benchmark.audit.result import LayerScore
from benchmark.audit.tally import MAX_SOURCES, Tally
from benchmark.stats import photo_interval, upper_p_value
from builders.photos import rank_within

FOLDS = 5

MAX_CLASSES = 100
"""Most classes of a score: the most frequent ones."""

FEWEST_PHOTOS = 10
"""Least photos of a class in the sample; rarer classes are left out."""

FEWEST_OF_A_VALUE = 5
"""Least photos of a value with a column."""

MAX_COLUMNS = 60
"""Most values of a feature with a column."""

BINS = 8
"""Quantile bins of a number."""

FOLD_VARIANCE = 1 + FOLDS / (FOLDS - 1)
"""Variance of a cross-validated accuracy relative to that of as many independent predictions: the models of the folds
share their photos (Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003). On shuffled
labels 1.44 was measured, so p-values and intervals are conservative."""

WORK = 3e8
"""Most photos times columns times classes of one fit; a larger sample is cut, to as many photos of each class."""

RECALLS = 8
"""Classes whose recall is recorded."""


def layer_scores(tally: Tally, target: str, seed: int = 0) -> list[LayerScore]:
    """The score of every layer with any column; p-values are not corrected."""
    groups = list(tally.names[target])
    if len(groups) < 2 or (target == "source" and len(groups) > MAX_SOURCES):
        return []
    scores: list[LayerScore | None] = []
    for layer in (*FILE_LAYERS, "file", "weight"):
        layers = FILE_LAYERS if layer == "file" else (layer,)
        columns = _one_hot(tally.sample, [n for n, f in FEATURES.items() if f.layer in layers])
        title = "header, size and Exif together" if layer == "file" else f"the {LAYERS[layer]} alone"
        scores.append(_score(tally.sample, columns, target, groups, layer, title, seed))
    if tally.pixels:
        frame = tally.pixels["frame"]
        for layer, name in (("pixels", "whole"), ("hidden", "border")):
            vectors = _standardised(tally.pixels[name])
            title = LAYERS[layer] if layer == "pixels" else f"{LAYERS[layer]} alone"
            scores.append(_score(frame, vectors, target, groups, layer, title, seed))
    return [score for score in scores if score is not None]


def _score(
    sample: pd.DataFrame,
    columns: np.ndarray,
    target: str,
    groups: Sequence[str],
    layer: str,
    title: str,
    seed: int,
) -> LayerScore | None:
    """The score of one layer; None without columns or without two classes of ``FEWEST_PHOTOS``."""
    if columns.shape[1] == 0:
        return None
    codes = codes_of(sample[target], groups)
    sizes = np.bincount(codes[codes >= 0], minlength=len(groups))
    classes = [int(k) for k in np.argsort(-sizes, kind="stable")[:MAX_CLASSES] if sizes[k] >= FEWEST_PHOTOS]
    if len(classes) < 2:
        return None
    at = np.flatnonzero(np.isin(codes, classes))
    at = _at_most(max(20 * len(classes), int(WORK / (columns.shape[1] * len(classes)))), at, codes, sample["id"])
    y = np.searchsorted(np.sort(classes), codes[at])
    units = units_of(sample, at)
    owners = units.clusters
    right = _cross_validated(columns[at], y, owners, seed) == y
    weights = 1 / np.bincount(y, minlength=len(classes))[y] / len(classes) * len(y)
    interval = photo_interval(right * weights, weights, clusters=owners)
    chance = 1 / len(classes)
    error = max(interval.standard_error, 1e-9)
    distance = (interval.value - chance) / (error * FOLD_VARIANCE**0.5)
    p_value = upper_p_value(distance, None if owners is None else units.effective - 1)
    recalls = {groups[k]: float(right[y == i].mean()) for i, k in enumerate(sorted(classes)) if (y == i).any()}
    best = dict(sorted(recalls.items(), key=lambda item: -item[1])[:RECALLS])
    low, high = (interval.value + (end - interval.value) * FOLD_VARIANCE**0.5 for end in (interval.low, interval.high))
    numbers = (interval.value, max(low, 0.0), min(high, 1.0), chance)
    content = layer in CONTENT_LAYERS
    return LayerScore(
        target, layer, title, *numbers, len(at), len(classes), p_value, p_value, content=content, recalls=best
    )


def _at_most(most: int, at: np.ndarray, codes: np.ndarray, ids: pd.Series) -> np.ndarray:
    """The photos in the order of the hashes of their ids; at most so many, as many of each class as there are."""
    by_hash = at[np.argsort(pd.util.hash_array(ids.to_numpy(dtype=object)[at]), kind="stable")]
    if len(at) <= most:
        return by_hash
    return by_hash[np.sort(np.argsort(rank_within(codes[by_hash]), kind="stable")[:most])]


def _cross_validated(x: np.ndarray, y: np.ndarray, owners: np.ndarray | None, seed: int) -> np.ndarray:
    """The class that is predicted for each photo by a model fitted to the photos of other folds (and other owners)."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    folds = min(FOLDS, int(np.bincount(y).min()), len(y) if owners is None else len(np.unique(owners)))
    splitter = StratifiedKFold if owners is None else StratifiedGroupKFold
    predicted = np.full(len(y), -1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fold of few owners may lack a class
        warnings.simplefilter("ignore", ConvergenceWarning)
        for train, test in splitter(max(2, folds), shuffle=True, random_state=seed).split(x, y, owners):
            if len(np.unique(y[train])) < 2:
                continue
            strength = 1.0 if x.dtype == np.int8 else 1e-3
            model = LogisticRegression(C=strength, max_iter=100, class_weight="balanced")
            predicted[test] = model.fit(x[train].astype(np.float32), y[train]).predict(x[test].astype(np.float32))
    return predicted


def _one_hot(sample: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """int8 [photos, columns]: one for each frequent value, and for each bin of a number."""
    columns: list[np.ndarray] = []
    for name in names:
        column = sample[name]
        if FEATURES[name].kind == "number":
            numbers = column.to_numpy(dtype=float)
            known = np.isfinite(numbers)
            cuts = np.linspace(0, 1, BINS + 1)[1:-1]
            edges = np.unique(np.quantile(numbers[known], cuts)) if known.any() else np.zeros(0)
            bins = np.where(known, np.searchsorted(edges, numbers, side="right"), -1)
            values = [bins == k for k in np.unique(bins)]
        else:
            frequent = column.value_counts()
            with_column = frequent[frequent >= FEWEST_OF_A_VALUE].index[:MAX_COLUMNS]
            texts = column.to_numpy(dtype=object)
            values = [texts == value for value in with_column]
        columns += [v for v in values if v.any() and not v.all()]
    return np.array(columns, dtype=np.int8).T if columns else np.zeros((len(sample), 0), dtype=np.int8)


def _standardised(vectors: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and standard deviation 1, without constant ones. Labels are not used."""
    deviation = vectors.std(axis=0)
    varying = deviation > 1e-6
    return ((vectors[:, varying] - vectors[:, varying].mean(axis=0)) / deviation[varying]).astype(np.float32)
