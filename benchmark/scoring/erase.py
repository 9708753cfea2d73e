"""One eraser from photos to numbers: fit, freeze, measure; the work of ``camtrace erase``, without its words."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.encoders import Encoder
from benchmark.erasing import (
    FIT_SHARE,
    Eraser,
    Erasing,
    FitPlan,
    MeasuredEraser,
    Row,
    Source,
    check_eraser,
    fit_method,
    method_named,
    moments_of,
    plan_fit,
    refuse_leaks,
)
from benchmark.judgement import chance_of
from benchmark.options import RunOptions
from benchmark.probe import LabelledSplits, labelled_probe
from benchmark.results import PhotoValues, Score, metric_of
from benchmark.scoring.run import Scored, score_encoders
from benchmark.stats import Difference, paired_difference
from benchmark.tasks import Task, TaskInput, TaskOutcome, Trace, all_tasks, trace_of, traces
from builders.errors import DataError
from builders.photos import PhotoSet, hash64


def save_erased(erased: Erased, folder: Path, place: str = "") -> None:
    """The eraser's folder, and below ``results/`` what was scored before and after, for boards and comparisons."""
    from benchmark.erasing import card_text, save_eraser
    from benchmark.scoring.output import write_scored
    from benchmark.tasks import all_tasks

    for one in (*erased.before, *erased.after):
        write_scored(one, folder / "results", single=False)
    record = erased_record(erased)
    save_eraser(folder, erased.eraser, erased.plan.fit_set, about=record, card=card_text(erased, all_tasks(), place))


def erased_record(erased: Erased) -> dict[str, Any]:
    """What ``eraser.json`` says beside the eraser itself: before and after, and the curve."""
    return {
        "measured": [row.record() for row in erased.rows],
        "curve": [dict(point) for point in erased.curve],
        **{name: value for name, value in erased.eraser.provenance.items() if name != "measured"},
    }


def publish(folder: Path, repo: str) -> None:
    """The eraser's own files to a model repository on the Hub, private unless it is there already."""
    from benchmark.erasing import ERASER_FILES
    from builders.publish import push_folder

    stages = [[name for name in ERASER_FILES if (folder / name).is_file()]]
    report = push_folder(
        folder,
        repo,
        stages=stages,
        owned=lambda path: False,
        public=False,
        repo_type="model",
        message="Eraser, measured on photos that it has not seen",
    )
    print(f"{report.url}: {len(report.uploaded)} uploaded, {report.unchanged} unchanged", file=sys.stderr)


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
    method: str, trace: Trace, given: TaskInput, sides: FitPlan, sizes: Sequence[int], facts: Mapping[str, Any]
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
    held = np.intersect1d(fit, sides.held_out)
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


def tasks_of(trace: str, photos: PhotoSet, *, every: bool) -> list[Task]:
    """What is asked of these photos: the trace (or every one), semantics, what the trace distracts, pairs.

    Args:
        trace: what is erased.
        photos: who is asked.
        every: all traces that these photos can show, but for those that want to be named: for a transfer matrix.
    """
    probes, own = traces(), []
    of_trace = {name for name, task in probes.items() if name == trace or (every and not task.by_name)}
    for task in all_tasks().values():
        subject = task.name.partition("/")[2]
        wanted = (
            (probes.get(subject) is task and subject in of_trace)
            or task.family.name == "plain"
            or task.family.counts == "pairs"
            or (subject == trace and any(m.summary == "SPD" for m in task.metrics))
        )
        if wanted and not task.unfit(photos):
            own.append(task)
    return own


def rows_of(before: Scored, after: Scored) -> list[Row]:
    """Every score that both have."""
    questions, found = all_tasks(), []
    later = {(s.task, s.metric): s for s in after.result.scores}
    for first in before.result.scores:
        second = later.get((first.task, first.metric))
        if second is None:
            continue
        metric = metric_of(questions, first.task, first.metric)
        if not metric.summary and metric.kind != "trace" and not metric.headline and metric.name != "same":
            continue
        found.append(_row(first, second, before, after, metric.kind))
    return found


def _row(first: Score, second: Score, before: Scored, after: Scored, kind: str) -> Row:
    task = all_tasks()[first.task]
    values = [task.read_answers(_kept(one, task)).get(first.metric) for one in (before, after)]
    pair = _paired(*values)
    reader = first.metric.rpartition("-")[2] if kind == "trace" and "-" in first.metric else ""
    return Row(
        first.task,
        first.metric,
        before.result.data["name"],
        kind,
        reader or ("linear" if kind == "trace" else ""),
        *(first.value, first.low, first.high),
        *(second.value, second.low, second.high),
        second.value - first.value if pair is None else pair.value,
        None if pair is None else pair.low,
        None if pair is None else pair.high,
        None if pair is None else pair.p_value,
        first.n,
        chance_of(first),
    )


def _paired(before: PhotoValues | None, after: PhotoValues | None) -> Difference | None:
    """After minus before, photo by photo; None where one kept no values by photo, or they are not of the same photos.

    >>> one = PhotoValues(np.array([3, 5]), np.array([1.0, 0.0]), (0.0, 1.0))
    >>> _paired(one, None) is None
    True
    """
    if before is None or after is None or not np.array_equal(before.photos, after.photos):
        return None
    return paired_difference(after.values, before.values, clusters=before.clusters, bounds=before.bounds)


def _kept(scored: Scored, task: Task) -> dict[str, Any]:
    prefix = f"{task.name}/"
    return {name.removeprefix(prefix): kept for name, kept in scored.answers.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class EraseRequest:
    """What is to be erased, how, and what is asked afterwards."""

    trace: str
    method: str
    options: RunOptions
    transfer: bool = False
    """Read every other trace too."""
    sizes: Sequence[int] = ()
    """Numbers of photos of the sample-size curve; none for no curve."""
    drop_leaks: bool = False
    cameras_apart: bool = True
    readers_apart: bool = True
    """Readers learn from photos that the fit has not seen."""
    fit_share: float = FIT_SHARE
    """Of the train photos that are fitted on, where readers learn apart."""


@dataclass(frozen=True, eq=False)
class Erased(MeasuredEraser):
    """A measured eraser with the scores that it was measured by."""

    before: tuple[Scored, ...]
    after: tuple[Scored, ...]


def erase_trace(
    encoder: Encoder,
    photos: PhotoSet,
    asking: EraseRequest,
    *,
    also: Sequence[PhotoSet] = (),
    log: Callable[[str], object] = lambda sentence: None,
) -> Erased:
    """Fit on the train photos, choose on a part of them, freeze, and measure on every other photo.

    Args:
        encoder: whose embeddings.
        photos: with splits.
        asking: what and how.
        also: further sets to measure on, none of whose photos the fit may have seen.
        log: called with what is being done.

    Raises:
        DataError: a side is empty, or something stands on both of them; a set of ``also`` was seen; a task failed.
        EncoderError: the encoder cannot be used.
    """
    options = asking.options
    trace = trace_of(asking.trace, photos, options)  # says what is wrong before anything is read
    sides = plan_fit(
        photos,
        asking.trace,
        seed=options.seed,
        drop_leaks=asking.drop_leaks,
        cameras=asking.cameras_apart,
        apart=asking.readers_apart,
        share=asking.fit_share,
    )
    trace = replace(trace, labels=trace.labels[:, sides.rows])
    log(f"fitting {asking.method} to {asking.trace} on {len(sides.fit)} photos of {photos.name}")
    fitted = _fitted(encoder, sides, asking, trace)
    check_eraser(fitted.eraser, encoder)
    erasing = Erasing("the eraser just fitted", fitted.eraser, sides.fit_set)
    rows: list[Row] = []
    scored: tuple[list[Scored], list[Scored]] = ([], [])
    for measured in (sides.photos, *also):
        if measured is not sides.photos:
            refuse_leaks(erasing, measured)
        tasks = tasks_of(asking.trace, measured, every=asking.transfer)
        tasks = [task for task in tasks if _applies(fitted.eraser, task, measured, options)]
        if not tasks:
            log(f"{measured.name}: cannot answer anything that is asked here")
            continue
        log(f"measuring on {measured.name}: {', '.join(task.name for task in tasks)}")
        before, after = (_scored(encoder, measured, tasks, options, one) for one in (None, fitted.eraser))
        scored[0].append(before)
        scored[1].append(after)
        rows += rows_of(before, after)
    curve = _curve(encoder, sides.photos, asking, fitted) if asking.sizes else []
    return Erased(fitted.eraser, sides, tuple(rows), tuple(curve), tuple(scored[0]), tuple(scored[1]))


def _applies(eraser: Eraser, task: Task, photos: PhotoSet, options: RunOptions) -> bool:
    """Whether an eraser can be applied to the views of a task: one that needs labels only where they are known."""
    known = set(task.recipe(photos, options).view_keys()) <= set(eraser.provenance.get("views", ()))
    return not eraser.needs_labels or known or eraser.provenance.get("column") in photos.attributes


def _fitted(encoder: Encoder, sides: FitPlan, asking: EraseRequest, trace: Trace) -> Fitted:
    """The fit, as a question that the bank of the trace's own probe answers."""
    photos, found = sides.fitted, []
    facts = {
        "attribute": asking.trace,
        "encoder": {"id": encoder.info.id, "weights_sha256": encoder.info.weights_sha256},
        "data": photos.name,
        "fit_photos_hash": sides.fit_set.digest(),
        "unseen": dict(sides.unseen),
        "seed": asking.options.seed,
        "mask_ratio": asking.options.mask_ratio if trace.column else 0.0,
    }

    def run(given: TaskInput) -> TaskOutcome:
        found.append(fit_on_bank(asking.method, trace, given, sides, asking.sizes, facts))
        return TaskOutcome(())

    question = replace(trace.task, name=f"erase {asking.trace}", run=run)
    _scored(encoder, photos, [question], asking.options)
    return found[0]


def _scored(
    encoder: Encoder, photos: PhotoSet, tasks: Sequence[Task], options: RunOptions, eraser: Eraser | None = None
) -> Scored:
    """Raises ``DataError`` where a task failed: half a table would be read as a whole one."""
    (one,) = score_encoders([encoder], photos, tasks, options, eraser=eraser)
    for failure in one.result.failures:
        if failure.kind != "photo":
            raise DataError(f"{failure.name} on {photos.name}: {failure.reason}")
    return one


def _curve(encoder: Encoder, photos: PhotoSet, asking: EraseRequest, fitted: Fitted) -> list[dict[str, Any]]:
    task = trace_of(asking.trace, photos, asking.options).task
    before = _scored(encoder, photos, [task], asking.options)
    found = [_point(0, before)]
    for size, eraser in fitted.by_size.items():
        found.append(_point(size, _scored(encoder, photos, [task], asking.options, eraser)))
    return found


def _point(size: int, scored: Scored) -> dict[str, Any]:
    reads = {
        s.metric.partition("-")[2] or "linear": {
            "value": round(s.value, 6),
            "low": round(s.low, 6),
            "high": round(s.high, 6),
        }
        for s in scored.result.scores
    }
    first = scored.result.scores[0]
    return {"photos": size, "readers": reads, "n": first.n, "chance": chance_of(first)}
