"""Scores encoders on one photo set, and resumes. A failed photo, task or encoder is recorded and ends nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.bank import PhotoHashes, check_precision, resolve_runtime
from benchmark.encoders import Encoder, move_to_host
from benchmark.erasing import Eraser
from benchmark.options import RunOptions
from benchmark.probe import begin_compiling_probes
from benchmark.results import SPLITS_KEY, read_answers
from benchmark.scoring.collect import EncoderRun, Stopwatch, compare_with_embedding, record, result_of
from benchmark.scoring.output import Scored
from benchmark.scoring.passes import (
    Pass,
    begin_first_views,
    embed_pass,
    layers_of,
    output_runs_of,
    planned_passes,
)
from benchmark.scoring.store_paths import BankPaths
from benchmark.scoring.tasks_run import NO_OUTCOMES, Job, OutcomesOfRanks, run_jobs
from benchmark.scoring.trial import Trial, cached_trials
from benchmark.tasks import Task, all_tasks, tasks_without_views
from benchmark.views import Prefetch
from builders.errors import CamtraceError, EncoderError
from builders.files import scratch_prefix, sweep_scratch
from builders.photos import PhotoSet
from builders.processes import memory_budget, step_bar


def score_encoders(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    tasks: Sequence[Task],
    options: RunOptions,
    *,
    hashes: PhotoHashes | None = None,
    log: Callable[[str], object] = lambda sentence: None,
    prefetch: Prefetch | None = None,
    on_embedded: Callable[[Sequence[Encoder]], object] = lambda encoders: None,
    eraser: Eraser | None = None,
    outcomes: OutcomesOfRanks = NO_OUTCOMES,
) -> list[Scored]:
    """Score encoders on one photo set; they share one pass over the photos.

    The outcome of a task is cached as soon as it is done; a cached outcome is not computed again.

    Args:
        encoders: loaded encoders.
        photos: the photo set.
        tasks: the questions, all of which the photos can answer (``tasks.fitting_tasks``).
        options: of the run.
        hashes: of the photos, if the caller has them.
        log: called with what will be written where, if it is much.
        prefetch: views that the caller has begun, of these photos or others; the caller closes it.
        on_embedded: called with the usable encoders once all embeddings exist and tasks begin, which do not always use
            every core.
        eraser: applied to every embedding before a task reads it; it fits all encoders (``check_eraser``). Banks and
            their keys do not depend on it.
        outcomes: of ranks, which are not computed again.

    Returns:
        One per encoder, in order. The result of an encoder that fails has no scores and records why.

    Raises:
        DataError: no photo is usable, or the embeddings do not fit the disk.
        EncoderError: the only encoder computes or is stored in a precision that the gate refuses.
    """
    stopwatch = Stopwatch()
    hashes = hashes or PhotoHashes(photos, options.cache, verify=options.verify_bytes)
    states: list[EncoderRun] = [EncoderRun({}) for _ in encoders]
    sweep_scratch()
    scratch_folder = tempfile.TemporaryDirectory(prefix=scratch_prefix())
    with ExitStack() as stack:
        stack.enter_context(memory_budget(options.memory))
        scratch = stack.enter_context(scratch_folder)
        stack.enter_context(closing(hashes))
        prefetch = prefetch or stack.enter_context(closing(Prefetch()))
        needs_hashes = options.storage != "float32" or any(
            e.dtype != "float32" or e.in_torch or e.stored for e in encoders
        )
        paths = BankPaths(hashes, options, Path(scratch), at_once=needs_hashes)
        for state in states:
            stopwatch.record("checking photos", state)
        _log_what_files_lack(encoders, photos, tasks, options, states, log)
        layers = layers_of(encoders, options, states, eraser)
        encoders = [layered.encoder if layered else e for e, layered in zip(encoders, layers, strict=True)]
        passes = planned_passes(tasks, photos, options)
        if passes and not paths.earlier and not any(state.failures for state in states):
            begin_first_views(prefetch, encoders, paths, photos, passes[0], options)
        encoders = _tried(encoders, photos, paths, passes, options, states)
        encoders = _with_runtimes(encoders, photos, paths.bytes_hash, options, states)
        usable = _usable(encoders, photos, paths.bytes_hash, options, states)
        paths.resume([encoders[i] for i in usable])
        probed = options.protocol == "converged" and any(task.family.probed for task in tasks)
        if probed and any(encoders[i].device == "cpu" for i in usable):
            begin_compiling_probes()  # while embeddings are made
        known: list[Mapping[str, Any]] = []
        jobs: list[tuple[Job, EncoderRun]] = []
        for view_pass in passes if usable else []:
            views = view_pass.recipe.view_keys()
            fresh = [name for name, view in views.items() if view not in known] if options.fresh else []
            known += views.values()
            output_runs = [
                output_run for i in usable for output_run in output_runs_of(encoders[i], states[i], layers[i], eraser)
            ]
            jobs += embed_pass(output_runs, paths, hashes, view_pass, fresh, options, log, prefetch, outcomes)
        for encoder in encoders if jobs else ():
            move_to_host(encoder)
        on_embedded([encoders[i] for i in usable])
        _run_jobs(jobs, states)
    for state in states:
        state.put_in_order([task.name for view_pass in passes for task in view_pass.tasks])
    return [
        Scored(
            result_of(encoder, photos, paths.bytes_hash, options, state, eraser, bytes_read=hashes.read_now),
            {**state.answers, SPLITS_KEY: photos.splits.astype(np.int8)} if state.answers else {},
            photos,
        )
        for encoder, state in zip(encoders, states, strict=True)
    ]


def _run_jobs(jobs: Sequence[tuple[Job, EncoderRun]], states: Sequence[EncoderRun]) -> None:
    """Run jobs: on embeddings first, then on one output after the other, whose values by photo are dropped."""
    outputs = {id(output.state): (output.state, state) for state in states for output in state.outputs.values()}
    finals = [(job, state) for job, state in jobs if id(state) not in outputs]
    for (job, state), done in zip(finals, run_jobs([job for job, _ in finals]), strict=True):
        record(job, done, state)
    final = {id(state): read_answers(state.answers, all_tasks()).values for state in states if state.outputs}
    with step_bar(total=len(outputs), desc="scoring layers", unit="output") as bar:
        for output, encoder_state in outputs.values():
            output_jobs = [job for job, state in jobs if state is output]
            for job, done in zip(output_jobs, run_jobs(output_jobs, silent=True), strict=True):
                record(job, done, output)
                encoder_state.add_seconds("layers", done.seconds)
            compare_with_embedding(output, final[id(encoder_state)])
            output.answers.clear()
            bar.update()


def _log_what_files_lack(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    tasks: Sequence[Task],
    options: RunOptions,
    states: Sequence[EncoderRun],
    log: Callable[[str], object],
) -> None:
    """Log the tasks that a file of embeddings cannot answer. A file that can answer none is recorded as failed."""
    for encoder, state in zip(encoders, states, strict=True):
        try:
            if sentence := tasks_without_views(encoder, tasks, photos, options):
                log(sentence)
        except EncoderError as error:
            if len(encoders) == 1:
                raise
            state.failures["encoder", encoder.info.id] = str(error)


def _tried(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    paths: BankPaths,
    passes: Sequence[Pass],
    options: RunOptions,
    states: Sequence[EncoderRun],
) -> list[Encoder]:
    """Embeds a few photos twice. Marks encoders that are not deterministic; records those that fail."""
    stopwatch, tried = Stopwatch(), list(encoders)
    networks = [i for i, encoder in enumerate(encoders) if encoder.stored is None and photos.has_pictures]
    loaded = [encoders[i] for i in networks]
    trials: list[Trial] = []
    if passes and networks:
        trials = cached_trials(loaded, photos, paths.bytes_hash, passes[0].recipe, options, earlier=paths.earlier)
    for i, trial in zip(networks, trials, strict=bool(passes)):
        state, reason = states[i], trial.reason
        if trial.random and not options.allow_random:
            reason = f"{trial.random}; --allow-random scores it all the same, and the result says so"
        state.trial, tried[i] = trial, replace(encoders[i], random=bool(trial.random))
        stopwatch.record("asking twice", state, len(encoders))
        if reason:
            state.failures["encoder", encoders[i].info.id] = reason
    return tried


def _with_runtimes(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    bytes_hash: str,
    options: RunOptions,
    states: Sequence[EncoderRun],
) -> list[Encoder]:
    """The encoders with the runtimes that these photos allow; one that may not be used is recorded as failed."""
    encoders_used = []
    for encoder, state in zip(encoders, states, strict=True):
        if state.failures:
            encoders_used.append(encoder)
            continue
        stopwatch = Stopwatch()
        try:
            encoder, state.runtime = resolve_runtime(encoder, photos, bytes_hash, options)
        except EncoderError as error:
            if len(encoders) == 1:
                raise
            state.failures["encoder", encoder.info.id] = str(error)
        if state.runtime is not None:
            stopwatch.record("comparing with torch", state)
        encoders_used.append(encoder)
    return encoders_used


def _usable(
    encoders: Sequence[Encoder],
    photos: PhotoSet,
    bytes_hash: str,
    options: RunOptions,
    states: Sequence[EncoderRun],
) -> list[int]:
    """Positions of the encoders that have not failed and whose precision passes the gate; the others are recorded."""
    usable = []
    for i, (encoder, state) in enumerate(zip(encoders, states, strict=True)):
        if state.failures:
            continue
        stopwatch = Stopwatch()
        try:
            state.gate = check_precision(encoder, photos, bytes_hash, options)
            reason = "" if state.gate is None or state.gate.passed or options.force_dtype else state.gate.reason
        except CamtraceError as error:
            reason = str(error)
        if state.gate is not None:
            stopwatch.record("precision gate", state)
        if not reason:
            usable.append(i)
        elif len(encoders) == 1:
            raise EncoderError(reason)
        else:
            state.failures["encoder", encoder.info.id] = reason
    return usable
