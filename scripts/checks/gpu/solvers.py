"""kNN and probe on the device, over their matrix products alone, recorded in one run and replayed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from scripts.speed.measure import Row, medians_on
from scripts.speed.synthetic import steep_banks

K = 10
SEEDS = 10


def knn(device: torch.device, quick: bool) -> Iterator[Row]:
    """The suite of six set-ups; embeddings start in the computer's memory, as banks do."""
    from benchmark.knn.setups import knn_setups

    n_train, n_test, dimension, classes, labels = (300, 20, 32, 3, 5) if quick else (50_000, 2000, 768, 6, 1000)
    random = np.random.default_rng(0)
    train, test = (steep_banks(random, n, dimension, classes) for n in (n_train, n_test))
    train_labels, test_labels = (random.permutation(np.arange(n) % labels) for n in (n_train, n_test))
    drawn = [random.integers(0, classes, (SEEDS, n)) for n in (n_train, n_test)]

    def suite() -> object:
        options = {"train_assignments": drawn[0], "test_assignments": drawn[1], "k": K, "device": device}
        return knn_setups(train, test, train_labels, test_labels, **options)

    note = f"{n_train} x {dimension} x {classes} bank, {n_test} test photos, {SEEDS} seeds, k = {K}"
    yield from _against_products("all six set-ups", suite, device, quick, note)
    there = [[torch.from_numpy(bank).to(device) for bank in banks] for banks in (train, test)]

    def with_top() -> None:
        for queries in there[1]:
            for bank in there[0]:
                for part in queries.split(max(1, (1 << 28) // len(bank))):
                    (part @ bank.T).topk(K, dim=1)

    took, floor = medians_on(device, suite, with_top, rounds=1 if quick else 3)
    what = "all six set-ups, over products and top-k"
    yield Row(what, took / floor, "of this time", note=f"{classes**2} products by torch, banks on the device already")


def probe(device: torch.device, quick: bool) -> Iterator[Row]:
    """Search and fits of one processing parameter, both protocols."""
    from benchmark.probe import processing_probe

    small, large = ((60, 32, 3, 20), None) if quick else ((1000, 768, 6, 400), (10_000, 768, 6, 1000))
    cases = [(small, "converged"), (small, "iccv2025"), *([(large, "converged")] if large else [])]
    for (n_train, dimension, classes, n_test), protocol in cases:
        random = np.random.default_rng(0)
        both = steep_banks(random, n_train + n_test, dimension, classes)
        train, test = [b[:n_train] for b in both], [b[n_train:] for b in both]
        drawn = random.integers(0, classes, (SEEDS, n_train))

        def fit(
            train: list[np.ndarray] = train, test: list[np.ndarray] = test, drawn: np.ndarray = drawn, p: str = protocol
        ) -> object:
            return processing_probe(train, test, drawn, protocol=p, device=device)

        note = f"{n_train} x {dimension} x {classes} classes x {SEEDS} seeds"
        yield from _against_products(f"{protocol}, {n_train} photos", fit, device, quick, note)


def _against_products(
    what: str, run: Callable[[], object], device: torch.device, quick: bool, note: str
) -> Iterator[Row]:
    with Recorder() as recorder:
        run()
    took, floor = medians_on(device, run, recorder.replay(), rounds=1 if quick else 3)
    count = sum(recorder.products.values())
    yield Row(what, took, "s", note=note)
    yield Row(f"{what}, over its products", took / floor, "of this time", note=f"{count:,} products take {floor:.3g} s")


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
