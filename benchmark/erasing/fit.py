"""Fit an eraser to embeddings and labels; closed forms follow from moments, which one pass over the rows sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.erasing.eraser import Eraser
from benchmark.erasing.methods import method_named
from benchmark.erasing.moments import Moments, Source
from builders.errors import DataError, UsageError
from builders.processes import step_bar


def fit_eraser(
    embeddings: Any,
    labels: Any,
    method: str = "leace",
    *,
    keep: Any | None = None,
    unit_rows: bool = False,
    device: str = "cpu",
    **options: Any,
) -> Eraser:
    """Fit an eraser that removes ``labels`` from ``embeddings``.

    Options of the method are not chosen here. ``camtrace erase`` chooses them on validation photos and measures the
    rest of the trace on unseen photos; a reader at chance on the rows of the fit says nothing about other rows.

    Args:
        embeddings: [n, d]; an array, a memory map, or anything that reads rows when it is sliced.
        labels: [n], values that can be sorted, such as strings or integers.
        method: a name in ``METHODS``.
        keep: [n], the class that must stay readable, for ``splince``.
        unit_rows: scale rows to unit length first, here and in ``apply``, for embeddings that are compared by cosine.
        device: where moments are summed.
        options: of the method: ``shrinkage`` of leace and splince, ``rounds`` and ``ridge`` of inlp, ``seed`` of
            random, those of ``benchmark.erasing.adversary.adversary``.

    Raises:
        UsageError: the method or the option does not exist.
        DataError: labels and embeddings differ in length, a value is not finite, or there are fewer than two classes.

    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(0, 2, 200)
    >>> x = rng.normal(size=(200, 8)) + labels[:, None] * np.eye(8)[0] * 3
    >>> eraser = fit_eraser(x, labels, method="leace")
    >>> clean = eraser.apply(x)
    >>> apart = clean[labels == 1].mean(0) - clean[labels == 0].mean(0)
    >>> eraser.rank, bool(np.abs(apart).max() < 1e-5)
    (1, True)
    """
    names, codes = _coded("labels", labels, embeddings)
    keep_names, preserved = (None, None) if keep is None else _coded("keep", keep, embeddings)
    if len(names) < 2:
        raise DataError(f"labels name {len(names)} class: there is nothing to erase")
    n_preserved = 0 if keep_names is None else len(keep_names)
    source = Source([embeddings], codes[None], len(names), preserved, n_preserved, unit_rows)
    moments = moments_of(source, device)
    eraser = fit_method(method, source, moments, **options)
    classes = [str(name) for name in names]
    provenance = {**eraser.provenance, "classes": classes, "n_rows": moments.n, "options": options}
    return replace(eraser, provenance=provenance)


def moments_of(source: Source, device: str = "cpu") -> Moments:
    """The moments of a source, summed in one pass over its rows on ``device``."""
    moments = Moments(source.dimension, source.n_classes, source.n_preserved, device=device)
    total = source.photos * len(source.views)
    with step_bar(total=total, desc="reading embeddings", unit="row") as bar:
        for batch in source.batches():
            moments.update(batch.rows, batch.labels, batch.preserved)
            bar.update(len(batch.rows))
    return moments


def fit_method(method: str, source: Source, moments: Moments, **options: Any) -> Eraser:
    """Fit one method to moments that were summed before.

    Args:
        method: a name in ``METHODS``.
        source: labelled embeddings.
        moments: of the same rows.
        options: of the method.

    Raises:
        UsageError: the method or the option does not exist.
        DataError: the method cannot be fitted to these rows.
    """
    chosen = method_named(method)
    if chosen.keeps_classes and source.preserved is None:
        raise DataError(f"{method} keeps a class readable: give each row's class")
    try:
        return chosen.fit(source, moments, **options)
    except TypeError as error:
        if "unexpected keyword argument" in str(error):
            raise UsageError(f"{method}: {str(error).partition('() ')[2]}") from None
        raise


def _coded(what: str, values: Any, embeddings: Any) -> tuple[Sequence[Any], np.ndarray]:
    """Distinct values, and int64 [n], the index of each row's value."""
    array = np.asarray(values)
    n = int(embeddings.shape[0])
    if array.shape != (n,):
        raise DataError(f"{what} of shape {array.shape} for {n} embeddings: one for each row is needed")
    names, codes = np.unique(array, return_inverse=True)
    return names.tolist(), codes.astype(np.int64)
