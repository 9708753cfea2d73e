"""One pass of a run: banks opened and filled, and which tasks are left to be done on them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from benchmark.bank import Bank, PhotoHashes, begin_views, fill_banks_on
from benchmark.compute import named_devices
from benchmark.encoders import Encoder, Pixels
from benchmark.options import RunOptions
from benchmark.scoring.collected import Collected, record, record_pass
from benchmark.scoring.from_files import filled, narrowed
from benchmark.scoring.jobs import Done, Job
from benchmark.scoring.kept import Slot, slot_of
from benchmark.scoring.passes import Pass
from benchmark.scoring.places import BankPlaces
from benchmark.scoring.readings import Reading, filled_together
from benchmark.scoring.trial import one_for_all, own_failures
from benchmark.tasks import TaskInput
from benchmark.views import ViewsAhead
from builders.errors import CamtraceError, DataError
from builders.photos import PhotoSet


def embed_pass(
    ours: Sequence[Reading],
    places: BankPlaces,
    hashes: PhotoHashes,
    one: Pass,
    fresh: Sequence[str],
    options: RunOptions,
    tell: Callable[[str], object],
    ahead: ViewsAhead | None = None,
) -> list[tuple[Job, Collected]]:
    """Fill the banks of one pass, and say which tasks are left to be done; kept outcomes are recorded here."""
    photos, views = hashes.photos, one.recipe.view_keys()
    if not places.unread and not options.fresh:
        ours = [r for r in ours if not _all_kept(r, places, photos, one, options)]
    if not ours:
        return []
    alone = len({id(reading.of) for reading in ours}) == 1
    jobs: list[tuple[Job, Collected]] = []
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
        record_pass(outcome.own(i), len(by_encoder), of)
        if i in outcome.failures:
            of.failures["encoder", ours[own[0]].encoder.info.id] = outcome.failures[i]
            continue
        for at in own:
            jobs += _jobs(ours[at], banks[at], places, photos, one, options, alone=len(by_encoder) == 1)
    return jobs


def begin_first_views(
    ahead: ViewsAhead,
    encoders: Sequence[Encoder],
    places: BankPlaces | None,
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
    ahead: ViewsAhead, encoders: Sequence[Encoder], hashes: PhotoHashes, one: Pass, options: RunOptions
) -> None:
    """The same of a set that is scored next, where nobody has to read many photos to know what is there of it."""
    if encoders and not hashes.may_wait and all(encoder.cacheable for encoder in encoders):
        places = BankPlaces(hashes, options, options.cache)  # no bank of these encoders lies in a folder of scratch
        if not places.earlier:
            begin_first_views(ahead, encoders, places, hashes.photos, one, options)


def _jobs(
    reading: Reading,
    bank: Bank,
    places: BankPlaces,
    photos: PhotoSet,
    one: Pass,
    options: RunOptions,
    *,
    alone: bool,
) -> list[tuple[Job, Collected]]:
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
    jobs: list[tuple[Job, Collected]] = []
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
        job = Job(one.task(task), replace(given, keep=slot.parts if slot else None), slot)
        if kept is not None:
            record(job, Done(kept, "", 0.0), got)
            continue
        if slot is not None and options.fresh:
            slot.forget()
        jobs.append((job, got))
    return jobs


def _all_kept(reading: Reading, places: BankPlaces, photos: PhotoSet, one: Pass, options: RunOptions) -> bool:
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


def _usable(reading: Reading, bank: Bank, photos: PhotoSet, got: Collected) -> np.ndarray:
    """bool [photos], those with an embedding in every view; the others are noted, and whose fault it is."""
    failed = bank.failures()
    name = reading.encoder.info.id
    if reason := own_failures(name, failed, len(photos)):
        got.failures["encoder", name] = reason
    got.failures.update({("photo", photo_id): reason for photo_id, reason in failed.items()})
    got.source_jpeg = got.source_jpeg or bank.source_jpeg()
    return np.array([photo_id not in failed for photo_id in photos.ids])


def _slots(
    reading: Reading, usable: np.ndarray, places: BankPlaces, photos: PhotoSet, one: Pass, options: RunOptions
) -> dict[str, Slot | None]:
    """By task of a pass, where its outcome is kept."""
    encoder = reading.encoder
    if not encoder.cacheable:
        return dict.fromkeys(task.name for task in one.tasks)
    key = places.key(encoder)
    if reading.eraser is not None:
        key = {**key, "eraser": reading.eraser.sha256}
    given = (photos, usable, key, options, encoder.device, reading.output)
    return {task.name: slot_of(task, *given) for task in one.tasks}


def _input_size(encoder: Encoder) -> tuple[int, int] | None:
    """Height and width of what the encoder sees, from its own preprocessing of a grey picture."""
    try:
        seen = encoder.preprocess(Image.new("RGB", (512, 512), (128, 128, 128)))
    except (Exception, SystemExit):  # somebody's own; its photos will tell
        return None
    return (seen.shape[0], seen.shape[1]) if seen.dtype == np.uint8 and seen.ndim == 3 else None
