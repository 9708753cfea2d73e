"""Fits an eraser on photos, freezes it, and measures what is still read: the work of ``camtrace erase``."""

from __future__ import annotations

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
    card_text,
    check_eraser,
    plan_fit,
    refuse_leaks,
    save_eraser,
)
from benchmark.judgement import Answer, chance_of, judge, units_text
from benchmark.options import RunOptions
from benchmark.results import PhotoValues, Score, metric_of
from benchmark.scoring.erase_fit import fit_on_bank
from benchmark.scoring.output import Scored, write_scored
from benchmark.scoring.run import score_encoders
from benchmark.stats import Difference, paired_difference
from benchmark.tasks import Task, TaskInput, TaskOutcome, Trace, all_tasks, trace_of, traces, with_groups
from builders.errors import DataError
from builders.photos import PhotoSet


@dataclass(frozen=True)
class EraseRequest:
    """What is erased, how, and what is scored afterwards."""

    trace: str
    method: str
    options: RunOptions
    transfer: bool = False
    """Score every other trace too."""
    sizes: Sequence[int] = ()
    """Numbers of photos of the sample-size curve; none for no curve."""
    drop_leaks: bool = False
    cameras_apart: bool = True
    readers_apart: bool = True
    """Readers learn from photos that the fit has not seen."""
    fit_share: float = FIT_SHARE
    """Share of the train photos that are fitted on, if readers learn from the others."""


@dataclass(frozen=True, eq=False)
class Erased(MeasuredEraser):
    """A measured eraser with the scores before and after."""

    before: tuple[Scored, ...]
    after: tuple[Scored, ...]


def erase_trace(
    encoder: Encoder,
    photos: PhotoSet,
    request: EraseRequest,
    *,
    also: Sequence[PhotoSet] = (),
    log: Callable[[str], object] = lambda sentence: None,
) -> Erased:
    """Fit on the train photos, choose on a part of them, freeze, and measure on every other photo.

    Args:
        encoder: gives the embeddings.
        photos: with splits.
        request: what is erased, and how.
        also: further sets to measure on, none of whose photos the fit may have seen.
        log: called with what is being done.

    Raises:
        DataError: no photos are left to fit or to measure on, or the two share some; a set of ``also`` was seen; a task
            failed.
        EncoderError: the encoder cannot be used.
    """
    options = request.options
    trace = trace_of(request.trace, photos, options)  # raises what is wrong before anything is read
    sides = plan_fit(
        photos,
        request.trace,
        seed=options.seed,
        drop_leaks=request.drop_leaks,
        cameras=request.cameras_apart,
        apart=request.readers_apart,
        share=request.fit_share,
    )
    trace = replace(trace, labels=trace.labels[:, sides.rows])
    log(f"fitting {request.method} to {request.trace} on {len(sides.fit)} photos of {photos.name}")
    by_size = _fitted(encoder, sides, request, trace)
    fitted = by_size[max(by_size)]
    check_eraser(fitted, encoder)
    erasing = Erasing("the eraser just fitted", fitted, sides.fit_set)
    rows: list[Row] = []
    scored: tuple[list[Scored], list[Scored]] = ([], [])
    for measured in (sides.photos, *also):
        if measured is not sides.photos:
            refuse_leaks(erasing, measured)
        tasks = tasks_of(request.trace, measured, every=request.transfer)
        tasks = [task for task in tasks if _applies(fitted, task, measured, options)]
        if not tasks:
            log(f"{measured.name}: has no answers to these questions")
            continue
        log(f"measuring on {measured.name}: {', '.join(task.name for task in tasks)}")
        before, after = (_scored(encoder, measured, tasks, options, eraser) for eraser in (None, fitted))
        scored[0].append(before)
        scored[1].append(after)
        rows += rows_of(before, after)
    curve = _curve(encoder, sides.photos, request, by_size) if request.sizes else []
    return Erased(fitted, sides, tuple(rows), tuple(curve), tuple(scored[0]), tuple(scored[1]))


def save_erased(erased: Erased, folder: Path, place: str = "") -> None:
    """Write the eraser's folder, and below ``results/`` the scores before and after, for boards and comparisons."""
    for scored in (*erased.before, *erased.after):
        write_scored(scored, folder / "results", single=False)
    record = erased_record(erased)
    save_eraser(folder, erased.eraser, erased.plan.fit_set, about=record, card=card_text(erased, all_tasks(), place))


def erased_record(erased: Erased) -> dict[str, Any]:
    """What ``eraser.json`` records besides the eraser itself: scores before and after, and the curve."""
    return {
        "measured": [row.record() for row in erased.rows],
        "curve": [dict(point) for point in erased.curve],
        **{name: value for name, value in erased.eraser.provenance.items() if name != "measured"},
    }


def tasks_of(trace: str, photos: PhotoSet, *, every: bool) -> list[Task]:
    """The tasks on these photos: the trace (or every one), semantics, kNN that the trace distracts, pairs.

    Args:
        trace: what is erased.
        photos: the photo set.
        every: all traces that the photos can show, but for those that are scored only by name; for a transfer matrix.
    """
    probes, tasks = traces(photos), []
    of_trace = {name for name, task in probes.items() if name == trace or (every and not task.by_name)}
    for task in with_groups(list(all_tasks().values()), photos):
        subject = task.name.partition("/")[2]
        wanted = (
            (probes.get(subject) is task and subject in of_trace)
            or task.family.name == "plain"
            or task.family.name == "retrieval"
            or (subject == trace and any(m.summary == "SPD" for m in task.metrics))
            or (task.about_group and subject == trace)
        )
        if wanted and not task.unfit(photos):
            tasks.append(task)
    return tasks


def rows_of(before: Scored, after: Scored) -> list[Row]:
    """A row for every score that both have; all readers of one trace are judged together."""
    questions, rows = all_tasks(), list[Row]()
    answers = [_answers(scored) for scored in (before, after)]
    later = {(s.task, s.metric): s for s in after.result.scores}
    for first in before.result.scores:
        second = later.get((first.task, first.metric))
        if second is None:
            continue
        metric = metric_of(questions, first.task, first.metric)
        if not metric.summary and metric.kind != "trace" and not metric.headline and metric.name != "same":
            continue
        row = _row(first, second, before, after, metric.kind)
        key = (first.task, first.metric)
        rows.append(replace(row, before_answer=answers[0].get(key), after_answer=answers[1].get(key)))
    return rows


def _answers(scored: Scored) -> dict[tuple[str, str], Answer]:
    """Whether each reader reads its trace; the readers of a trace are one family."""
    answers: dict[tuple[str, str], Answer] = {}
    questions = all_tasks()
    scores = [s for s in scored.result.scores if metric_of(questions, s.task, s.metric).kind == "trace"]
    for task in dict.fromkeys(s.task for s in scores):
        readers = [s for s in scores if s.task == task]
        answers |= {(task, s.metric): v.answer for s, v in zip(readers, judge(readers), strict=True)}
    return answers


def _row(first: Score, second: Score, before: Scored, after: Scored, kind: str) -> Row:
    task = all_tasks()[first.task]
    arrays = [_values(scored, task) for scored in (before, after)]
    pair = _paired(*(task.read_answers(each).get(first.metric) for each in arrays)) if all(arrays) else None
    reader = first.metric.rpartition("-")[2] if kind == "trace" and "-" in first.metric else ""
    return Row(
        first.task,
        first.metric,
        before.result.data["name"],
        kind,
        reader or ("linear" if kind == "trace" else ""),
        *(first.value, first.low, first.high),
        *(second.value, second.low, second.high),
        pair.value if pair else second.value - first.value,
        pair.low if pair else None,
        pair.high if pair else None,
        pair.p_value if pair else None,
        first.n,
        chance_of(first),
        units=units_text([first]) if kind == "trace" else "",
    )


def _paired(before: PhotoValues | None, after: PhotoValues | None) -> Difference | None:
    """After minus before, photo by photo; None if one has no values by photo, or the photos differ.

    >>> before = PhotoValues(np.array([3, 5]), np.array([1.0, 0.0]), (0.0, 1.0))
    >>> _paired(before, None) is None
    True
    """
    if before is None or after is None or not np.array_equal(before.photos, after.photos):
        return None
    return paired_difference(after.values, before.values, **before.pairing)


def _values(scored: Scored, task: Task) -> dict[str, Any]:
    prefix = f"{task.name}/"
    return {name.removeprefix(prefix): values for name, values in scored.answers.items() if name.startswith(prefix)}


def _applies(eraser: Eraser, task: Task, photos: PhotoSet, options: RunOptions) -> bool:
    """True if an eraser can be applied to the views of a task. One that needs labels must know them."""
    known = set(task.recipe(photos, options).view_keys()) <= set(eraser.provenance.get("views", ()))
    return not eraser.needs_labels or known or eraser.provenance.get("column") in {**photos.attributes, **photos.groups}


def _fitted(encoder: Encoder, sides: FitPlan, request: EraseRequest, trace: Trace) -> dict[int, Eraser]:
    """Erasers by number of photos, from a task on the bank of the trace's own probe."""
    photos, by_size = sides.fitted, dict[int, Eraser]()
    facts = {
        "attribute": request.trace,
        "encoder": {"id": encoder.info.id, "weights_sha256": encoder.info.weights_sha256},
        "data": photos.name,
        "fit_photos_hash": sides.fit_set.digest(),
        "unseen": dict(sides.unseen),
        "seed": request.options.seed,
        "mask_ratio": request.options.mask_ratio if trace.task.about_acquisition else 0.0,
    }

    def run(task_input: TaskInput) -> TaskOutcome:
        by_size.update(fit_on_bank(request.method, trace, task_input, sides, request.sizes, facts))
        return TaskOutcome(())

    _scored(encoder, photos, [replace(trace.task, name=f"erase {request.trace}", run=run)], request.options)
    return by_size


def _scored(
    encoder: Encoder, photos: PhotoSet, tasks: Sequence[Task], options: RunOptions, eraser: Eraser | None = None
) -> Scored:
    """Scores of one encoder. Raises ``DataError`` if a task failed: half a table would be read as a whole one."""
    (scored,) = score_encoders([encoder], photos, tasks, options, eraser=eraser)
    for failure in scored.result.failures:
        if failure.kind != "photo":
            raise DataError(f"{failure.name} on {photos.name}: {failure.reason}")
    return scored


def _curve(
    encoder: Encoder, photos: PhotoSet, request: EraseRequest, by_size: Mapping[int, Eraser]
) -> list[dict[str, Any]]:
    task = trace_of(request.trace, photos, request.options).task
    before = _scored(encoder, photos, [task], request.options)
    points = [_point(0, before)]
    for size, eraser in by_size.items():
        points.append(_point(size, _scored(encoder, photos, [task], request.options, eraser)))
    return points


def _point(size: int, scored: Scored) -> dict[str, Any]:
    reads = {
        s.metric.partition("-")[2] or "linear": {name: round(getattr(s, name), 6) for name in ("value", "low", "high")}
        for s in scored.result.scores
    }
    first = scored.result.scores[0]
    return {"photos": size, "readers": reads, "n": first.n, "chance": chance_of(first)}
