"""Stochastic gradient descent of many linear layers at once, each as ``torch.optim.SGD`` would take it alone."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from benchmark.compute import compiled_module, multiply, threads_of_work, uploaded
from benchmark.probe.problem import Problem
from benchmark.probe.solver.products import of_each
from benchmark.probe.solver.rows import QUIET_BAR

LATE_BELOW = 1 << 30
"""Multiply-adds of a step up to which flags are read a step late. An estimate (no card has measured it): some 50
microseconds of a large GPU, about what it idles while it waits for the host; longer steps are not made in vain."""


class Flags:
    """Flags of one step after the other, on the host.

    On a GPU each read makes the host wait for all work before it, and then the GPU for the host. Read ``late``, the
    flags of a step come back while the next one computes. How late follows from the work, never from the time it takes,
    so that runs are alike.

    >>> flags = Flags(torch.device("cpu"), work=1000)
    >>> flags.read(torch.tensor([True, False]))
    tensor([ True, False])
    """

    def __init__(self, device: torch.device, work: int) -> None:
        """``work``: multiply-adds of a step."""
        self.late = device.type == "cuda" and work <= LATE_BELOW
        self._coming: deque[tuple[Tensor, Any]] = deque()

    def read(self, flags: Tensor) -> Tensor | None:
        """The flags, or those of the step before; ``None`` while these are on their way."""
        if not self.late:
            return flags.cpu()
        here = torch.empty(flags.shape, dtype=flags.dtype, pin_memory=True)
        here.copy_(flags, non_blocking=True)
        self._coming.append((here, torch.cuda.current_stream(flags.device).record_event()))
        if len(self._coming) == 1:
            return None
        known, arrived = self._coming.popleft()
        arrived.synchronize()
        return known

    def forget(self) -> None:
        """Those on their way, because the steps to come are for other fits."""
        self._coming.clear()


def rectangle(active: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """The training sets and the strengths that hold every active fit, from flags [G, L] of the host, on a device."""
    rows, columns = active.any(1).nonzero()[:, 0], active.any(0).nonzero()[:, 0]
    there = uploaded(torch.cat([rows, columns]), device)
    return there[: len(rows)], there[len(rows) :]


MOMENTUM = 0.9

BATCH_SIZE = 1024

EPOCHS = 100

MOST_ROWS = 8192
"""Rows up to which their products with one another are kept, [n, n] for each training set."""

COMPILED_FROM = 1 << 32
"""Multiplications from which the compiled steps are used: loading them takes some tenths of a second."""

STEP_BYTES = 8 << 20
"""On a CPU, training sets run together while a step's rows are no more than this, and so stay in its cache; but as many
as there are threads at least."""

Read = Callable[[Tensor], Tensor]
"""Ascending row indices [b] -> features [G, b, d]."""


class Descent(NamedTuple):
    """K runs on each of G training sets after their last epoch."""

    weights: Tensor
    """[G, K, d, C]."""
    bias: Tensor
    """[G, K, C]."""


def descend(
    read: Read,
    labels: Tensor,
    learning_rates: Sequence[float],
    weight_decays: Sequence[float],
    *,
    n_classes: int,
    epochs: int = EPOCHS,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    in_rows: bool = False,
    resident: Tensor | None = None,
) -> Descent:
    """SGD of K = len(learning_rates) runs on each of G training sets; no run depends on another.

    Args:
        read: ascending row indices [b] -> features [G, b, d]; indices are on the device of ``resident``, or without it
            on the host, where rows are read.
        labels: int64 [G, n], or [G, K, n] for labels of each run's own, on the device of the products.
        learning_rates, weight_decays: one of each per run.
        n_classes: C.
        epochs, batch_size: as in the protocol.
        seed: of the first weights and the order of the rows, the same for all runs.
        in_rows: keep the weights as a combination of the rows. The same steps, cheaper where ``rows_are_cheaper``.
        resident: all that ``read`` can read, [G, n, d], if it is at hand: compiled steps read it in place.
    """
    groups, n = labels.shape[0], labels.shape[-1]
    runs = len(learning_rates)
    own = labels.view(groups, -1, 1, n)
    sample = read(torch.zeros(1, dtype=torch.int64)) if resident is None else resident
    dimension, device, dtype = sample.shape[2], sample.device, sample.dtype
    generator = torch.Generator().manual_seed(seed)
    first = (torch.rand((dimension + 1, n_classes), generator=generator) * 2 - 1) * (1 / math.sqrt(dimension))
    first = first.T.to(device, dtype)
    epochs_to_go = tqdm(
        _epochs(n, epochs, batch_size, generator), desc="descent", total=epochs, unit="epoch", **QUIET_BAR
    )
    if resident is not None and not in_rows and (fast := _compiled(resident, groups * runs * n_classes * epochs)):
        given = (resident.numpy(), labels.view(groups, -1, n).expand(-1, runs, -1).numpy(), first.numpy())
        constants = (np.array(learning_rates, np.float32), np.array(weight_decays, np.float32), MOMENTUM, batch_size)
        orders = ((factor, order.numpy()) for factor, order in epochs_to_go)
        weights, bias = fast.descend(*given, *constants, orders, torch.get_num_threads())
        return Descent(torch.from_numpy(weights).mT, torch.from_numpy(bias))
    rate = torch.tensor(learning_rates, dtype=dtype, device=device)[:, None, None]
    decay = torch.tensor(weight_decays, dtype=dtype, device=device)[:, None, None]
    layer = (_InRows if in_rows else _InWeights)(read, n, groups, runs, first[:, :-1].contiguous())
    bias = first[:, -1:].repeat(groups, runs, 1, 1)
    bias_velocity = torch.zeros_like(bias)
    with threads_of_work(step_work(groups * runs * n_classes, n, dimension, batch_size, in_rows)):
        for factor, order in epochs_to_go:
            now = rate * factor
            there = uploaded(order, device)  # once for an epoch, and nobody waits
            for start in range(0, n, batch_size):
                # where one batch holds all rows, their order is nothing
                some = slice(start, start + batch_size) if n > batch_size else None
                index = None if some is None else there[some]
                asked = index if some is None or resident is not None else order[some]
                truth = (own if index is None else own[..., index]).expand(-1, runs, -1, -1)
                residual = torch.softmax(layer.logits(index, asked).add_(bias), 2)
                residual.scatter_add_(2, truth, residual.new_full((), -1).expand(truth.shape))
                residual /= truth.shape[3]
                bias_velocity.mul_(MOMENTUM).add_(residual.sum(3, keepdim=True)).addcmul_(decay, bias)
                layer.step(index, residual, now, decay)
                bias.addcmul_(now, bias_velocity, value=-1)
    with threads_of_work(groups * runs * n_classes * dimension * (n if in_rows else 1)):
        return Descent(layer.weights().mT, bias[..., 0])


def _epochs(n: int, epochs: int, batch_size: int, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
    """For each epoch its factor of the learning rates, and its rows int64 [n]: batch after batch, each ascending."""
    for epoch in range(epochs):
        order = torch.randperm(n, generator=generator)
        batches = [batch.sort().values for batch in order.split(batch_size)]
        yield 0.5 * (1 + math.cos(math.pi * epoch / epochs)), torch.cat(batches)


def _compiled(resident: Tensor, times: int) -> ModuleType | None:
    """``solver.kernels.sgd`` where it pays: on the CPU, with numba, for so many products with the rows."""
    fits = resident.device.type == "cpu" and resident.dtype == torch.float32
    pays = fits and resident[0].numel() * times >= COMPILED_FROM
    return compiled_module("benchmark.probe.solver.kernels.sgd", "The descent of probes") if pays else None


def rows_are_cheaper(n: int, dimension: int) -> bool:
    """A step costs a product with n columns in terms of the rows, two with d columns in terms of the weights."""
    return n < 2 * dimension and n <= MOST_ROWS


def step_work(columns: int, n: int, dimension: int, batch_size: int, in_rows: bool) -> int:
    """Multiply-adds of one step of ``columns`` = G * K * C classes of all runs."""
    return columns * min(n, batch_size) * (n if in_rows else 2 * dimension)


def stack_size(fits: int, n: int, dimension: int, batch_size: int, memory_bytes: int, device: torch.device) -> int:
    """How many of ``fits`` training sets of float32 rows to run together: at least one."""
    in_rows = rows_are_cheaper(n, dimension)
    most = memory_bytes // (4 * n * (dimension + (n if in_rows else 0)))
    if device.type == "cpu":
        cached = STEP_BYTES // (4 * min(n, batch_size) * (n if in_rows else dimension))
        most = min(most, cached if in_rows else max(cached, torch.get_num_threads()))
    return max(1, min(fits, most))


class _InWeights:
    """The runs' weights themselves, [G, K, C, d]: one product serves all runs."""

    def __init__(self, read: Read, n: int, groups: int, runs: int, first: Tensor) -> None:
        self._read, self._every = read, torch.arange(n)
        self._weights = first.repeat(groups, runs, 1, 1)
        self._velocity = torch.zeros_like(self._weights)

    def logits(self, index: Tensor | None, asked: Tensor | None) -> Tensor:
        """[G, K, C, b] of the rows ``index``, without the bias; ``asked``: the same, where they are read."""
        self._block = self._read(self._every if asked is None else asked)
        return torch.bmm(self._weights.flatten(1, 2), self._block.mT).view(*self._weights.shape[:3], -1)

    def step(self, index: Tensor | None, residual: Tensor, rate: Tensor, decay: Tensor) -> None:
        """Momentum and step of ``torch.optim.SGD`` for the rows whose logits were asked last."""
        gradient = torch.bmm(residual.flatten(1, 2), self._block).view_as(self._weights)
        self._velocity.mul_(MOMENTUM).add_(gradient).addcmul_(decay, self._weights)
        self._weights.addcmul_(rate, self._velocity, value=-1)

    def weights(self) -> Tensor:
        return self._weights


class _InRows:
    """The same weights as ``kept * first + part @ rows``, with ``kept`` [K, 1, 1] and ``part`` [G, K, C, n].

    A gradient is a combination of rows and decay shrinks both terms, so the form holds at every step; logits then need
    only the rows' products with one another, computed once.
    """

    def __init__(self, read: Read, n: int, groups: int, runs: int, first: Tensor) -> None:
        self._rows = read(torch.arange(n))
        self._first = first
        (self._products,) = of_each(lambda rows: (torch.bmm(rows, rows.mT),), self._rows.numel() * n, self._rows)
        with threads_of_work(self._rows.numel() * len(first)):
            self._first_logits = (first @ self._rows.mT)[:, None]
            self._part = first.new_zeros((groups, runs, first.shape[0], n))
            self._velocity = torch.zeros_like(self._part)
        self._kept = first.new_ones((runs, 1, 1))
        self._kept_velocity = torch.zeros_like(self._kept)

    def logits(self, index: Tensor | None, asked: Tensor | None) -> Tensor:
        """As ``_InWeights.logits``; no row is read again."""
        products, first = self._products, self._first_logits
        if index is not None:
            products, first = products.index_select(1, index), first.index_select(3, index)
        own = _times(self._part.flatten(1, 2), products.mT).view(*self._part.shape[:3], -1)
        return own.addcmul_(self._kept, first)

    def step(self, index: Tensor | None, residual: Tensor, rate: Tensor, decay: Tensor) -> None:
        """As ``_InWeights.step``."""
        self._velocity.mul_(MOMENTUM).addcmul_(decay, self._part)
        if index is None:
            self._velocity += residual
        else:
            self._velocity.index_add_(3, index, residual)
        self._kept_velocity.mul_(MOMENTUM).add_(decay * self._kept)
        self._part.addcmul_(rate, self._velocity, value=-1)
        self._kept -= rate * self._kept_velocity

    def weights(self) -> Tensor:
        own = torch.bmm(self._part.flatten(1, 2), self._rows).view(*self._part.shape[:3], -1)
        return own + self._kept * self._first


def _times(left: Tensor, right: Tensor) -> Tensor:
    """``left`` [G, m, r] @ ``right`` [G, r, k]; the one wide product of a search by the faster library."""
    if len(left) > 1 or left.device.type != "cpu" or left.dtype != torch.float32:
        return torch.bmm(left, right)
    out = left.new_empty((1, left.shape[1], right.shape[2]))
    multiply(left[0].numpy(), right[0].numpy(), out[0].numpy())
    return out


@dataclass
class Reader:
    """Rows of G training sets by index."""

    resident: Tensor | None
    problem: Problem
    which: np.ndarray
    rows: np.ndarray
    device: torch.device
    dtype: torch.dtype
    buffers: dict[int, Tensor] = field(default_factory=dict)
    """By batch size: a fresh block per step would cost more than the copy into it."""

    @property
    def in_rows(self) -> bool:
        """Whether ``descend`` should keep the weights as a combination of these rows."""
        return self.resident is not None and rows_are_cheaper(len(self.rows), self.resident.shape[2])

    def __call__(self, index: Tensor, /) -> Tensor:
        """Features [G, b, d] of ascending row indices [b]; good until the next call."""
        if self.resident is not None:
            if len(index) == self.resident.shape[1]:
                return self.resident
            if len(index) not in self.buffers:
                groups, _, dimension = self.resident.shape
                self.buffers[len(index)] = self.resident.new_empty((groups, len(index), dimension))
            return torch.index_select(self.resident, 1, uploaded(index, self.device), out=self.buffers[len(index)])
        part = self.problem.source(self.which, self.rows[index.cpu().numpy()])
        return uploaded(part(0, len(index)), self.device).to(self.dtype)


def reader(
    problem: Problem,
    which: np.ndarray,
    rows: np.ndarray,
    device: torch.device,
    memory_bytes: int,
    dtype: torch.dtype,
) -> Reader:
    """The rows of training sets ``which``: gathered if they fit into ``memory_bytes``, else read as asked for."""
    source = problem.source(which, rows)
    resident = None
    if len(which) * len(rows) * problem.dimension * dtype.itemsize <= memory_bytes:
        resident = _empty((len(which), len(rows), problem.dimension), dtype, device)
        step = max(1, (64 << 20) // (len(which) * problem.dimension * 4))
        with threads_of_work(len(which) * min(step, len(rows)) * problem.dimension):
            for start in range(0, len(rows), step):
                resident[:, start : start + step] = uploaded(source(start, min(start + step, len(rows))), device)
    return Reader(resident, problem, which, rows, device, dtype)


def _empty(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """On a CPU numpy's memory: it asks the system for large pages, which reading rows here and there is faster from."""
    if device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(shape, str(dtype).removeprefix("torch.")))
