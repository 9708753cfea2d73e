"""The probing problem that every protocol solves, its parts, and what a protocol returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.compute import parallel_map, threads_for, threads_of_work, uploaded
from benchmark.probe.solver.design import Design, Frame
from benchmark.probe.solver.rows import GATHER_BYTES, Gathered, Rows, RowSource, features, gather, picked

VALIDATION_SHARE = 0.2
"""Share of the training photos that the search holds out."""

VALIDATION_SEED = 22
"""Seed of the stratified validation split, the study's."""


@dataclass(frozen=True, eq=False)
class LabelledSplits:
    """Embeddings with one label each (an acquisition attribute), split for training, validation and test."""

    train_x: Rows
    """[n, d]."""
    train_y: Any
    """[n], classes 0 .. n_classes - 1."""
    val_x: Rows | None
    """[m, d]; None: a stratified fifth of the training photos is held out."""
    val_y: Any | None
    """[m]; None exactly if ``val_x`` is."""
    test_x: Rows
    """[k, d]."""
    test_y: Any
    """[k]."""
    n_classes: int
    """Chance is one over it. A class without a training photo is never predicted."""
    frame: Frame | None = None
    """Set if the embeddings are projected (``solver.projected``)."""
    is_subset: bool = False
    """Whether the photos are some of those of other splits. Such splits are not projected by themselves."""
    train_clusters: np.ndarray | None = None
    """[n], the unit of each photo (``benchmark.stats.ErrorUnits.clusters``); None if photos are independent."""
    val_clusters: np.ndarray | None = None
    """[m]."""
    test_clusters: np.ndarray | None = None
    """[k]."""


class Features(NamedTuple):
    """The training photos of a problem as rows of rotated training sets that have more photos."""

    whole: Design
    """S rotated training sets, of the same fits in the same order."""
    rows: np.ndarray
    """int64 [n], the row of each photo."""


@dataclass(frozen=True)
class Problem:
    """S fits, each trained on one view of every photo: photo i of fit s is row i of bank ``which[s, i]``."""

    banks: Sequence[Rows]
    """Arrays [n, d], one for each view."""
    which: np.ndarray
    """int64 [S, n], indices of banks."""
    labels: np.ndarray
    """int64 [S, n], classes."""
    n_classes: int
    fit_rows: np.ndarray
    """Ascending indices of the photos that the search trains on."""
    validation_rows: np.ndarray
    """Ascending indices of the photos that the search validates on; may be empty."""
    gathered: Gathered | None = None
    """Rows of all banks in memory; None: rows are read from the banks."""
    frame: Frame | None = None
    """Centre and axes of the banks' rows if they are projected."""
    features: Features | None = None
    """Rotated training sets of all fits, if a probe of more photos has made them."""

    def source(self, which: np.ndarray, rows: np.ndarray) -> RowSource:
        """Rows of training sets ``which`` [G, n] at photos ``rows``: from memory, or from the banks."""
        return self.gathered.source(which, rows) if self.gathered else gather(self.banks, which, rows)

    @property
    def n(self) -> int:
        """Number of training photos, validation included."""
        return int(self.which.shape[1])

    @property
    def dimension(self) -> int:
        """Dimension of the embeddings."""
        return int(self.banks[0].shape[1])


Layers = Iterator[tuple[Tensor, Tensor]]
"""Weights [P, d, C] and bias [P, C] of some of the fits, in order."""


def _no_options(chosen: Mapping[str, float]) -> Mapping[str, Any]:
    """Default of ``Protocol.near`` and ``Protocol.at``: the full search."""
    return {}


@dataclass(frozen=True)
class Protocol:
    """One way to fit a probe: its name, its description and its functions."""

    name: str
    """Name in options and results."""
    summary: str
    """One line for help texts and reports."""
    fit: Callable[..., Fit]
    """``(problem, *, device, seed, memory_bytes, ...) -> Fit``; further keywords are options of the probe."""
    refit: Callable[[Problem, Mapping[str, float], torch.device, int], Layers]
    """(problem, chosen hyper-parameters, device, memory in bytes) -> a layer for each row of labels; no search."""
    permutations: int
    """Number of shufflings in a permutation test: a converged fit at one strength is cheap, a full descent is not."""
    rotation_invariant: bool = False
    """Whether predictions do not depend on the orthonormal axes of the embeddings, which may then be projected."""
    near: Callable[[Mapping[str, float]], Mapping[str, Any]] = _no_options
    """Chosen hyper-parameters -> options of ``fit`` for a search near them, for parts of the train photos."""
    at: Callable[[Mapping[str, float]], Mapping[str, Any]] = _no_options
    """Chosen hyper-parameters -> options of ``fit`` that use them without a search."""


@dataclass(frozen=True)
class Fit:
    """Result of a protocol: S linear layers on L2-normalised embeddings; further fields as in ``ProbeAnswers``."""

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
    """The training sets of all S fits, if they are rotated."""


def stratified_split(
    labels: np.ndarray,
    share: float = VALIDATION_SHARE,
    seed: int = VALIDATION_SEED,
    clusters: np.ndarray | None = None,
) -> np.ndarray:
    """Mark the validation items: ``share`` of each class (rounded), drawn by a seeded permutation.

    A class of two or more has at least one item on either side; a class of one stays in training. With clusters, whole
    clusters are drawn, each under the class of its first item; items are drawn where no cluster could be.

    Args:
        labels: [n], classes.
        share: share of each class, 0 to 1.
        seed: of the permutation.
        clusters: [n], the cluster of each item; None if items are independent.

    Returns:
        bool [n], True for validation.

    >>> labels = np.array([0] * 10 + [1] * 5 + [2])
    >>> chosen = stratified_split(labels)
    >>> [int(chosen[labels == c].sum()) for c in range(3)]
    [2, 1, 0]
    """
    labels = np.asarray(labels)
    if clusters is not None:
        _, first, code = np.unique(clusters, return_index=True, return_inverse=True)
        whole: np.ndarray = stratified_split(labels[first], share, seed)[code]
        if whole.any():
            return whole
    order = np.random.default_rng(seed).permutation(len(labels))
    validation = np.zeros(len(labels), dtype=bool)
    for c in np.unique(labels):
        members = order[labels[order] == c]
        count = min(max(int(len(members) * share + 0.5), 1), len(members) - 1)
        validation[members[:count]] = True
    return validation


def layer_scores(bank: Rows, rows: np.ndarray, weights: Tensor, bias: Tensor) -> Tensor:
    """float32 [m, C]: features of a bank's rows times ``weights`` [d, C] plus ``bias`` [C]."""
    block = torch.from_numpy(features(bank, picked(bank, rows)))
    return uploaded(block, weights.device) @ weights + bias


def predict(banks: Sequence[Rows], rows: np.ndarray, weights: Tensor, bias: Tensor) -> np.ndarray:
    """The class that each of K linear layers predicts for every view of some photos; ties go to the lowest class.

    Args:
        banks: V arrays [n, d], one view of every photo each.
        rows: ascending photo indices [m].
        weights: [K, d, C] on L2-normalised embeddings.
        bias: [K, C]; -inf for a class that is never predicted.

    Returns:
        uint8 (uint16 for more than 256 classes) [K, V, m].
    """
    count, dimension, n_classes = weights.shape
    dtype = torch.uint8 if n_classes <= 256 else torch.int32
    threads = torch.get_num_threads() if weights.device.type == "cpu" else 1
    step = max(1, GATHER_BYTES // (4 * threads * max(dimension, count * n_classes)))
    pieces = [(bank, rows[start : start + step]) for bank in banks for start in range(0, len(rows), step)]
    with threads_of_work(weights.numel()):
        flat = weights.to(torch.float32).movedim(0, 1).reshape(dimension, -1).contiguous()
        shift = bias.to(torch.float32).reshape(-1)

    def predict_piece(piece: tuple[Rows, np.ndarray]) -> Tensor:
        logits = layer_scores(*piece, flat, shift).view(-1, count, n_classes)
        best = logits.amax(-1, keepdim=True)
        # argmax guarantees no order among equal values
        index = torch.arange(n_classes, dtype=torch.int32, device=logits.device).expand_as(logits)
        first = torch.where(logits == best, index, n_classes).amin(-1)
        # NaN equals no value: a diverged layer predicts class 0
        return (first % n_classes).T.to(dtype)

    if len(pieces) >= threads and threads_for(weights.numel() * len(rows) * len(banks), threads) > 1:
        parts = parallel_map(predict_piece, pieces)
    else:
        with threads_of_work(weights.numel() * min(step, len(rows))):
            parts = [predict_piece(piece) for piece in pieces]
    predicted = (
        torch.cat([torch.empty((count, 0), dtype=dtype, device=flat.device), *parts], 1).cpu().numpy()
    )  # the only wait for the device
    predicted = predicted.reshape(count, len(banks), len(rows))
    return predicted if n_classes <= 256 else predicted.astype(np.uint16)
