"""The floor of a computation: its own matrix products, recorded in one run and replayed alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_FIRST_FACTOR = {"mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1}
"""Operations counted, with the position of their first factor; ``matmul`` and ``linear`` end in these."""


class Factor(NamedTuple):
    """A tensor's layout; what lies in it does not change the time."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Factor:
        return cls(tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device)

    def filled(self) -> torch.Tensor:
        extent = 1 + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True))
        return torch.rand(extent, device=self.device).to(self.dtype).as_strided(self.shape, self.stride)


class Recorder(TorchDispatchMode):
    """Counts the matrix products of whatever runs inside it, by the layouts of their factors.

    >>> with Recorder() as recorder:
    ...     _ = torch.ones(2, 3) @ torch.ones(3, 4) + torch.ones(2, 3) @ torch.zeros(3, 4)
    >>> list(recorder.products.values())
    [2]
    """

    def __init__(self) -> None:
        super().__init__()
        self.products: Counter[tuple[Factor, Factor]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        first = _FIRST_FACTOR.get(func.overloadpacket.__name__)
        if first is not None and all(n for factor in args[first : first + 2] for n in factor.shape):
            self.products[Factor.of(args[first]), Factor.of(args[first + 1])] += 1
        return func(*args, **(kwargs or {}))

    def replay(self) -> Callable[[], None]:
        """A function that computes the same number of the same products, and nothing else."""
        ready = []
        for (a, b), count in self.products.items():
            left, right = a.filled(), b.filled()
            ready.append((left, right, left @ right, count))

        def products() -> None:
            for left, right, out, count in ready:
                for _ in range(count):
                    torch.matmul(left, right, out=out)

        return products
