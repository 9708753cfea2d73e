"""One probing problem as both protocols see it: banks, who learns from which row, and the split of the search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.compute import parallel_map, threads_for, threads_of_work, uploaded
from benchmark.probe.solver.design import Design, Frame
from benchmark.probe.solver.rows import GATHER_BYTES, Gathered, Rows, RowSource, gather, normalised, picked

VALIDATION_SHARE = 0.2
"""Share of the training photos that the search is judged on."""

VALIDATION_SEED = 22
"""Seed of the stratified validation split, the study's."""


@dataclass(frozen=True, eq=False)
class LabelledSplits:
    """Embeddings with one label each (an acquisition attribute): what a labelled probe learns from and is asked."""

    train_x: Rows
    """[n, d]."""
    train_y: Any
    """[n], classes 0 .. n_classes - 1."""
    val_x: Rows | None
    """[m, d]; without it a stratified fifth of the training photos serves."""
    val_y: Any | None
    test_x: Rows
    test_y: Any
    n_classes: int
    """Chance is one over it. A class without a training photo is never predicted."""
    frame: Frame | None = None
    """Of embeddings that are turned already (``turned``)."""
    of_others: bool = False
    """Some photos of other splits: turned with these, or not at all."""


class Features(NamedTuple):
    """Photos of a problem as rows of training sets that hold more photos."""

    whole: Design
    """S rotated training sets, of the same fits in the same order."""
    rows: np.ndarray
    """int64 [n]."""


@dataclass(frozen=True)
class Problem:
    """S fits that each learn from one view per photo; photo i of fit s is row i of bank ``which[s, i]``."""

    banks: Sequence[Rows]
    """Arrays [n, d]."""
    which: np.ndarray
    """int64 [S, n]."""
    labels: np.ndarray
    """int64 [S, n]."""
    n_classes: int
    fit_rows: np.ndarray
    """Ascending photo indices that the search learns from."""
    validation_rows: np.ndarray
    """Ascending photo indices that the search is judged on; may be empty."""
    gathered: Gathered | None = None
    """Rows of all banks in memory, where it holds them."""
    frame: Frame | None = None
    """What is known of the banks' rows, where they are turned."""
    features: Features | None = None
    """Where those of all fits are rotated already."""

    def source(self, which: np.ndarray, rows: np.ndarray) -> RowSource:
        """Rows of training sets ``which`` [G, n] at photos ``rows``: from memory, or from the banks."""
        return self.gathered.source(which, rows) if self.gathered else gather(self.banks, which, rows)

    @property
    def n(self) -> int:
        return int(self.which.shape[1])

    @property
    def dimension(self) -> int:
        return int(self.banks[0].shape[1])


Layers = Iterator[tuple[Tensor, Tensor]]
"""Weights [P, d, C] and bias [P, C] of some of the fits, in order."""


def _no_options(chosen: Mapping[str, float]) -> Mapping[str, Any]:
    """Of a protocol that searches nothing, or always all."""
    return {}


@dataclass(frozen=True)
class Protocol:
    """One way to fit a probe; everything that names or runs it asks this."""

    name: str
    """As options and results have it."""
    summary: str
    """One line for people."""
    fit: Callable[..., Fit]
    """``(problem, *, device, seed, memory_bytes, ...) -> Fit``; further keywords are options of the probe."""
    refit: Callable[[Problem, Mapping[str, float], torch.device, int], Layers]
    """(problem, chosen hyper-parameters, device, memory in bytes) -> a layer for each row of labels, no search."""
    permutations: int
    """Shufflings of a permutation test: a converged fit at one strength costs little, a full descent does not."""
    turns: bool = False
    """Whether its layers do not depend on the orthonormal axes of the embeddings: then these may be turned."""
    near: Callable[[Mapping[str, float]], Mapping[str, Any]] = _no_options
    """Chosen hyper-parameters -> options of ``fit`` with which it searches near them: for parts of the train photos."""
    at: Callable[[Mapping[str, float]], Mapping[str, Any]] = _no_options
    """Chosen hyper-parameters -> options of ``fit`` with which it searches nothing and takes these."""


@dataclass(frozen=True)
class Fit:
    """What a protocol hands back: S linear layers on L2-normalised embeddings, and how they came about."""

    weights: Tensor
    """[S, d, C]."""
    bias: Tensor
    """[S, C]."""
    chosen: dict[str, float]
    search: tuple[dict[str, float], ...]
    final_loss: np.ndarray
    gradient_norm: np.ndarray
    iterations: np.ndarray
    converged: np.ndarray
    constants: dict[str, Any]
    search_s: float
    fit_s: float
    features: Design | None = None
    """What the fits learnt from, where it is rotated: all S training sets."""


def stratified_split(labels: np.ndarray, share: float = VALIDATION_SHARE, seed: int = VALIDATION_SEED) -> np.ndarray:
    """Which items are for validation: bool [n], ``share`` of each class (rounded), drawn by a seeded permutation.

    A class of two or more keeps at least one item on either side; a class of one stays in training.

    >>> labels = np.array([0] * 10 + [1] * 5 + [2])
    >>> chosen = stratified_split(labels)
    >>> [int(chosen[labels == c].sum()) for c in range(3)]
    [2, 1, 0]
    """
    labels = np.asarray(labels)
    order = np.random.default_rng(seed).permutation(len(labels))
    validation = np.zeros(len(labels), dtype=bool)
    for c in np.unique(labels):
        members = order[labels[order] == c]
        wanted = min(max(int(len(members) * share + 0.5), 1), len(members) - 1)
        validation[members[:wanted]] = True
    return validation


def predict(banks: Sequence[Rows], rows: np.ndarray, weights: Tensor, bias: Tensor) -> np.ndarray:
    """The class that each of K linear layers gives to every view of the photos ``rows``; ties go to the lowest class.

    Args:
        banks: V arrays [n, d], one view of every photo each.
        rows: ascending photo indices [m].
        weights: [K, d, C] on L2-normalised embeddings.
        bias: [K, C].

    Returns:
        uint8 (uint16 for more than 256 classes) [K, V, m].
    """
    count, dimension, n_classes = weights.shape
    few = torch.uint8 if n_classes <= 256 else torch.int32
    threads = torch.get_num_threads() if weights.device.type == "cpu" else 1
    step = max(1, GATHER_BYTES // (4 * threads * max(dimension, count * n_classes)))
    pieces = [(bank, rows[start : start + step]) for bank in banks for start in range(0, len(rows), step)]
    with threads_of_work(weights.numel()):
        flat = weights.to(torch.float32).movedim(0, 1).reshape(dimension, -1).contiguous()
        shift = bias.to(torch.float32).reshape(-1)

    def answers(piece: tuple[Rows, np.ndarray]) -> Tensor:
        block = torch.from_numpy(normalised(picked(*piece)))
        logits = (uploaded(block, flat.device) @ flat + shift).view(-1, count, n_classes)
        best = logits.amax(-1, keepdim=True)
        # argmax promises no order among equals
        index = torch.arange(n_classes, dtype=torch.int32, device=logits.device).expand_as(logits)
        first = torch.where(logits == best, index, n_classes).amin(-1)
        # NaN equals nothing: a diverged layer answers class 0
        return (first % n_classes).T.to(few)

    if len(pieces) >= threads and threads_for(weights.numel() * len(rows) * len(banks), threads) > 1:
        found = parallel_map(answers, pieces)
    else:
        with threads_of_work(weights.numel() * min(step, len(rows))):
            found = [answers(piece) for piece in pieces]
    there = torch.cat([torch.empty((count, 0), dtype=few, device=flat.device), *found], 1).cpu().numpy()  # waits once
    there = there.reshape(count, len(banks), len(rows))
    return there if n_classes <= 256 else there.astype(np.uint16)
