"""The reader ``knn``: a majority of the nearest train photos by cosine, their number chosen on held-out photos."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from benchmark.probe.problem import Problem
from benchmark.probe.readers.registry import MOST_ROWS, Read, sampled
from benchmark.probe.solver.rows import Rows, normalised

NEIGHBOURS = (1, 3, 5, 10, 20, 50)
"""Numbers of neighbours that are tried; of equally good ones the fewest."""

BLOCK_VALUES = 1 << 24
"""Similarities that are held at once."""


def read_knn(problem: Problem, test: Sequence[Rows], *, device: torch.device, seed: int) -> Read:
    """Search on the first assignment, then ask each assignment's train photos about every view of the test photos.

    Of more than ``MOST_ROWS`` train photos a seeded sample serves; so many assignments take part as hold about
    ``MOST_ROWS`` photos together, at least one. A tied vote goes to the tied class that has the nearest photo.

    Args:
        problem: who learns from what.
        test: V arrays [m, d].
        device: where products run.
        seed: unused; nothing here is random.
    """
    begun = time.perf_counter()
    given = sampled(problem, max(1, MOST_ROWS // problem.n))
    tried = tuple(k for k in NEIGHBOURS if k < max(2, len(given.fit_rows)))
    search: list[dict[str, float]] = []
    if len(given.validation_rows):
        known = _rows(given, 0, given.fit_rows, device)
        asked = _rows(given, 0, given.validation_rows, device)
        answers = vote(asked, known, given.labels[0, given.fit_rows], tried, given.n_classes)
        right = (answers == given.labels[0, given.validation_rows]).mean(axis=1)
        search = [{"k": float(k), "validation_accuracy": float(a)} for k, a in zip(tried, right, strict=True)]
        chosen = tried[int(np.argmax(right))]
    else:
        chosen = tried[len(tried) // 2]
    searched = time.perf_counter()
    every, fits = np.arange(given.n), len(given.which)
    predicted = np.zeros((fits, len(test), int(test[0].shape[0])), np.uint8 if given.n_classes <= 256 else np.uint16)
    for s in range(fits):
        known = _rows(given, s, every, device)
        for v, bank in enumerate(test):
            asked = torch.from_numpy(normalised(bank[0 : int(bank.shape[0])])).to(device)
            predicted[s, v] = vote(asked, known, given.labels[s], (chosen,), given.n_classes)[0]
    nothing = np.zeros(fits)
    return Read(
        predicted=predicted,
        n_train=given.n,
        chosen={"k": float(chosen)},
        search=tuple(search),
        final_loss=nothing,
        gradient_norm=nothing,
        iterations=nothing.astype(np.int64),
        search_s=searched - begun,
        fit_s=time.perf_counter() - searched,
        constants={
            "estimator": "majority of the nearest train photos by cosine; a tie goes to the class of the nearest",
            "tried": list(tried),
            "assignments": fits,
        },
    )


def vote(asked: Tensor, known: Tensor, labels: np.ndarray, ks: Sequence[int], n_classes: int) -> np.ndarray:
    """int64 [K, m]: the class that the k nearest rows give to each row asked about, for each k.

    >>> known = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> vote(torch.tensor([[1.0, 0.0]]), known, np.array([0, 1, 1]), (1, 2, 3), 2).tolist()
    [[0], [0], [1]]
    """
    of = torch.from_numpy(np.asarray(labels, np.int64)).to(known.device)
    most = min(max(ks), len(known))
    found = np.zeros((len(ks), len(asked)), np.int64)
    step = max(1, BLOCK_VALUES // max(1, len(known)))
    for start in range(0, len(asked), step):
        similar = asked[start : start + step] @ known.mT
        votes = of[similar.topk(most, dim=1).indices]
        one_hot = torch.nn.functional.one_hot(votes, n_classes).float()
        for i, k in enumerate(ks):
            some = one_hot[:, :k]
            # half a vote at most, falling with the rank of a class's nearest photo, settles ties and nothing else
            order = torch.arange(some.shape[1], 0, -1, device=known.device) / (2 * some.shape[1] + 2)
            score = some.sum(1) + (some * order[None, :, None]).amax(1)
            found[i, start : start + step] = score.argmax(1).cpu().numpy()
    return found


def _rows(problem: Problem, fit: int, rows: np.ndarray, device: torch.device) -> Tensor:
    """Rows of one assignment at unit length, on the device."""
    return problem.source(problem.which[fit : fit + 1], rows)(0, len(rows))[0].to(device)
