"""Gather views into batches, start the encoders on them, and write the embeddings.

Two threads share this work. One starts forward passes and does not wait for them; the other waits for the embeddings
and writes them. A GPU therefore receives its next batch before it has finished the current one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from benchmark.bank.fill.device_copy import DeviceCopy
from benchmark.bank.fill.members import EncoderState, PassMember
from benchmark.compute import blamed, foreign_code
from benchmark.encoders import COMPLEX, leaves_views_unchanged
from benchmark.views import PREPROCESSING_FAILED, PhotoViews
from builders.errors import EncoderError
from builders.untrusted import describe_error


class SerialThread:
    """A thread that runs calls one after the other.

    ``submit`` waits until the call before has ended, so at most one call is pending; it raises what that call raised.
    ``busy_s`` and ``idle_s`` are the seconds in which the thread ran a call, and in which it had none.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.busy_s = self.idle_s = 0.0
        self._pool = pool
        self._last: Future[None] | None = None
        self._free_since = time.perf_counter()

    def submit(self, call: Callable[..., None], *args: Any) -> None:
        """Wait for the call before, raise its exception if it failed, then start this call."""
        self.wait()
        self._last = self._pool.submit(self._timed, call, *args)

    def wait(self) -> None:
        """Wait for the call before and raise its exception if it failed."""
        if self._last is not None:
            self._last.result()

    def _timed(self, call: Callable[..., None], *args: Any) -> None:
        started = time.perf_counter()
        self.idle_s += started - self._free_since
        try:
            call(*args)
        finally:
            self._free_since = time.perf_counter()
            self.busy_s += self._free_since - started


@contextmanager
def serial_thread(name: str) -> Iterator[SerialThread]:
    """A ``SerialThread``; if the context ends without an exception, the last call is waited for."""
    with ThreadPoolExecutor(1, thread_name_prefix=name) as pool:
        thread = SerialThread(pool)
        yield thread
        thread.wait()


@dataclass(frozen=True)
class Gathered:
    """The views of some photos under one preprocessing, ready for its encoders."""

    indices: tuple[int, ...]
    """Indices of the photos that this preprocessing accepted."""
    views: Callable[[], torch.Tensor]
    """Returns [photos * views, ...]; waits if the views are still being copied."""


@dataclass(frozen=True)
class Embedded:
    """A forward pass that was started for one encoder."""

    state: EncoderState
    wanted: tuple[str, ...]
    """Names of the views."""
    indices: tuple[int, ...]
    """Indices of the photos."""
    embeddings: Callable[[], torch.Tensor]
    """Waits for the result and returns [photos * wanted, dimension]."""


def of_same_shapes(photo: PhotoViews, shapes: dict[int, tuple[int, ...]], names: Sequence[str]) -> PhotoViews:
    """The photo without the views of preprocessings that gave views of another shape for earlier photos.

    Args:
        photo: with its views.
        shapes: of a view by preprocessing; the first photo that has views adds its own.
        names: of the views.
    """
    odd = {}
    for which, views in enumerate(photo.arrays):
        shape = tuple(views.shape[1:])
        if len(views) and shape != shapes.setdefault(which, shape):
            odd[which] = f"{PREPROCESSING_FAILED} (an array of shape {shape}, and of {shapes[which]} for other photos)"
    if not odd:
        return photo
    arrays = tuple(torch.empty(0) if which in odd else views for which, views in enumerate(photo.arrays))
    failures: list[Mapping[str, str]] = list(photo.view_failures) or [{} for _ in arrays]
    for which, reason in odd.items():
        failures[which] = dict.fromkeys(names, reason)
    return replace(photo, arrays=arrays, view_failures=tuple(failures))


def gather(photos: Sequence[PhotoViews], which: int, copy: DeviceCopy) -> Gathered:
    """Start to bring the views of photos under one preprocessing to the device of its encoders."""
    usable = [photo for photo in photos if len(photo.arrays[which])]
    if not usable:
        return Gathered((), lambda: torch.empty(0))
    events = {id(photo.ready): photo.ready for photo in usable if photo.ready is not None}
    views = copy.start([photo.arrays[which] for photo in usable], list(events.values()))
    return Gathered(tuple(photo.index for photo in usable), views)


def embed_gathered(
    members: Sequence[PassMember],
    names: Sequence[str],
    batches: Sequence[Gathered],
    rows: SerialThread,
    written: Callable[[], object] = lambda: None,
) -> None:
    """Start the forward passes of every encoder; ``rows`` writes their embeddings.

    Args:
        members: the encoders. One whose forward pass raises is marked as failed.
        names: of the gathered views.
        batches: per preprocessing.
        rows: thread that waits for embeddings.
        written: called there once they are written.
    """
    started = []
    for member in members:
        batch = batches[member.which]
        if member.wanted and not member.state.failure and batch.indices:
            began = time.perf_counter()
            try:
                started.append(_start(member, names, batch))
            except EncoderError as error:
                member.state.failure = str(error)
            member.state.begun_s += time.perf_counter() - began
    rows.submit(_write_all, started, written)


def _start(member: PassMember, names: Sequence[str], batch: Gathered) -> Embedded:
    state, views = member.state, batch.views()
    if member.wanted != tuple(names):
        by_photo = views.unflatten(0, (len(batch.indices), -1))
        views = torch.stack([by_photo[:, names.index(view)] for view in member.wanted], 1).flatten(0, 1)
    if not leaves_views_unchanged(state.encoder.embed):  # a user's function may write into views that encoders share
        views = views.clone()
    try:
        patches = state.patches_of(batch.indices, len(member.wanted))
        with blamed(state.encoder.info.id), foreign_code():
            embeddings = state.embed.start(views, patches)
    except EncoderError:
        raise
    except Exception as error:  # a user's function may raise anything
        raise _failed(state, len(views), error) from error
    return Embedded(state, member.wanted, batch.indices, embeddings)


def _write_all(started: Sequence[Embedded], written: Callable[[], object] = lambda: None) -> None:
    for embedded in started:
        if not embedded.state.failure:
            try:
                _write(embedded)
            except EncoderError as error:
                embedded.state.failure = str(error)
    written()


def _write(embedded: Embedded) -> None:
    state, indices = embedded.state, embedded.indices
    name, dim, count = state.encoder.info.id, state.store.dim, len(indices) * len(embedded.wanted)
    started = time.perf_counter()
    try:
        with blamed(name), foreign_code():
            embeddings = embedded.embeddings()
    except EncoderError:
        raise
    except Exception as error:  # errors of a GPU are raised only when its result is read
        raise _failed(state, count, error) from error
    finally:
        state.waited_s += time.perf_counter() - started
    if tuple(embeddings.shape) != (count, dim):
        raise EncoderError(f"{name}: gave embeddings of shape {tuple(embeddings.shape)}, expected {(count, dim)}")
    if embeddings.is_complex():
        raise EncoderError(f"{name}: {COMPLEX}")
    if not torch.isfinite(embeddings).all():
        raise EncoderError(f"{name}: gave embeddings that are not finite (try --dtype float32)")
    table = embeddings.numpy().reshape(len(indices), -1, dim)
    consecutive = np.split(np.arange(len(indices)), np.flatnonzero(np.diff(indices) != 1) + 1)
    for run in consecutive:
        for column, view in enumerate(embedded.wanted):
            state.store.write_rows(view, indices[run[0]], table[run, column])
    state.views += count


def _failed(state: EncoderState, count: int, error: BaseException) -> EncoderError:
    return EncoderError(f"{state.encoder.info.id}: failed on a batch of {count} views ({describe_error(error)})")
