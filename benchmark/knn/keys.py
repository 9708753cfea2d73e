"""Neighbours as keys that sort: the nearest columns of blocks of similarities, and lists of them.

A neighbour is one int64 key: the float32 similarity in the upper half, the train index (reversed) in the lower, so that
sorting keys downwards orders neighbours by (similarity descending, train index ascending). Ties are thus
always resolved, lists merge by concatenation and top-k, and the k nearest do not depend on how the work is cut.
"""

from __future__ import annotations

from types import ModuleType
from typing import NamedTuple

import torch

from benchmark.compute import compiled_module

NOTHING = torch.iinfo(torch.int64).min
"""Key of no neighbour, which fills lists that are longer than the number of neighbours. Below every real key."""

GROUP = 32
"""Columns per group of the prefilter in ``top_keys``; blocks whose width is a multiple of it are searched fastest."""

PREFILTER_GROUPS = (GROUP, 8)
"""Columns per group of the successive prefilters."""

COMPILED_FROM = 1 << 20
"""Least similarities for the compiled search: loading it takes some tenths of a second. Smaller searches are many small
steps, for which torch has one thread: two are a third faster on an idle machine, and take twice as long on a busy
one."""

_LOW = 0xFFFFFFFF

_SIGN_FREE = 0x7FFFFFFF

_BATCH = 1 << 21  # similarities packed into keys at once: 16 MiB of keys, which still profit from the cache


def pack_keys(similarities: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Pack neighbours into keys: larger is nearer, and of two equally similar ones the lower index is nearer.

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
    """Indices of keys; -1 for ``NOTHING``."""
    return torch.where(keys == NOTHING, -1, _LOW - (keys & _LOW))


def unpack_similarities(keys: torch.Tensor) -> torch.Tensor:
    """float32 similarities of keys; ``-inf`` for ``NOTHING``.

    >>> unpack_similarities(pack_keys(torch.tensor([0.5, -0.25, -float("inf")]), torch.tensor([4, 2, 9]))).tolist()
    [0.5, -0.25, -inf]
    """
    ordered = (keys >> 32).int()
    bits = ordered ^ ((ordered >> 31) & _SIGN_FREE)
    return torch.where(keys == NOTHING, -torch.inf, bits.view(torch.float32))


def top_keys(block: torch.Tensor, count: int) -> torch.Tensor:
    """The ``count`` nearest columns of each row as falling keys, padded with ``NOTHING``; exact, ties included.

    Wide blocks are searched by group maxima: the nearest ``count`` columns are in the ``count`` groups with the largest
    maxima. All keys of a row are compared only if a column outside is as near as the last neighbour.

    Args:
        block: float32 [rows, columns], contiguous, ``-inf`` for no neighbour.
        count: neighbours per row, at least 1.

    Returns:
        int64 [rows, count]; the packed index is the column.
    """
    if block.is_contiguous() and (kernels := compiled(block.device, block.numel())) is not None:
        return kernels.top_keys(block, count)
    columns = block.shape[1]
    if columns <= count:
        keys = pack_keys(block, torch.arange(columns, device=block.device)).sort(dim=1, descending=True).values
        return torch.nn.functional.pad(keys, (0, count - columns), value=NOTHING)
    nearest, places, left_out = _largest(block, count, PREFILTER_GROUPS)
    keys = pack_keys(nearest, places)
    is_tied = (nearest[:, 1:] == nearest[:, :-1]) & (nearest[:, 1:] > -torch.inf)
    swapped = is_tied.any(dim=1).nonzero().flatten()
    if len(swapped):
        keys[swapped] = keys[swapped].sort(dim=1, descending=True).values
    last = nearest[:, -1]
    _compare_all_keys(block, ((last <= left_out) & (last > -torch.inf)).nonzero().flatten(), keys)
    return keys


def compiled(device: torch.device, similarities: int) -> ModuleType | None:
    """``benchmark.knn.search_compiled`` if it is faster: on the CPU, with numba, for enough similarities; else None."""
    is_worthwhile = device.type == "cpu" and similarities >= COMPILED_FROM
    return compiled_module("benchmark.knn.search_compiled", "kNN's search") if is_worthwhile else None


class _Largest(NamedTuple):
    values: torch.Tensor
    """[rows, count], falling; the order of equal values is arbitrary."""
    columns: torch.Tensor
    """[rows, count], columns of the values."""
    left_out: torch.Tensor
    """[rows]: no value outside is larger."""


def _largest(values: torch.Tensor, count: int, groups: tuple[int, ...]) -> _Largest:
    """The ``count`` largest values of each row, which has more."""
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


def _compare_all_keys(block: torch.Tensor, rows: torch.Tensor, nearest: torch.Tensor) -> None:
    """Search these rows completely and write the nearest keys to ``nearest``."""
    indices = torch.arange(block.shape[1], device=block.device)
    for some in rows.split(max(1, _BATCH // block.shape[1])):
        nearest[some] = pack_keys(block[some], indices).topk(nearest.shape[1], dim=1).values


def shift_indices(keys: torch.Tensor, start: int) -> torch.Tensor:
    """The same keys with ``start`` added to every index."""
    return torch.where(keys == NOTHING, NOTHING, keys - start)


def replace_indices(keys: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Keys with the same similarities and other indices; ``NOTHING`` stays."""
    return torch.where(keys == NOTHING, NOTHING, (keys & ~_LOW) | (_LOW - indices))


def merge(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The nearest of two lists of keys [..., n] and [..., m], in falling order: [..., n]."""
    return torch.cat([first, second], dim=-1).topk(first.shape[-1], dim=-1).values
