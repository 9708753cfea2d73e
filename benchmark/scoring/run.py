"""Encoders x tasks on one photo set -> results. Resumes; a failed photo, task or encoder is a row, not a crash."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from benchmark.bank import PhotoHashes, check_precision, resolve_runtime
from benchmark.encoders import Encoder, move_to_host
from benchmark.erasing import Eraser
from benchmark.options import RunOptions
from benchmark.probe import begin_compiling_probes
from benchmark.results import Result
from benchmark.scoring.collect import EncoderRun, Stopwatch, record, result_of
from benchmark.scoring.passes import Pass, begin_first_views, embed_pass, layers_of, left_out, planned_passes, readings
from benchmark.scoring.store_paths import BankPaths
from benchmark.scoring.tasks_run import Job, run_jobs
from benchmark.scoring.trial import Trial, cached_trials
from benchmark.tasks import Task
from benchmark.views import Prefetch
from builders.errors import CamtraceError, EncoderError
from builders.files import scratch_prefix, sweep_scratch
from builders.photos import PhotoSet
from builders.processes import memory_budget


@dataclass(frozen=True)
class Scored:
    """One encoder on one photo set: the result, and per-photo answers by name."""

    result: Result
    answers: Mapping[str, np.ndarray]
    photos: PhotoSet | None = None
    """What was scored on, of which a local report shows some."""


def score_encoders(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    tasks: Sequence[Task],
    options: RunOptions,
    *,
    hashes: PhotoHashes | None = None,
    tell: Callable[[str], object] = lambda sentence: None,
    ahead: Prefetch | None = None,
    embedded: Callable[[Sequence[Encoder]], object] = lambda encoders: None,
    eraser: Eraser | None = None,
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
        ahead: views that a caller has begun with, of these photos or others; it ends them.
        embedded: told the encoders that were used, once all embeddings are there and tasks begin, which do not always
            have something to do for each core.
        eraser: applied to every embedding before a task reads it; it fits all encoders (``check_eraser``). Banks, and
            their keys, do not depend on it.

    Returns:
        One per encoder, in order. An encoder that fails during embedding has a result without scores that says why.

    Raises:
        DataError: no photo is usable, or the embeddings do not fit the disk.
        EncoderError: the only encoder computes or is stored in a precision that the gate refuses.
    """
    stopwatch = Stopwatch()
    hashes = hashes or PhotoHashes(photos, options.cache)
    collected: list[EncoderRun] = [EncoderRun({}) for _ in encoders]
    sweep_scratch()
    scratch_folder = tempfile.TemporaryDirectory(prefix=scratch_prefix())
    with ExitStack() as during:
        during.enter_context(memory_budget(options.memory))
        scratch = during.enter_context(scratch_folder)
        during.enter_context(closing(hashes))
        ahead = ahead or during.enter_context(closing(Prefetch()))
        judged = options.storage != "float32" or any(e.dtype != "float32" or e.in_torch or e.stored for e in encoders)
        places = BankPaths(hashes, options, Path(scratch), at_once=judged)
        for got in collected:
            stopwatch.record("checking photos", got)
        _say_what_files_lack(encoders, photos, tasks, options, collected, tell)
        layers = layers_of(encoders, options, collected, eraser)
        encoders = [layered.encoder if layered else e for e, layered in zip(encoders, layers, strict=True)]
        passes = planned_passes(tasks, photos, options)
        if passes and not places.earlier and not any(got.failures for got in collected):
            begin_first_views(ahead, encoders, places, photos, passes[0], options)
        encoders = _try(encoders, photos, places, passes, options, collected)
        encoders = _settled(encoders, photos, places.bytes_hash, options, collected)
        fit = _precise_enough(encoders, photos, places.bytes_hash, options, collected)
        places.resume([encoders[i] for i in fit])
        probed = options.protocol == "converged" and any(task.family.probed for task in tasks)
        if probed and any(encoders[i].device == "cpu" for i in fit):
            begin_compiling_probes()  # while embeddings are made
        known: list[Mapping[str, Any]] = []
        jobs: list[tuple[Job, EncoderRun]] = []
        for one in passes if fit else []:
            views = one.recipe.view_keys()
            fresh = [name for name, view in views.items() if view not in known] if options.fresh else []
            known += views.values()
            ours = [reading for i in fit for reading in readings(encoders[i], collected[i], layers[i], eraser)]
            jobs += embed_pass(ours, places, hashes, one, fresh, options, tell, ahead)
        for encoder in encoders if jobs else ():
            move_to_host(encoder)
        embedded([encoders[i] for i in fit])
        _run(jobs, collected)
    for got in collected:
        got.put_in_order([task.name for one in passes for task in one.tasks])
    return [
        Scored(result_of(encoder, photos, places.bytes_hash, options, got, eraser), got.answers, photos)
        for encoder, got in zip(encoders, collected, strict=True)
    ]


def _run(jobs: Sequence[tuple[Job, EncoderRun]], collected: Sequence[EncoderRun]) -> None:
    """Run what is left to be done: on embeddings, then on one output after the other, whose answers are not kept."""
    beside = {id(one.got): (one.got, of) for of in collected for one in of.outputs.values()}
    finals = [(job, got) for job, got in jobs if id(got) not in beside]
    for (job, got), done in zip(finals, run_jobs([job for job, _ in finals]), strict=True):
        record(job, done, got)
    with tqdm(total=len(beside), desc="scoring layers", unit="output", delay=2, leave=False, disable=None) as bar:
        for output, of in beside.values():
            own = [job for job, got in jobs if got is output]
            for job, done in zip(own, run_jobs(own, silent=True), strict=True):
                record(job, done, output)
                of.add_seconds("layers", done.seconds)
            output.answers.clear()
            bar.update()


def _say_what_files_lack(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    tasks: Sequence[Task],
    options: RunOptions,
    collected: Sequence[EncoderRun],
    tell: Callable[[str], object],
) -> None:
    """Tell which tasks a file of embeddings cannot answer; one that can answer none has failed."""
    for encoder, got in zip(encoders, collected, strict=True):
        try:
            if sentence := left_out(encoder, tasks, photos, options):
                tell(sentence)
        except EncoderError as error:
            if len(encoders) == 1:
                raise
            got.failures["encoder", encoder.info.id] = str(error)


def _try(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    places: BankPaths,
    passes: Sequence[Pass],
    options: RunOptions,
    collected: Sequence[EncoderRun],
) -> list[Encoder]:
    """The encoders, random ones marked. Those that do not answer as encoders do are failures from here on; a file of
    embeddings is asked nothing."""
    stopwatch, found = Stopwatch(), list(encoders)
    asked = [i for i, encoder in enumerate(encoders) if encoder.stored is None]
    able = [encoders[i] for i in asked]
    trials: list[Trial] = []
    if passes and asked:
        trials = cached_trials(able, photos, places.bytes_hash, passes[0].recipe, options, earlier=places.earlier)
    for i, trial in zip(asked, trials, strict=bool(passes)):
        got, reason = collected[i], trial.reason
        if trial.random and not options.allow_random:
            reason = f"{trial.random}; --allow-random scores it all the same, and the result says so"
        got.trial, found[i] = trial, replace(encoders[i], random=bool(trial.random))
        stopwatch.record("asking twice", got, len(encoders))
        if reason:
            got.failures["encoder", encoders[i].info.id] = reason
    return found


def _settled(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    bytes_hash: str,
    options: RunOptions,
    collected: Sequence[EncoderRun],
) -> list[Encoder]:
    """The encoders by the runtimes that they are used with on these photos; one that may not be used has failed."""
    found = []
    for encoder, got in zip(encoders, collected, strict=True):
        if got.failures:
            found.append(encoder)
            continue
        stopwatch = Stopwatch()
        try:
            encoder, got.runtime = resolve_runtime(encoder, photos, bytes_hash, options)
        except EncoderError as error:
            if len(encoders) == 1:
                raise
            got.failures["encoder", encoder.info.id] = str(error)
        if got.runtime is not None:
            stopwatch.record("comparing with torch", got)
        found.append(encoder)
    return found


def _precise_enough(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    bytes_hash: str,
    options: RunOptions,
    collected: Sequence[EncoderRun],
) -> list[int]:
    """Positions of the encoders that may be used in their precision; the others are failures."""
    fit = []
    for i, (encoder, got) in enumerate(zip(encoders, collected, strict=True)):
        if got.failures:
            continue
        stopwatch = Stopwatch()
        try:
            got.gate = check_precision(encoder, photos, bytes_hash, options)
            reason = "" if got.gate is None or got.gate.passed or options.force_dtype else got.gate.reason
        except CamtraceError as error:
            reason = str(error)
        if got.gate is not None:
            stopwatch.record("precision gate", got)
        if not reason:
            fit.append(i)
        elif len(encoders) == 1:
            raise EncoderError(reason)
        else:
            got.failures["encoder", encoder.info.id] = reason
    return fit
