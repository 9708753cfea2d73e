"""Shared memory in which workers write views and encoders read them: a ring of slots, one per gather.

A slot contains, for each preprocessing, the views of some photos in adjacent memory, so that a gather can be copied to
a GPU in one piece. A slot is used again when the last tensor on it is deleted.
"""

from __future__ import annotations

import contextlib
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
"""File system in memory, for processes that were not forked. In containers it often has only 64 MB."""

ALIGNMENT = 4096
"""Every part of a slot begins at a multiple of this many bytes."""


@dataclass(frozen=True)
class Row:
    """The views of one photo under one preprocessing, as an array in a slot."""

    shape: tuple[int, ...]
    """(views, ...)."""
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class SlotPlan:
    """Layout of a slot.

    >>> plan = SlotPlan(2, (Row((3, 10), np.dtype("uint8")), Row((1,), np.dtype("float32"))), decoded_bytes=0)
    >>> plan.offsets, plan.nbytes
    ((0, 4096, 8192), 8192)
    """

    photos: int
    """Photos of a slot."""
    rows: tuple[Row, ...]
    """Per preprocessing, the views of a photo."""
    decoded_bytes: int
    """Bytes per photo for its pixels if a device makes the views; else 0."""

    @property
    def offsets(self) -> tuple[int, ...]:
        """Byte at which the part of each preprocessing begins, and at last the part of the pixels."""
        offsets = [0]
        for row in self.rows:
            offsets.append(offsets[-1] + _rounded_up(self.photos * row.nbytes))
        return tuple(offsets)

    @property
    def nbytes(self) -> int:
        """Bytes of a slot."""
        return self.offsets[-1] + _rounded_up(self.photos * self.decoded_bytes)

    def views(self, slot: np.ndarray, which: int) -> np.ndarray:
        """[photos, views, ...] of one preprocessing, a view of a slot's memory uint8 [nbytes]."""
        row, start = self.rows[which], self.offsets[which]
        part = slot[start : start + self.photos * row.nbytes]
        return part.view(row.dtype).reshape(self.photos, *row.shape)

    def pixels(self, slot: np.ndarray, place: int, shape: Sequence[int]) -> np.ndarray | None:
        """uint8 [*shape] for the pixels of the photo at index ``place``; None if the slot has less memory per photo."""
        size, start = math.prod(shape), self.offsets[-1] + place * self.decoded_bytes
        return slot[start : start + size].reshape(tuple(shape)) if size <= self.decoded_bytes else None


class Ring:
    """Slots of one plan in memory that processes share.

    Args:
        plan: layout of every slot.
        slots: number of slots.
        forked: whether the other processes are forks of this one. Then the memory is anonymous and not limited by a
            file system; else it is a file, in ``/dev/shm`` if that has enough space, or in the temporary folder.
        freed: called, in any thread, when a slot becomes free.
    """

    def __init__(self, plan: SlotPlan, slots: int, *, forked: bool, freed: Callable[[], None] = lambda: None):
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
        """A lease of a free slot; None if no slot is free."""
        try:
            number = self._free.popleft()
        except IndexError:
            return None
        lease = SlotLease(self, number)
        weakref.finalize(lease, self._give_back, number).atexit = False
        return lease

    def memory(self, number: int) -> np.ndarray:
        """uint8 [plan.nbytes], the memory of a slot, for writing."""
        return self._bytes[number * self.plan.nbytes : (number + 1) * self.plan.nbytes]

    def pin(self, device: torch.device) -> bool:
        """Pin the memory, so that copies to a GPU do not block; False if that is refused.

        Args:
            device: the GPU. The driver would otherwise make a context, of some 300 MB, on the first one too.
        """
        address = self._bytes.ctypes.data
        try:
            with torch.cuda.device(device):
                refused = int(torch.cuda.cudart().cudaHostRegister(address, self._bytes.nbytes, 0))
        except (RuntimeError, AttributeError):
            refused = -1
        if refused:
            _drop_error(device)
        else:
            weakref.finalize(self, _unpin, address, os.getpid(), device).atexit = False
        return not refused

    def close(self) -> None:
        """Remove the file; the memory exists until the last tensor on it is deleted."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _give_back(self, number: int) -> None:
        self._free.append(number)
        self._freed()


class SlotLease:
    """A slot in use. It stays in use until the lease and all arrays and tensors made from it are deleted."""

    def __init__(self, ring: Ring, number: int) -> None:
        self.number = number
        self._ring = ring
        slot = ring.memory(number)
        # numpy keeps the object with this interface alive as long as any array on its memory
        self.__array_interface__ = slot.__array_interface__

    def tensors(self) -> list[torch.Tensor]:
        """[photos, views, ...] for each preprocessing."""
        slot = np.asarray(self)
        return [torch.from_numpy(self._ring.plan.views(slot, which)) for which in range(len(self._ring.plan.rows))]

    def pixels(self, place: int, shape: Sequence[int]) -> torch.Tensor:
        """uint8 [*shape], the pixels that a worker has written for the photo at index ``place``."""
        pixels = self._ring.plan.pixels(np.asarray(self), place, shape)
        assert pixels is not None
        return torch.from_numpy(pixels)


def _rounded_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _mapped(path: Path | None, size: int) -> np.ndarray:
    """uint8 [size] of zeros; memory is used only once it is written."""
    if path is None:
        return np.frombuffer(mmap.mmap(-1, size), np.uint8)
    with path.open("r+b") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), size), np.uint8)


def _shared_file(size: int) -> Path:
    """A new file of ``size`` bytes that other processes can map."""
    with tempfile.NamedTemporaryFile(prefix=scratch_prefix(), dir=shared_folder(size), delete=False) as file:
        file.truncate(size)
        return Path(file.name)


def shared_folder(size: int) -> Path:
    """``/dev/shm`` if it exists and has ``size`` bytes free: a process that writes beyond its size is killed."""
    try:
        if shutil.disk_usage(SHARED_FOLDER).free >= size:
            return SHARED_FOLDER
    except OSError:  # does not exist
        pass
    return Path(tempfile.gettempdir())


def _unpin(address: int, process: int, device: torch.device) -> None:
    if os.getpid() == process:  # a forked process must not touch the GPU
        with torch.cuda.device(device):
            torch.cuda.cudart().cudaHostUnregister(address)


def _drop_error(device: torch.device) -> None:
    """The driver holds the error of a refused call until the next kernel is started, which then fails: this one."""
    with contextlib.suppress(RuntimeError):
        torch.zeros(1, device=device)
