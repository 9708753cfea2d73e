"""Features of probes: rows of photos, gathered from the banks of classes and L2-normalised (``features``).

Rows are read by slices, so a bank may be an array, a memory map or any lazy object that slices like an array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from benchmark.compute import parallel_map
from builders.errors import DataError
from builders.processes import step_bar

GATHER_BYTES = 64 << 20
"""Approximate size of the blocks in which rows are read from a bank."""

CACHED_BYTES = 1 << 20
"""Bytes of rows that are normalised at a time. They stay in the cache, which is eight times as fast."""


class Rows(Protocol):
    """Interface of a bank: ``shape`` [n, d], and slices that numpy can convert to an array.

    A bank that can also be indexed by ascending int arrays, and then reads only these rows, has ``reads_rows = True``.
    Rows of a bank that has ``as_given = True`` are not scaled to unit length.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: Any) -> Any: ...


def picked(bank: Rows, rows: np.ndarray) -> np.ndarray:
    """Some rows of a bank, unchanged. No other rows are read if the bank can be indexed by row.

    Args:
        bank: [n, d].
        rows: int [m], in any order.

    >>> picked(np.arange(8).reshape(4, 2), np.array([1, 3])).tolist()
    [[2, 3], [6, 7]]
    """
    low, high = int(rows.min()), int(rows.max()) + 1
    few = not np.array_equal(rows, np.arange(low, high))
    if few and (isinstance(bank, np.ndarray | Tensor) or getattr(bank, "reads_rows", False)):
        return np.asarray(_on_cpu(bank[rows]))
    block = np.asarray(_on_cpu(bank[low:high]))
    return block[rows - low] if few else block


class Some:
    """Some rows of a bank as a bank, without a copy."""

    reads_rows = True

    def __init__(self, bank: Rows, rows: np.ndarray) -> None:
        self._bank, self._rows = bank, rows
        self.shape = (len(rows), int(bank.shape[1]))
        self.as_given = is_as_given(bank)

    def __getitem__(self, selection: slice | np.ndarray) -> np.ndarray:
        rows = self._rows[selection]
        return picked(self._bank, rows) if len(rows) else np.empty((0, self.shape[1]), np.float32)


def _on_cpu(block: Any) -> Any:
    return block.cpu() if isinstance(block, Tensor) else block


class AsGiven:
    """An array whose rows probes take as they are, because their lengths are a part of them."""

    reads_rows = True
    as_given = True

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows
        self.shape = rows.shape

    def __getitem__(self, selection: slice | np.ndarray) -> np.ndarray:
        return self._rows[selection]


def is_as_given(bank: Any) -> bool:
    """Whether probes take the rows of a bank as they are."""
    return bool(getattr(bank, "as_given", False))


RowSource = Callable[[int, int], Tensor]
"""Rows ``[start, stop)`` of G training sets as float32 [G, stop - start, d], unit length or zero; or as given."""


def features(bank: Rows, block: Any) -> np.ndarray:
    """Some rows of a bank as float32 features: of unit length, or as they are if the bank says so.

    >>> features(AsGiven(np.array([[3.0, 4.0]])), np.array([[3.0, 4.0]])).tolist()
    [[3.0, 4.0]]

    Raises:
        DataError: a value is not finite.
    """
    if not is_as_given(bank):
        return normalised(block)
    rows = np.asarray(_on_cpu(block), dtype=np.float32)
    if not np.isfinite(rows).all():
        raise DataError("an embedding holds a value that is not finite: embed the photos again")
    return rows


def normalised(block: Any) -> np.ndarray:
    """Rows as float32 of unit Euclidean length; a zero row stays zero.

    >>> normalised(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]

    Raises:
        DataError: a value is not finite.
    """
    rows = np.asarray(_on_cpu(block), dtype=np.float32)
    unit = np.empty_like(rows)
    step = max(1, CACHED_BYTES // (8 * max(1, rows.shape[1])))
    for start in range(0, len(rows), step):
        # float64: the square of a float32 can overflow or vanish
        wide = rows[start : start + step].astype(np.float64)
        length = np.sqrt(np.einsum("ij,ij->i", wide, wide))
        if not np.isfinite(length).all():
            bad = start + int(np.flatnonzero(~np.isfinite(length))[0])
            raise DataError(f"embedding {bad} of a block holds a value that is not finite: embed the photos again")
        unit[start : start + step] = wide / np.where(length > 0, length, 1)[:, None]
    return unit


class Stacked:
    """Two banks [n, d] and [m, d] as one bank [n + m, d], without a copy."""

    reads_rows = True

    def __init__(self, first: Rows, second: Rows) -> None:
        self._parts = (first, second)
        self.as_given = is_as_given(first)
        self._border = int(first.shape[0])
        self.shape = (self._border + int(second.shape[0]), int(first.shape[1]))

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        if isinstance(rows, np.ndarray):
            cut = int(np.searchsorted(rows, self._border))
            parts = ((self._parts[0], rows[:cut]), (self._parts[1], rows[cut:] - self._border))
            return np.concatenate([picked(bank, some) for bank, some in parts if len(some)])
        start, stop, _ = rows.indices(self.shape[0])
        first = np.asarray(self._parts[0][start : min(stop, self._border)])
        second = np.asarray(self._parts[1][max(start - self._border, 0) : max(stop - self._border, 0)])
        return np.concatenate([first, second])


class Gathered:
    """Features of all banks in memory, gathered once for all training sets. Bits are those of ``features``."""

    def __init__(self, banks: Sequence[Rows], device: torch.device) -> None:
        n, dimension = (int(side) for side in banks[0].shape)
        self.rows = torch.empty((len(banks), n, dimension), dtype=torch.float32, device=device)
        """float32 [C, n, d] on the device."""
        step = max(1, GATHER_BYTES // (4 * dimension))
        pieces = [(i, start) for i in range(len(banks)) for start in range(0, n, step)]
        with step_bar(total=len(banks) * n, desc="reading embeddings", unit="row", unit_scale=True) as bar:

            def read(piece: tuple[int, int]) -> None:
                index, start = piece
                block = features(banks[index], banks[index][start : start + step])
                self.rows[index, start : start + len(block)] = torch.from_numpy(block)
                bar.update(len(block))

            parallel_map(read, pieces)

    def source(self, which: np.ndarray, rows: np.ndarray) -> RowSource:
        """As ``gather``, with features on the device."""
        banks, n, dimension = self.rows.shape
        flat = self.rows.view(banks * n, dimension)
        place = torch.from_numpy(which[:, rows] * n + rows)

        def read(start: int, stop: int) -> Tensor:
            wanted = place[:, start:stop].to(flat.device)
            return flat.index_select(0, wanted.flatten()).view(*wanted.shape, dimension)

        return read


def gather(banks: Sequence[Rows], which: np.ndarray, rows: np.ndarray) -> RowSource:
    """A source of G training sets: set g has, for each photo i of ``rows``, row i of bank ``which[g, i]``.

    Args:
        banks: arrays [n, d].
        which: int [G, n], the bank of each photo.
        rows: ascending int [m], the photos.
    """
    dimension = int(banks[0].shape[1])

    def read(start: int, stop: int) -> Tensor:
        block_rows = rows[start:stop]
        out = np.zeros((len(which), len(block_rows), dimension), np.float32)
        if not len(block_rows):
            return torch.from_numpy(out)
        for index, bank in enumerate(banks):
            chosen = which[:, block_rows] == index
            needed = np.flatnonzero(chosen.any(axis=0))
            if not len(needed):
                continue
            block = features(bank, picked(bank, block_rows[needed]))
            for g in range(len(which)):
                in_group = chosen[g, needed]
                out[g, needed[in_group]] = block[in_group]
        return torch.from_numpy(out)

    return read
