"""Exact nearest neighbours with a fixed order: cosine similarities in bounded blocks, neighbours as sortable keys.

A neighbour is one int64 key: the float32 similarity in the upper half, the train index (reversed) in the lower, so that
sorting keys downwards orders neighbours by (similarity descending, train index ascending). Equal similarities are thus
never in doubt, lists merge by concatenation and top-k, and the k nearest are the same however the work is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch

from builders.errors import DataError

NOTHING = torch.iinfo(torch.int64).min
"""The key of no neighbour: fills lists that are longer than there are neighbours. Below every real key."""

GROUP = 32
"""Columns per group of the prefilter in ``top_keys``; blocks whose width is a multiple of it are searched fastest."""

_LOW = 0xFFFFFFFF
_SIGN_FREE = 0x7FFFFFFF
_BATCH = 1 << 21  # similarities that are packed into keys at once: 16 MiB of keys, which the cache still helps with


class Embeddings(Protocol):
    """What embeddings must offer: an array, a memory map, or anything that reads rows when they are sliced."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(photos, dimension)``."""
        ...

    def __getitem__(self, rows: slice, /) -> Any:
        """The rows of a slice ``[a:b]`` as an array-like of numbers."""
        ...


@contextmanager
def full_float32() -> Iterator[None]:
    """Matrix products in real float32 (no TF32, no bfloat16) inside the block, whatever the caller has chosen."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def read_unit_rows(
    embeddings: Embeddings, start: int, stop: int, device: torch.device, *, what: str, padded_to: int = 0
) -> torch.Tensor:
    """Rows ``[start:stop]`` as float32 of unit length; a zero vector stays zero (similarity 0 to everything).

    Zero rows are appended until there are ``padded_to`` rows. Only this slice is read.

    Raises:
        DataError: a value is not finite, or the slice has not the promised shape.
    """
    raw = np.asarray(embeddings[start:stop], dtype=np.float32)
    if raw.shape != (stop - start, embeddings.shape[1]):
        raise DataError(f"{what}: rows {start} to {stop} have shape {raw.shape}; embed the photos again")
    if not raw.flags.writeable or not raw.flags.c_contiguous:
        raw = np.array(raw)  # torch warns about memory it may not write to, such as a read-only memory map
    rows = torch.from_numpy(raw).to(device)
    norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    unit = torch.zeros((max(stop - start, padded_to), rows.shape[1]), dtype=torch.float32, device=device)
    # Squares of very small or large numbers leave float32's range: such rows, and true zeros, are done in float64.
    odd = ((norms < 1e-15) | (norms > 1e15) | norms.isnan()).flatten().nonzero().flatten()
    torch.div(rows, norms, out=unit[: stop - start])
    if len(odd):
        wide = rows[odd].double()
        if not bool(wide.isfinite().all()):
            raise DataError(f"{what}: embeddings of rows {start} to {stop} hold a NaN or infinity; embed them again")
        lengths = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
        unit[odd] = torch.where(lengths > 0, wide / lengths, 0.0).float()
    return unit


def pack(similarities: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Keys of neighbours: larger is nearer, and of two equally similar ones the lower index is nearer.

    Args:
        similarities: float32, any shape; ``-inf`` means "no neighbour" and gives ``NOTHING``.
        indices: int64 in [0, 2**32), broadcast against ``similarities``.

    >>> keys = pack(torch.tensor([0.5, 0.5, 0.75, -float("inf")]), torch.tensor([4, 2, 9, 0]))
    >>> unpack_indices(keys.sort(descending=True).values).tolist()
    [9, 2, 4, -1]
    """
    bits = (similarities + 0.0).view(torch.int32)  # + 0.0 makes -0.0 equal to 0.0
    ordered = bits ^ ((bits >> 31) & _SIGN_FREE)  # IEEE 754 floats as integers of the same order
    keys = (ordered.long() << 32) | (_LOW - indices)
    return torch.where(similarities == -torch.inf, NOTHING, keys)


def unpack_indices(keys: torch.Tensor) -> torch.Tensor:
    """The indices that were packed; -1 for ``NOTHING``."""
    return torch.where(keys == NOTHING, -1, _LOW - (keys & _LOW))


def top_keys(block: torch.Tensor, count: int) -> torch.Tensor:
    """The ``count`` nearest columns of each row as falling keys, padded with ``NOTHING``; exact, ties included.

    Wide blocks are searched by group maxima: the columns of the ``count`` groups with the largest maxima hold the
    nearest ``count``, unless the next group ties with the last one; rows where it does are searched in full.

    Args:
        block: float32 [rows, columns], contiguous, ``-inf`` where there is no neighbour.
        count: neighbours per row, at least 1.

    Returns:
        int64 [rows, count]; the packed index is the column.
    """
    rows, columns = block.shape
    groups = columns // GROUP
    if columns % GROUP or groups < 2 * (count + 1):
        return _top_keys_in_full(block, count)
    maxima, chosen = block.view(rows, groups, GROUP).amax(dim=2).topk(count + 1, dim=1)
    chosen = chosen[:, :count]
    row_starts = torch.arange(rows, device=block.device)[:, None] * groups
    near = block.view(rows * groups, GROUP).index_select(0, (row_starts + chosen).flatten()).view(rows, count, GROUP)
    columns_of = chosen[:, :, None] * GROUP + torch.arange(GROUP, device=block.device)
    found = pack(near, columns_of).view(rows, -1).topk(count, dim=1).values
    last = maxima[:, count - 1]
    doubtful = ((last == maxima[:, count]) & (last > -torch.inf)).nonzero().flatten()
    step = max(1, _BATCH // columns)
    for start in range(0, len(doubtful), step):
        some = doubtful[start : start + step]
        found[some] = _top_keys_in_full(block[some], count)
    return found


def _top_keys_in_full(block: torch.Tensor, count: int) -> torch.Tensor:
    rows, columns = block.shape
    found = torch.full((rows, count), NOTHING, dtype=torch.int64, device=block.device)
    indices = torch.arange(columns, device=block.device)
    kept = min(count, columns)
    step = max(1, _BATCH // max(columns, 1))
    for start in range(0, rows, step):
        keys = pack(block[start : start + step], indices)
        found[start : start + step, :kept] = keys.topk(kept, dim=1).values
    return found


def shift_indices(keys: torch.Tensor, start: int) -> torch.Tensor:
    """The same keys with ``start`` added to every index."""
    return torch.where(keys == NOTHING, NOTHING, keys - start)


def replace_indices(keys: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """The same similarities with other indices; ``NOTHING`` stays."""
    return torch.where(keys == NOTHING, NOTHING, (keys & ~_LOW) | (_LOW - indices))


def merge(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The nearest of two lists of keys [..., n] and [..., m], in falling order: [..., n]."""
    return torch.cat([first, second], dim=-1).topk(first.shape[-1], dim=-1).values
