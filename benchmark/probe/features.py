"""Training features of the probe: photos' rows gathered from class banks, L2-normalised.

Rows come through slices, so a bank may be an array, a memory map or any lazy object that slices like one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from builders.errors import DataError

GATHER_BYTES = 64 << 20
"""Rows are read from a bank in blocks of about this size."""


class Rows(Protocol):
    """What a bank must do: ``len``, ``shape`` [n, d] and slicing that numpy can convert to an array."""

    @property
    def shape(self) -> Sequence[int]: ...

    def __getitem__(self, rows: Any) -> Any: ...


RowSource = Callable[[int, int], Tensor]
"""Rows ``[start, stop)`` of G training sets as float32 [G, stop - start, d], unit length or zero."""


def normalised(block: Any) -> np.ndarray:
    """Rows as float32 of unit Euclidean length; a zero row stays zero.

    >>> normalised(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]

    Raises:
        DataError: a value is not finite.
    """
    rows = np.asarray(block.cpu() if isinstance(block, Tensor) else block, dtype=np.float32)
    # float64: the square of a float32 can overflow or vanish
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    if not np.isfinite(length).all():
        bad = int(np.flatnonzero(~np.isfinite(length))[0])
        raise DataError(f"embedding {bad} of a block holds a value that is not finite: embed the photos again")
    return (rows / np.where(length > 0, length, 1)[:, None]).astype(np.float32)


class Stacked:
    """Two banks [n, d] and [m, d] read as one [n + m, d], without a copy."""

    def __init__(self, first: Rows, second: Rows) -> None:
        self._parts = (first, second)
        self._border = int(first.shape[0])
        self.shape = (self._border + int(second.shape[0]), int(first.shape[1]))

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(self.shape[0])
        first = np.asarray(self._parts[0][start : min(stop, self._border)])
        second = np.asarray(self._parts[1][max(start - self._border, 0) : max(stop - self._border, 0)])
        return np.concatenate([first, second])


def gather(banks: Sequence[Rows], which: np.ndarray, rows: np.ndarray) -> RowSource:
    """A source whose training set g holds, for each photo i of ``rows``, row i of bank ``which[g, i]``.

    Args:
        banks: arrays [n, d].
        which: int [G, n], the bank that each photo is taken from.
        rows: ascending int [m], the photos used.
    """
    dimension = int(banks[0].shape[1])

    def read(start: int, stop: int) -> Tensor:
        wanted = rows[start:stop]
        out = np.zeros((len(which), len(wanted), dimension), np.float32)
        if not len(wanted):
            return torch.from_numpy(out)
        low, high = int(wanted[0]), int(wanted[-1]) + 1
        for index, bank in enumerate(banks):
            chosen = which[:, wanted] == index
            needed = np.flatnonzero(chosen.any(axis=0))
            if not len(needed):
                continue
            view = np.asarray(bank[low:high])
            block = normalised(view[wanted[needed] - low])
            for g in range(len(which)):
                mine = chosen[g, needed]
                out[g, needed[mine]] = block[mine]
        return torch.from_numpy(out)

    return read
