"""Encoders x tasks on one photo set -> results. Resumes; a failed photo, task or encoder is a row, not a crash."""

from __future__ import annotations

import dataclasses
import datetime
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.bank import (
    Bank,
    PassCost,
    RuntimeVerdict,
    Verdict,
    bank_key,
    fill_banks,
    judge,
    photos_bytes_hash,
    settled,
)
from benchmark.encoders import Encoder
from benchmark.options import RunOptions
from benchmark.results import Failure, Result, Score, answer_key
from benchmark.scoring.jobs import Done, Job, run_jobs
from benchmark.scoring.passes import Pass, planned_passes
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
    bytes_hash: str | None = None,
) -> list[Scored]:
    """Score encoders on one photo set; they share one pass over the photos.

    Args:
        encoders: loaded encoders.
        photos: the photo set.
        tasks: the questions, all of which the photos can answer (``tasks.fitting_tasks``).
        options: of the run.
        bytes_hash: ``photos_bytes_hash`` of the photos, where a caller has it already.

    Returns:
        One per encoder, in order. An encoder that fails during embedding has a result without scores that says why.

    Raises:
        DataError: no photo is usable.
        EncoderError: the only encoder computes or is stored in a precision that the gate refuses.
    """
    started = time.perf_counter()
    bytes_hash = bytes_hash or photos_bytes_hash(photos)
    clock = {"checking photos": time.perf_counter() - started}
    collected: list[_Collected] = [_Collected(dict(clock)) for _ in encoders]
    encoders = _settled(encoders, photos, bytes_hash, options, collected)
    fit = _precise_enough(encoders, photos, bytes_hash, options, collected)
    with tempfile.TemporaryDirectory(prefix="camtrace-") as scratch:
        known: list[Mapping[str, Any]] = []
        for one in planned_passes(tasks, photos, options) if fit else []:
            views = one.recipe.view_keys()
            fresh = [name for name, view in views.items() if view not in known] if options.fresh else []
            known += views.values()
            ours = [encoders[i] for i in fit]
            banks = [_open_bank(e, photos, bytes_hash, views, fresh, options, Path(scratch)) for e in ours]
            _score_pass(ours, banks, photos, one, options, [collected[i] for i in fit])
    return [
        Scored(_result(encoder, photos, bytes_hash, options, got), got.answers)
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
    runtime: RuntimeVerdict | None = None

    def add_seconds(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def _settled(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    bytes_hash: str,
    options: RunOptions,
    collected: Sequence[_Collected],
) -> list[Encoder]:
    """The encoders by the runtimes that they are used with on these photos; one that may not be used has failed."""
    found = []
    for encoder, got in zip(encoders, collected, strict=True):
        started = time.perf_counter()
        try:
            encoder, got.runtime = settled(encoder, photos, bytes_hash, options)
        except EncoderError as error:
            if len(encoders) == 1:
                raise
            got.failures["encoder", encoder.info.id] = str(error)
        if got.runtime is not None:
            got.add_seconds("comparing with torch", time.perf_counter() - started)
        found.append(encoder)
    return found


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
        if got.failures:
            continue
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


def _score_pass(
    encoders: Sequence[Encoder],
    banks: Sequence[Bank],
    photos: PhotoSet,
    one: Pass,
    options: RunOptions,
    collected: Sequence[_Collected],
) -> None:
    name = encoders[0].info.id if len(encoders) == 1 else f"{len(encoders)} encoders"
    label = f"{name} on {photos.name}"
    outcome = fill_banks(
        photos,
        one.recipe,
        encoders,
        banks,
        batch_size=options.batch_size,
        workers=options.workers,
        views=options.views,
        label=label,
    )
    jobs: list[tuple[Job, _Collected]] = []
    for i, (encoder, bank, got) in enumerate(zip(encoders, banks, collected, strict=True)):
        _record_pass(outcome.cost, outcome.views[i], got)
        if i in outcome.failures:
            got.failures["encoder", encoder.info.id] = outcome.failures[i]
            continue
        failed = bank.failures()
        got.failures.update({("photo", photo_id): reason for photo_id, reason in failed.items()})
        got.source_jpeg = got.source_jpeg or bank.source_jpeg()
        usable = np.array([photo_id not in failed for photo_id in photos.ids])
        if not usable.any():
            first = next(iter(failed.values()))
            reason = f"{photos.name}: none of the {len(photos)} photos can be used (the first: {first})"
            if len(encoders) == 1:
                raise DataError(reason)
            got.failures["encoder", encoder.info.id] = reason
            continue
        given = TaskInput(photos, usable, bank, options, encoder.device, _input_size(encoder))
        jobs += [(Job(task, given), got) for task in one.tasks]
    for (job, got), done in zip(jobs, run_jobs([job for job, _ in jobs]), strict=True):
        _record(job, done, got)


def _open_bank(
    encoder: Encoder,
    photos: PhotoSet,
    bytes_hash: str,
    views: Mapping[str, Mapping[str, Any]],
    fresh: Sequence[str],
    options: RunOptions,
    scratch: Path,
) -> Bank:
    key = bank_key(
        encoder.info,
        encoder.dtype,
        photos,
        bytes_hash,
        options.storage,
        compiled=encoder.compiled,
        runtime=encoder.runtime,
    )
    cacheable = encoder.info.weights_sha256 is not None
    return Bank.open(options.cache / "banks" if cacheable else scratch, key, views, fresh=fresh)


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
        environment=environment_record(encoder, photos, options, got.gate, got.runtime),
        scores=tuple(dataclasses.replace(s, data=photos.name) for s in got.scores),
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
