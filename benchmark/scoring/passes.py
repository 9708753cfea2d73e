"""Which passes over the photos tasks need: views of recipes of one kind and equal settings are made together."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from benchmark.bank import Bank, OutputsBank, PassCost, PhotoHashes, begin_views, fill_banks_on, fill_from_file
from benchmark.compute import named_devices
from benchmark.encoders import Encoder, Layered, Output, Pixels, StoredEmbeddings, with_outputs
from benchmark.erasing import Eraser
from benchmark.options import RunOptions
from benchmark.scoring.collect import EncoderRun, OutputCollected, record, record_pass
from benchmark.scoring.store_paths import BankPaths
from benchmark.scoring.tasks_run import CachedOutcome, Done, Job, cached_outcome
from benchmark.scoring.trial import one_for_all, trial_failures
from benchmark.tasks import Task, TaskInput
from benchmark.views import Prefetch, ViewRecipe
from builders.errors import CamtraceError, DataError, EncoderError, UsageError
from builders.photos import PhotoSet


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

    A task reads the views of its own recipe: another recipe may call its views the same and mean others. Two passes
    that need the same view find it in the same file of the bank.
    """
    found: dict[tuple[str, str], Pass] = {}
    for task in tasks:
        recipe = task.recipe(photos, options)
        which = recipe.kind, json.dumps(recipe.settings(), sort_keys=True)
        known = found.get(which)
        found[which] = Pass(known.recipe.merged(recipe), (*known.tasks, task)) if known else Pass(recipe, (task,))
    return list(found.values())


KINDS = ("processing", "stored", "plain")
"""Kinds of recipes whose views somebody else can have: a photo as it is, or under a processing. What is hidden of a
photo depends on an encoder's own crop."""


def can_answer(stored: StoredEmbeddings, task: Task, photos: PhotoSet, options: RunOptions) -> bool:
    """Whether a file holds the views that a task needs, of one photo at least."""
    recipe = task.recipe(photos, options)
    return recipe.kind in KINDS and all(stored.rows.get(name) for name in recipe.names)


def left_out(encoder: Encoder, tasks: Sequence[Task], photos: PhotoSet, options: RunOptions) -> str:
    """The sentence on tasks that a file cannot answer; empty if it can answer all, or nothing is read from a file.

    Raises:
        EncoderError: it can answer none.
    """
    stored = encoder.stored
    if stored is None:
        return ""
    without = [task.name for task in tasks if not can_answer(stored, task, photos, options)]
    held = ", ".join(sorted(stored.rows))
    if len(without) == len(tasks):
        raise EncoderError(f"{stored.name}: it holds {held}, and no task here is about these views of {photos.name}")
    return f"{stored.name}: left out, its views are not in the file: {', '.join(without)}" if without else ""


def narrowed(one: Pass, stored: StoredEmbeddings, photos: PhotoSet, options: RunOptions) -> Pass | None:
    """What of a pass a file can answer; None if nothing."""
    tasks = tuple(task for task in one.tasks if can_answer(stored, task, photos, options))
    names = [name for task in tasks for name in task.recipe(photos, options).names]
    return Pass(one.recipe.only(names), tasks) if tasks else None


def filled(encoder: Encoder, got: EncoderRun, bank: Bank, photos: PhotoSet) -> bool:
    """Whether its bank is complete now; else the reason is noted."""
    assert encoder.stored is not None
    started = time.perf_counter()
    try:
        written = fill_from_file(encoder.stored, photos, bank)
    except EncoderError as error:
        got.failures["encoder", encoder.info.id] = str(error)
        return False
    cost = PassCost(len(photos) if written else 0, written, time.perf_counter() - started, 0.0, 0.0, 0.0)
    record_pass(cost, written, got)
    return True


@dataclass(frozen=True)
class OutputRun:
    """One output of one encoder, with what becomes known of it."""

    encoder: Encoder
    got: EncoderRun
    """Of this output."""
    of: EncoderRun
    """Of the encoder; of its embedding these two are one."""
    output: Output | None = None
    """None for the embedding."""
    layered: Layered | None = None
    """What gives the encoder's outputs together; None where only its embedding is asked for."""
    eraser: Eraser | None = None
    """Applied to embeddings before any task reads them; None for layers, which no eraser is fitted to."""


def layers_of(
    encoders: Sequence[Encoder], options: RunOptions, collected: Sequence[EncoderRun], eraser: Eraser | None
) -> list[Layered | None]:
    """What each encoder is read by, where layers were asked for; one that has none has failed.

    Raises:
        CamtraceError: the only encoder has not those that were asked for.
    """
    found: list[Layered | None] = []
    for encoder, got in zip(encoders, collected, strict=True):
        layered = None
        if options.outputs:
            try:
                if eraser is not None:
                    raise UsageError("an eraser is fitted to an embedding: --eraser and --outputs do not go together")
                layered = with_outputs(encoder, options.outputs)
                got.outputs = {output.name: OutputCollected(output) for output in layered.outputs}
            except CamtraceError as error:
                if len(encoders) == 1:
                    raise
                got.failures["encoder", encoder.info.id] = str(error)
        found.append(layered)
    return found


def readings(
    encoder: Encoder, got: EncoderRun, layered: Layered | None, eraser: Eraser | None = None
) -> list[OutputRun]:
    """Of one encoder, its embedding first."""
    outputs = layered.outputs if layered else ()
    beside = [OutputRun(encoder, got.outputs[o.name].got, got, o, layered) for o in outputs]
    return [OutputRun(encoder, got, got, None, layered, eraser), *beside]


def filled_together(own: Sequence[OutputRun], banks: Sequence[Bank]) -> tuple[Encoder, Bank | OutputsBank]:
    """The encoder that a pass runs for some readings of one encoder, and what takes its rows."""
    layered = own[0].layered
    if layered is None or all(reading.output is None for reading in own):
        return own[0].encoder, banks[0]
    columns = layered.columns()
    final = slice(0, layered.encoder.info.dimension)
    parts = [columns[reading.output.name] if reading.output else final for reading in own]
    return layered.together, OutputsBank(tuple(banks), tuple(parts), layered.together.info.dimension)


def embed_pass(
    ours: Sequence[OutputRun],
    places: BankPaths,
    hashes: PhotoHashes,
    one: Pass,
    fresh: Sequence[str],
    options: RunOptions,
    tell: Callable[[str], object],
    ahead: Prefetch | None = None,
) -> list[tuple[Job, EncoderRun]]:
    """Fill the banks of one pass, and say which tasks are left to be done; kept outcomes are recorded here."""
    photos, views = hashes.photos, one.recipe.view_keys()
    if not places.unread and not options.fresh:
        ours = [r for r in ours if not _all_kept(r, places, photos, one, options)]
    if not ours:
        return []
    alone = len({id(reading.of) for reading in ours}) == 1
    jobs: list[tuple[Job, EncoderRun]] = []
    for reading in ours:
        encoder, got = reading.encoder, reading.got
        part = narrowed(one, encoder.stored, photos, options) if encoder.stored else None
        if part is not None:
            places.require_space([(encoder, None)], part.recipe.view_keys(), tell)
            bank = places.open(encoder, part.recipe.view_keys(), fresh)
            if filled(encoder, got, bank, photos):
                jobs += _jobs(reading, bank, places, photos, part, options, alone=alone)
    ours = [reading for reading in ours if reading.encoder.stored is None]
    if not ours:
        return jobs
    wanted = [(reading.encoder, reading.output) for reading in ours]
    places.require_space(wanted, views, tell)
    banks = [places.open(encoder, views, fresh, output) for encoder, output in wanted]
    by_encoder = [[i for i, r in enumerate(ours) if r.of is of] for of in {id(r.of): r.of for r in ours}.values()]
    together = [filled_together([ours[i] for i in own], [banks[i] for i in own]) for own in by_encoder]
    name = ours[0].encoder.info.id if alone else f"{len(together)} encoders"
    outcome = fill_banks_on(
        named_devices(options.device),
        photos,
        one.recipe,
        [encoder for encoder, _ in together],
        [bank for _, bank in together],
        batch_size=options.batch_size,
        workers=options.workers,
        views=options.views,
        label=f"{name} on {photos.name}",
        learn=hashes.learn,
        ahead=ahead,
    )
    if places.unread:
        banks = places.settle(wanted, views)
    for i, own in enumerate(by_encoder):
        of = ours[own[0]].of
        record_pass(outcome.cost_of(i), len(by_encoder), of)
        if i in outcome.failures:
            of.failures["encoder", ours[own[0]].encoder.info.id] = outcome.failures[i]
            continue
        for at in own:
            jobs += _jobs(ours[at], banks[at], places, photos, one, options, alone=len(by_encoder) == 1)
    return jobs


def begin_first_views(
    ahead: Prefetch,
    encoders: Sequence[Encoder],
    places: BankPaths | None,
    photos: PhotoSet,
    one: Pass,
    options: RunOptions,
) -> None:
    """Let workers begin with the views of a pass, before it is known whether its encoders may be used.

    Where it is plain what the pass will ask for: nothing of it is there yet, one process on a CPU does it, and views
    are made by pictures' own steps, not by somebody's code, which may not be called before it has been tried.

    Args:
        places: of the banks; None where there are none yet, since nobody knows which runtime will compute them.
    """
    plain = all(e.device == "cpu" and e.stored is None and type(e.preprocess) is Pixels for e in encoders)
    if not plain or not options.workers or options.outputs or len(named_devices(options.device)) > 1:
        return
    views = one.recipe.view_keys()
    with contextlib.suppress(CamtraceError):  # the pass meets it again
        banks = [places.look(encoder, views) for encoder in encoders] if places else []
        if all(len(bank.missing(name)) == len(bank.blocks) for bank in banks for name in views):
            begin_views(
                ahead,
                photos,
                one.recipe,
                encoders,
                batch_size=options.batch_size,
                workers=options.workers,
                views=options.views,
            )


def begin_next_views(
    ahead: Prefetch, encoders: Sequence[Encoder], hashes: PhotoHashes, one: Pass, options: RunOptions
) -> None:
    """The same of a set that is scored next, where nobody has to read many photos to know what is there of it."""
    if encoders and not hashes.hashed_in_pass and all(encoder.cacheable for encoder in encoders):
        places = BankPaths(hashes, options, options.cache)  # no bank of these encoders lies in a folder of scratch
        if not places.earlier:
            begin_first_views(ahead, encoders, places, hashes.photos, one, options)


def _jobs(
    reading: OutputRun,
    bank: Bank,
    places: BankPaths,
    photos: PhotoSet,
    one: Pass,
    options: RunOptions,
    *,
    alone: bool,
) -> list[tuple[Job, EncoderRun]]:
    """The tasks that are left to be done on a complete bank; kept outcomes are recorded."""
    encoder, got = reading.encoder, reading.got
    usable, name = _usable(reading, bank, photos, got), encoder.info.id
    if reason := one_for_all(name, bank, np.flatnonzero(usable)):
        got.failures["encoder", name] = reason
        return []
    if not usable.any() and ("encoder", name) in got.failures:
        return []
    if not usable.any():
        first = next(iter(bank.failures().values()))
        reason = f"{photos.name}: none of the {len(photos)} photos can be used (the first: {first})"
        if alone:
            raise DataError(reason)
        got.failures["encoder", name] = reason
        return []
    jobs: list[tuple[Job, EncoderRun]] = []
    given = TaskInput(
        photos,
        usable,
        bank,
        options,
        encoder.device,
        _input_size(encoder),
        eraser=reading.eraser,
        brief=reading.output is not None,
    )
    for task, slot in _slots(reading, usable, places, photos, one, options).items():
        kept = None if slot is None or options.fresh else slot.load()
        job = Job(one.task(task), replace(given, checkpoints=slot.parts if slot else None), slot)
        if kept is not None:
            record(job, Done(kept, "", 0.0), got)
            continue
        if slot is not None and options.fresh:
            slot.forget()
        jobs.append((job, got))
    return jobs


def _all_kept(reading: OutputRun, places: BankPaths, photos: PhotoSet, one: Pass, options: RunOptions) -> bool:
    """Whether an earlier run kept what every task of a pass found; then it is recorded, and no embedding is read."""
    encoder, got = reading.encoder, reading.got
    bank = places.look(encoder, one.recipe.view_keys(), reading.output)
    if not encoder.cacheable or not bank.complete:
        return False
    before = replace(got, failures=dict(got.failures))
    usable = _usable(reading, bank, photos, before)
    kept = {
        task: slot.load() if slot else None
        for task, slot in _slots(reading, usable, places, photos, one, options).items()
    }
    if not usable.any() or any(outcome is None for outcome in kept.values()):
        return False
    got.failures, got.source_jpeg = before.failures, before.source_jpeg
    given = TaskInput(photos, usable, bank, options, encoder.device)
    for task, outcome in kept.items():
        record(Job(one.task(task), given), Done(outcome, "", 0.0), got)
    return True


def _usable(reading: OutputRun, bank: Bank, photos: PhotoSet, got: EncoderRun) -> np.ndarray:
    """bool [photos], those with an embedding in every view; the others are noted, and whose fault it is."""
    failed = bank.failures()
    name = reading.encoder.info.id
    if reason := trial_failures(name, failed, len(photos)):
        got.failures["encoder", name] = reason
    got.failures.update({("photo", photo_id): reason for photo_id, reason in failed.items()})
    got.source_jpeg = got.source_jpeg or bank.source_jpeg()
    return np.array([photo_id not in failed for photo_id in photos.ids])


def _slots(
    reading: OutputRun, usable: np.ndarray, places: BankPaths, photos: PhotoSet, one: Pass, options: RunOptions
) -> dict[str, CachedOutcome | None]:
    """By task of a pass, where its outcome is kept."""
    encoder = reading.encoder
    if not encoder.cacheable:
        return dict.fromkeys(task.name for task in one.tasks)
    key = places.key(encoder)
    if reading.eraser is not None:
        key = {**key, "eraser": reading.eraser.sha256}
    given = (photos, usable, key, options, encoder.device, reading.output)
    return {task.name: cached_outcome(task, *given) for task in one.tasks}


def _input_size(encoder: Encoder) -> tuple[int, int] | None:
    """Height and width of what the encoder sees, from its own preprocessing of a grey picture."""
    try:
        seen = encoder.preprocess(Image.new("RGB", (512, 512), (128, 128, 128)))
    except (Exception, SystemExit):  # somebody's own; its photos will tell
        return None
    return (seen.shape[0], seen.shape[1]) if seen.dtype == np.uint8 and seen.ndim == 3 else None
