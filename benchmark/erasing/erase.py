"""One eraser from photos to numbers: fit, freeze, measure; the work of ``camtrace erase``, without its words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmark.encoders import Encoder
from benchmark.erasers import Eraser
from benchmark.erasing.fitting import Fitted, fit_on_bank
from benchmark.erasing.measuring import Row, rows_of, tasks_of
from benchmark.erasing.protocol import FIT_SHARE, Sides, sides_of
from benchmark.judgement import chance_of
from benchmark.options import RunOptions
from benchmark.scoring import Erasing, Scored, check_eraser, refuse_leaks, score_encoders
from benchmark.tasks import Task, TaskInput, TaskOutcome, Trace, trace_of
from builders.errors import DataError
from builders.photos import PhotoSet


@dataclass(frozen=True)
class Asking:
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
class Erased:
    """An eraser and what it did on photos that it has not seen."""

    eraser: Eraser
    sides: Sides
    rows: tuple[Row, ...]
    """Of the photos of the fit's data set first, then of the others."""
    curve: tuple[dict[str, Any], ...]
    """By number of photos of the fit, what each reader reads on unseen ones."""
    before: tuple[Scored, ...]
    after: tuple[Scored, ...]


def erase_trace(
    encoder: Encoder,
    photos: PhotoSet,
    asking: Asking,
    *,
    also: Sequence[PhotoSet] = (),
    tell: Callable[[str], object] = lambda sentence: None,
) -> Erased:
    """Fit on the train photos, choose on a part of them, freeze, and measure on every other photo.

    Args:
        encoder: whose embeddings.
        photos: with splits.
        asking: what and how.
        also: further sets to measure on, none of whose photos the fit may have seen.
        tell: hears what is being done.

    Raises:
        DataError: a side is empty, or something stands on both of them; a set of ``also`` was seen; a task failed.
        EncoderError: the encoder cannot be used.
    """
    options = asking.options
    trace = trace_of(asking.trace, photos, options)  # says what is wrong before anything is read
    sides = sides_of(
        photos,
        asking.trace,
        seed=options.seed,
        drop_leaks=asking.drop_leaks,
        cameras=asking.cameras_apart,
        apart=asking.readers_apart,
        share=asking.fit_share,
    )
    trace = replace(trace, labels=trace.labels[:, sides.rows])
    tell(f"fitting {asking.method} to {asking.trace} on {len(sides.fit)} photos of {photos.name}")
    fitted = _fitted(encoder, sides, asking, trace)
    check_eraser(fitted.eraser, encoder)
    erasing = Erasing("the eraser just fitted", fitted.eraser, sides.seen)
    rows: list[Row] = []
    scored: tuple[list[Scored], list[Scored]] = ([], [])
    for measured in (sides.photos, *also):
        if measured is not sides.photos:
            refuse_leaks(erasing, measured)
        tasks = tasks_of(asking.trace, measured, every=asking.transfer)
        tasks = [task for task in tasks if _applies(fitted.eraser, task, measured, options)]
        if not tasks:
            tell(f"{measured.name}: cannot answer anything that is asked here")
            continue
        tell(f"measuring on {measured.name}: {', '.join(task.name for task in tasks)}")
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


def _fitted(encoder: Encoder, sides: Sides, asking: Asking, trace: Trace) -> Fitted:
    """The fit, as a question that the bank of the trace's own probe answers."""
    photos, found = sides.fitted, []
    facts = {
        "attribute": asking.trace,
        "encoder": {"id": encoder.info.id, "weights_sha256": encoder.info.weights_sha256},
        "data": photos.name,
        "fit_photos_hash": sides.seen.digest(),
        "unseen": dict(sides.apart),
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


def _curve(encoder: Encoder, photos: PhotoSet, asking: Asking, fitted: Fitted) -> list[dict[str, Any]]:
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
