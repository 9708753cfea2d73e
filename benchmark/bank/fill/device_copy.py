"""Copies batches to a GPU while it computes, from pinned memory on a separate stream, once for all encoders."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmark.compute import free_cached, out_of_memory
from benchmark.encoders import Embedder, Encoder

IN_FLIGHT = 2
"""Most copies that are under way at a time; each keeps the memory that it reads."""


class DeviceCopy:
    """Puts batches together on ``device``."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self._stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        self._in_flight: deque[tuple[Any, list[torch.Tensor]]] = deque()

    @classmethod
    def of(cls, encoders: Sequence[Encoder]) -> DeviceCopy:
        """For encoders that share views: on their CUDA device if all are networks on the same one, else on the CPU.

        >>> DeviceCopy.of([]).device.type
        'cpu'
        """
        devices = {encoder.device if isinstance(encoder.embed, Embedder) else "cpu" for encoder in encoders}
        [device] = devices if len(devices) == 1 else ["cpu"]
        return cls(device if device.startswith("cuda") else "cpu")

    def start(self, parts: Sequence[torch.Tensor], after: Sequence[Any] = ()) -> Callable[[], torch.Tensor]:
        """Start to copy parts into one batch.

        Args:
            parts: [n, ...] each, on any device: workers make some, a device others. Parts that are adjacent in pinned
                memory are one copy; parts that are not pinned are copied to pinned memory first.
            after: CUDA events after which parts that a device made may be read; by default, after the work that the
                default stream has now.

        Returns:
            Function that makes its caller's stream wait for the copy and returns the batch. If the GPU has no memory
            for the batch, it stays on the CPU and is copied by each forward pass.
        """
        stream = self._stream
        if stream is None:
            return _on_cpu(parts, after)
        try:
            with torch.inference_mode(), torch.cuda.stream(stream):
                batch = torch.empty(
                    (sum(map(len, parts)), *parts[0].shape[1:]), dtype=parts[0].dtype, device=self.device
                )
                for event in after:
                    stream.wait_event(event)
                if not after and any(part.is_cuda for part in parts):
                    stream.wait_stream(torch.cuda.default_stream(self.device))
                read, done = [], 0
                for run in _pinned_runs(parts):
                    batch[done : done + len(run)].copy_(run, non_blocking=True)
                    if run.is_cuda:
                        run.record_stream(stream)
                    read.append(run)
                    done += len(run)
                arrived = stream.record_event()
        except Exception as error:
            if not out_of_memory(error):
                raise
            batch = None
        if batch is None:
            free_cached()
            return _on_cpu(parts, after)
        self._hold(arrived, read)

        def ready() -> torch.Tensor:
            stream = torch.cuda.current_stream(self.device)
            stream.wait_event(arrived)
            batch.record_stream(stream)  # its memory is reused only after the forward pass has read it
            return batch

        return ready

    def _hold(self, arrived: Any, read: list[torch.Tensor]) -> None:
        """Keep the memory that a copy reads until it has finished; wait if too many are under way."""
        while self._in_flight and self._in_flight[0][0].query():
            self._in_flight.popleft()
        if len(self._in_flight) >= IN_FLIGHT:
            self._in_flight.popleft()[0].synchronize()
        self._in_flight.append((arrived, read))


def joined(parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """The same rows in as few tensors as possible: parts that are adjacent in memory become one, without a copy.

    >>> slot = torch.arange(12).reshape(4, 3)
    >>> [run.shape[0] for run in joined([slot[0:1], slot[1:3], slot[0:1]])]
    [3, 1]
    """
    runs: list[list[torch.Tensor]] = []
    for part in parts:
        if runs and _continues(runs[-1][-1], part):
            runs[-1].append(part)
        else:
            runs.append([part])
    return [run[0] if len(run) == 1 else _rows(run[0], sum(map(len, run))) for run in runs]


def _rows(first: torch.Tensor, count: int) -> torch.Tensor:
    """The rows that begin in memory where ``first`` does. The stride of a single row may be any number."""
    return first.as_strided((count, *first.shape[1:]), (first.shape[1:].numel(), *first.stride()[1:]))


def _continues(before: torch.Tensor, part: torch.Tensor) -> bool:
    same = (before.device.type, before.dtype, before.shape[1:]) == ("cpu", part.dtype, part.shape[1:])
    return (
        same
        and part.device.type == "cpu"
        and before.is_contiguous()
        and part.is_contiguous()
        and before.untyped_storage().data_ptr() == part.untyped_storage().data_ptr()
        and before.storage_offset() + before.numel() == part.storage_offset()
    )


def _on_cpu(parts: Sequence[torch.Tensor], after: Sequence[Any]) -> Callable[[], torch.Tensor]:
    for event in after:
        event.synchronize()
    runs = joined([part.cpu() for part in parts])
    batch = runs[0] if len(runs) == 1 else torch.cat(runs)
    return lambda: batch


def _pinned_runs(parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Parts joined where they are adjacent; parts that are not pinned are copied to pinned memory."""
    pinned: list[torch.Tensor] = []
    loose: list[torch.Tensor] = []

    def pin_loose() -> None:
        if loose:
            shape = (sum(map(len, loose)), *loose[0].shape[1:])
            pinned.append(torch.cat(loose, out=torch.empty(shape, dtype=loose[0].dtype, pin_memory=True)))
            loose.clear()

    for run in joined(parts):
        if run.is_cuda or run.is_pinned():
            pin_loose()
            pinned.append(run)
        else:
            loose.append(run)
    pin_loose()
    return pinned
