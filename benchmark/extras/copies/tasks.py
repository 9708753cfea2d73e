"""Tasks ``copies/*``: is a copy of a photo found among other photos, and at which threshold is it told from them?

The collection is the unprocessed train photos. Each test photo is hidden among them; its copies are the queries: the
photo under each processing (``copies/processed``), or cropped, mirrored, turned, without colour (``copies/edited``).

Units of test photos are drawn into two halves by seed. One half chooses the threshold: the similarity to the nearest
train photo, of which none is a copy, that a fixed share of photos reaches. The other half, which did not choose it,
gives the recall at this threshold and the rate of false matches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.extras.copies.report import copies_text
from benchmark.options import RunOptions
from benchmark.results import Family, Metric, PhotoValues
from benchmark.tasks import (
    Task,
    TaskInput,
    TaskOutcome,
    of_processings,
    score_of,
    train_and_test,
    unfit_for_splits,
    unit_answers,
    units_of,
    upright,
)
from builders.errors import DataError
from builders.photos import PhotoSet, hash64
from builders.pixels import STUDY_PROCESSINGS

if TYPE_CHECKING:
    from benchmark.judgement import Conclusion
    from benchmark.results import Questions, Result
    from benchmark.stats import ErrorUnits, Threshold
    from benchmark.views import ViewRecipe

RATE = 0.01
"""Share of photos without a copy that may match another photo. With fewer than 99 photos that choose, it is one in
their number and one."""

LEAST = 8
"""Fewest test photos: each half needs some."""


def _short_answers(results: Sequence[Result], questions: Questions) -> tuple[Conclusion, ...]:
    from benchmark.extras.copies.judged import short_answers

    return short_answers(results, questions)


COPIES = Family(
    name="copies",
    title="Copies",
    explain="Whether a copy of a photo is the nearest one, and is separated from other photos by a "
    "threshold that photos without copies set.",
    about="processing",
    header="copies",
    layout="metrics",
    panel="none",
    whole="labelled",
    hub_id="copies-{subject}",
    tagline="Which copies of a photo are found among other photos, and at which threshold.",
    section=("Thresholds for copies", copies_text),
    short=_short_answers,
    lead=("matched", "matches most"),
)

_BLIND = "the stated rate: as often as a photo that is no copy"

METRICS = (
    Metric(
        name="recall",
        title="recall@1",
        explain="Share of copies to which no other photo is nearer than their original; ties are lost.",
        kind="accuracy",
        chance="one original among itself and the train photos",
        headline=True,
    ),
    Metric(
        name="matched",
        title="recall at the threshold",
        explain="Share of copies whose similarity to their original reaches the threshold, of photos that did not "
        "choose it.",
        kind="accuracy",
        chance=_BLIND,
    ),
    Metric(
        name="false-matches",
        title="false matches",
        explain="Share of photos, of those that did not choose the threshold, that match a photo of which they are no "
        "copy; it should be the stated rate.",
        kind="accuracy",
        chance="the rate that the threshold was chosen for",
        main=False,
    ),
)


def run_copies(copies: Sequence[str], name: str, inputs: TaskInput) -> TaskOutcome:
    """Run ``copies/*``.

    Args:
        copies: names of the views that are copies.
        name: of the task.
        inputs: of the task.

    Raises:
        DataError: there are too few test photos.
    """
    from benchmark.knn import ROUNDING, cosine_distances, nearest
    from benchmark.stats import threshold_at
    from benchmark.views import ORIGINAL

    train, test = train_and_test(inputs)
    units = units_of(inputs, test)
    chooses = drawn_half(units.index, [inputs.photos.ids[i] for i in test], inputs.options.seed)
    if len(test) < LEAST:
        raise DataError(f"{inputs.photos.name}: {len(test)} test photos cannot be halved; at least {LEAST} are needed")
    if not 0 < int(chooses.sum()) < len(test):
        raise DataError(f"{inputs.photos.name}: all test photos are of one {units.rule}, which cannot be halved")
    collection, originals = inputs.view(ORIGINAL, train), inputs.view(ORIGINAL, test)[:]

    def to_others(rows: np.ndarray) -> np.ndarray:
        return nearest(collection, rows, 1, device=inputs.device).similarities[:, 0].astype(np.float64)

    without_copy = to_others(originals)
    threshold = threshold_at(without_copy[chooses], RATE)
    views = {view: inputs.view(view, test)[:] for view in copies}
    to_original = np.stack([1 - cosine_distances(rows, originals) for rows in views.values()])
    first = to_original > ROUNDING + np.stack([to_others(rows) for rows in views.values()])
    matched, false = to_original >= threshold.value, without_copy >= threshold.value
    more: dict[str, dict[str, Any]] = {
        "recall": {"by_copy": _by_copy(copies, first)},
        "matched": {"by_copy": _by_copy(copies, matched[:, ~chooses])},
        "false-matches": threshold_details(threshold, without_copy, chooses, false, units),
    }
    arrays = {
        "first": first,
        "matched": matched,
        "false": false,
        "chooses": chooses,
        "photos": test,
        **unit_answers(units),
    }
    chance = {"recall": 1 / (len(train) + 1), "matched": threshold.rate, "false-matches": threshold.rate}
    scores = []
    for metric, values in read_copies(arrays).items():
        details = {"collection": len(train), "copies": len(copies), "threshold": threshold.value, **more[metric]}
        of_metric = units_of(inputs, values.photos)
        scores.append(score_of(name, metric, inputs, values.values, of_metric, chance=chance[metric], details=details))
    return TaskOutcome(tuple(scores), arrays)


def drawn_half(units: np.ndarray, ids: Sequence[str], seed: int) -> np.ndarray:
    """bool [photos]: half of the units, drawn by a hash of the seed and the first id of each; the smaller half if odd.

    Args:
        units: [photos], the unit of each photo.
        ids: of the photos.
        seed: of the draw.

    >>> drawn_half(np.array([1, 1, 2, 3]), list("abcd"), 0).sum() in (1, 2)
    True
    """
    _, first, code = np.unique(units, return_index=True, return_inverse=True)
    hashes = np.array([hash64(f"copies\0{seed}\0{ids[i]}") for i in first], np.uint64)
    half = np.zeros(len(first), bool)
    half[np.argsort(hashes)[: len(first) // 2]] = True
    drawn: np.ndarray = half[code.reshape(-1)]
    return drawn


def threshold_details(
    threshold: Threshold, scores: np.ndarray, chooses: np.ndarray, false: np.ndarray, units: ErrorUnits
) -> dict[str, Any]:
    """``details`` about a threshold: its interval, the stated rate, and what is expected of the other half.

    Args:
        threshold: chosen by one half.
        scores: float64 [photos], similarity to the nearest photo that is no copy.
        chooses: bool [photos], the half that chose it.
        false: bool [photos], whether a photo reaches it.
        units: of the photos.
    """
    from benchmark.stats import bootstrap_interval, expected_above, threshold_at

    chosen = scores[chooses]
    clusters = None if units.clusters is None else units.clusters[chooses]
    ends = bootstrap_interval(lambda at: threshold_at(chosen[at], RATE).value, len(chosen), clusters=clusters)
    others = int((~chooses).sum())
    expected = expected_above(threshold, others)
    return {
        "threshold_low": None if ends is None else ends.low,
        "threshold_high": None if ends is None else ends.high,
        "stated_rate": threshold.rate,
        "chosen_on": len(chosen),
        "matches": int(false[~chooses].sum()),
        # of independent photos; of photos that err together it is too narrow
        "expected_matches": [int(expected.low), int(expected.high)] if units.alone else None,
    }


def _by_copy(copies: Sequence[str], right: np.ndarray) -> dict[str, float]:
    return {copy: round(float(share), 6) for copy, share in zip(copies, right.mean(axis=1), strict=True)}


def read_copies(arrays: Mapping[str, np.ndarray]) -> dict[str, PhotoValues]:
    """Values by photo of each metric; those at the threshold are of the half that did not choose it.

    >>> arrays = {name: np.array([[1, 0]], bool) for name in ("first", "matched")}
    >>> more = {"false": np.array([0, 1]), "chooses": np.array([True, False]), "photos": np.array([3, 4])}
    >>> values = read_copies({**arrays, **more})
    >>> values["recall"].values.tolist(), values["false-matches"].photos.tolist()
    ([1.0, 0.0], [4])
    """
    photos, held, clusters = arrays["photos"], ~arrays["chooses"].astype(bool), arrays.get("clusters")
    of_held = None if clusters is None else clusters[held]
    bounds = (0.0, 1.0)
    return {
        "recall": PhotoValues(photos, arrays["first"].mean(axis=0), bounds, clusters),
        "matched": PhotoValues(photos[held], arrays["matched"][:, held].mean(axis=0), bounds, of_held),
        "false-matches": PhotoValues(photos[held], arrays["false"][held].astype(np.float64), bounds, of_held),
    }


def _unfit(photos: PhotoSet) -> str:
    if photos.stored_views:
        return "it stores photos that are processed already"
    return unfit_for_splits(photos)


def _processed(copies: Sequence[str], photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    from benchmark.views import ORIGINAL, ProcessingViews

    return ProcessingViews((*copies, ORIGINAL), options.seed, upright(options))


def _edited(photos: PhotoSet, options: RunOptions) -> ViewRecipe:
    from benchmark.views import EditedViews

    return EditedViews(upright=upright(options))


def _task(name: str, title: str, explain: str, recipe: Callable[..., Any], run: Callable[..., Any], what: str) -> Task:
    return Task(
        name=name,
        family=COPIES,
        title=title,
        explain=explain,
        summary=f"is {what} found among other photos, and does its threshold hold on photos that did not choose it?",
        metrics=METRICS,
        recipe=recipe,
        unfit=_unfit,
        run=run,
        read_answers=read_copies,
        growth="pairs",
        by_name=True,
        by_family=True,
    )


def copies_task(processings: tuple[str, ...]) -> Task:
    """``copies/processed`` with these processings, by name."""
    task = _task(
        PROCESSED,
        "Processed copies",
        f"The photo under each of {len(processings)} processings.",
        partial(_processed, processings),
        partial(run_copies, processings, PROCESSED),
        "a processed copy",
    )
    return replace(task, with_processings=of_processings(copies_task))


def _run_edited(inputs: TaskInput) -> TaskOutcome:
    from benchmark.views import EDITS

    return run_copies(tuple(EDITS), EDITED, inputs)


PROCESSED, EDITED = "copies/processed", "copies/edited"

TASKS = (
    copies_task(STUDY_PROCESSINGS),
    _task(
        EDITED,
        "Near-copies",
        "The photo cropped, mirrored, turned, or without colour.",
        _edited,
        _run_edited,
        "a cropped, mirrored, turned or grey copy",
    ),
)
"""Every task about copies."""
