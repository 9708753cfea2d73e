"""Clustering score and performance drop of one pair of labels and groups, from their definitions, by scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, silhouette_score


def plain_clustering(
    rows: np.ndarray, label: np.ndarray, group: np.ndarray, seed: int, *, photos: int = 400, seeds: int = 5
) -> float:
    """ARI of the labels minus ARI of the groups: k-means of unit rows, K of 2 to 30 by the mean cosine silhouette."""
    rng = np.random.default_rng(seed)
    cell = 2 * label + group
    at = np.concatenate([rng.choice(np.flatnonzero(cell == c), photos // 4, replace=False) for c in range(4)])
    unit = rows[at] / np.linalg.norm(rows[at], axis=1, keepdims=True)
    scores = []
    for state in range(seeds):
        fits = [KMeans(k, n_init=1, random_state=1000 * seed + state).fit(unit).labels_ for k in range(2, 31)]
        best = max(fits, key=lambda assigned: silhouette_score(unit, assigned, metric="cosine"))
        scores.append(adjusted_rand_score(label[at], best) - adjusted_rand_score(group[at], best))
    return float(np.mean(scores))


def plain_drop(
    rows: np.ndarray, label: np.ndarray, group: np.ndarray, cluster: np.ndarray, seed: int, *, repeats: int = 20
) -> float:
    """Mean accuracy at growing association of label and group over that without, minus 1."""
    rng = np.random.default_rng(seed)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    strengths = 10.0 ** np.linspace(-8, 4, 15)
    right = np.zeros((repeats, 8))
    for repeat in range(repeats):
        parts: dict[str, list[np.ndarray]] = {"val": [], "test": [], "train": []}
        for a in (0, 1):
            for g in (0, 1):
                slides = rng.permutation(np.unique(cluster[(label == a) & (group == g)]))
                third = len(slides) // 3
                cuts = {"val": slides[:1], "test": slides[1 : 1 + third], "train": slides[1 + third :]}
                for name, some in cuts.items():
                    parts[name].append(rng.permutation(np.flatnonzero(np.isin(cluster, some))))
        val, test = (np.concatenate([cell[:100] for cell in parts[name]]) for name in ("val", "test"))
        growing = (0, 3) if repeat % 2 == 0 else (1, 2)
        for step in range(8):
            more = round(25 * step / 7)
            train = np.concatenate([parts["train"][c][: 25 + (more if c in growing else -more)] for c in range(4)])
            models = []
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # weakest penalties may not converge
                for strength in strengths:
                    model = LogisticRegression(C=1 / (len(train) * strength), max_iter=300)
                    models.append(model.fit(unit[train], label[train]))
            chosen = max(enumerate(models), key=lambda pair: (pair[1].score(unit[val], label[val]), pair[0]))[1]
            right[repeat, step] = chosen.score(unit[test], label[test])
    accuracies = right.mean(axis=0)
    return float((accuracies[1:] / accuracies[0]).mean() - 1)
