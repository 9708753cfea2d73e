"""Encoders x tasks on one photo set -> results. Resumes; a failed photo, task or encoder is a row, not a crash."""

from __future__ import annotations

import dataclasses
import datetime
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.bank import Bank, PassCost, PhotoHashes, Verdict, fill_banks, judge
from benchmark.encoders import Encoder, rest
from benchmark.options import RunOptions
from benchmark.results import Failure, Result, Score, answer_key
from benchmark.scoring.jobs import Done, Job, run_jobs
from benchmark.scoring.kept import Slot, slot_of
from benchmark.scoring.passes import Pass, planned_passes
from benchmark.scoring.places import BankPlaces
from benchmark.scoring.records import encoder_record, environment_record, peak_memory
from benchmark.tasks import Task, TaskInput
from builders.errors import CamtraceError, DataError, EncoderError
from builders.photos import SPLITS, PhotoSet


@dataclass(frozen=True)
class Scored:
    """One encoder on one photo set: the result, and per-photo answers by name."""

    result: Result
    answers: Mapping[str, np.ndarray]


def score_encoders(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    tasks: Sequence[Task],
    options: RunOptions,
    *,
    hashes: PhotoHashes | None = None,
    tell: Callable[[str], object] = lambda sentence: None,
) -> list[Scored]:
    """Score encoders on one photo set; they share one pass over the photos.

    What a task found is kept as soon as it is done; what an earlier run kept is not computed again.

    Args:
        encoders: loaded encoders.
        photos: the photo set.
        tasks: the questions, all of which the photos can answer (``tasks.fitting_tasks``).
        options: of the run.
        hashes: of the photos, where a caller has them already.
        tell: hears what will be written where, if it is much.

    Returns:
        One per encoder, in order. An encoder that fails during embedding has a result without scores that says why.

    Raises:
        DataError: no photo is usable, or the embeddings do not fit the disk.
        EncoderError: the only encoder computes or is stored in a precision that the gate refuses.
    """
    started = time.perf_counter()
    hashes = hashes or PhotoHashes(photos, options.cache)
    collected: list[_Collected] = [_Collected({}) for _ in encoders]
    with tempfile.TemporaryDirectory(prefix="camtrace-") as scratch, closing(hashes):
        rounded = options.storage != "float32" or any(encoder.dtype != "float32" for encoder in encoders)
        places = BankPlaces(hashes, options, Path(scratch), at_once=rounded)
        for got in collected:
            got.add_seconds("checking photos", time.perf_counter() - started)
        fit = _precise_enough(encoders, photos, places.bytes_hash, options, collected)
        known: list[Mapping[str, Any]] = []
        jobs: list[tuple[Job, _Collected]] = []
        for one in planned_passes(tasks, photos, options) if fit else []:
            views = one.recipe.view_keys()
            fresh = [name for name, view in views.items() if view not in known] if options.fresh else []
            known += views.values()
            ours = [(encoders[i], collected[i]) for i in fit]
            jobs += _embed_pass(ours, places, hashes, one, fresh, options, tell)
        for encoder in encoders if jobs else ():
            rest(encoder)
        for (job, got), done in zip(jobs, run_jobs([job for job, _ in jobs]), strict=True):
            _record(job, done, got)
    return [
        Scored(_result(encoder, photos, places.bytes_hash, options, got), got.answers)
        for encoder, got in zip(encoders, collected, strict=True)
    ]


@dataclass
class _Collected:
    """What is known so far of one encoder."""

    seconds: dict[str, float]
    scores: list[Score] = dataclasses.field(default_factory=list)
    failures: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    answers: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    source_jpeg: Mapping[str, int] = dataclasses.field(default_factory=dict)
    photos: int = 0
    views: int = 0
    embedding_s: float = 0.0
    storage: str = ""
    gate: Verdict | None = None

    def add_seconds(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def _precise_enough(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    bytes_hash: str,
    options: RunOptions,
    collected: Sequence[_Collected],
) -> list[int]:
    """Positions of the encoders that may be used in their precision; the others are failures."""
    fit = []
    for i, (encoder, got) in enumerate(zip(encoders, collected, strict=True)):
        started = time.perf_counter()
        try:
            got.gate = judge(encoder, photos, bytes_hash, options)
            reason = "" if got.gate is None or got.gate.passed or options.force_dtype else got.gate.reason
        except CamtraceError as error:
            reason = str(error)
        if got.gate is not None:
            got.add_seconds("precision gate", time.perf_counter() - started)
        if not reason:
            fit.append(i)
        elif len(encoders) == 1:
            raise EncoderError(reason)
        else:
            got.failures["encoder", encoder.info.id] = reason
    return fit


def _embed_pass(
    ours: Sequence[tuple[Encoder, _Collected]],
    places: BankPlaces,
    hashes: PhotoHashes,
    one: Pass,
    fresh: Sequence[str],
    options: RunOptions,
    tell: Callable[[str], object],
) -> list[tuple[Job, _Collected]]:
    """Fill the banks of one pass, and say which tasks are left to be done; kept outcomes are recorded here."""
    photos, views = hashes.photos, one.recipe.view_keys()
    if not places.unread and not options.fresh:
        ours = [
            (e, got) for e, got in ours if not _all_kept(e, places.look(e, views), places, photos, one, options, got)
        ]
    if not ours:
        return []
    encoders = [encoder for encoder, _ in ours]
    places.require_space(encoders, views, tell)
    banks = [places.open(encoder, views, fresh) for encoder in encoders]
    name = encoders[0].info.id if len(encoders) == 1 else f"{len(encoders)} encoders"
    outcome = fill_banks(
        photos,
        one.recipe,
        encoders,
        banks,
        batch_size=options.batch_size,
        workers=options.workers,
        views=options.views,
        label=f"{name} on {photos.name}",
        learn=hashes.learn,
    )
    if places.unread:
        banks = places.settle(encoders, views)
    jobs: list[tuple[Job, _Collected]] = []
    for i, ((encoder, got), bank) in enumerate(zip(ours, banks, strict=True)):
        _record_pass(outcome.cost, outcome.views[i], got)
        if i in outcome.failures:
            got.failures["encoder", encoder.info.id] = outcome.failures[i]
            continue
        usable = _usable(bank, photos, got)
        if not usable.any():
            first = next(iter(bank.failures().values()))
            reason = f"{photos.name}: none of the {len(photos)} photos can be used (the first: {first})"
            if len(encoders) == 1:
                raise DataError(reason)
            got.failures["encoder", encoder.info.id] = reason
            continue
        given = TaskInput(photos, usable, bank, options, encoder.device, _input_size(encoder))
        for task, slot in _slots(encoder, usable, places, photos, one, options).items():
            kept = None if slot is None or options.fresh else slot.load()
            job = Job(one.task(task), replace(given, keep=slot.parts if slot else None), slot)
            if kept is not None:
                _record(job, Done(kept, "", 0.0), got)
                continue
            if slot is not None and options.fresh:
                slot.forget()
            jobs.append((job, got))
    return jobs


def _all_kept(
    encoder: Encoder,
    bank: Bank,
    places: BankPlaces,
    photos: PhotoSet,
    one: Pass,
    options: RunOptions,
    got: _Collected,
) -> bool:
    """Whether an earlier run kept what every task of a pass found; then it is recorded, and no embedding is read."""
    if not encoder.info.cacheable or not bank.complete:
        return False
    before = replace(got, failures=dict(got.failures))
    usable = _usable(bank, photos, before)
    kept = {
        task: slot.load() if slot else None
        for task, slot in _slots(encoder, usable, places, photos, one, options).items()
    }
    if not usable.any() or any(outcome is None for outcome in kept.values()):
        return False
    got.failures, got.source_jpeg = before.failures, before.source_jpeg
    given = TaskInput(photos, usable, bank, options, encoder.device)
    for task, outcome in kept.items():
        _record(Job(one.task(task), given), Done(outcome, "", 0.0), got)
    return True


def _usable(bank: Bank, photos: PhotoSet, got: _Collected) -> np.ndarray:
    """bool [photos], those with an embedding in every view; the others are noted."""
    failed = bank.failures()
    got.failures.update({("photo", photo_id): reason for photo_id, reason in failed.items()})
    got.source_jpeg = got.source_jpeg or bank.source_jpeg()
    return np.array([photo_id not in failed for photo_id in photos.ids])


def _slots(
    encoder: Encoder, usable: np.ndarray, places: BankPlaces, photos: PhotoSet, one: Pass, options: RunOptions
) -> dict[str, Slot | None]:
    """By task of a pass, where its outcome is kept."""
    if not encoder.info.cacheable:
        return dict.fromkeys(task.name for task in one.tasks)
    key = places.key(encoder)
    return {task.name: slot_of(task, photos, usable, key, options, encoder.device) for task in one.tasks}


def _record_pass(cost: PassCost, views: int, got: _Collected) -> None:
    got.photos = max(got.photos, cost.photos)
    got.views += views
    got.embedding_s += cost.wall_s
    got.add_seconds("embedding", cost.wall_s)
    got.add_seconds("of which waiting for views", cost.waiting_s)
    got.add_seconds("of which forward", cost.forward_s)


def _input_size(encoder: Encoder) -> tuple[int, int] | None:
    """Height and width of what the encoder sees, from its own preprocessing of a grey picture."""
    seen = encoder.preprocess(Image.new("RGB", (512, 512), (128, 128, 128)))
    return (seen.shape[0], seen.shape[1]) if seen.dtype == np.uint8 and seen.ndim == 3 else None


def _record(job: Job, done: Done, got: _Collected) -> None:
    if done.outcome is None:
        got.failures["task", job.task.name] = done.reason
        return
    got.scores += done.outcome.scores
    got.answers.update({answer_key(job.task.name, name): kept for name, kept in done.outcome.answers.items()})
    got.add_seconds(job.task.name.split("/")[0], done.seconds)


def _result(encoder: Encoder, photos: PhotoSet, bytes_hash: str, options: RunOptions, got: _Collected) -> Result:
    return Result(
        encoder=encoder_record(encoder),
        data={
            "name": photos.name,
            "photos": {split: len(photos.indices(split)) for split in SPLITS},
            "classes": len(photos.labels.names),
            "question_hash": photos.question_hash(),
            "ids_hash": photos.ids_hash(),
            "bytes_hash": bytes_hash,
            "source_jpeg": dict(got.source_jpeg),
            "smoke_test": photos.smoke_test,
            "evidence": dict(photos.evidence),
        },
        environment=environment_record(encoder, photos, options, got.gate),
        scores=tuple(replace(s, data=photos.name) for s in got.scores),
        failures=tuple(Failure(kind, name, reason) for (kind, name), reason in got.failures.items()),
        cost={
            "photos": got.photos,
            "views": got.views,
            "views_per_second": got.views / got.embedding_s if got.embedding_s else 0.0,
            "seconds": {stage: round(value, 3) for stage, value in got.seconds.items()},
            "peak_memory_bytes": peak_memory(encoder.device),
        },
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    )
