"""Memory that workers write views into and encoders read them from: slots for whole gathers, used again and again.

A slot holds, for each preprocessing, the views of some photos one after the other, so that a gather is one piece of
memory and goes to a GPU in one copy, without being put together first. It is free when the last tensor on it is gone.
"""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from builders.files import scratch_prefix

SHARED_FOLDER = Path("/dev/shm")
"""Memory as files, where a process that was not forked can find it. In containers it is often 64 MB."""

ALIGNMENT = 4096
"""Bytes; every part of a slot begins at a multiple."""


@dataclass(frozen=True)
class Row:
    """What one photo takes of a slot under one preprocessing."""

    shape: tuple[int, ...]
    """(views, ...)."""
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class SlotPlan:
    """How a slot is laid out.

    >>> plan = SlotPlan(2, (Row((3, 10), np.dtype("uint8")), Row((1,), np.dtype("float32"))), decoded_bytes=0)
    >>> plan.offsets, plan.nbytes
    ((0, 4096, 8192), 8192)
    """

    photos: int
    rows: tuple[Row, ...]
    """One per preprocessing."""
    decoded_bytes: int
    """For each photo, for its pixels where a device makes the views; 0 where none does."""

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where each preprocessing's part begins, and then the pixels'."""
        found = [0]
        for row in self.rows:
            found.append(found[-1] + _rounded_up(self.photos * row.nbytes))
        return tuple(found)

    @property
    def nbytes(self) -> int:
        return self.offsets[-1] + _rounded_up(self.photos * self.decoded_bytes)

    def views(self, slot: np.ndarray, which: int) -> np.ndarray:
        """[photos, views, ...] of one preprocessing in a slot, uint8 [nbytes]."""
        row, start = self.rows[which], self.offsets[which]
        part = slot[start : start + self.photos * row.nbytes]
        return part.view(row.dtype).reshape(self.photos, *row.shape)

    def pixels(self, slot: np.ndarray, place: int, shape: Sequence[int]) -> np.ndarray | None:
        """uint8 of this shape, of one photo's pixels; None if they do not fit."""
        size, start = math.prod(shape), self.offsets[-1] + place * self.decoded_bytes
        return slot[start : start + size].reshape(tuple(shape)) if size <= self.decoded_bytes else None


class Ring:
    """Slots of one plan in memory that processes share.

    Args:
        plan: of every slot.
        slots: how many.
        forked: whether the other processes are forks of this one. Then the memory has no name and no file system's
            size; else it is a file, in ``/dev/shm`` if that has room, or where temporary files are.
        freed: called, in any thread, when a slot is free again.
    """

    def __init__(self, plan: SlotPlan, slots: int, *, forked: bool = True, freed: Callable[[], None] = lambda: None):
        self.plan = plan
        self.slots = slots
        self.path = None if forked else _shared_file(slots * plan.nbytes)
        self._freed = freed
        self._free = deque(range(slots))
        self._bytes = _mapped(self.path, slots * plan.nbytes)

    def __getstate__(self) -> dict[str, object]:
        return {"plan": self.plan, "slots": self.slots, "path": self.path}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._bytes = _mapped(self.path, self.slots * self.plan.nbytes)

    def take(self) -> SlotLease | None:
        """A free slot, or None."""
        try:
            number = self._free.popleft()
        except IndexError:
            return None
        lease = SlotLease(self, number)
        weakref.finalize(lease, self._give_back, number).atexit = False
        return lease

    def memory(self, number: int) -> np.ndarray:
        """uint8 [plan.nbytes]: a slot, for who writes it."""
        return self._bytes[number * self.plan.nbytes : (number + 1) * self.plan.nbytes]

    def pin(self) -> bool:
        """Keep the memory in its place, so that copies to a GPU go on by themselves; False where that is refused."""
        address = self._bytes.ctypes.data
        try:
            refused = int(torch.cuda.cudart().cudaHostRegister(address, self._bytes.nbytes, 0))
        except (RuntimeError, AttributeError):
            return False
        if not refused:
            weakref.finalize(self, _unpin, address, os.getpid()).atexit = False
        return not refused

    def close(self) -> None:
        """Forget the file's name; the memory is there until the last tensor on it is gone."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _give_back(self, number: int) -> None:
        self._free.append(number)
        self._freed()


class SlotLease:
    """A slot in use. Arrays and tensors made of it keep it in use."""

    def __init__(self, ring: Ring, number: int) -> None:
        self.number = number
        self._ring = ring
        slot = ring.memory(number)
        # numpy keeps whoever offers this interface alive as long as any view of the memory
        self.__array_interface__ = slot.__array_interface__

    def tensors(self) -> list[torch.Tensor]:
        """[photos, views, ...] for each preprocessing."""
        slot = np.asarray(self)
        return [torch.from_numpy(self._ring.plan.views(slot, which)) for which in range(len(self._ring.plan.rows))]

    def pixels(self, place: int, shape: Sequence[int]) -> torch.Tensor:
        """uint8 of this shape: the pixels of one photo, which a worker found to fit."""
        found = self._ring.plan.pixels(np.asarray(self), place, shape)
        assert found is not None
        return torch.from_numpy(found)


def _rounded_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _mapped(path: Path | None, size: int) -> np.ndarray:
    """uint8 [size] of memory that is zeros and takes no place until it is written."""
    if path is None:
        return np.frombuffer(mmap.mmap(-1, size), np.uint8)
    with path.open("r+b") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), size), np.uint8)


def _shared_file(size: int) -> Path:
    """A new file of so many bytes that other processes can map."""
    with tempfile.NamedTemporaryFile(prefix=scratch_prefix(), dir=shared_folder(size), delete=False) as file:
        file.truncate(size)
        return Path(file.name)


def shared_folder(size: int) -> Path:
    """``/dev/shm`` where it is and has room for so many bytes: a file beyond its size kills who writes it."""
    try:
        if shutil.disk_usage(SHARED_FOLDER).free >= size:
            return SHARED_FOLDER
    except OSError:  # there is none
        pass
    return Path(tempfile.gettempdir())


def _unpin(address: int, process: int) -> None:
    if os.getpid() == process:  # a forked process must not touch the GPU
        torch.cuda.cudart().cudaHostUnregister(address)
