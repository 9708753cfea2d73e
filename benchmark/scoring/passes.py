"""Passes over the photos: views of recipes of one kind and equal settings are made, embedded and stored together."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from benchmark.bank import (
    Bank,
    OutputsBank,
    PassCost,
    PhotoHashes,
    begin_views,
    fill_banks_on,
    fill_from_file,
)
from benchmark.compute import foreign_code, named_devices
from benchmark.encoders import AnsweringModel, Encoder, Layered, Output, Pixels, with_outputs
from benchmark.erasing import Eraser
from benchmark.options import RunOptions
from benchmark.scoring.answers.banks import PassAnswers, fill_and_record, pass_answers
from benchmark.scoring.collect import (
    Computation,
    EncoderRun,
    OutputCollected,
    cached_outcomes,
    jobs_on,
    record,
    record_pass,
    usable_photos,
)
from benchmark.scoring.store_paths import BankPaths
from benchmark.scoring.tasks_run import NO_OUTCOMES, Done, Job, OutcomesOfRanks
from benchmark.scoring.trial import too_few_usable
from benchmark.tasks import Task, TaskInput, can_answer, held_views
from benchmark.views import Prefetch, ViewRecipe
from builders.errors import CamtraceError, EncoderError, UsageError
from builders.photos import PhotoSet
from builders.untrusted import may_pass


@dataclass(frozen=True)
class Pass:
    """Views that are made together, and the tasks that read them."""

    recipe: ViewRecipe
    tasks: tuple[Task, ...]
    """Those whose own recipes were merged into this one, in order."""

    def task(self, name: str) -> Task:
        """One of them by its name."""
        return next(task for task in self.tasks if task.name == name)


def planned_passes(tasks: Sequence[Task], photos: PhotoSet, options: RunOptions) -> list[Pass]:
    """The passes that tasks need, in order of their first tasks; every task is in one of them.

    A task reads the views of its own recipe, since two recipes may use one name for different views. Two passes that
    need the same view share its file in the bank.
    """
    passes: dict[tuple[str, str], Pass] = {}
    for task in tasks:
        recipe = task.recipe(photos, options)
        which = recipe.kind, json.dumps(recipe.settings(), sort_keys=True)
        known = passes.get(which)
        passes[which] = Pass(known.recipe.merged(recipe), (*known.tasks, task)) if known else Pass(recipe, (task,))
    return list(passes.values())


def narrowed_pass(view_pass: Pass, encoder: Encoder, photos: PhotoSet, options: RunOptions) -> Pass | None:
    """The part of a pass that a file of embeddings can answer; None if there is none."""
    tasks = tuple(task for task in view_pass.tasks if can_answer(encoder, task, photos, options))
    names = [name for task in tasks for name in held_views(encoder, task, photos, options)]
    return Pass(view_pass.recipe.only(names), tasks) if tasks else None


def filled_from_file(encoder: Encoder, state: EncoderRun, bank: Bank, photos: PhotoSet) -> bool:
    """Fill a bank from the encoder's file. True if it is complete; else the reason is recorded."""
    assert encoder.stored is not None
    started = time.perf_counter()
    try:
        written = fill_from_file(encoder.stored, photos, bank)
    except EncoderError as error:
        state.failures["encoder", encoder.info.id] = str(error)
        return False
    cost = PassCost(len(photos) if written else 0, written, time.perf_counter() - started, 0.0, 0.0, 0.0)
    record_pass(cost, 1, state)
    return True


@dataclass(frozen=True)
class OutputRun:
    """One output of one encoder, and its state in the run."""

    encoder: Encoder
    state: EncoderRun
    """State of this output."""
    encoder_state: EncoderRun
    """State of the encoder; for the embedding it is the same object as ``state``."""
    output: Output | None
    """None for the embedding."""
    layered: Layered | None
    """Gives all outputs in one forward pass; None if only the embedding is scored."""
    eraser: Eraser | None = None
    """Applied to embeddings before any task reads them; None for layers, to which no eraser is fitted."""
    answers: PassAnswers | None = None
    """What the model answers to the tasks of a pass; None if none of them reads answers that it gives in this run."""


def layers_of(
    encoders: Sequence[Encoder], options: RunOptions, states: Sequence[EncoderRun], eraser: Eraser | None
) -> list[Layered | None]:
    """How the layers of each encoder are read, with ``--outputs``; an encoder without them is recorded as failed.

    Raises:
        CamtraceError: the only encoder lacks the layers.
    """
    layered_encoders: list[Layered | None] = []
    for encoder, state in zip(encoders, states, strict=True):
        layered = None
        if options.outputs:
            try:
                if eraser is not None:
                    raise UsageError("an eraser is fitted to an embedding: --eraser and --outputs do not go together")
                layered = with_outputs(encoder, options.outputs)
                state.outputs = {output.name: OutputCollected(output) for output in layered.outputs}
            except CamtraceError as error:
                if len(encoders) == 1:
                    raise
                state.failures["encoder", encoder.info.id] = str(error)
        layered_encoders.append(layered)
    return layered_encoders


def output_runs_of(
    encoder: Encoder, state: EncoderRun, layered: Layered | None, eraser: Eraser | None
) -> list[OutputRun]:
    """The outputs of one encoder, its embedding first."""
    outputs = layered.outputs if layered else ()
    layers = [OutputRun(encoder, state.outputs[o.name].state, state, o, layered) for o in outputs]
    return [OutputRun(encoder, state, state, None, layered, eraser), *layers]


def joined(members: Sequence[OutputRun], banks: Sequence[Bank]) -> tuple[Encoder, Bank | OutputsBank]:
    """The encoder that a pass runs for outputs of one encoder, and the bank that stores its rows."""
    layered = members[0].layered
    if layered is None or all(output_run.output is None for output_run in members):
        return members[0].encoder, banks[0]
    columns = layered.columns()
    final = slice(0, layered.encoder.info.dimension)
    parts = [columns[output_run.output.name] if output_run.output else final for output_run in members]
    return layered.together, OutputsBank(tuple(banks), tuple(parts), layered.together.info.dimension)


def embed_pass(
    output_runs: Sequence[OutputRun],
    paths: BankPaths,
    hashes: PhotoHashes,
    view_pass: Pass,
    fresh: Sequence[str],
    options: RunOptions,
    log: Callable[[str], object],
    prefetch: Prefetch | None,
    outcomes: OutcomesOfRanks,
) -> list[tuple[Job, EncoderRun]]:
    """Fill the banks of one pass; return the tasks that have no cached outcome, and record those that have one."""
    photos, views = hashes.photos, view_pass.recipe.view_keys()
    if not paths.unread and not options.fresh:
        output_runs = [r for r in output_runs if not _all_cached(r, paths, photos, view_pass, options, outcomes)]
    if not output_runs:
        return []
    single = len({id(output_run.encoder_state) for output_run in output_runs}) == 1
    jobs: list[tuple[Job, EncoderRun]] = []
    for output_run in output_runs:
        encoder, state = output_run.encoder, output_run.state
        part = narrowed_pass(view_pass, encoder, photos, options) if encoder.stored else None
        if part is not None:
            paths.require_space([(encoder, None)], part.recipe.view_keys(), log)
            bank = paths.open(encoder, part.recipe.view_keys(), fresh)
            if filled_from_file(encoder, state, bank, photos):
                jobs += _jobs(output_run, bank, paths, photos, part, options, outcomes, single=single)
    output_runs = [output_run for output_run in output_runs if output_run.encoder.stored is None]
    if not output_runs:
        return jobs
    wanted = [(output_run.encoder, output_run.output) for output_run in output_runs]
    paths.require_space(wanted, views, log)
    banks = [paths.open(encoder, views, fresh, output) for encoder, output in wanted]
    by_encoder = _positions_by_encoder(output_runs)
    together = [joined([output_runs[i] for i in members], [banks[i] for i in members]) for members in by_encoder]
    name = output_runs[0].encoder.info.id if len(together) == 1 else f"{len(together)} encoders"
    outcome = fill_banks_on(
        named_devices(options.device),
        photos,
        view_pass.recipe,
        [encoder for encoder, _ in together],
        [bank for _, bank in together],
        batch_size=options.batch_size,
        workers=options.workers,
        views=options.views,
        label=f"{name} on {photos.name}",
        learn=hashes.learn,
        ahead=prefetch,
    )
    if paths.unread:
        banks = paths.settle(wanted, views)
    for i, members in enumerate(by_encoder):
        encoder_state = output_runs[members[0]].encoder_state
        record_pass(outcome.cost_of(i), len(by_encoder), encoder_state)
        if i in outcome.failures:
            encoder_state.failures["encoder", output_runs[members[0]].encoder.info.id] = outcome.failures[i]
            continue
        for at in members:
            output_run = output_runs[at]
            answers = _answers_of(output_run, paths, photos, view_pass, options)
            answers = fill_and_record(answers, view_pass.tasks, output_run.state, log)
            output_run = replace(output_run, answers=answers)
            jobs += _jobs(output_run, banks[at], paths, photos, view_pass, options, outcomes, single=single)
    return jobs


def _answers_of(
    output_run: OutputRun, paths: BankPaths, photos: PhotoSet, view_pass: Pass, options: RunOptions
) -> PassAnswers | None:
    if output_run.output is not None:
        return None
    return pass_answers(output_run.encoder, view_pass.recipe, view_pass.tasks, paths, photos, options)


def _positions_by_encoder(output_runs: Sequence[OutputRun]) -> list[list[int]]:
    """Positions of the outputs of each encoder, encoders in order."""
    positions: dict[int, list[int]] = {}
    for i, output_run in enumerate(output_runs):
        positions.setdefault(id(output_run.encoder_state), []).append(i)
    return list(positions.values())


def begin_first_views(
    prefetch: Prefetch,
    encoders: Sequence[Encoder],
    paths: BankPaths | None,
    photos: PhotoSet,
    view_pass: Pass,
    options: RunOptions,
) -> None:
    """Let workers begin with the views of a pass, before it is known whether its encoders may be used.

    Only if it is certain which views the pass needs: its banks are empty, one process on a CPU embeds, and steps of
    this package make the views. Preprocessing code of others may not be called before it has been tried.

    Args:
        prefetch: holds the begun views.
        encoders: of the pass.
        paths: of the banks; None before it is known which runtime computes, since it is in the banks' keys.
        photos: the photo set.
        view_pass: the pass.
        options: of the run.
    """
    certain = all(e.device == "cpu" and e.stored is None and type(e.preprocess) is Pixels for e in encoders)
    if not certain or not options.workers or options.outputs or len(named_devices(options.device)) > 1:
        return
    views = view_pass.recipe.view_keys()
    with contextlib.suppress(CamtraceError):  # the pass raises it again
        banks = [paths.look(encoder, views) for encoder in encoders] if paths else []
        if all(len(bank.missing(name)) == len(bank.blocks) for bank in banks for name in views):
            begin_views(
                prefetch,
                photos,
                view_pass.recipe,
                encoders,
                batch_size=options.batch_size,
                workers=options.workers,
                views=options.views,
            )


def begin_next_views(
    prefetch: Prefetch, encoders: Sequence[Encoder], hashes: PhotoHashes, view_pass: Pass, options: RunOptions
) -> None:
    """Begin with the views of the next photo set, if its banks can be looked up without reading many photos."""
    if encoders and not hashes.hashed_in_pass and all(encoder.cacheable for encoder in encoders):
        paths = BankPaths(hashes, options, options.cache)  # no bank of these encoders is temporary
        if not paths.earlier:
            begin_first_views(prefetch, encoders, paths, hashes.photos, view_pass, options)


def _jobs(
    output_run: OutputRun,
    bank: Bank,
    paths: BankPaths,
    photos: PhotoSet,
    view_pass: Pass,
    options: RunOptions,
    outcomes: OutcomesOfRanks,
    *,
    single: bool,
) -> list[tuple[Job, EncoderRun]]:
    """The tasks on a complete bank that have no cached outcome; those that have one are recorded."""
    encoder, answers = output_run.encoder, output_run.answers
    source = answers.source() if answers else encoder.answers
    how = replace(_computation(output_run, paths), input_size=input_size(encoder), source=source)
    return jobs_on(bank, how, photos, view_pass.tasks, options, output_run.state, outcomes, single=single)


def _computation(output_run: OutputRun, paths: BankPaths) -> Computation:
    """How tasks are computed on one output of an encoder, without the size of its input and the answers themselves."""
    encoder, stored = output_run.encoder, output_run.encoder.stored
    waits = isinstance(encoder.answers, AnsweringModel) and output_run.answers is None
    return Computation(
        encoder.info.id,
        _outcome_key(output_run, paths),
        encoder.device,
        output=output_run.output,
        eraser=output_run.eraser,
        given=stored if stored is not None and stored.detector is not None else None,
        answers=output_run.answers,
        reads_answers=encoder.answers is not None and output_run.output is None and not waits,
        has_embeddings=stored is None or not stored.answers_only,
    )


def _all_cached(
    output_run: OutputRun,
    paths: BankPaths,
    photos: PhotoSet,
    view_pass: Pass,
    options: RunOptions,
    of_ranks: OutcomesOfRanks,
) -> bool:
    """True if every task of a pass has a cached outcome. The outcomes are then recorded, and no embedding is read."""
    encoder, state = output_run.encoder, output_run.state
    bank = paths.look(encoder, view_pass.recipe.view_keys(), output_run.output)
    output_run = replace(output_run, answers=_answers_of(output_run, paths, photos, view_pass, options))
    if output_run.answers is not None and not output_run.answers.complete():
        return False
    if not encoder.cacheable or not bank.complete or any(map(may_pass, bank.failures().values())):
        return False
    before = replace(state, failures=dict(state.failures))
    usable = usable_photos(encoder.info.id, bank, photos, before)
    how = _computation(output_run, paths)
    outcomes = {
        task: cached.load() if cached else None
        for task, cached in cached_outcomes(how, usable, photos, view_pass.tasks, options, of_ranks).items()
    }
    fails = ("encoder", encoder.info.id) in before.failures or too_few_usable(photos, usable, options.min_usable)
    if fails or not usable.any() or any(outcome is None for outcome in outcomes.values()):
        return False
    state.failures, state.source_jpeg = before.failures, before.source_jpeg
    task_input = TaskInput(photos, usable, bank, options, encoder.device)
    for task, outcome in outcomes.items():
        record(Job(view_pass.task(task), task_input), Done(outcome, "", 0.0), state)
    return True


def tasks_to_run(
    output_run: OutputRun, paths: BankPaths, photos: PhotoSet, view_pass: Pass, options: RunOptions
) -> list[Task]:
    """The tasks of a pass without a cached outcome, by the markers of the bank; nothing is recorded."""
    encoder = output_run.encoder
    part = narrowed_pass(view_pass, encoder, photos, options) if encoder.stored else view_pass
    if part is None:
        return []
    bank = paths.look(encoder, part.recipe.view_keys(), output_run.output)
    failed = bank.failures()  # of the views that are there; a photo that fails, mostly fails in all of them
    if options.fresh or not encoder.cacheable or any(map(may_pass, failed.values())):
        return list(part.tasks)
    output_run = replace(output_run, answers=_answers_of(output_run, paths, photos, part, options))
    usable = np.array([photo_id not in failed for photo_id in photos.ids])
    cached = cached_outcomes(_computation(output_run, paths), usable, photos, part.tasks, options, NO_OUTCOMES)
    return [task for task in part.tasks if (outcome := cached.get(task.name)) is None or not outcome.is_stored]


def _outcome_key(output_run: OutputRun, paths: BankPaths) -> dict[str, Any] | None:
    """Key of the embeddings that tasks read; None for an encoder that is not identified."""
    encoder, eraser = output_run.encoder, output_run.eraser
    if not encoder.cacheable:
        return None
    return {**paths.key(encoder), **({} if eraser is None else {"eraser": eraser.sha256})}


def input_size(encoder: Encoder) -> tuple[int, int] | None:
    """Height and width of what the encoder sees, from its own preprocessing of a grey picture."""
    try:
        with foreign_code():
            seen = encoder.preprocess(Image.new("RGB", (512, 512), (128, 128, 128)))
    except Exception:  # code of others; photos show whether it works
        return None
    return (seen.shape[0], seen.shape[1]) if seen.dtype == np.uint8 and seen.ndim == 3 else None
