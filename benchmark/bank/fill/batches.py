"""What the encoders' thread and the rows' thread do with the views of some photos: embed them, and write the rows.

The first begins forward passes and goes on; the second waits for their embeddings, so that a GPU has its next batch
before it is done with one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmark.bank.fill.device_copy import DeviceCopy
from benchmark.bank.fill.members import Member, PassMember
from benchmark.encoders import COMPLEX, leaves_views_unchanged
from benchmark.views import PhotoViews
from builders.errors import EncoderError
from builders.untrusted import describe_error


class SerialThread:
    """Does work on one other thread, in order; a piece is handed over when the one before is done, so none pile up."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.busy_s = self.idle_s = 0.0
        self._pool = pool
        self._last: Future[None] | None = None
        self._free_since = time.perf_counter()

    def do(self, work: Callable[..., None], *given: Any) -> None:
        """Wait for the piece before, which may raise what it met, then begin this one."""
        self.wait()
        self._last = self._pool.submit(self._timed, work, *given)

    def wait(self) -> None:
        """Until nothing is left to do."""
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
def serial_thread(name: str) -> Iterator[SerialThread]:
    """A thread of its own; when the context ends well, its work is done."""
    with ThreadPoolExecutor(1, thread_name_prefix=name) as pool:
        one = SerialThread(pool)
        yield one
        one.wait()


@dataclass(frozen=True)
class Gathered:
    """The views of some photos under one preprocessing, ready for its encoders."""

    indices: tuple[int, ...]
    """Of the photos that this preprocessing could take."""
    views: Callable[[], torch.Tensor]
    """[photos * views, ...], waited for if it is still being copied."""


@dataclass(frozen=True)
class Embedded:
    """What one encoder makes of them, on its way."""

    member: Member
    wanted: tuple[str, ...]
    indices: tuple[int, ...]
    embeddings: Callable[[], torch.Tensor]
    """[photos * wanted, dimension], waited for."""


def gather(made: Sequence[PhotoViews], which: int, copy: DeviceCopy) -> Gathered:
    """Bring the views of photos under one preprocessing to where its encoders want them."""
    usable = [photo for photo in made if len(photo.arrays[which])]
    if not usable:
        return Gathered((), lambda: torch.empty(0))
    after = {id(photo.there): photo.there for photo in usable if photo.there is not None}
    views = copy.start([photo.arrays[which] for photo in usable], list(after.values()))
    return Gathered(tuple(photo.index for photo in usable), views)


def embed_gathered(
    seats: Sequence[PassMember], names: Sequence[str], batches: Sequence[Gathered], rows: SerialThread
) -> None:
    """Begin the forward passes of every encoder; their rows are written by another thread."""
    begun = []
    for seat in seats:
        batch = batches[seat.which]
        if seat.wanted and not seat.member.failure and batch.indices:
            started = time.perf_counter()
            try:
                begun.append(_begun(seat, names, batch))
            except EncoderError as error:
                seat.member.failure = str(error)
            seat.member.begun_s += time.perf_counter() - started
    rows.do(_write, begun)


def _begun(seat: PassMember, names: Sequence[str], batch: Gathered) -> Embedded:
    views = batch.views()
    if seat.wanted != tuple(names):
        by_photo = views.unflatten(0, (len(batch.indices), -1))
        views = torch.stack([by_photo[:, names.index(view)] for view in seat.wanted], 1).flatten(0, 1)
    if not leaves_views_unchanged(seat.member.encoder.embed):  # somebody's own may write into what others share
        views = views.clone()
    try:
        places = seat.member.places_of(batch.indices, len(seat.wanted))
        started = seat.member.embed.start(views, places)
    except EncoderError:
        raise
    except (Exception, SystemExit) as error:  # a user's own function may raise anything
        raise _failed(seat.member, len(views), error) from error
    return Embedded(seat.member, seat.wanted, batch.indices, started)


def _write(begun: Sequence[Embedded]) -> None:
    for one in begun:
        if not one.member.failure:
            try:
                _write_one(one)
            except EncoderError as error:
                one.member.failure = str(error)


def _write_one(one: Embedded) -> None:
    member, count = one.member, len(one.indices) * len(one.wanted)
    name, dim = member.encoder.info.id, member.bank.dim
    started = time.perf_counter()
    try:
        embeddings = one.embeddings()
    except EncoderError:
        raise
    except Exception as error:  # what a GPU meets is told when it is waited for
        raise _failed(member, count, error) from error
    finally:
        member.waited_s += time.perf_counter() - started
    if tuple(embeddings.shape) != (count, dim):
        raise EncoderError(f"{name}: gave embeddings of shape {tuple(embeddings.shape)}, expected {(count, dim)}")
    if embeddings.is_complex():
        raise EncoderError(f"{name}: {COMPLEX}")
    if not torch.isfinite(embeddings).all():
        raise EncoderError(f"{name}: gave embeddings that are not finite (try --dtype float32)")
    table = embeddings.numpy().reshape(len(one.indices), -1, dim)
    runs = np.split(np.arange(len(one.indices)), np.flatnonzero(np.diff(one.indices) != 1) + 1)
    for run in runs:
        for place, view in enumerate(one.wanted):
            member.bank.write_rows(view, one.indices[run[0]], table[run, place])
    member.views += count


def _failed(member: Member, count: int, error: BaseException) -> EncoderError:
    return EncoderError(f"{member.encoder.info.id}: failed on a batch of {count} views ({describe_error(error)})")
