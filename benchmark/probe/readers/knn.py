"""The reader ``knn``: majority vote of the nearest train photos by cosine, their number chosen on held-out photos."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchmark.probe.problem import Problem
from benchmark.probe.readers.registry import MOST_ROWS, Read, sampled
from benchmark.probe.solver.rows import Rows, is_as_given, normalised

NEIGHBOURS = (1, 3, 5, 10, 20, 50)
"""Candidate numbers of neighbours; of equally good ones the smallest is chosen."""

BLOCK_VALUES = 1 << 24
"""Similarities in memory at once."""


def read_knn(problem: Problem, test: Sequence[Rows], *, device: torch.device, seed: int) -> Read:
    """Search on the first assignment, then classify every view of the test photos by each assignment's train photos.

    Of more than ``MOST_ROWS`` train photos a seeded sample is used. As many assignments are used as have about
    ``MOST_ROWS`` photos together, at least one. A tied vote goes to the tied class with the nearest photo.

    Args:
        problem: banks, assignments and labels.
        test: V arrays [m, d].
        device: where products run.
        seed: unused; nothing here is random.
    """
    begun = time.perf_counter()
    sample = sampled(problem, max(1, MOST_ROWS // problem.n))
    candidates = tuple(k for k in NEIGHBOURS if k < max(2, len(sample.fit_rows)))
    search: list[dict[str, float]] = []
    if len(sample.validation_rows):
        train_rows = _rows(sample, 0, sample.fit_rows, device)
        queries = _rows(sample, 0, sample.validation_rows, device)
        votes = vote(queries, train_rows, sample.labels[0, sample.fit_rows], candidates, sample.n_classes)
        accuracies = (votes == sample.labels[0, sample.validation_rows]).mean(axis=1)
        search = [{"k": float(k), "validation_accuracy": float(a)} for k, a in zip(candidates, accuracies, strict=True)]
        chosen = candidates[int(np.argmax(accuracies))]
    else:
        chosen = candidates[len(candidates) // 2]
    searched = time.perf_counter()
    all_rows, fits = np.arange(sample.n), len(sample.which)
    predicted = np.zeros((fits, len(test), int(test[0].shape[0])), np.uint8 if sample.n_classes <= 256 else np.uint16)
    for s in range(fits):
        train_rows = _rows(sample, s, all_rows, device)
        for v, bank in enumerate(test):
            queries = torch.from_numpy(normalised(bank[0 : int(bank.shape[0])])).to(device)
            predicted[s, v] = vote(queries, train_rows, sample.labels[s], (chosen,), sample.n_classes)[0]
    zeros = np.zeros(fits)
    return Read(
        predicted=predicted,
        n_train=sample.n,
        chosen={"k": float(chosen)},
        search=tuple(search),
        final_loss=zeros,
        gradient_norm=zeros,
        iterations=zeros.astype(np.int64),
        search_s=searched - begun,
        fit_s=time.perf_counter() - searched,
        constants={
            "estimator": "majority of the nearest train photos by cosine; a tie goes to the class of the nearest",
            "tried": list(candidates),
            "assignments": fits,
        },
    )


def vote(queries: Tensor, train_rows: Tensor, labels: np.ndarray, ks: Sequence[int], n_classes: int) -> np.ndarray:
    """int64 [K, m]: the class that the k nearest rows vote for, for each query row and each k.

    >>> known = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> vote(torch.tensor([[1.0, 0.0]]), known, np.array([0, 1, 1]), (1, 2, 3), 2).tolist()
    [[0], [0], [1]]
    """
    classes = torch.from_numpy(np.asarray(labels, np.int64)).to(train_rows.device)
    depth = min(max(ks), len(train_rows))
    predicted = np.zeros((len(ks), len(queries)), np.int64)
    step = max(1, BLOCK_VALUES // max(1, len(train_rows)))
    for start in range(0, len(queries), step):
        similar = queries[start : start + step] @ train_rows.mT
        votes = classes[similar.topk(depth, dim=1).indices]
        one_hot = torch.nn.functional.one_hot(votes, n_classes).float()
        for i, k in enumerate(ks):
            voters = one_hot[:, :k]
            # less than half a vote, falling with the rank of a class's nearest photo: it only decides ties
            order = torch.arange(voters.shape[1], 0, -1, device=train_rows.device) / (2 * voters.shape[1] + 2)
            score = voters.sum(1) + (voters * order[None, :, None]).amax(1)
            predicted[i, start : start + step] = score.argmax(1).cpu().numpy()
    return predicted


def _rows(problem: Problem, fit: int, rows: np.ndarray, device: torch.device) -> Tensor:
    """Rows of one assignment at unit length, on the device."""
    given = problem.source(problem.which[fit : fit + 1], rows)(0, len(rows))[0]
    is_unit = not any(map(is_as_given, problem.banks))
    return (given if is_unit else torch.from_numpy(normalised(given))).to(device)
