"""Products of training sets in stacks: in the order, by the library and on the threads that are fast on this CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmark.compute import multiply, numpy_is_faster, parallel_map, threads_for, threads_of_work

NARROW = 32
"""Columns up to which the transposed product is taken on a CPU. At 6 columns and 1000 rows it took a quarter of the
time (MKL on an AMD EPYC, float32); from some 50 columns on there is no difference."""

ONCE = 16
"""How much more work than a step of thousands a step that is taken once must be to have all threads: what one thread
does in 20 milliseconds, because those of OpenMP then keep a core busy for one more while they wait for another step."""


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


def of_each(work: Callable[..., tuple[Tensor, ...]], multiply_adds: int, *given: Tensor) -> tuple[Tensor, ...]:
    """``work`` on stacks [G, ...] of training sets; on a CPU, where it is much, each set on one thread, side by side.

    A step that all threads share waits for the slowest of them, and beside a busy process one has half a core.

    Args:
        work: stacks [g, ...] -> stacks [g, ...]; no set's depends on another's.
        multiply_adds: of the work on all G.
        given: G of them each.

    >>> (found,) = of_each(lambda rows: (torch.bmm(rows, rows.mT),), 6, torch.ones(2, 1, 3))
    >>> found.flatten().tolist()
    [3.0, 3.0]
    """
    groups, threads = len(given[0]), torch.get_num_threads()
    if given[0].device.type != "cpu" or groups < threads or threads_for(multiply_adds, threads) == 1:
        with threads_of_work(multiply_adds // ONCE):
            return work(*given)
    found = parallel_map(lambda g: work(*(stack[g : g + 1] for stack in given)), range(groups))
    return tuple(in_one(parts) for parts in zip(*found, strict=True))


def in_one(stacks: Sequence[Tensor]) -> Tensor:
    """Stacks [g, ...] one after the other, in a copy, on the threads that so much work has."""
    with threads_of_work(sum(stack.numel() for stack in stacks)):
        return torch.cat(list(stacks))


def _by_the_faster(left: Tensor, right: Tensor) -> Tensor:
    """float64, of small fits alone, stays torch's."""
    if left.dtype != torch.float32 or not numpy_is_faster():
        return torch.bmm(left, right)
    found = torch.empty((len(left), left.shape[1], right.shape[2]), dtype=left.dtype)
    for one, other, out in zip(left, right, found, strict=True):
        multiply(one.numpy(), other.numpy(), out.numpy())
    return found
