"""Which operations could wake threads of torch's and its libraries', counted and not timed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmark.compute import parallel_map

GRAIN = 1 << 15
"""Elements from which torch shares an elementwise operation between its threads (``at::internal::GRAIN_SIZE``)."""

WAKING = ("mm", "bmm", "addmm", "baddbmm", "linalg")
"""Begins of names of operations that libraries share between threads by a measure of their own."""


class Waking(TorchDispatchMode):
    """Operations of this thread that could wake others, by name, with the elements of their largest tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int]] = []
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        name = func.__name__.removeprefix("_")
        largest = max((t.numel() for t in tree_leaves((args, result)) if isinstance(t, torch.Tensor)), default=0)
        wakes = largest >= GRAIN or name.startswith(WAKING)
        if torch.get_num_threads() > 1 and wakes and _computes(func, args, result):
            self.seen.append((name, largest))
        return result


def _computes(func: Any, given: Any, result: Any) -> bool:
    """Whether an operation makes or changes values, where others only look at them or ask for memory."""
    if func.__name__.startswith(("empty", "new_empty", "lift_fresh")):
        return False
    before, after = (
        {t.untyped_storage().data_ptr() for t in tree_leaves(tree) if isinstance(t, torch.Tensor)}
        for tree in (given, result)
    )
    return func._schema.is_mutable or not after <= before


def pieces_parallel(monkeypatch: pytest.MonkeyPatch, module: str) -> list[list[Any]]:
    """The pieces of each call of ``parallel_map`` from that module to come."""
    seen: list[list[Any]] = []

    def spy(work: Any, pieces: Any) -> Any:
        seen.append(list(pieces))
        return parallel_map(work, pieces)

    monkeypatch.setattr(f"{module}.parallel_map", spy)
    return seen
