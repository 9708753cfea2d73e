"""Scores of a fitted probe: for thresholds, AUC and other uses to which a predicted class is too little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmark.compute import with_less_memory
from benchmark.probe.probe import LABELLED_SEED, default_memory, usable_device
from benchmark.probe.problem import VALIDATION_SHARE, Problem, layer_scores, stratified_split
from benchmark.probe.protocols.registry import protocol_named
from benchmark.probe.solver.rows import GATHER_BYTES, Rows


@dataclass(frozen=True, eq=False)
class ClassScores:
    """Scores that one fit gives to several views of some photos."""

    scores: np.ndarray
    """float32 [V, n, C]: a linear layer's; their softmax over classes are probabilities."""
    details: Mapping[str, Any]
    """Of the fit, JSON values."""


def class_scores(
    train_x: Rows,
    train_y: Any,
    views: Sequence[Rows],
    *,
    n_classes: int,
    clusters: np.ndarray | None = None,
    protocol: str = "converged",
    device: str | torch.device = "cpu",
    seed: int = LABELLED_SEED,
    memory_bytes: int | None = None,
) -> ClassScores:
    """Fit a probe of one label per photo, and score several views of other photos with it.

    A fifth of the training photos is held out for the search; the reported fit is trained on all of them.

    Args:
        train_x: [n, d]; rows are L2-normalised here.
        train_y: [n], classes 0 .. ``n_classes`` - 1.
        views: V arrays [m, d], views of the same photos.
        n_classes: number of classes.
        clusters: [n], the unit of each training photo: whole units are held out.
        protocol, device, seed, memory_bytes: as in ``labelled_probe``.

    Raises:
        UsageError: unknown protocol.
        ValueError: shapes do not agree.

    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(60) % 2
    >>> photos = rng.normal(size=(60, 8)) + labels[:, None]
    >>> scores = class_scores(photos[:40], labels[:40], [photos[40:]], n_classes=2).scores
    >>> scores.shape, bool(((scores[0].argmax(1) == labels[40:]).mean()) > 0.7)
    ((1, 20, 2), True)
    """
    labels = np.asarray(train_y).astype(np.int64)
    if labels.shape != (train_x.shape[0],):
        raise ValueError(f"{labels.size} labels for {train_x.shape[0]} embeddings")
    validation = stratified_split(labels, seed=seed, clusters=clusters)
    problem = Problem(
        [train_x],
        np.zeros((1, len(labels)), np.int64),
        labels[None],
        n_classes,
        np.flatnonzero(~validation),
        np.flatnonzero(validation),
    )
    chosen, on = protocol_named(protocol), usable_device(device)

    def fitted(memory: int) -> ClassScores:
        with torch.inference_mode():
            fit = chosen.fit(problem, device=on, seed=seed, memory_bytes=memory)
            scores = np.stack([_scored(view, fit.weights[0], fit.bias[0]) for view in views])
        details = {
            "protocol": protocol,
            "n_train": len(labels),
            "validation_share": VALIDATION_SHARE,
            "chosen": dict(fit.chosen),
            "converged": bool(fit.converged.all()),
        }
        return ClassScores(scores, details)

    return with_less_memory("probe", fitted, memory_bytes or default_memory(on))


def _scored(rows: Rows, weights: torch.Tensor, bias: torch.Tensor) -> np.ndarray:
    """float32 [n, C], some rows at a time."""
    step = max(1, GATHER_BYTES // (4 * max(weights.shape)))
    layer, shift, count = weights.to(torch.float32), bias.to(torch.float32), rows.shape[0]
    chunks = [np.arange(start, min(start + step, count)) for start in range(0, count, step)]
    empty = torch.empty((0, layer.shape[1]), dtype=torch.float32, device=layer.device)
    return torch.cat([empty, *(layer_scores(rows, chunk, layer, shift) for chunk in chunks)]).cpu().numpy()
