"""Stochastic gradient descent of many linear layers at once, each with the steps of ``torch.optim.SGD``."""

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

from benchmark.compute import compiled_module, multiply, threads_of_work, uploaded
from benchmark.probe.problem import Problem
from benchmark.probe.solver.products import of_each
from builders.processes import step_bar

LATE_BELOW = 1 << 30
"""Most multiply-adds of a step whose flags are read one step late. An estimate, not measured: some 50 microseconds of a
large GPU, about as long as it idles while it waits for the host. Longer steps would cost more than the wait."""


class Flags:
    """Reads the flags of successive steps on the host.

    On a GPU each read makes the host wait for all earlier work, and then the GPU wait for the host. If flags are read
    ``late``, those of a step arrive while the next one computes. Whether they are late depends on the amount of work,
    not on measured time, so that runs are reproducible.

    >>> flags = Flags(torch.device("cpu"), work=1000)
    >>> flags.read(torch.tensor([True, False]))
    tensor([ True, False])
    """

    def __init__(self, device: torch.device, work: int) -> None:
        """Flags on ``device`` of steps with ``work`` multiply-adds."""
        self.late = device.type == "cuda" and work <= LATE_BELOW
        self._coming: deque[tuple[Tensor, Any]] = deque()

    def read(self, flags: Tensor) -> Tensor | None:
        """The flags, or if late those of the step before, ``None`` for the first step."""
        if not self.late:
            return flags.cpu()
        copy = torch.empty(flags.shape, dtype=flags.dtype, pin_memory=True)
        copy.copy_(flags, non_blocking=True)
        self._coming.append((copy, torch.cuda.current_stream(flags.device).record_event()))
        if len(self._coming) == 1:
            return None
        known, arrived = self._coming.popleft()
        arrived.synchronize()
        return known

    def forget(self) -> None:
        """Drop the flags that have not been read yet, because further steps are for other fits."""
        self._coming.clear()


def rectangle(active: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Indices, on a device, of training sets and strengths with an active fit; ``active``: [G, L] on the host."""
    rows, columns = active.any(1).nonzero()[:, 0], active.any(0).nonzero()[:, 0]
    indices = uploaded(torch.cat([rows, columns]), device)
    return indices[: len(rows)], indices[len(rows) :]


MOMENTUM = 0.9

BATCH_SIZE = 1024

EPOCHS = 100

MOST_ROWS = 8192
"""Most rows whose Gram matrix [n, n] is held in memory, for each training set."""

COMPILED_FROM = 1 << 32
"""Least number of multiplications for the compiled steps: loading them takes some tenths of a second."""

STEP_BYTES = 8 << 20
"""On a CPU, most bytes of a step's rows for which training sets run together, so that they stay in cache; but at least
as many sets as there are threads."""

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
            on the host.
        labels: int64 [G, n], or [G, K, n] for other labels in each run, on the device of the products.
        learning_rates, weight_decays: [K], one of each per run.
        n_classes: C.
        epochs, batch_size: as in the protocol.
        seed: of the first weights and the order of the rows, the same for all runs.
        in_rows: represent the weights as a combination of the rows. The same steps, cheaper if ``_rows_are_cheaper``.
        resident: all features [G, n, d] if they are in memory; compiled steps read them in place.

    Returns:
        Weights and biases after the last epoch.
    """
    groups, n = labels.shape[0], labels.shape[-1]
    runs = len(learning_rates)
    run_labels = labels.view(groups, -1, 1, n)
    sample = read(torch.zeros(1, dtype=torch.int64)) if resident is None else resident
    dimension, device, dtype = sample.shape[2], sample.device, sample.dtype
    generator = torch.Generator().manual_seed(seed)
    first = (torch.rand((dimension + 1, n_classes), generator=generator) * 2 - 1) * (1 / math.sqrt(dimension))
    first = first.T.to(device, dtype)
    epochs_to_go = step_bar(_epochs(n, epochs, batch_size, generator), desc="descent", total=epochs, unit="epoch")
    if resident is not None and not in_rows and (kernels := _compiled(resident, groups * runs * n_classes * epochs)):
        arrays = (resident.numpy(), labels.view(groups, -1, n).expand(-1, runs, -1).numpy(), first.numpy())
        constants = (np.array(learning_rates, np.float32), np.array(weight_decays, np.float32), MOMENTUM, batch_size)
        orders = ((factor, order.numpy()) for factor, order in epochs_to_go)
        weights, bias = kernels.descend(*arrays, *constants, orders, torch.get_num_threads())
        return Descent(torch.from_numpy(weights).mT, torch.from_numpy(bias))
    rate = torch.tensor(learning_rates, dtype=dtype, device=device)[:, None, None]
    decay = torch.tensor(weight_decays, dtype=dtype, device=device)[:, None, None]
    layer = (_InRows if in_rows else _InWeights)(read, n, groups, runs, first[:, :-1].contiguous())
    bias = first[:, -1:].repeat(groups, runs, 1, 1)
    bias_velocity = torch.zeros_like(bias)
    with threads_of_work(step_work(groups * runs * n_classes, n, dimension, batch_size, in_rows)):
        for factor, order in epochs_to_go:
            epoch_rate = rate * factor
            epoch_rows = uploaded(order, device)  # once per epoch, without a wait
            for start in range(0, n, batch_size):
                # if one batch has all rows, their order does not matter
                batch = slice(start, start + batch_size) if n > batch_size else None
                index = None if batch is None else epoch_rows[batch]
                read_index = index if batch is None or resident is not None else order[batch]
                truth = (run_labels if index is None else run_labels[..., index]).expand(-1, runs, -1, -1)
                residual = torch.softmax(layer.logits(index, read_index).add_(bias), 2)
                residual.scatter_add_(2, truth, residual.new_full((), -1).expand(truth.shape))
                residual /= truth.shape[3]
                bias_velocity.mul_(MOMENTUM).add_(residual.sum(3, keepdim=True)).addcmul_(decay, bias)
                layer.step(index, residual, epoch_rate, decay)
                bias.addcmul_(epoch_rate, bias_velocity, value=-1)
    with threads_of_work(groups * runs * n_classes * dimension * (n if in_rows else 1)):
        return Descent(layer.weights().mT, bias[..., 0])


def _epochs(n: int, epochs: int, batch_size: int, generator: torch.Generator) -> Iterator[tuple[float, Tensor]]:
    """For each epoch the factor of the learning rates, and its rows int64 [n], ascending within each batch."""
    for epoch in range(epochs):
        order = torch.randperm(n, generator=generator)
        batches = [batch.sort().values for batch in order.split(batch_size)]
        yield 0.5 * (1 + math.cos(math.pi * epoch / epochs)), torch.cat(batches)


def _compiled(resident: Tensor, times: int) -> ModuleType | None:
    """``solver.kernels.sgd`` if it is faster: on the CPU, with numba, for enough products with the rows; else None."""
    is_supported = resident.device.type == "cpu" and resident.dtype == torch.float32
    is_worthwhile = is_supported and resident[0].numel() * times >= COMPILED_FROM
    return compiled_module("benchmark.probe.solver.kernels.sgd", "The descent of probes") if is_worthwhile else None


def _rows_are_cheaper(n: int, dimension: int) -> bool:
    """Whether a step of rows (a product with n columns) costs less than one of weights (two with d columns)."""
    return n < 2 * dimension and n <= MOST_ROWS


def step_work(columns: int, n: int, dimension: int, batch_size: int, in_rows: bool) -> int:
    """Multiply-adds of one step of ``columns`` = G * K * C classes of all runs."""
    return columns * min(n, batch_size) * (n if in_rows else 2 * dimension)


def stack_size(fits: int, n: int, dimension: int, batch_size: int, memory_bytes: int, device: torch.device) -> int:
    """Number of training sets, of ``fits``, with float32 rows to run together: at least one."""
    in_rows = _rows_are_cheaper(n, dimension)
    most = memory_bytes // (4 * n * (dimension + (n if in_rows else 0)))
    if device.type == "cpu":
        cached = STEP_BYTES // (4 * min(n, batch_size) * (n if in_rows else dimension))
        most = min(most, cached if in_rows else max(cached, torch.get_num_threads()))
    return max(1, min(fits, most))


class _InWeights:
    """Weights [G, K, C, d] of the runs: one product serves all of them."""

    def __init__(self, read: Read, n: int, groups: int, runs: int, first: Tensor) -> None:
        self._read, self._every = read, torch.arange(n)
        self._weights = first.repeat(groups, runs, 1, 1)
        self._velocity = torch.zeros_like(self._weights)

    def logits(self, index: Tensor | None, read_index: Tensor | None) -> Tensor:
        """[G, K, C, b] of the rows ``index``, without the bias; ``read_index``: the same on the device of ``read``."""
        self._block = self._read(self._every if read_index is None else read_index)
        return torch.bmm(self._weights.flatten(1, 2), self._block.mT).view(*self._weights.shape[:3], -1)

    def step(self, index: Tensor | None, residual: Tensor, rate: Tensor, decay: Tensor) -> None:
        """Momentum and step of ``torch.optim.SGD`` for the rows of the last ``logits``."""
        gradient = torch.bmm(residual.flatten(1, 2), self._block).view_as(self._weights)
        self._velocity.mul_(MOMENTUM).add_(gradient).addcmul_(decay, self._weights)
        self._weights.addcmul_(rate, self._velocity, value=-1)

    def weights(self) -> Tensor:
        return self._weights


class _InRows:
    """The same weights as ``factor * first + part @ rows``, with ``factor`` [K, 1, 1] and ``part`` [G, K, C, n].

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
        self._factor = first.new_ones((runs, 1, 1))
        self._factor_velocity = torch.zeros_like(self._factor)

    def logits(self, index: Tensor | None, read_index: Tensor | None) -> Tensor:
        """As ``_InWeights.logits``, without reading rows."""
        products, first = self._products, self._first_logits
        if index is not None:
            products, first = products.index_select(1, index), first.index_select(3, index)
        logits = _times(self._part.flatten(1, 2), products.mT).view(*self._part.shape[:3], -1)
        return logits.addcmul_(self._factor, first)

    def step(self, index: Tensor | None, residual: Tensor, rate: Tensor, decay: Tensor) -> None:
        """As ``_InWeights.step``."""
        self._velocity.mul_(MOMENTUM).addcmul_(decay, self._part)
        if index is None:
            self._velocity += residual
        else:
            self._velocity.index_add_(3, index, residual)
        self._factor_velocity.mul_(MOMENTUM).add_(decay * self._factor)
        self._part.addcmul_(rate, self._velocity, value=-1)
        self._factor -= rate * self._factor_velocity

    def weights(self) -> Tensor:
        from_rows = torch.bmm(self._part.flatten(1, 2), self._rows).view(*self._part.shape[:3], -1)
        return from_rows + self._factor * self._first


def _times(left: Tensor, right: Tensor) -> Tensor:
    """``left`` [G, m, r] @ ``right`` [G, r, k]; the wide product of a search with one training set by ``multiply``."""
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
    """Blocks by batch size: a new block per step would cost more than the copy into it."""

    @property
    def in_rows(self) -> bool:
        """Whether ``descend`` should represent the weights as a combination of these rows."""
        return self.resident is not None and _rows_are_cheaper(len(self.rows), self.resident.shape[2])

    def __call__(self, index: Tensor, /) -> Tensor:
        """Features [G, b, d] of ascending row indices [b], valid until the next call."""
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
    """Reader of rows of training sets ``which``: gathered if they fit into ``memory_bytes``, else read on demand."""
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
    """An empty tensor; on a CPU from numpy, which requests large pages: they make random reads of rows faster."""
    if device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    return torch.from_numpy(np.empty(shape, str(dtype).removeprefix("torch.")))
