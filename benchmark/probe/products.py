"""Batched matrix products with few columns, in the order, and by the library, that is fast in them on this CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.compute import multiply, numpy_is_faster

NARROW = 32
"""Columns up to which the transposed product is taken on a CPU. At 6 columns and 1000 rows it took a quarter of the
time (MKL on an AMD EPYC, float32); from some 50 columns on there is no difference."""


def product(left: Tensor, right: Tensor) -> Tensor:
    """``left`` [G, m, r] @ ``right`` [G, r, k], contiguous [G, m, k].

    >>> product(torch.ones(1, 2, 3), torch.ones(1, 3, 1)).flatten().tolist()
    [3.0, 3.0]
    """
    if left.device.type != "cpu":
        return torch.bmm(left, right)
    if right.shape[2] > NARROW:
        return _by_the_faster(left, right)
    return torch.bmm(right.mT.contiguous(), left.mT).mT.contiguous()


def _by_the_faster(left: Tensor, right: Tensor) -> Tensor:
    """float64, of small fits alone, stays torch's."""
    if left.dtype != torch.float32 or not numpy_is_faster():
        return torch.bmm(left, right)
    found = torch.empty((len(left), left.shape[1], right.shape[2]), dtype=left.dtype)
    for one, other, out in zip(left, right, found, strict=True):
        multiply(one.numpy(), other.numpy(), out.numpy())
    return found
