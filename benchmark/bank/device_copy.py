"""Batches on their way to a GPU while it computes: pinned memory, a stream of their own, one copy for all encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from benchmark.encoders import Embedder, Encoder


class DeviceCopy:
    """Makes batches on ``device``; for encoders that want theirs on the CPU, there."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = torch.device(device)
        self._stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None

    @classmethod
    def of(cls, encoders: Sequence[Encoder]) -> DeviceCopy:
        """For encoders that share their views: their CUDA device, if all are networks on the same one.

        >>> DeviceCopy.of([]).device.type
        'cpu'
        """
        places = {encoder.device if isinstance(encoder.embed, Embedder) else "cpu" for encoder in encoders}
        [place] = places if len(places) == 1 else ["cpu"]
        return cls(place if place.startswith("cuda") else "cpu")

    def start(self, parts: Sequence[torch.Tensor]) -> Callable[[], torch.Tensor]:
        """Begin to bring parts together; the function returned waits on its caller's stream and gives the batch."""
        if self._stream is None or any(part.is_cuda for part in parts):
            batch = torch.cat([part.to(self.device) for part in parts])  # some by workers, some by a device
            return lambda: batch
        shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
        pinned = torch.cat(list(parts), out=torch.empty(shape, dtype=parts[0].dtype, pin_memory=True))
        with torch.cuda.stream(self._stream):
            there = pinned.to(self.device, non_blocking=True)
            arrived = self._stream.record_event()

        def ready() -> torch.Tensor:
            stream = torch.cuda.current_stream(self.device)
            stream.wait_event(arrived)
            there.record_stream(stream)  # its memory is reused only after the forward pass has read it
            return there

        return ready
