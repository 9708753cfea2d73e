"""The fit on a bank: options chosen on held-out train photos by two readers, then fitted on all train photos."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.erasers import Eraser, Source, fit_method, method_named, moments_of
from benchmark.erasing.protocol import Sides
from benchmark.probe import LabelledSplits, labelled_probe
from benchmark.tasks import TaskInput, Trace
from builders.errors import DataError
from builders.photos import hash64

CHOSEN_BY = ("linear", "knn")
"""Readers that options are chosen by: the better of the two counts."""

CHOICE_ROWS = 20_000
"""Rows that a reader learns from when options are chosen, at most."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """An eraser, and erasers of fewer photos with the same options."""

    eraser: Eraser
    by_size: Mapping[int, Eraser]
    """By number of photos, all of them last."""


def fit_on_bank(
    method: str, trace: Trace, given: TaskInput, sides: Sides, sizes: Sequence[int], facts: Mapping[str, Any]
) -> Fitted:
    """Fit one method.

    Args:
        method: its name.
        trace: what is to be erased.
        given: the bank of all photos.
        sides: who is fitted on.
        sizes: numbers of photos of further erasers; nested by a hash.
        facts: what the eraser's record says beside what is known here.

    Raises:
        DataError: too few photos or classes, or the method cannot be fitted.
    """
    chosen_method = method_named(method)
    fit = _labelled(trace, sides.fit[given.usable[sides.fit]])
    held = np.intersect1d(fit, sides.held)
    learnt = np.setdiff1d(fit, held)
    present = np.unique(trace.labels[:, fit])
    if len(present) < 2:
        raise DataError(f"{given.photos.name}: {len(present)} class of the trace among {len(fit)} photos to fit on")
    search: list[dict[str, float]] = []
    chosen: dict[str, float] = chosen_method.candidates()[0]
    if len(chosen_method.candidates()) > 1 and len(held) and len(learnt) > 1:
        source = _source(trace, given, learnt, chosen_method.keeps_classes)
        moments = moments_of(source, given.device)
        for options in chosen_method.candidates():
            eraser = fit_method(method, source, moments, **options)
            search.append({**options, **_read(eraser, trace, given, learnt, held)})
        chosen = _best(search, chosen_method.candidates(), len(held) * len(trace.views))
    by_size: dict[int, Eraser] = {}
    order = sorted(fit.tolist(), key=lambda i: hash64(f"size\0{given.options.seed}\0{given.photos.ids[i]}"))
    for size in sorted({min(size, len(fit)) for size in (*sizes, len(fit))}):
        some = np.sort(np.array(order[:size], dtype=np.int64))
        if len(np.unique(trace.labels[:, some])) < 2:
            continue
        source = _source(trace, given, some, chosen_method.keeps_classes)
        moments = moments_of(source, given.device)
        eraser = fit_method(method, source, moments, **chosen)
        about = {
            **facts,
            "classes": list(trace.classes),
            "views": list(trace.views) if not trace.column else [],
            "column": trace.column,
            "n_photos": size,
            "n_rows": moments.n,
            "n_held_out": len(held),
            "chosen": chosen,
            "search": search,
            "chosen_by": "least accuracy of the better of " + " and ".join(CHOSEN_BY) + " on held-out train photos",
        }
        by_size[size] = dataclasses.replace(eraser, provenance={**eraser.provenance, **about})
    return Fitted(by_size[len(fit)], by_size)


def _labelled(trace: Trace, indices: np.ndarray) -> np.ndarray:
    return indices[(trace.labels[:, indices] >= 0).all(axis=0)]


def _source(trace: Trace, given: TaskInput, indices: np.ndarray, keeps: bool) -> Source:
    classes = given.photos.labels
    kept = classes.values[indices].astype(np.int64)
    known = len(classes.names) > 1 and bool((kept >= 0).all())
    if keeps and not known:
        raise DataError(f"{given.photos.name}: the class of every photo must be known to keep it readable")
    return Source(
        [given.view(name, indices) for name in trace.views],
        trace.labels[:, indices],
        len(trace.classes),
        kept if known else None,
        len(classes.names) if known else 0,
        unit_rows=True,
    )


def _read(eraser: Eraser, trace: Trace, given: TaskInput, learnt: np.ndarray, held: np.ndarray) -> dict[str, float]:
    """What each reader still reads of held-out photos after learning from the others, and how far rows moved."""
    rows = max(1, CHOICE_ROWS // len(trace.views))
    some = learnt if len(learnt) <= rows else np.sort(np.random.default_rng(0).choice(learnt, rows, replace=False))
    asked = held if len(held) <= rows else np.sort(np.random.default_rng(0).choice(held, rows, replace=False))

    def erased(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labels = trace.labels[:, indices]
        plain = np.concatenate([given.view(name, indices)[:] for name in trace.views])
        return eraser.apply(plain, labels.ravel()), labels.ravel(), plain

    (x, y, plain), (held_x, held_y, _) = erased(some), erased(asked)
    splits = LabelledSplits(x, y, None, None, held_x, held_y, len(trace.classes))
    found = {
        reader: labelled_probe(splits, reader=reader, device=given.device, **_quick(reader)).accuracy
        for reader in CHOSEN_BY
    }
    unit = plain / np.maximum(np.linalg.norm(plain, axis=1, keepdims=True), 1e-12)
    return {**found, "moved": float(np.square(x - unit).sum(1).mean())}


def _quick(reader: str) -> dict[str, Any]:
    """A short path of strengths: readers here only rank candidates."""
    return {"strengths": (1e-3, 1e-5), "extend": False} if reader == "linear" else {}


def _best(search: Sequence[Mapping[str, float]], candidates: Sequence[dict[str, float]], n: int) -> dict[str, float]:
    """Of the candidates within one standard error of the least, the one that moves rows least."""
    left = np.array([max(one[reader] for reader in CHOSEN_BY) for one in search])
    least = left.min()
    within = left <= least + np.sqrt(max(least * (1 - least), 1e-12) / n)
    moved = np.where(within, [one["moved"] for one in search], np.inf)
    return candidates[int(np.argmin(moved))]
