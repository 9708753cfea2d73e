"""One pass over the photos that fills the banks of one or several encoders.

Three things go on at once: workers make views, this thread gathers them into batches (in a GPU's memory, if there is
one), and one more thread runs the encoders and writes rows. What is gathered is bounded in bytes, not by encoders.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from benchmark.bank.bank import Bank, Block
from benchmark.bank.device_copy import DeviceCopy
from benchmark.compute import FittingBatch
from benchmark.encoders import Encoder
from benchmark.views import PhotoViews, Preprocess, ViewRecipe, view_stream
from builders.errors import EncoderError
from builders.photos import PhotoSet

GATHERED_BATCHES = 4
"""Batches that are gathered at a time, so that the last, smaller one matters little."""

GATHERED_BYTES = 1 << 28
"""Bytes after which no further photo is gathered: the views of many large preprocessings are many bytes a photo."""


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
    """Time in which the encoders had nothing to do: views were still being made."""
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
    views: str = "auto",
    label: str = "embedding",
) -> PassOutcome:
    """Embed every photo that a bank misses. Each photo is decoded once, each distinct preprocessing is run once.

    Args:
        photos: all photos of the banks, in their order.
        recipe: the views of the banks.
        encoders: one per bank.
        banks: of the same photos and views.
        batch_size: views per forward pass; halved for an encoder where memory does not hold them.
        workers: processes that make views.
        views: who makes them, see ``RunOptions.views``.
        label: of the progress bar.

    An encoder that fails on a batch, or gives another shape than it promised, is left out of the rest of the pass.
    """
    started = time.perf_counter()
    preprocesses: list[Preprocess] = []
    lanes = [
        _Lane(encoder, bank, position(preprocesses, encoder.preprocess), set(bank.missing_blocks()), batch_size)
        for encoder, bank in zip(encoders, banks, strict=True)
    ]
    pending = sorted(set().union(*(lane.missing for lane in lanes)))
    layout = banks[0]
    indices = [index for block in pending for index in layout.block_range(block)]
    copies = [DeviceCopy.of([lane.encoder for lane in lanes if lane.which == i]) for i in range(len(preprocesses))]
    making = 0.0
    homes = [copy.device for copy in copies]
    source = (photos, indices, recipe, preprocesses)
    stream = view_stream(*source, workers=workers, way=views, homes=homes) if indices else iter(())
    bar = tqdm(total=len(indices), desc=label, unit="photo", delay=1, disable=None)
    with bar, _beside() as beside:
        for block in pending:
            made: list[PhotoViews] = []
            failed: dict[str, str] = {}
            own_failed: list[dict[str, str]] = [{} for _ in preprocesses]
            compressions: Counter[str] = Counter()
            block_s = 0.0
            remaining = len(layout.block_range(block))
            while remaining:
                photo = next(stream)
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
                if made and (not remaining or _enough(made, len(recipe.names), batch_size)):
                    batches = [_gather(made, which, copy) for which, copy in enumerate(copies)]
                    beside.do(_embed_batch, lanes, block, batches)
                    made = []
                bar.update()
            making += block_s
            beside.do(_finish_block, lanes, block, failed, own_failed, dict(compressions), block_s)
            if all(lane.failure for lane in lanes):
                break
    cost = PassCost(
        photos=len(indices),
        views=sum(lane.views for lane in lanes),
        wall_s=time.perf_counter() - started,
        waiting_s=beside.idle_s,
        forward_s=beside.busy_s,
        making_s=making,
    )
    return PassOutcome(cost, {i: lane.failure for i, lane in enumerate(lanes) if lane.failure})


def position(known: list[Preprocess], preprocess: Preprocess) -> int:
    """Index of a preprocessing among the known ones; equal preprocessings share their views, whoever made them."""
    for index, other in enumerate(known):
        if other is preprocess or (type(other) is type(preprocess) and other == preprocess):
            return index
    known.append(preprocess)
    return len(known) - 1


def _enough(made: Sequence[PhotoViews], views: int, batch_size: int) -> bool:
    held = sum(array.nbytes for photo in made for array in photo.arrays)
    return len(made) * views >= GATHERED_BATCHES * batch_size or held >= GATHERED_BYTES


@dataclass
class _Lane:
    """One encoder of the pass, with its bank."""

    encoder: Encoder
    bank: Bank
    which: int
    """Position of its preprocessing."""
    missing: set[int]
    """Blocks that its bank lacks."""
    batch_size: int
    failure: str = ""
    views: int = 0
    embed: FittingBatch = field(init=False)

    def __post_init__(self) -> None:
        self.embed = FittingBatch(self.encoder.info.id, self.encoder.embed, self.batch_size)


@dataclass(frozen=True)
class _Gathered:
    """The views of some photos under one preprocessing, ready for its encoders."""

    indices: tuple[int, ...]
    """Of the photos that this preprocessing could take."""
    views: Callable[[], torch.Tensor]
    """[photos * views, ...], waited for if it is still being copied."""


def _gather(made: Sequence[PhotoViews], which: int, copy: DeviceCopy) -> _Gathered:
    usable = [photo for photo in made if not (photo.own_failures and photo.own_failures[which])]
    if not usable:
        return _Gathered((), lambda: torch.empty(0))
    views = copy.start([photo.arrays[which] for photo in usable])
    return _Gathered(tuple(photo.index for photo in usable), views)


def _embed_batch(lanes: Sequence[_Lane], block: int, batches: Sequence[_Gathered]) -> None:
    for lane in lanes:
        batch = batches[lane.which]
        if block in lane.missing and not lane.failure and batch.indices:
            try:
                _embed(lane, batch)
            except EncoderError as error:
                lane.failure = str(error)


def _embed(lane: _Lane, batch: _Gathered) -> None:
    name, dim = lane.encoder.info.id, lane.bank.dim
    views = batch.views()
    try:
        embeddings = lane.embed(views)
    except Exception as error:  # a user's own function may raise anything
        raise EncoderError(f"{name}: failed on a batch of {len(views)} views ({error})") from error
    shape = (len(views), dim)
    if tuple(embeddings.shape) != shape:
        raise EncoderError(f"{name}: gave embeddings of shape {tuple(embeddings.shape)}, expected {shape}")
    if not torch.isfinite(embeddings).all():
        raise EncoderError(f"{name}: gave embeddings that are not finite (try --dtype float32)")
    table = embeddings.numpy().reshape(len(batch.indices), -1, dim)
    runs = np.split(np.arange(len(batch.indices)), np.flatnonzero(np.diff(batch.indices) != 1) + 1)
    for run in runs:
        lane.bank.write_rows(batch.indices[run[0]], table[run])
    lane.views += len(views)


def _finish_block(
    lanes: Sequence[_Lane],
    block: int,
    failed: Mapping[str, str],
    own_failed: Sequence[Mapping[str, str]],
    compressions: Mapping[str, int],
    seconds: float,
) -> None:
    for lane in lanes:
        if block in lane.missing and not lane.failure:
            lane.bank.finish_block(Block(block, {**failed, **own_failed[lane.which]}, compressions, seconds))


class _Beside:
    """Does work on one other thread, in order; the next piece is taken when the one before is done, so none pile up."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.busy_s = self.idle_s = 0.0
        self._pool = pool
        self._last: Future[None] | None = None
        self._free_since = time.perf_counter()

    def do(self, work: Callable[..., None], *given: Any) -> None:
        self.wait()
        self._last = self._pool.submit(self._timed, work, *given)

    def wait(self) -> None:
        if self._last is not None:
            self._last.result()

    def _timed(self, work: Callable[..., None], *given: Any) -> None:
        started = time.perf_counter()
        self.idle_s += started - self._free_since
        try:
            work(*given)
        finally:
            self._free_since = time.perf_counter()
            self.busy_s += self._free_since - started


@contextmanager
def _beside() -> Iterator[_Beside]:
    with ThreadPoolExecutor(1, thread_name_prefix="encoders") as pool:
        beside = _Beside(pool)
        yield beside
        beside.wait()
