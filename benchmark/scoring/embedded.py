"""One pass of a run: banks opened and filled, and which tasks are left to be done on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from benchmark.bank import Bank, PhotoHashes, fill_banks_on
from benchmark.compute import named_devices
from benchmark.encoders import Encoder
from benchmark.options import RunOptions
from benchmark.scoring.collected import Collected, record, record_pass
from benchmark.scoring.from_files import filled, narrowed
from benchmark.scoring.jobs import Done, Job
from benchmark.scoring.kept import Slot, slot_of
from benchmark.scoring.passes import Pass
from benchmark.scoring.places import BankPlaces
from benchmark.scoring.trial import one_for_all, own_failures
from benchmark.tasks import TaskInput
from builders.errors import DataError
from builders.photos import PhotoSet


def embed_pass(
    ours: Sequence[tuple[Encoder, Collected]],
    places: BankPlaces,
    hashes: PhotoHashes,
    one: Pass,
    fresh: Sequence[str],
    options: RunOptions,
    tell: Callable[[str], object],
) -> list[tuple[Job, Collected]]:
    """Fill the banks of one pass, and say which tasks are left to be done; kept outcomes are recorded here."""
    photos, views = hashes.photos, one.recipe.view_keys()
    if not places.unread and not options.fresh:
        ours = [
            (e, got) for e, got in ours if not _all_kept(e, places.look(e, views), places, photos, one, options, got)
        ]
    if not ours:
        return []
    jobs: list[tuple[Job, Collected]] = []
    for encoder, got in ours:
        part = narrowed(one, encoder.stored, photos, options) if encoder.stored else None
        if part is not None:
            places.require_space([encoder], part.recipe.view_keys(), tell)
            bank = places.open(encoder, part.recipe.view_keys(), fresh)
            if filled(encoder, got, bank, photos):
                jobs += _jobs(encoder, got, bank, places, photos, part, options, alone=len(ours) == 1)
    ours = [(encoder, got) for encoder, got in ours if encoder.stored is None]
    if not ours:
        return jobs
    encoders = [encoder for encoder, _ in ours]
    places.require_space(encoders, views, tell)
    banks = [places.open(encoder, views, fresh) for encoder in encoders]
    name = encoders[0].info.id if len(encoders) == 1 else f"{len(encoders)} encoders"
    outcome = fill_banks_on(
        named_devices(options.device),
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
    for i, ((encoder, got), bank) in enumerate(zip(ours, banks, strict=True)):
        record_pass(outcome.own(i), len(encoders), got)
        if i in outcome.failures:
            got.failures["encoder", encoder.info.id] = outcome.failures[i]
            continue
        jobs += _jobs(encoder, got, bank, places, photos, one, options, alone=len(encoders) == 1)
    return jobs


def _jobs(
    encoder: Encoder,
    got: Collected,
    bank: Bank,
    places: BankPlaces,
    photos: PhotoSet,
    one: Pass,
    options: RunOptions,
    *,
    alone: bool,
) -> list[tuple[Job, Collected]]:
    """The tasks that are left to be done on a complete bank; kept outcomes are recorded."""
    usable, name = _usable(encoder, bank, photos, got), encoder.info.id
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
    given = TaskInput(photos, usable, bank, options, encoder.device, _input_size(encoder), eraser=encoder.eraser)
    for task, slot in _slots(encoder, usable, places, photos, one, options).items():
        kept = None if slot is None or options.fresh else slot.load()
        job = Job(one.task(task), replace(given, keep=slot.parts if slot else None), slot)
        if kept is not None:
            record(job, Done(kept, "", 0.0), got)
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
    got: Collected,
) -> bool:
    """Whether an earlier run kept what every task of a pass found; then it is recorded, and no embedding is read."""
    if not encoder.cacheable or not bank.complete:
        return False
    before = replace(got, failures=dict(got.failures))
    usable = _usable(encoder, bank, photos, before)
    kept = {
        task: slot.load() if slot else None
        for task, slot in _slots(encoder, usable, places, photos, one, options).items()
    }
    if not usable.any() or any(outcome is None for outcome in kept.values()):
        return False
    got.failures, got.source_jpeg = before.failures, before.source_jpeg
    given = TaskInput(photos, usable, bank, options, encoder.device)
    for task, outcome in kept.items():
        record(Job(one.task(task), given), Done(outcome, "", 0.0), got)
    return True


def _usable(encoder: Encoder, bank: Bank, photos: PhotoSet, got: Collected) -> np.ndarray:
    """bool [photos], those with an embedding in every view; the others are noted, and whose fault it is."""
    failed = bank.failures()
    if reason := own_failures(encoder.info.id, failed, len(photos)):
        got.failures["encoder", encoder.info.id] = reason
    got.failures.update({("photo", photo_id): reason for photo_id, reason in failed.items()})
    got.source_jpeg = got.source_jpeg or bank.source_jpeg()
    return np.array([photo_id not in failed for photo_id in photos.ids])


def _slots(
    encoder: Encoder, usable: np.ndarray, places: BankPlaces, photos: PhotoSet, one: Pass, options: RunOptions
) -> dict[str, Slot | None]:
    """By task of a pass, where its outcome is kept."""
    if not encoder.cacheable:
        return dict.fromkeys(task.name for task in one.tasks)
    key = places.key(encoder)
    if encoder.eraser is not None:
        key = {**key, "eraser": encoder.eraser.sha256}
    return {task.name: slot_of(task, photos, usable, key, options, encoder.device) for task in one.tasks}


def _input_size(encoder: Encoder) -> tuple[int, int] | None:
    """Height and width of what the encoder sees, from its own preprocessing of a grey picture."""
    try:
        seen = encoder.preprocess(Image.new("RGB", (512, 512), (128, 128, 128)))
    except (Exception, SystemExit):  # somebody's own; its photos will tell
        return None
    return (seen.shape[0], seen.shape[1]) if seen.dtype == np.uint8 and seen.ndim == 3 else None
