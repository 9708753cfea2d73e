"""Average performance drop: what a classifier loses if label and group are associated in its training photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.robustness.cells import Cells
from benchmark.robustness.clustering import PAIRS, pairs_of, some_pairs, unit_rows

ASSOCIATIONS = tuple(step / 7 for step in range(8))
"""Cramer's V of label and group in training."""

STRENGTHS = tuple(10.0 ** np.linspace(-8, 4, 15))
"""L2 strengths, chosen on validation clusters."""

REPEATS = 20
"""Draws of clusters and photos for each pair."""

CELL_PHOTOS = 25
"""Most training photos of each cell without association."""

TEST_PHOTOS = 100
"""Most photos of each cell in validation and in the test."""


NEWTON_STEPS = 20
TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class PerformanceDrop:
    """Mean of accuracy over accuracy without association, minus 1, over the steps of association."""

    value: float
    """In a balanced test of the same groups; negative: association costs accuracy."""
    other_groups: float | None
    """In photos of other groups; None if there are none."""
    associations: np.ndarray
    """float64 [steps], Cramer's V."""
    accuracies: np.ndarray
    """float64 [steps], in the balanced test."""
    spread: float
    """Standard deviation of the drop over repeats, mean over pairs."""
    repeats: int
    pairs: int
    possible: int
    """Pairs whose four cells have three clusters each."""
    train_photos: int
    """Photos of the largest training set, equal for all its steps."""
    left_out: np.ndarray
    """float64 [blocks]: the drop without the test photos of each block; classifiers are not fitted again."""


def performance_drop(
    rows: Callable[[np.ndarray], np.ndarray],
    cells: Cells,
    *,
    repeats: int = REPEATS,
    pairs: int = PAIRS,
    seed: int = 0,
    progress: Callable[[], object] = lambda: None,
) -> PerformanceDrop | None:
    """Fit logistic regressions on training sets of one size whose association of label and group grows.

    For each pair of two labels and two groups and each repeat, clusters of each cell are drawn for validation (one),
    test (a third) and training (the others); which label goes with which group alternates (PathoROB, Nature
    Communications 2026).

    Args:
        rows: positions -> embeddings [n, d].
        cells: of the photos.
        repeats: for each pair.
        pairs: most pairs; more are drawn by ``seed``.
        seed: of everything random.
        progress: called after each repeat.

    Returns:
        The drop; None if there is no pair with three clusters in each cell.
    """
    possible = [
        pair for pair in pairs_of(cells) if min(cells.cluster_counts[a, g] for a in pair[0] for g in pair[1]) > 2
    ]
    if not possible:
        return None
    rng = np.random.default_rng(seed)
    chosen = some_pairs(possible, pairs, rng)
    block, count, steps = cells.blocks.index, len(cells.blocks), len(ASSOCIATIONS)
    drops, others, curves, spreads, left, largest = [], [], [], [], [], 0
    for labels, groups in chosen:
        right, tested, by_repeat = np.zeros((count, steps)), np.zeros(count), []
        elsewhere = np.zeros((repeats, steps))
        for repeat in range(repeats):
            plan = _plan(cells, labels, groups, repeat % 2 == 1, rng)
            largest = max(largest, len(plan.train[0]))
            result = _accuracies(rows, cells, plan, labels[1])
            np.add.at(right, block[plan.test], result.right.T)
            np.add.at(tested, block[plan.test], 1)
            by_repeat.append(_drop(result.right.mean(axis=1)))
            elsewhere[repeat] = result.other
            progress()
        total, n = right.sum(axis=0), tested.sum()
        accuracies = total / n
        curves.append(accuracies)
        drops.append(_drop(accuracies))
        spreads.append(np.std(by_repeat, ddof=1) if repeats > 1 else 0.0)
        left.append(_drop((total - right) / np.maximum(n - tested, 1)[:, None]))
        if np.isfinite(elsewhere).all():
            others.append(_drop(elsewhere.mean(axis=0)))
    return PerformanceDrop(
        value=float(np.mean(drops)),
        other_groups=float(np.mean(others)) if others else None,
        associations=np.array(ASSOCIATIONS),
        accuracies=np.mean(curves, axis=0),
        spread=float(np.mean(spreads)),
        repeats=repeats,
        pairs=len(chosen),
        possible=len(possible),
        train_photos=largest,
        left_out=np.mean(left, axis=0),
    )


def _drop(accuracies: np.ndarray) -> np.ndarray:
    """Mean of the accuracies [..., steps] after the first over the first, minus 1."""
    first = np.maximum(accuracies[..., :1], 1e-12)
    return np.asarray((accuracies[..., 1:] / first).mean(axis=-1) - 1)


@dataclass(frozen=True, eq=False)
class _Plan:
    train: list[np.ndarray]
    """Positions of the photos of each step."""
    val: np.ndarray
    test: np.ndarray
    other: np.ndarray
    """Photos of the labels in other groups."""


def _plan(
    cells: Cells, labels: tuple[int, int], groups: tuple[int, int], crossed: bool, rng: np.random.Generator
) -> _Plan:
    """Photos of one repeat; no cluster is in two parts."""
    parts: dict[str, list[np.ndarray]] = {"train": [], "val": [], "test": []}
    for label in labels:
        for group in groups:
            members = np.flatnonzero((cells.labels == label) & (cells.groups == group))
            clusters = rng.permutation(np.unique(cells.clusters[members]))
            tested = max(1, len(clusters) // 3)
            cut = {"val": clusters[:1], "test": clusters[1 : 1 + tested], "train": clusters[1 + tested :]}
            for name, some in cut.items():
                parts[name].append(rng.permutation(members[np.isin(cells.clusters[members], some)]))
    together = (1, 2) if crossed else (0, 3)  # cells whose share grows
    apart = tuple({0, 1, 2, 3} - set(together))
    train = parts["train"]
    each = min(CELL_PHOTOS, *(len(train[i]) // 2 for i in together), *(len(train[i]) for i in apart))
    each = max(each, 1)
    steps = []
    for association in ASSOCIATIONS:
        more = round(each * association)
        counts = {**dict.fromkeys(together, each + more), **dict.fromkeys(apart, each - more)}
        steps.append(np.concatenate([train[i][: counts[i]] for i in range(4)]))
    balanced = {}
    for name in ("val", "test"):
        least = min(TEST_PHOTOS, *map(len, parts[name]))
        balanced[name] = np.concatenate([some[:least] for some in parts[name]])
    other = np.flatnonzero(np.isin(cells.labels, labels) & ~np.isin(cells.groups, groups))
    if len(other) > 4 * TEST_PHOTOS:
        other = rng.choice(other, 4 * TEST_PHOTOS, replace=False)
    return _Plan(steps, balanced["val"], balanced["test"], other)


@dataclass(frozen=True, eq=False)
class _Found:
    right: np.ndarray
    """float64 [steps, test photos]."""
    other: np.ndarray
    """float64 [steps], mean of the accuracies of both labels; NaN without photos."""


def _accuracies(rows: Callable[[np.ndarray], np.ndarray], cells: Cells, plan: _Plan, positive: int) -> _Found:
    used = np.unique(np.concatenate([*plan.train, plan.val, plan.test, plan.other]))
    unit = unit_rows(rows(used), turn=False).astype(np.float64)
    label = (cells.labels[used] == positive).astype(np.float64)

    def at(positions: np.ndarray) -> np.ndarray:
        return np.searchsorted(used, positions)

    val, test, other = at(plan.val), at(plan.test), at(plan.other)
    right, elsewhere = np.zeros((len(plan.train), len(test))), np.full(len(plan.train), np.nan)
    for step, photos in enumerate(plan.train):
        train = at(photos)
        x = unit[train]
        basis = np.eye(x.shape[1])
        if x.shape[1] > len(x):  # weights lie in the span of the rows
            basis = torch.linalg.qr(torch.from_numpy(x.T))[0].numpy()
        weights, bias = logistic_path(x @ basis, label[train], STRENGTHS)
        weights = basis @ weights  # [d, strengths]
        correct = ((unit[val] @ weights + bias > 0) == (label[val, None] > 0)).mean(axis=0)
        best = int(np.flatnonzero(correct == correct.max())[-1])  # of equal ones the strongest
        right[step] = (unit[test] @ weights[:, best] + bias[best] > 0) == (label[test] > 0)
        if len(other) and 0 < label[other].mean() < 1:
            good = (unit[other] @ weights[:, best] + bias[best] > 0) == (label[other] > 0)
            elsewhere[step] = np.mean([good[label[other] == value].mean() for value in (0, 1)])
    return _Found(right, elsewhere)


def logistic_path(x: np.ndarray, y: np.ndarray, strengths: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Weights [d, S] and bias [S] that minimise mean log loss + strength / 2 ||w||^2 with a free bias (Newton).

    Args:
        x: float64 [n, d].
        y: float64 [n], 0 or 1, of which both occur.
        strengths: S strengths, solved together.

    >>> weights, bias = logistic_path(np.array([[-1.0], [1.0], [2.0]]), np.array([0.0, 1.0, 1.0]), (0.1, 1e4))
    >>> bool(weights[0, 0] > 1), bool(abs(weights[0, 1]) < 1e-3)
    (True, True)
    """
    n, d = x.shape
    with torch.inference_mode():
        rows = torch.from_numpy(np.hstack([x, np.ones((n, 1))]))
        target, signs = torch.from_numpy(y)[:, None], torch.from_numpy(2 * y - 1)[:, None]
        penalty = torch.tensor(strengths, dtype=torch.float64)[None] * torch.ones((d + 1, 1), dtype=torch.float64)
        penalty[d] = 0.0
        ridge = torch.diag_embed(penalty.T + 1e-11)

        def loss(w: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.softplus(-signs * (rows @ w)).mean(dim=0) + (penalty * w.square()).sum(dim=0) / 2

        w = torch.zeros((d + 1, len(strengths)), dtype=torch.float64)
        value = loss(w)
        for _ in range(NEWTON_STEPS):
            p = torch.sigmoid(rows @ w)
            gradient = rows.T @ (p - target) / n + penalty * w
            if float(gradient.norm(dim=0).max()) < TOLERANCE:
                break
            curvature = torch.einsum("ni,ns,nj->sij", rows, p * (1 - p) / n, rows) + ridge
            # Cholesky: numpy's factorisations wait for threads, and MKL's LU of many matrices failed (DLASWP)
            factor = torch.linalg.cholesky_ex(curvature)[0]
            step = torch.cholesky_solve(gradient.T[..., None], factor)[..., 0].T
            size = torch.ones(len(strengths), dtype=torch.float64)
            for _ in range(20):  # halve the steps of those whose loss would rise
                new = w - size * step
                trial = loss(new)
                worse = ~(trial <= value + 1e-12)  # a loss that is no number is worse
                if not bool(worse.any()):
                    break
                size = torch.where(worse, size / 2, size)
            w = torch.where(worse, w, new)
            value = torch.where(worse, value, trial)
    return w[:d].numpy(), w[d].numpy()
