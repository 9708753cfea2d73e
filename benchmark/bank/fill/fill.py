"""One pass over the photos that fills the banks of one or several encoders.

Photo -> view -> embedding -> bank, in four steps that run at the same time: workers make views (``benchmark.views``),
this thread gathers them (in the memory of a GPU, if there is one), a second thread starts the encoders, a third waits
for their embeddings and writes rows (``batches.py``). The size of a gather is bounded in bytes.

A pass is divided into parts (``members.py``): blocks that lack the same views. Each part requests one stream of views
(``ViewRequest``) and fills its blocks one after the other.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tqdm.auto import tqdm

from benchmark.bank.fill.batches import SerialThread, embed_gathered, gather, of_same_shapes, serial_thread
from benchmark.bank.fill.members import (
    EncoderState,
    PassMember,
    PassPlan,
    ViewPlan,
    encoder_states,
    gather_sizes,
    missing_parts,
    photos_together,
    plan_part,
)
from benchmark.bank.fill.targets import StoreWriter
from benchmark.bank.view_file import Blocks
from benchmark.encoders import Encoder
from benchmark.views import PhotoViews, Prefetch, StreamRequest, ViewRecipe, photo_bytes
from builders.kernels import compiling_s
from builders.photos import PhotoSet
from builders.processes import progress_bar
from builders.untrusted import readable


@dataclass(frozen=True)
class PassCost:
    """What a pass cost, in seconds."""

    photos: int
    """Photos of the filled blocks, failed ones included; 0 if the banks were complete."""
    views: int
    """Embeddings made."""
    wall_s: float
    """Elapsed time, without the time in which kernels were compiled."""
    waiting_s: float
    """Time in which the encoders had no views."""
    forward_s: float
    """Time in the encoders."""
    making_s: float
    """Time of the workers for reading, decoding, processing and preprocessing, summed over workers."""
    compiling_s: float = 0.0
    """Time in which kernels that make pictures were compiled, once per machine, and nothing else ran."""


@dataclass(frozen=True)
class PassOutcome:
    """Cost and failures of a pass."""

    cost: PassCost
    failures: Mapping[int, str]
    """By index of an encoder that failed, the reason; the others were not affected."""
    views: tuple[int, ...]
    """Per encoder, embeddings made."""
    forward_s: tuple[float, ...]
    """Per encoder, seconds for starting its forward passes and waiting for them."""

    def cost_of(self, encoder: int) -> PassCost:
        """The share of one encoder, by its index; the shares of all encoders sum to the cost of the pass.

        The forward time of each encoder is measured. The rest (making views, waiting for them) is divided in
        proportion to the views that each encoder embedded.
        """
        whole = sum(self.views)
        share = self.views[encoder] / whole if whole else 1 / len(self.views)
        shared_s = self.cost.wall_s - sum(self.forward_s)
        return PassCost(
            photos=self.cost.photos,
            views=self.views[encoder],
            wall_s=self.forward_s[encoder] + share * shared_s,
            waiting_s=share * self.cost.waiting_s,
            forward_s=self.forward_s[encoder],
            making_s=share * self.cost.making_s,
            compiling_s=share * self.cost.compiling_s,
        )


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
    """Embed the views that a bank lacks. Each photo is decoded once, each distinct preprocessing is run once.

    Args:
        photos: all photos of the banks, in their order.
        recipe: the views of the banks.
        encoders: one per bank.
        banks: of the same photos and views.
        batch_size: views per forward pass; halved for an encoder if memory does not suffice.
        workers: processes that make views.
        views: where views are made, see ``RunOptions.views``.
        label: of the progress bar.
        learn: called with the index of each photo and its ``photo_digest``, which is empty if it could not be read.
        blocks: indices of the blocks to fill, if other processes fill the others; all by default.
        silent: show no progress bar.
        ahead: views that were requested early by ``begin_views``.

    An encoder that fails on a batch, or gives another shape than it declared, is left out of the rest of the pass.

    Raises:
        DataError: a worker died, or all of them have stopped.
    """
    ahead = Prefetch() if ahead is None else ahead
    started, compiled, compiled_ahead = time.perf_counter() - ahead.begun_s, compiling_s(), ahead.compiling_s
    states = encoder_states(photos, encoders, banks, batch_size)
    parts = missing_parts(recipe.names, banks, blocks)
    count = sum(len(banks[0].blocks.photos_of(block)) for part in parts for block in part.blocks)
    making_s = 0.0
    bar = progress_bar(total=count, desc=readable(label), unit="photo", delay=1, silent=silent)
    with bar, serial_thread("rows") as rows, serial_thread("encoders") as forward:
        for part in parts:
            forward.wait()
            rows.wait()
            plan = plan_part(states, part, recipe)
            if plan.members and part.blocks:
                request = ViewRequest.of(photos, part.blocks, plan.views, batch_size, workers, views)
                making_s += _PartPass(photos, plan, forward, rows, bar, learn).fill(request, ahead)
    compiled_here = compiling_s() - compiled  # before the first views were there for the encoders
    cost = PassCost(
        photos=count,
        views=sum(state.views for state in states),
        wall_s=time.perf_counter() - started - compiled_ahead - compiled_here,
        waiting_s=max(0.0, forward.idle_s - compiled_here),
        forward_s=forward.busy_s,
        making_s=making_s,
        compiling_s=compiled_ahead + compiled_here,
    )
    failures = {i: state.failure for i, state in enumerate(states) if state.failure}
    return PassOutcome(cost, failures, tuple(state.views for state in states), _forward_s(states, forward.busy_s))


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
    """Start to make the views that ``fill_banks`` with the same arguments requests first if its banks are empty."""
    blocks, plan = range(len(Blocks(len(photos)))), ViewPlan.of(recipe.only(recipe.names), encoders)
    ahead.begin(ViewRequest.of(photos, blocks, plan, batch_size, workers, views).stream)


@dataclass(frozen=True)
class ViewRequest:
    """The views that one part of a pass requests, and how its photos are grouped."""

    stream: StreamRequest
    """The photos of all blocks, in order."""
    blocks: tuple[tuple[int, tuple[int, ...]], ...]
    """Per block, its index and the number of photos of each of its gathers."""

    @classmethod
    def of(
        cls, photos: PhotoSet, blocks: Sequence[int], plan: ViewPlan, batch_size: int, workers: int, views: str
    ) -> ViewRequest:
        """The request for blocks, at least one, under a plan; the numbers as of ``fill_banks``."""
        photos_of = Blocks(len(photos)).photos_of
        sizes = [len(photos_of(block)) for block in blocks]
        bytes_a_photo = photo_bytes(plan.recipe, plan.preprocesses)
        together = photos_together(len(plan.recipe.names), batch_size, bytes_a_photo, max(sizes))
        first = (max(1, batch_size // len(plan.recipe.names)),) * 2
        of_blocks = [tuple(gather_sizes([size], together, () if at else first)) for at, size in enumerate(sizes)]
        stream = StreamRequest(
            photos,
            tuple(index for block in blocks for index in photos_of(block)),
            plan.recipe,
            tuple(plan.preprocesses),
            workers=workers,
            mode=views,
            targets=tuple(copy.device for copy in plan.copies),
            gathers=tuple(itertools.chain(*of_blocks)),
        )
        return cls(stream, tuple(zip(blocks, of_blocks, strict=True)))


def _forward_s(states: Sequence[EncoderState], busy_s: float) -> tuple[float, ...]:
    """Per encoder, its time. Starting one batch and waiting for another overlap, so the measured times may sum to more
    than the elapsed time; then they are scaled down."""
    measured = [state.begun_s + state.waited_s for state in states]
    scale = min(1.0, busy_s / max(sum(measured), 1e-9))
    return tuple(seconds * scale for seconds in measured)


@dataclass(frozen=True)
class _PartPass:
    """Fills the blocks of one part of a pass."""

    photos: PhotoSet
    plan: PassPlan
    forward: SerialThread
    """Starts forward passes."""
    rows: SerialThread
    """Waits for embeddings and writes them."""
    bar: tqdm[Any]
    learn: Callable[[int, bytes], None]
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Shape of a view by preprocessing, as of the first photo."""

    def fill(self, request: ViewRequest, ahead: Prefetch) -> float:
        """Embed block by block; returns the seconds that workers spent on making views."""
        making_s = 0.0
        with closing(ahead.stream(request.stream)) as stream:
            for block, sizes in request.blocks:
                making_s += self._fill_block(block, sizes, stream)
                if all(member.state.failure for member in self.plan.members):
                    break
            self.forward.wait()
            self.rows.wait()
        return making_s

    def _fill_block(self, block: int, sizes: Sequence[int], stream: Iterator[PhotoViews]) -> float:
        members, views = self.plan.members, self.plan.views
        self.forward.submit(_begin_block, members, block)
        notes = _BlockNotes(self.photos, views.recipe.names, len(views.preprocesses))
        for count in sizes:
            usable: list[PhotoViews] = []
            for photo in itertools.islice(stream, count):
                photo = of_same_shapes(photo, self.shapes, views.recipe.names)
                notes.add(photo)
                self.learn(photo.index, photo.digest)
                if not photo.failure:
                    usable.append(photo)
            batches = [gather(usable, which, copy) for which, copy in enumerate(views.copies)]
            written = partial(self.bar.update, count)
            self.forward.submit(embed_gathered, members, views.recipe.names, batches, self.rows, written)
        self.forward.submit(_end_block, members, block, notes, self.rows)
        return notes.seconds


class _BlockNotes:
    """Failures and compressions of a block's photos, for its marker, and the time of the workers."""

    def __init__(self, photos: PhotoSet, names: Sequence[str], preprocesses: int) -> None:
        self.seconds = 0.0
        self.source_jpeg: Counter[str] = Counter()
        self._photos = photos
        self._failed: list[dict[str, dict[str, str]]] = [{name: {} for name in names} for _ in range(preprocesses)]

    def add(self, photo: PhotoViews) -> None:
        self.seconds += photo.seconds
        self.source_jpeg[photo.source_jpeg] += 1
        for which, of_view in enumerate(self._failed):
            reasons = photo.view_failures[which] if photo.view_failures else {}
            for name, failed in of_view.items():
                if reason := photo.failure or reasons.get(name, ""):
                    failed[self._photos.ids[photo.index]] = reason

    def failures(self, which: int, name: str) -> dict[str, str]:
        """By photo id, the reason why it failed under one preprocessing and view."""
        return self._failed[which][name]


def _begin_block(members: Sequence[PassMember], block: int) -> None:
    for member in members:
        member.begin_block(block)


def _end_block(members: Sequence[PassMember], block: int, notes: _BlockNotes, rows: SerialThread) -> None:
    """Finish the block once its rows are written; ``wanted`` is read now, because the next block changes it."""
    rows.submit(_finish_block, [(member.state, member.which, member.wanted) for member in members], block, notes)


def _finish_block(members: Sequence[tuple[EncoderState, int, tuple[str, ...]]], block: int, notes: _BlockNotes) -> None:
    for state, which, wanted in members:
        if not state.failure:
            for name in wanted:
                state.store.finish_block(name, block, notes.failures(which, name), dict(notes.source_jpeg))
