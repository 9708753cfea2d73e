"""Fits an eraser on the bank of a trace: options chosen by readers on held-out photos, then one fit on all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from benchmark.erasing import Eraser, FitPlan, Source, fit_method, method_named, moments_of, unit_length
from benchmark.probe import AsGiven, LabelledSplits, labelled_probe
from benchmark.tasks import TaskInput, Trace
from builders.errors import DataError
from builders.photos import hash64

CHOSEN_BY = ("linear", "knn")
"""Readers by which options are chosen: the better of the two counts."""

FAST: Mapping[str, Mapping[str, Any]] = MappingProxyType({"linear": {"strengths": (1e-3, 1e-5), "extend": False}})
"""Options of readers here: a short path of strengths, since readers only rank candidates."""

CHOICE_ROWS = 20_000
"""The most rows from which a reader learns when options are chosen."""


def fit_on_bank(
    method: str, trace: Trace, task_input: TaskInput, sides: FitPlan, sizes: Sequence[int], facts: Mapping[str, Any]
) -> dict[int, Eraser]:
    """Fit one method: erasers by number of photos, all with the same options, that of all photos last.

    Args:
        method: its name.
        trace: what is erased.
        task_input: the bank of all photos.
        sides: the photos to fit on.
        sizes: numbers of photos of further erasers. Smaller sets are subsets, by a hash of the id.
        facts: further entries of the eraser's record.

    Raises:
        DataError: too few photos or classes, or the method cannot be fitted.
    """
    chosen_method = method_named(method)
    usable = sides.fit[task_input.usable[sides.fit]]
    fit = usable[(trace.labels[:, usable] >= 0).all(axis=0)]
    held_rows = np.intersect1d(fit, sides.held_out)
    learn_rows = np.setdiff1d(fit, held_rows)
    present = np.unique(trace.labels[:, fit])
    if len(present) < 2:
        raise DataError(
            f"{task_input.photos.name}: {len(present)} class of the trace among {len(fit)} photos to fit on"
        )
    search: list[dict[str, float]] = []
    chosen: dict[str, float] = chosen_method.candidates()[0]
    if len(chosen_method.candidates()) > 1 and len(held_rows) and len(learn_rows) > 1:
        source = _source(trace, task_input, learn_rows, chosen_method.keeps_classes)
        most = max(1, CHOICE_ROWS // len(trace.views))
        learn, held = (_rows_of(trace, task_input, _at_most(most, indices)) for indices in (learn_rows, held_rows))
        count = len(held_rows) * len(trace.views)
        chosen, search = choose_options(method, source, learn, held, count, task_input.device)
    by_size: dict[int, Eraser] = {}
    order = sorted(fit.tolist(), key=lambda i: hash64(f"size\0{task_input.options.seed}\0{task_input.photos.ids[i]}"))
    for size in sorted({min(size, len(fit)) for size in (*sizes, len(fit))}):
        some = np.sort(np.array(order[:size], dtype=np.int64))
        if len(np.unique(trace.labels[:, some])) < 2:
            continue
        source = _source(trace, task_input, some, chosen_method.keeps_classes)
        moments = moments_of(source, task_input.device)
        eraser = fit_method(method, source, moments, **chosen)
        about = {
            **facts,
            "classes": list(trace.classes),
            "views": list(trace.views) if not trace.column else [],
            "column": trace.column,
            "n_photos": size,
            "n_rows": moments.n,
            "n_held_out": len(held_rows),
            "chosen": chosen,
            "search": search,
            "chosen_by": "least accuracy of the better of " + " and ".join(CHOSEN_BY) + " on held-out train photos",
        }
        by_size[size] = dataclasses.replace(eraser, provenance={**eraser.provenance, **about})
    return by_size


def _source(trace: Trace, task_input: TaskInput, indices: np.ndarray, keeps: bool) -> Source:
    classes = task_input.photos.labels
    values = classes.values[indices].astype(np.int64)
    known = len(classes.names) > 1 and bool((values >= 0).all())
    if keeps and not known:
        raise DataError(f"{task_input.photos.name}: the class of every photo must be known to keep it readable")
    return Source(
        [task_input.view(name, indices) for name in trace.views],
        trace.labels[:, indices],
        len(trace.classes),
        values if known else None,
        len(classes.names) if known else 0,
        unit_rows=True,
    )


class LabelledRows(NamedTuple):
    """Embeddings and their class of the trace."""

    rows: np.ndarray
    """float32 [n, d]."""
    labels: np.ndarray
    """int64 [n]."""


def choose_options(
    method: str, source: Source, learn: LabelledRows, held: LabelledRows, count: int, device: str = "cpu"
) -> tuple[dict[str, float], list[dict[str, float]]]:
    """The options of a method whose eraser leaves readers least on held-out rows, and what was tried.

    Args:
        method: its name.
        source: that erasers are fitted on.
        learn: rows that readers learn from, of ``source``.
        held: rows that they read.
        count: number of held-out rows that ``held`` is drawn from.
        device: of moments and readers.
    """
    moments, candidates = moments_of(source, device), method_named(method).candidates()
    unit = unit_length(learn.rows)
    search: list[dict[str, float]] = []
    for options in candidates:
        eraser = fit_method(method, source, moments, **options)
        x, held_x = (eraser.apply(side.rows, side.labels) for side in (learn, held))
        splits = LabelledSplits(AsGiven(x), learn.labels, None, None, AsGiven(held_x), held.labels, source.n_classes)
        accuracies = {
            reader: labelled_probe(splits, reader=reader, device=device, **FAST.get(reader, {})).accuracy
            for reader in CHOSEN_BY
        }
        search.append({**options, **accuracies, "moved": float(np.square(x - unit).sum(1).mean())})
    return _best(search, candidates, count), search


def _rows_of(trace: Trace, task_input: TaskInput, indices: np.ndarray) -> LabelledRows:
    rows = np.concatenate([task_input.view(name, indices)[:] for name in trace.views])
    return LabelledRows(rows, trace.labels[:, indices].ravel())


def _at_most(count: int, indices: np.ndarray) -> np.ndarray:
    """Indices, or a seeded sample of so many."""
    if len(indices) <= count:
        return indices
    return np.sort(np.random.default_rng(0).choice(indices, count, replace=False))


def _best(search: Sequence[Mapping[str, float]], candidates: Sequence[dict[str, float]], n: int) -> dict[str, float]:
    """Of the candidates within one standard error of the least accuracy, the one that moves rows least."""
    accuracy = np.array([max(candidate[reader] for reader in CHOSEN_BY) for candidate in search])
    least = accuracy.min()
    within = accuracy <= least + np.sqrt(max(least * (1 - least), 1e-12) / n)
    moved = np.where(within, [candidate["moved"] for candidate in search], np.inf)
    return candidates[int(np.argmin(moved))]
