"""One pass over the photos that fills the banks of one or several encoders.

Four things go on at once: workers make views, this thread gathers them (in a GPU's memory, if there is one), one thread
runs the encoders, and one waits for their embeddings and writes rows. What is gathered is bounded in bytes, not by
encoders.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from tqdm.auto import tqdm

from benchmark.bank.fill.batches import SerialThread, embed_gathered, gather, serial_thread
from benchmark.bank.fill.members import (
    Making,
    Member,
    PassMember,
    PassPlan,
    gathers,
    members_of,
    missing_parts,
    photos_together,
    seated,
)
from benchmark.bank.fill.targets import StoreWriter
from benchmark.bank.view_file import Blocks
from benchmark.encoders import Encoder
from benchmark.views import PhotoViews, Prefetch, StreamRequest, ViewRecipe, photo_bytes
from builders.kernels import compiling_s
from builders.photos import PhotoSet
from builders.untrusted import readable


@dataclass(frozen=True)
class ViewRequest:
    """Of one part of a pass."""

    stream: StreamRequest
    blocks: tuple[tuple[int, tuple[int, ...]], ...]
    """Index of each block, and the photos of each of its gathers."""

    @classmethod
    def of(
        cls, photos: PhotoSet, blocks: Sequence[int], making: Making, batch_size: int, workers: int, views: str
    ) -> ViewRequest:
        """For encoders and blocks that there are; the numbers as of ``fill_banks``."""
        photos_of = Blocks(len(photos)).photos_of
        sizes = [len(photos_of(block)) for block in blocks]
        of_photo = photo_bytes(making.recipe, making.preprocesses)
        together = photos_together(len(making.recipe.names), batch_size, of_photo, max(sizes))
        stream = StreamRequest(
            photos,
            tuple(index for block in blocks for index in photos_of(block)),
            making.recipe,
            tuple(making.preprocesses),
            workers=workers,
            way=views,
            homes=tuple(copy.device for copy in making.copies),
            gathers=tuple(gathers(sizes, together)),
        )
        of_blocks = (tuple(gathers([size], together)) for size in sizes)
        return cls(stream, tuple(zip(blocks, of_blocks, strict=True)))


def begin_views(
    ahead: Prefetch,
    photos: PhotoSet,
    recipe: ViewRecipe,
    encoders: Sequence[Encoder],
    *,
    batch_size: int,
    workers: int,
    views: str,
) -> None:
    """Let workers begin with the views that ``fill_banks`` of the same arguments asks for where its banks hold none."""
    blocks, making = range(len(Blocks(len(photos)))), Making.of(recipe.only(recipe.names), encoders)
    ahead.begin(ViewRequest.of(photos, blocks, making, batch_size, workers, views).stream)


@dataclass(frozen=True)
class PassOutcome:
    """How a pass went."""

    cost: PassCost
    failures: Mapping[int, str]
    """Reason by position of each encoder that failed; the others went on."""
    views: tuple[int, ...]
    """Embeddings made by each encoder."""
    forward_s: tuple[float, ...]
    """Time in each encoder: beginning its batches and waiting for them."""

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
            compiling_s=share * self.cost.compiling_s,
        )


@dataclass(frozen=True)
class PassCost:
    """What one pass cost."""

    photos: int
    """Photos embedded in this pass, failed ones included; 0 when the banks were complete."""
    views: int
    """Embeddings made."""
    wall_s: float
    """Without the time in which kernels were compiled."""
    waiting_s: float
    """Time in which the encoders had nothing to do: views were still being made."""
    forward_s: float
    """Time in the encoders."""
    making_s: float
    """Workers' time for reading, decoding, processing and preprocessing, summed over workers."""
    compiling_s: float = 0.0
    """Time in which nothing else went on: kernels that make pictures were compiled, once a machine."""


def fill_banks(
    photos: PhotoSet,
    recipe: ViewRecipe,
    encoders: Sequence[Encoder],
    banks: Sequence[StoreWriter],
    *,
    batch_size: int = 64,
    workers: int = 2,
    views: str = "auto",
    label: str = "embedding",
    learn: Callable[[int, bytes], None] = lambda index, digest: None,
    blocks: Collection[int] | None = None,
    silent: bool = False,
    ahead: Prefetch | None = None,
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
        learn: told the index of each photo, and its ``photo_digest`` if it could be read.
        blocks: of photos that are filled, where other processes fill the others; all by default.
        silent: no bar.
        ahead: what ``begin_views`` began.

    An encoder that fails on a batch, or gives another shape than it promised, is left out of the rest of the pass.

    Raises:
        DataError: a worker died, or all have stopped.
    """
    ahead = Prefetch() if ahead is None else ahead
    started, compiled, compiled_ahead = time.perf_counter() - ahead.begun_s, compiling_s(), ahead.compiling_s
    members = members_of(photos, encoders, banks, batch_size)
    parts = missing_parts(recipe.names, banks, blocks)
    count = sum(len(banks[0].blocks.photos_of(block)) for part in parts for block in part.blocks)
    making = 0.0
    bar = tqdm(total=count, desc=readable(label), unit="photo", delay=1, disable=silent or None)
    with bar, serial_thread("rows") as rows, serial_thread("encoders") as forward:
        for part in parts:
            forward.wait()
            rows.wait()
            here = seated(members, part, recipe)
            if here.seats and part.blocks:
                asked = ViewRequest.of(photos, part.blocks, here.making, batch_size, workers, views)
                making += _Pass(photos, here, forward, rows, bar, learn).fill(asked, ahead)
    compiled_here = compiling_s() - compiled  # before the encoders had anything to do
    cost = PassCost(
        photos=count,
        views=sum(member.views for member in members),
        wall_s=time.perf_counter() - started - compiled_ahead - compiled_here,
        waiting_s=max(0.0, forward.idle_s - compiled_here),
        forward_s=forward.busy_s,
        making_s=making,
        compiling_s=compiled_ahead + compiled_here,
    )
    failures = {i: member.failure for i, member in enumerate(members) if member.failure}
    return PassOutcome(cost, failures, tuple(member.views for member in members), _of_each(members, forward.busy_s))


def _of_each(members: Sequence[Member], busy_s: float) -> tuple[float, ...]:
    """The encoders' time by encoder. Beginning one batch and waiting for another overlap, so that what was measured of
    each may be more than all took together; then it is divided in proportion."""
    measured = [member.begun_s + member.waited_s for member in members]
    scale = min(1.0, busy_s / max(sum(measured), 1e-9))
    return tuple(seconds * scale for seconds in measured)


@dataclass(frozen=True)
class _Pass:
    """One part of a pass."""

    photos: PhotoSet
    here: PassPlan
    forward: SerialThread
    """Where forward passes are begun."""
    rows: SerialThread
    """Where embeddings are waited for and written."""
    bar: tqdm[Any]
    learn: Callable[[int, bytes], None]

    def fill(self, asked: ViewRequest, ahead: Prefetch) -> float:
        """Embed block by block; gives the workers' time for making views."""
        making = 0.0
        with closing(ahead.stream(asked.stream)) as stream:
            for block, together in asked.blocks:
                making += self._fill_block(block, together, stream)
                if all(seat.member.failure for seat in self.here.seats):
                    break
            self.forward.wait()
            self.rows.wait()
        return making

    def _fill_block(self, block: int, together: Sequence[int], stream: Iterator[PhotoViews]) -> float:
        seats, making = self.here.seats, self.here.making
        self.forward.do(_begin_block, seats, block)
        notes = _BlockNotes(self.photos, making.recipe.names, len(making.preprocesses))
        for count in together:
            made: list[PhotoViews] = []
            for photo in itertools.islice(stream, count):
                notes.add(photo)
                self.learn(photo.index, photo.digest)
                if not photo.failure:
                    made.append(photo)
                self.bar.update()
            if made:
                batches = [gather(made, which, copy) for which, copy in enumerate(making.copies)]
                self.forward.do(embed_gathered, seats, making.recipe.names, batches, self.rows)
        self.forward.do(_end_block, seats, block, notes, self.rows)
        return notes.seconds


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


def _begin_block(seats: Sequence[PassMember], block: int) -> None:
    for seat in seats:
        seat.begin(block)


def _end_block(seats: Sequence[PassMember], block: int, notes: _BlockNotes, rows: SerialThread) -> None:
    rows.do(_finish_block, [(seat.member, seat.which, seat.wanted) for seat in seats], block, notes)


def _finish_block(seats: Sequence[tuple[Member, int, tuple[str, ...]]], block: int, notes: _BlockNotes) -> None:
    for member, which, wanted in seats:
        if not member.failure:
            for name in wanted:
                member.bank.finish_block(name, block, notes.failures(which, name), dict(notes.source_jpeg))
