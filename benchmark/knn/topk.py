"""Exact nearest neighbours with a fixed order: cosine similarities in bounded blocks, neighbours as sortable keys.

A neighbour is one int64 key: the float32 similarity in the upper half, the train index (reversed) in the lower, so that
sorting keys downwards orders neighbours by (similarity descending, train index ascending). Equal similarities are thus
never in doubt, lists merge by concatenation and top-k, and the k nearest are the same however the work is cut.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from benchmark.compute import compiled_module, threads_of_work
from builders.errors import DataError

NOTHING = torch.iinfo(torch.int64).min
"""The key of no neighbour: fills lists that are longer than there are neighbours. Below every real key."""

GROUP = 32
"""Columns per group of the prefilter in ``top_keys``; blocks whose width is a multiple of it are searched fastest."""

KEPT_GROUPS = (GROUP, 8)
"""The same for what the first prefilter leaves."""

COMPILED_FROM = 1 << 20
"""Similarities from which the compiled search is used: loading it takes some tenths of a second. Below, a search is
many small steps, which one thread takes: two are a third faster alone, and take twice as long beside a busy process."""

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


def read_unit_rows(embeddings: Embeddings, start: int, stop: int, out: torch.Tensor, *, what: str) -> torch.Tensor:
    """Rows ``[start:stop]`` at unit length, into ``out`` (which is returned); a zero vector stays zero.

    Only this slice is read. A zero vector thus has similarity 0 to everything.

    Args:
        out: float32 [stop - start or more, dimension] on the device wanted; rows beyond are set to zero.
        what: a name of the embeddings for error messages.

    Raises:
        DataError: a value is not finite, or the slice has not the promised shape.
    """
    raw = np.asarray(embeddings[start:stop], dtype=np.float32)
    if raw.shape != (stop - start, embeddings.shape[1]):
        raise DataError(f"{what}: rows {start} to {stop} have shape {raw.shape}; embed the photos again")
    if not raw.flags.writeable or not raw.flags.c_contiguous:
        raw = np.array(raw)  # torch warns about memory it may not write to, such as a read-only memory map
    with threads_of_work(raw.size):
        rows = torch.from_numpy(raw).to(out.device)
        norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
        out[stop - start :] = 0
        # Squares of very small or large numbers leave float32's range: such rows, and true zeros, are done in float64.
        odd = ((norms < 1e-15) | (norms > 1e15) | norms.isnan()).flatten().nonzero().flatten()
        torch.div(rows, norms, out=out[: stop - start])
        if len(odd):
            wide = rows[odd].double()
            if not bool(wide.isfinite().all()):
                raise DataError(
                    f"{what}: embeddings of rows {start} to {stop} hold a NaN or infinity; embed them again"
                )
            lengths = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
            out[odd] = torch.where(lengths > 0, wide / lengths, 0.0).float()
    return out


def pack_keys(similarities: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Keys of neighbours: larger is nearer, and of two equally similar ones the lower index is nearer.

    Args:
        similarities: float32, any shape; ``-inf`` means "no neighbour" and gives ``NOTHING``.
        indices: int64 in [0, 2**32), broadcast against ``similarities``.

    >>> keys = pack_keys(torch.tensor([0.5, 0.5, 0.75, -float("inf")]), torch.tensor([4, 2, 9, 0]))
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


def unpack_similarities(keys: torch.Tensor) -> torch.Tensor:
    """The float32 similarities that were packed; ``-inf`` for ``NOTHING``.

    >>> unpack_similarities(pack_keys(torch.tensor([0.5, -0.25, -float("inf")]), torch.tensor([4, 2, 9]))).tolist()
    [0.5, -0.25, -inf]
    """
    ordered = (keys >> 32).int()
    bits = ordered ^ ((ordered >> 31) & _SIGN_FREE)
    return torch.where(keys == NOTHING, -torch.inf, bits.view(torch.float32))


def top_keys(block: torch.Tensor, count: int) -> torch.Tensor:
    """The ``count`` nearest columns of each row as falling keys, padded with ``NOTHING``; exact, ties included.

    Wide blocks are searched by group maxima: the nearest ``count`` columns are in the ``count`` groups with the largest
    maxima. Only where something as near as the last neighbour was left out, all keys of the row are compared.

    Args:
        block: float32 [rows, columns], contiguous, ``-inf`` where there is no neighbour.
        count: neighbours per row, at least 1.

    Returns:
        int64 [rows, count]; the packed index is the column.
    """
    if block.is_contiguous() and (fast := compiled(block.device, block.numel())) is not None:
        return fast.top_keys(block, count)
    columns = block.shape[1]
    if columns <= count:
        found = pack_keys(block, torch.arange(columns, device=block.device)).sort(dim=1, descending=True).values
        return torch.nn.functional.pad(found, (0, count - columns), value=NOTHING)
    nearest, places, left_out = _largest(block, count, KEPT_GROUPS)
    found = pack_keys(nearest, places)
    level = (nearest[:, 1:] == nearest[:, :-1]) & (nearest[:, 1:] > -torch.inf)
    swapped = level.any(dim=1).nonzero().flatten()
    if len(swapped):
        found[swapped] = found[swapped].sort(dim=1, descending=True).values
    last = nearest[:, -1]
    _compare_all_keys(block, ((last <= left_out) & (last > -torch.inf)).nonzero().flatten(), found)
    return found


def compiled(device: torch.device, similarities: int) -> ModuleType | None:
    """``benchmark.knn.topk_compiled`` where it pays: on the CPU, with numba, for so many similarities at once."""
    pays = device.type == "cpu" and similarities >= COMPILED_FROM
    return compiled_module("benchmark.knn.topk_compiled", "kNN's search") if pays else None


class _Largest(NamedTuple):
    values: torch.Tensor
    """[rows, count], falling; the order of equal values is open."""
    columns: torch.Tensor
    left_out: torch.Tensor
    """[rows]: no value is larger that is not among these."""


def _largest(values: torch.Tensor, count: int, groups: tuple[int, ...]) -> _Largest:
    """The ``count`` largest values of each row of more."""
    rows, columns = values.shape
    for i, size in enumerate(groups):
        if columns % size == 0 and columns >= 2 * size * (count + 1):
            parts = columns // size
            maxima, chosen = values.view(rows, parts, size).amax(dim=2).topk(count + 1, dim=1, sorted=False)
            first = torch.arange(rows, device=values.device)[:, None] * parts
            near = values.view(rows * parts, size).index_select(0, (first + chosen).flatten())
            largest, places, left_out = _largest(near.view(rows, (count + 1) * size), count, groups[i + 1 :])
            original = chosen.gather(1, places // size) * size + places % size
            return _Largest(largest, original, torch.maximum(left_out, maxima.amin(dim=1)))
    largest, places = values.topk(count + 1, dim=1)
    return _Largest(largest[:, :count], places[:, :count], largest[:, count])


def _compare_all_keys(block: torch.Tensor, rows: torch.Tensor, found: torch.Tensor) -> None:
    """Search these rows without a shortcut and write what is nearest into ``found``."""
    indices = torch.arange(block.shape[1], device=block.device)
    for some in rows.split(max(1, _BATCH // block.shape[1])):
        found[some] = pack_keys(block[some], indices).topk(found.shape[1], dim=1).values


def shift_indices(keys: torch.Tensor, start: int) -> torch.Tensor:
    """The same keys with ``start`` added to every index."""
    return torch.where(keys == NOTHING, NOTHING, keys - start)


def replace_indices(keys: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """The same similarities with other indices; ``NOTHING`` stays."""
    return torch.where(keys == NOTHING, NOTHING, (keys & ~_LOW) | (_LOW - indices))


def merge(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The nearest of two lists of keys [..., n] and [..., m], in falling order: [..., n]."""
    return torch.cat([first, second], dim=-1).topk(first.shape[-1], dim=-1).values
