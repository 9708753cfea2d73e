"""What views and embeddings take, measured on a few photos by the path of the run, scaled to what is missing."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmark.bank import Bank, OutputsBank, bank_key, fill_banks, missing_parts, workers_each
from benchmark.compute import named_devices
from benchmark.encoders import Encoder, with_outputs
from benchmark.options import RunOptions
from benchmark.scoring.answers.times import answer_times
from benchmark.scoring.estimating.clocks import Stopwatch, on_line, summed
from benchmark.scoring.passes import planned_passes
from benchmark.scoring.request import OpenedSet
from benchmark.tasks import Seconds
from benchmark.views import ViewRecipe, choose_views, view_stream
from builders.errors import EncoderError
from builders.files import scratch_prefix
from builders.photos import PhotoSet

MEASURED_PHOTOS = 6
"""Photos that are measured at least; four times as many each time until ``ENOUGH_S`` are reached."""

MOST_PHOTOS = 96

ENOUGH_S = 2.0
"""Processor seconds that are enough for a rate."""

Lacking = Callable[[ViewRecipe], Bank | OutputsBank | None]
"""The bank of a pass as it is, of which only the missing views are made; None makes all of them."""


@dataclass(frozen=True)
class PassTimes:
    """Time and space of all passes of one encoder over a photo set, scaled from a few photos."""

    making_s: float = 0.0
    """Seconds of one core to make the views."""
    forward_s: float = 0.0
    views: int = 0
    bank_bytes: int = 0
    makers: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    reason: str = ""
    """Why nothing was measured; empty if it was."""
    making_processor_s: float = 0.0
    forward_processor_s: float = 0.0
    by_device: bool = False
    """Whether the device that embeds makes views too, so that the two do not overlap."""
    stored_views: int = 0
    """Views that the bank has already, of which nothing is counted."""


def pass_times(
    spec: str,
    encoder: Encoder,
    opened: OpenedSet,
    options: RunOptions,
    lacking: Lacking = lambda recipe: None,
) -> PassTimes:
    """Embed a few photos of a set, and scale time and space to all that is missing.

    A view that two passes need is made once.
    """
    photos = opened.photos
    if options.outputs:
        encoder = with_outputs(encoder, options.outputs).together
    several = named_devices(options.device)
    several = several if len(several) > 1 and encoder.reload is not None else ()
    hands = workers_each(options.workers, max(1, len(several)))
    making, forward, makers = [], [], []
    views = stored = bank_bytes = 0
    by_device = False
    known: list[Mapping[str, object]] = []
    for planned in planned_passes(opened.tasks, photos, options):
        recipe = planned.recipe
        keys = recipe.view_keys()
        names = [name for name in recipe.names if keys[name] not in known]
        known += [keys[name] for name in names]
        choice = choose_views(options.views, recipe, [encoder.preprocess], [torch.device(encoder.device)], hands)
        missing = _missing(names, lacking(recipe), len(photos))
        made = sum(len(part) * count for part, count in missing.items())
        stored += len(names) * len(photos) - made
        views += made
        for part, count in missing.items():
            try:
                rate = _measured(spec, encoder, photos, recipe.only(part), options, choice.device is not None, count)
            except EncoderError as error:
                return PassTimes(reason=str(error))
            making.append(rate.making)
            forward.append(rate.forward)
        if made:
            makers.append(str(choice))
            by_device = by_device or choice.device is not None
        bank_bytes += made * encoder.info.dimension * np.dtype(options.storage).itemsize
        answers = answer_times(encoder, recipe, planned.tasks, photos, options)  # as if no answer were there
        making.append(Seconds(answers.making_s, answers.making_s))
        forward.append(Seconds(*[answers.load_s + answers.forward_s] * 2))
        views += answers.answers
        bank_bytes += answers.bank_bytes
        makers += [answers.text] if answers.text else []
    made_s, forward_s = summed(making), summed(forward)
    return PassTimes(
        making_s=made_s.wall,
        forward_s=forward_s.wall,
        views=views,
        bank_bytes=bank_bytes,
        makers=tuple(makers),
        devices=several if views else (),
        making_processor_s=made_s.processor,
        forward_processor_s=forward_s.processor,
        by_device=by_device,
        stored_views=stored,
    )


def _missing(names: list[str], bank: Bank | OutputsBank | None, photos: int) -> dict[tuple[str, ...], int]:
    """Number of photos by the views that they lack together."""
    if not names:
        return {}
    if bank is None:
        return {tuple(names): photos}
    lacks: dict[tuple[str, ...], int] = {}
    for part in missing_parts(names, [bank]):
        [lacked] = part.missing
        lacks[lacked] = sum(len(bank.blocks.photos_of(block)) for block in part.blocks)
    return lacks


@dataclass(frozen=True)
class _Rate:
    making: Seconds
    forward: Seconds


def _measured(
    spec: str, encoder: Encoder, photos: PhotoSet, recipe: ViewRecipe, options: RunOptions, on_device: bool, count: int
) -> _Rate:
    """Seconds for views of ``count`` photos, made by the maker that the run takes, and for their embeddings."""
    few = photos.limited(min(MOST_PHOTOS, len(photos)), options.seed)
    few = few.select(np.random.default_rng(0).permutation(len(few)))
    made: list[tuple[float, Seconds]] = []
    embedded: list[tuple[float, Seconds]] = []
    size = min(MEASURED_PHOTOS, len(few))
    _embed(spec, encoder, few.select(np.arange(1)), recipe, options, on_device)  # the first call is slow
    while True:
        part = few.select(np.arange(size))
        making = _make(encoder, part, recipe, on_device)
        forward_s, processor_s = _embed(spec, encoder, part, recipe, options, on_device)
        made.append((size, making))
        embedded.append((size, Seconds(forward_s, max(0.0, processor_s - making.processor))))
        if size == len(few) or processor_s >= ENOUGH_S:
            return _Rate(on_line(made, count), on_line(embedded, count))
        size = min(4 * size, len(few))


def _mode(on_device: bool) -> str:
    return "device" if on_device else "cpu"


def _make(encoder: Encoder, photos: PhotoSet, recipe: ViewRecipe, on_device: bool) -> Seconds:
    """Seconds of this process to make the views of these photos."""
    target, stopwatch = torch.device(encoder.device), Stopwatch()
    stream = view_stream(
        photos, range(len(photos)), recipe, [encoder.preprocess], mode=_mode(on_device), targets=[target]
    )
    with contextlib.closing(stream):
        for _ in stream:
            pass
    if on_device and target.type == "cuda":
        torch.cuda.synchronize(target)
    return stopwatch.seconds()


def _embed(
    spec: str, encoder: Encoder, photos: PhotoSet, recipe: ViewRecipe, options: RunOptions, on_device: bool
) -> tuple[float, float]:
    """Clock seconds in the encoder, and processor seconds of the whole pass over these photos.

    Raises:
        EncoderError: the encoder fails.
    """
    with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
        key = bank_key(encoder.info, encoder.dtype, photos, "measured", options.storage)
        bank = Bank.open(Path(scratch), key, recipe.view_keys())
        stopwatch = Stopwatch()
        outcome = fill_banks(
            photos,
            recipe,
            [encoder],
            [bank],
            batch_size=options.batch_size,
            workers=0,
            views=_mode(on_device),
            label=f"measuring {spec}",
        )
        processor_s = stopwatch.seconds().processor
    if outcome.failures:
        raise EncoderError(outcome.failures[0])
    return outcome.cost.forward_s, processor_s
