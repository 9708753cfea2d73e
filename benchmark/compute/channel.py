"""Messages between this process and one that runs code of others: JSON and arrays of numbers over a socket.

Nothing that arrives is executed: no pickles. The size of an array is counted before its memory is taken.
"""

from __future__ import annotations

import json
import math
import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

MAX_HEADER_BYTES = 1 << 24
"""Largest JSON of a message."""

_LENGTH = struct.Struct(">Q")


class Message(NamedTuple):
    """One message."""

    header: dict[str, Any]
    """JSON values."""
    arrays: list[np.ndarray]


class ChannelClosed(Exception):
    """The other process has ended, or sent what is no message."""


class TooLate(Exception):
    """No message came in time."""


class Channel:
    """One end of a socket between two processes; used by one thread at a time."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected

    def close(self) -> None:
        """Close this end; the other process then reads the end of messages."""
        self._socket.close()

    def send(self, header: Mapping[str, Any], arrays: Sequence[np.ndarray] = ()) -> None:
        """Send a message.

        Raises:
            ChannelClosed: the other process has ended.
        """
        contiguous = [np.ascontiguousarray(array) for array in arrays]
        forms = [[array.dtype.str, list(array.shape)] for array in contiguous]
        text = json.dumps([header, forms], default=_plain).encode()
        try:
            self._socket.sendall(_LENGTH.pack(len(text)) + text)
            for array in contiguous:
                if array.nbytes:
                    self._socket.sendall(array.reshape(-1).view(np.uint8).data)
        except OSError:
            raise ChannelClosed("the other process has ended") from None

    def receive(self, timeout_s: float | None = None, max_bytes: int | None = None) -> Message:
        """Wait for a message.

        Args:
            timeout_s: longest wait; None waits without a limit.
            max_bytes: of all arrays together; None is no limit.

        Raises:
            ChannelClosed: the other process has ended, or sent no message or too large a one.
            TooLate: the message did not come, or not whole, in time.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        (length,) = _LENGTH.unpack(self._bytes(_LENGTH.size, end))
        if length > MAX_HEADER_BYTES:
            raise ChannelClosed("it sent a message that is too large")
        try:
            header, forms = json.loads(bytes(self._bytes(length, end)))
            described = [(np.dtype(str(dtype)), tuple(int(side) for side in shape)) for dtype, shape in forms]
        except (ValueError, TypeError, RecursionError):
            raise ChannelClosed("it sent what is no message") from None
        sizes = [dtype.itemsize * math.prod(shape) for dtype, shape in described]
        if not isinstance(header, dict) or any(dtype.kind not in "fiubc" for dtype, _ in described):
            raise ChannelClosed("it sent what is no message")
        if any(side < 0 for _, shape in described for side in shape) or sum(sizes) > (max_bytes or sum(sizes)):
            raise ChannelClosed(f"it sent {sum(sizes):,} bytes, more than was asked for")
        arrays = []
        for (dtype, shape), size in zip(described, sizes, strict=True):
            arrays.append(np.frombuffer(self._bytes(size, end), dtype=dtype).reshape(shape))
        return Message(header, arrays)

    def _bytes(self, count: int, end: float | None) -> bytearray:
        data = bytearray(count)
        view, done = memoryview(data), 0
        while done < count:
            if end is not None:
                ready, _, _ = select.select([self._socket], [], [], max(0.0, end - time.monotonic()))
                if not ready:
                    raise TooLate
            try:
                part = self._socket.recv_into(view[done:])
            except OSError:
                part = 0
            if not part:
                raise ChannelClosed("the other process has ended")
            done += part
        return data


def _plain(value: Any) -> Any:
    """A number of NumPy as JSON writes it; other values as text."""
    return value.item() if isinstance(value, np.generic) else str(value)
