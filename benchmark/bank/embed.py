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
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from benchmark.bank.bank import Bank
from benchmark.bank.device_copy import DeviceCopy
from benchmark.bank.members import Member, Seat, Seated, seated
from benchmark.bank.missing import Part, missing_parts
from benchmark.encoders import COMPLEX, Embedder, Encoder, said
from benchmark.views import PhotoViews, ViewRecipe, view_stream
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
    views: tuple[int, ...]
    """Embeddings made by each encoder."""
    forward_s: tuple[float, ...]
    """Time in each encoder, writing its rows included."""

    def own(self, encoder: int) -> PassCost:
        """What the pass cost one of its encoders, by position; over all encoders these are the whole.

        Its own forward time is measured. What they share (making views, waiting for them, everything else) is divided
        by the number of views that each embedded.
        """
        whole = sum(self.views)
        share = self.views[encoder] / whole if whole else 1 / len(self.views)
        others = self.cost.wall_s - sum(self.forward_s)
        return PassCost(
            photos=self.cost.photos,
            views=self.views[encoder],
            wall_s=self.forward_s[encoder] + share * others,
            waiting_s=share * self.cost.waiting_s,
            forward_s=self.forward_s[encoder],
            making_s=share * self.cost.making_s,
        )


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
    learn: Callable[[int, bytes], None] = lambda index, digest: None,
) -> PassOutcome:
    """Embed the views that a bank misses. Each photo is decoded once, each distinct preprocessing is run once.

    Args:
        photos: all photos of the banks, in their order.
        recipe: the views of the banks.
        encoders: one per bank.
        banks: of the same photos and views.
        batch_size: views per forward pass; halved for an encoder where memory does not hold them.
        workers: processes that make views.
        views: who makes them, see ``RunOptions.views``.
        label: of the progress bar.
        learn: told the index and the ``photo_digest`` of each photo that was read.

    An encoder that fails on a batch, or gives another shape than it promised, is left out of the rest of the pass.
    """
    started = time.perf_counter()
    members = [Member(encoder, bank, batch_size) for encoder, bank in zip(encoders, banks, strict=True)]
    parts = missing_parts(recipe.names, banks)
    count = sum(len(banks[0].blocks.photos_of(block)) for part in parts for block in part.blocks)
    making = 0.0
    bar = tqdm(total=count, desc=label, unit="photo", delay=1, disable=None)
    with bar, _beside() as beside:
        for part in parts:
            beside.wait()
            here = seated(members, part, recipe)
            indices = [index for block in part.blocks for index in banks[0].blocks.photos_of(block)]
            source = (photos, indices, here.recipe, here.preprocesses)
            homes = [copy.device for copy in here.copies]
            if here.seats:
                stream = view_stream(*source, workers=workers, way=views, homes=homes)
                making += _fill_part(photos, part, here, stream, batch_size, beside, bar, learn)
    cost = PassCost(
        photos=count,
        views=sum(member.views for member in members),
        wall_s=time.perf_counter() - started,
        waiting_s=beside.idle_s,
        forward_s=beside.busy_s,
        making_s=making,
    )
    failures = {i: member.failure for i, member in enumerate(members) if member.failure}
    return PassOutcome(
        cost, failures, tuple(member.views for member in members), tuple(member.forward_s for member in members)
    )


def _fill_part(
    photos: PhotoSet,
    part: Part,
    here: Seated,
    stream: Iterator[PhotoViews],
    batch_size: int,
    beside: _Beside,
    bar: tqdm[Any],
    learn: Callable[[int, bytes], None],
) -> float:
    """Embed the stream's views block by block; gives the workers' time for making them."""
    names, making = here.recipe.names, 0.0
    for block in part.blocks:
        beside.do(_begin_block, here.seats, block)
        notes = _BlockNotes(photos, names, len(here.preprocesses))
        made: list[PhotoViews] = []
        for remaining in reversed(range(len(here.seats[0].member.bank.blocks.photos_of(block)))):
            photo = next(stream)
            notes.add(photo)
            learn(photo.index, photo.digest)
            if not photo.failure:
                made.append(photo)
            if made and (not remaining or _enough(made, len(names), batch_size)):
                batches = [_gather(made, which, copy) for which, copy in enumerate(here.copies)]
                beside.do(_embed_batch, here.seats, names, batches)
                made = []
            bar.update()
        making += notes.seconds
        beside.do(_finish_block, here.seats, block, notes)
        if all(seat.member.failure for seat in here.seats):
            break
    return making


def _enough(made: Sequence[PhotoViews], views: int, batch_size: int) -> bool:
    held = sum(array.nbytes for photo in made for array in photo.arrays)
    return len(made) * views >= GATHERED_BATCHES * batch_size or held >= GATHERED_BYTES


class _BlockNotes:
    """What is known of a block's photos, beside their views."""

    def __init__(self, photos: PhotoSet, names: Sequence[str], preprocesses: int) -> None:
        self.seconds = 0.0
        self.source_jpeg: Counter[str] = Counter()
        self._photos = photos
        self._failed: list[dict[str, dict[str, str]]] = [{name: {} for name in names} for _ in range(preprocesses)]

    def add(self, photo: PhotoViews) -> None:
        self.seconds += photo.seconds
        self.source_jpeg[photo.source_jpeg] += 1
        for which, of_view in enumerate(self._failed):
            reasons = photo.own_failures[which] if photo.own_failures else {}
            for name, failed in of_view.items():
                if reason := photo.failure or reasons.get(name, ""):
                    failed[self._photos.ids[photo.index]] = reason

    def failures(self, which: int, name: str) -> dict[str, str]:
        """Reason by photo id for one preprocessing and view."""
        return self._failed[which][name]


@dataclass(frozen=True)
class _Gathered:
    """The views of some photos under one preprocessing, ready for its encoders."""

    indices: tuple[int, ...]
    """Of the photos that this preprocessing could take."""
    views: Callable[[], torch.Tensor]
    """[photos * views, ...], waited for if it is still being copied."""


def _gather(made: Sequence[PhotoViews], which: int, copy: DeviceCopy) -> _Gathered:
    usable = [photo for photo in made if len(photo.arrays[which])]
    if not usable:
        return _Gathered((), lambda: torch.empty(0))
    views = copy.start([photo.arrays[which] for photo in usable])
    return _Gathered(tuple(photo.index for photo in usable), views)


def _begin_block(seats: Sequence[Seat], block: int) -> None:
    for seat in seats:
        seat.begin(block)


def _embed_batch(seats: Sequence[Seat], names: Sequence[str], batches: Sequence[_Gathered]) -> None:
    for seat in seats:
        batch = batches[seat.which]
        if seat.wanted and not seat.member.failure and batch.indices:
            started = time.perf_counter()
            try:
                _embed(seat, names, batch)
            except EncoderError as error:
                seat.member.failure = str(error)
            seat.member.forward_s += time.perf_counter() - started


def _embed(seat: Seat, names: Sequence[str], batch: _Gathered) -> None:
    member = seat.member
    name, dim = member.encoder.info.id, member.bank.dim
    views = batch.views()
    if seat.wanted != tuple(names):
        places = torch.tensor([names.index(view) for view in seat.wanted], device=views.device)
        views = views.unflatten(0, (len(batch.indices), -1))[:, places].flatten(0, 1)
    if not isinstance(member.encoder.embed, Embedder):  # somebody's own may write into what others of the pass share
        views = views.clone()
    try:
        embeddings = member.embed(views)
    except EncoderError:
        raise
    except (Exception, SystemExit) as error:  # a user's own function may raise anything
        raise EncoderError(f"{name}: failed on a batch of {len(views)} views ({said(error)})") from error
    shape = (len(views), dim)
    if tuple(embeddings.shape) != shape:
        raise EncoderError(f"{name}: gave embeddings of shape {tuple(embeddings.shape)}, expected {shape}")
    if embeddings.is_complex():
        raise EncoderError(f"{name}: {COMPLEX}")
    if not torch.isfinite(embeddings).all():
        raise EncoderError(f"{name}: gave embeddings that are not finite (try --dtype float32)")
    table = embeddings.numpy().reshape(len(batch.indices), -1, dim)
    runs = np.split(np.arange(len(batch.indices)), np.flatnonzero(np.diff(batch.indices) != 1) + 1)
    for run in runs:
        for place, view in enumerate(seat.wanted):
            member.bank.write_rows(view, batch.indices[run[0]], table[run, place])
    member.views += len(views)


def _finish_block(seats: Sequence[Seat], block: int, notes: _BlockNotes) -> None:
    for seat in seats:
        if not seat.member.failure:
            for name in seat.wanted:
                seat.member.bank.finish_block(name, block, notes.failures(seat.which, name), dict(notes.source_jpeg))


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
