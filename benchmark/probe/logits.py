"""Layers of probes and their scores: for thresholds, AUC and other uses to which a predicted class is too little."""

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
class ClassLayer:
    """A linear layer that was fitted to one label per photo."""

    weights: torch.Tensor
    """float32 [d, C], on L2-normalised embeddings."""
    bias: torch.Tensor
    """float32 [C]."""
    details: Mapping[str, Any]
    """Of the fit, JSON values."""


def class_layer(
    train_x: Rows,
    train_y: Any,
    *,
    n_classes: int,
    clusters: np.ndarray | None = None,
    protocol: str = "converged",
    device: str | torch.device = "cpu",
    seed: int = LABELLED_SEED,
    memory_bytes: int | None = None,
    chosen_for: ClassLayer | None = None,
) -> ClassLayer:
    """Fit a probe of one label per photo.

    A fifth of the training photos is held out for the search; the reported fit is trained on all of them.

    Args:
        train_x: [n, d]; rows are L2-normalised here.
        train_y: [n], classes 0 .. ``n_classes`` - 1.
        n_classes: number of classes.
        clusters: [n], the unit of each training photo: whole units are held out.
        protocol, device, seed, memory_bytes: as in ``labelled_probe``.
        chosen_for: a layer of the same protocol whose hyper-parameters are used, without a search; a protocol without
            such an option searches.

    Raises:
        UsageError: unknown protocol.
        ValueError: shapes do not agree.
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
    method, on = protocol_named(protocol), usable_device(device)
    options = {} if chosen_for is None else method.at(chosen_for.details["chosen"])

    def fitted(memory: int) -> ClassLayer:
        with torch.inference_mode():
            fit = method.fit(problem, device=on, seed=seed, memory_bytes=memory, **options)
            layer, bias = fit.weights[0].to(torch.float32), fit.bias[0].to(torch.float32)
        details = {
            "protocol": protocol,
            "n_train": len(labels),
            "validation_share": VALIDATION_SHARE,
            "chosen": dict(fit.chosen),
            "converged": bool(fit.converged.all()),
        }
        return ClassLayer(layer, bias, details)

    return with_less_memory("probe", fitted, memory_bytes or default_memory(on))


def class_scores(layers: Sequence[ClassLayer], views: Sequence[Rows]) -> np.ndarray:
    """Scores that layers give to views of some photos; each view is read once for all layers.

    Args:
        layers: L layers of C classes each.
        views: V arrays [n, d].

    Returns:
        float32 [L, V, n, C]; their softmax over classes are probabilities.

    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(60) % 2
    >>> photos = rng.normal(size=(60, 8)) + labels[:, None]
    >>> layer = class_layer(photos[:40], labels[:40], n_classes=2)
    >>> scores = class_scores([layer], [photos[40:]])
    >>> scores.shape, bool(((scores[0, 0].argmax(1) == labels[40:]).mean()) > 0.7)
    ((1, 1, 20, 2), True)
    """
    with torch.inference_mode():
        weights, bias = torch.cat([x.weights for x in layers], 1), torch.cat([x.bias for x in layers])
        scores = np.stack([_scored(view, weights, bias) for view in views])
    by_layer = scores.reshape(*scores.shape[:2], len(layers), layers[0].weights.shape[1])
    return np.ascontiguousarray(np.moveaxis(by_layer, 2, 0))


def _scored(rows: Rows, weights: torch.Tensor, bias: torch.Tensor) -> np.ndarray:
    """float32 [n, C], some rows at a time."""
    step = max(1, GATHER_BYTES // (4 * max(weights.shape)))
    count = rows.shape[0]
    chunks = [np.arange(start, min(start + step, count)) for start in range(0, count, step)]
    empty = torch.empty((0, weights.shape[1]), dtype=torch.float32, device=weights.device)
    return torch.cat([empty, *(layer_scores(rows, chunk, weights, bias) for chunk in chunks)]).cpu().numpy()
