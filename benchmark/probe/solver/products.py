"""Matrix products of stacked training sets, with the fastest order, library and number of threads on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from benchmark.compute import multiply, numpy_is_faster, parallel_map, threads_for, threads_of_work

NARROW = 32
"""Most columns for which a CPU computes the transposed product. At 6 columns and 1000 rows it took a quarter of the
time (MKL on an AMD EPYC, float32); from some 50 columns on there is no difference."""

ONCE = 16
"""A step that runs once gets all threads only if its work is this many times that of a step that runs thousands of
times. This is what one thread does in 20 milliseconds: for so long OpenMP's threads keep their cores busy while they
wait for another step."""


def product(left: Tensor, right: Tensor) -> Tensor:
    """``left`` [G, m, r] @ ``right`` [G, r, k], contiguous [G, m, k].

    >>> product(torch.ones(1, 2, 3), torch.ones(1, 3, 1)).flatten().tolist()
    [3.0, 3.0]
    """
    if left.device.type != "cpu":
        return torch.bmm(left, right)
    if right.shape[2] > NARROW:
        return _wide_product(left, right)
    return torch.bmm(right.mT.contiguous(), left.mT).mT.contiguous()


def of_each(work: Callable[..., tuple[Tensor, ...]], multiply_adds: int, *stacks: Tensor) -> tuple[Tensor, ...]:
    """``work`` on stacks [G, ...] of training sets; on a CPU, if it is much work, with one thread per set in parallel.

    A step that all threads share waits for the slowest thread, which has half a core if another process is busy.

    Args:
        work: stacks [g, ...] -> stacks [g, ...]; the sets are independent.
        multiply_adds: of the work on all G sets.
        stacks: arguments of ``work``, each [G, ...].

    >>> (products,) = of_each(lambda rows: (torch.bmm(rows, rows.mT),), 6, torch.ones(2, 1, 3))
    >>> products.flatten().tolist()
    [3.0, 3.0]
    """
    groups, threads = len(stacks[0]), torch.get_num_threads()
    if stacks[0].device.type != "cpu" or groups < threads or threads_for(multiply_adds, threads) == 1:
        with threads_of_work(multiply_adds // ONCE):
            return work(*stacks)
    results = parallel_map(lambda g: work(*(stack[g : g + 1] for stack in stacks)), range(groups))
    return tuple(in_one(parts) for parts in zip(*results, strict=True))


def in_one(stacks: Sequence[Tensor]) -> Tensor:
    """Concatenate stacks [g, ...], with the number of threads that suits the work."""
    with threads_of_work(sum(stack.numel() for stack in stacks)):
        return torch.cat(list(stacks))


def _wide_product(left: Tensor, right: Tensor) -> Tensor:
    """By ``multiply`` if that is faster; float64, which only small fits use, by torch."""
    if left.dtype != torch.float32 or not numpy_is_faster():
        return torch.bmm(left, right)
    products = torch.empty((len(left), left.shape[1], right.shape[2]), dtype=left.dtype)
    for first, second, out in zip(left, right, products, strict=True):
        multiply(first.numpy(), second.numpy(), out.numpy())
    return products
