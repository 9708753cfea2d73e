"""One pass over the photos that fills the banks of one or several encoders."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from benchmark.bank import Bank, Block
from benchmark.encoders import Encoder
from benchmark.views import PhotoViews, Preprocess, ViewRecipe, iterate_views
from builders.errors import EncoderError
from builders.photos import PhotoSet


@dataclass(frozen=True)
class PassOutcome:
    """How a pass went."""

    cost: PassCost
    failures: Mapping[int, str]
    """Reason by position of each encoder that failed; the others went on."""


@dataclass(frozen=True)
class PassCost:
    """What one pass cost."""

    photos: int
    """Photos embedded in this pass, failed ones included; 0 when the banks were complete."""
    views: int
    """Embeddings made."""
    wall_s: float
    waiting_s: float
    """Time in which the encoder waited for views."""
    forward_s: float
    """Time in the encoders."""
    making_s: float
    """Workers' time for reading, decoding, processing and preprocessing, summed over workers."""


def fill_banks(
    photos: PhotoSet,
    recipe: ViewRecipe,
    encoders: Sequence[Encoder],
    banks: Sequence[Bank],
    *,
    batch_size: int = 64,
    workers: int = 2,
    label: str = "embedding",
) -> PassOutcome:
    """Embed every photo that a bank misses. Each photo is decoded once, each distinct preprocessing is run once.

    Args:
        photos: all photos of the banks, in their order.
        recipe: the views of the banks.
        encoders: one per bank.
        banks: of the same photos and views.
        batch_size: views per forward pass.
        workers: processes that make views.
        label: of the progress bar.

    An encoder that fails on a batch, or gives another shape than it promised, is left out of the rest of the pass.
    """
    started = time.perf_counter()
    missing = [set(bank.missing_blocks()) for bank in banks]
    pending = sorted(set().union(*missing))
    layout = banks[0]
    indices = [index for block in pending for index in layout.block_range(block)]
    preprocesses: list[Preprocess] = []
    group = [_position(preprocesses, encoder.preprocess) for encoder in encoders]
    photos_per_batch = max(1, batch_size // len(recipe.names))

    failures: dict[int, str] = {}
    waiting = forward = making = 0.0
    views = 0
    stream = iterate_views(photos, indices, recipe, preprocesses, workers=workers) if indices else iter(())
    bar = tqdm(total=len(indices), desc=label, unit="photo", delay=1, disable=None)
    with bar:
        for block in pending:
            made: list[PhotoViews] = []
            failed: dict[str, str] = {}
            own_failed: list[dict[str, str]] = [{} for _ in preprocesses]
            compressions: Counter[str] = Counter()
            block_s = 0.0
            remaining = len(layout.block_range(block))
            while remaining:
                asked = time.perf_counter()
                photo = next(stream)
                waiting += time.perf_counter() - asked
                remaining -= 1
                block_s += photo.seconds
                compressions[photo.source_jpeg] += 1
                if photo.failure:
                    failed[photos.ids[photo.index]] = photo.failure
                else:
                    made.append(photo)
                    for which, reason in enumerate(photo.own_failures):
                        if reason:
                            own_failed[which][photos.ids[photo.index]] = reason
                if made and (len(made) == photos_per_batch or not remaining):
                    asked = time.perf_counter()
                    for i, encoder in enumerate(encoders):
                        if block in missing[i] and i not in failures:
                            try:
                                views += _embed(encoder, banks[i], made, group[i])
                            except EncoderError as error:
                                failures[i] = str(error)
                    forward += time.perf_counter() - asked
                    made = []
                bar.update()
            making += block_s
            for i, bank in enumerate(banks):
                if block in missing[i] and i not in failures:
                    bank.finish_block(Block(block, {**failed, **own_failed[group[i]]}, dict(compressions), block_s))
            if len(failures) == len(encoders):
                break
    cost = PassCost(len(indices), views, time.perf_counter() - started, waiting, forward, making)
    return PassOutcome(cost, failures)


def _embed(encoder: Encoder, bank: Bank, photos: Sequence[PhotoViews], which: int) -> int:
    made = [photo for photo in photos if not (photo.own_failures and photo.own_failures[which])]
    if not made:
        return 0
    batch = torch.cat([photo.arrays[which] for photo in made])
    try:
        embeddings = encoder.embed(batch)
    except Exception as error:  # anything from out-of-memory to a user's own function
        raise EncoderError(f"{encoder.info.id}: failed on a batch of {len(batch)} views ({error})") from error
    shape = (len(batch), bank.dim)
    if tuple(embeddings.shape) != shape:
        raise EncoderError(f"{encoder.info.id}: gave embeddings of shape {tuple(embeddings.shape)}, expected {shape}")
    if not torch.isfinite(embeddings).all():
        raise EncoderError(f"{encoder.info.id}: gave embeddings that are not finite (try --dtype float32)")
    table = embeddings.numpy().reshape(len(made), -1, bank.dim)
    positions = [photo.index for photo in made]
    runs = np.split(np.arange(len(made)), np.flatnonzero(np.diff(positions) != 1) + 1)
    for run in runs:
        bank.write_rows(positions[run[0]], table[run])
    return len(batch)


def _position(known: list[Preprocess], preprocess: Preprocess) -> int:
    """Index of a preprocessing among the known ones; equal preprocessings share their views."""
    for position, other in enumerate(known):
        if other is preprocess or (type(other) is type(preprocess) and other == preprocess):
            return position
    known.append(preprocess)
    return len(known) - 1
