"""Encoders whose code runs in a process of its own: pictures and views go there, arrays and embeddings come back.

A module that a user names, or code of a repository, may change what this process relies on: Pillow's flags, functions
of NumPy, the default device of torch; a network that was downloaded may end it. The process of this run decodes photos,
runs tasks and writes files, and has neither, but for networks on a GPU (``docs/explanation/design.md``). See
``isolated_server.py`` for the other end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
import typing
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.compute import (
    HARMS_RUN,
    Channel,
    ChannelClosed,
    EncoderCrash,
    Message,
    OwnProcess,
    TooLate,
    how_it_ended,
    kill_group,
)
from benchmark.encoders.encoder import Encoder, EncoderInfo, Runtime
from benchmark.encoders.preprocess.pixels import Pixels, Step
from builders import errors
from builders.errors import CamtraceError, EncoderError
from builders.files import scratch_prefix, sweep_scratch
from builders.untrusted import KILLED, ForeignCodeError, describe_error

if TYPE_CHECKING:
    import torch
    from PIL import Image

LOAD_S = 3600.0
"""Longest wait for an encoder to be imported and loaded, which may download its weights, in seconds."""
DOWNLOAD_S = 86_400.0
"""The same of a network of a known library, of which each file has limits of its own."""
FORWARD_S = "CAMTRACE_FORWARD_S"
"""Environment variable: longest wait for a first forward pass, and for the array of a picture, in seconds."""
SLOWER = 20.0
"""A later forward pass may take so many times as long for a view as the slowest before it, and at least as
long as the first."""
MAX_ARRAY_BYTES = 1 << 31
"""Largest array that preprocessing may give of one picture."""


def _forward_s() -> float:
    text = os.environ.get(FORWARD_S, "")
    return float(text) if text.isdecimal() else 300.0


def load_isolated(
    spec: str, options: Mapping[str, Any], before_conversion: Callable[[Encoder], object], load_s: float = LOAD_S
) -> Encoder | None:
    """Load an encoder in a process of its own; None if it is of a kind that only the run's process can use.

    Args:
        spec, options, before_conversion: arguments of ``load_encoder``; options are JSON values.
        load_s: longest wait for it, in seconds.

    Raises:
        CamtraceError: as ``load_encoder``, which is called there.
        EncoderCrash: its code ended the process.
        EncoderError: it takes too long.
    """
    return _Remote(spec, load_s).load(options, before_conversion)


class _Remote:
    """The process of one encoder, and its channel."""

    def __init__(self, spec: str, load_s: float) -> None:
        self.name, self._load_s = spec, load_s
        sweep_scratch()
        self._folder = tempfile.mkdtemp(prefix=scratch_prefix())
        self.address = os.path.join(self._folder, "pictures")
        if len(self.address) > 100:  # of about 104 that a system takes
            shutil.rmtree(self._folder)
            self._folder = tempfile.mkdtemp(prefix=scratch_prefix(), dir="/tmp")
            self.address = os.path.join(self._folder, "pictures")
        weakref.finalize(self, _removed, self._folder, self.address, os.getpid())
        self._process = OwnProcess("benchmark.encoders.isolated_server:main")
        self.group, self.token = self._process.pid, ""
        self._channel, self._lock = Channel(self._process.socket), threading.Lock()
        self._failure: EncoderError | None = None
        self._seconds_a_view = 0.0

    def load(self, options: Mapping[str, Any], before_conversion: Callable[[Encoder], object]) -> Encoder | None:
        def event(header: Mapping[str, Any]) -> float:
            if header["event"] == "in torch":
                before_conversion(self._encoder(header["encoder"]))
            return _forward_s() if header["event"] == "forward" else self._load_s

        arguments = {"spec": self.name, **options}
        reply = self._call({"call": "load", "arguments": arguments, "address": self.address}, self._load_s, event=event)
        self.token = reply.header["token"]
        described = reply.header["encoder"]
        self.name = str(described["info"]["id"])
        if described["only_here"]:
            self._process.end()
            return None
        return self._encoder(described)

    def _encoder(self, described: Mapping[str, Any]) -> Encoder:
        number, runtime, steps = described["number"], described["runtime"], described["pixels"]
        info = EncoderInfo(**described["info"])
        return Encoder(
            info,
            RemotePictures(self.address, self.token, number, self.group, self.name, self)
            if steps is None
            else _pixels(steps),
            RemoteEmbed(self, number, info.dimension, at_places=True if described["at_places"] else None),
            described["device"],
            described["dtype"],
            described["compiled"],
            runtime=None if runtime is None else Runtime(**runtime),
            in_torch=partial(self._in_torch, number) if described["in_torch"] else None,
            notices=tuple(described["notices"]),
            random=described["random"],
        )

    def _in_torch(self, number: int) -> Encoder:
        return self._encoder(self._call({"call": "torch", "encoder": number}, LOAD_S).header["encoder"])

    def outputs(self, number: int, names: Sequence[str]) -> tuple[Encoder, Encoder, list[dict[str, Any]]]:
        """Parts of ``Layered`` of an encoder of this process: the encoder, the one together with its outputs, and
        fields of the outputs."""
        header = self._call({"call": "outputs", "encoder": number, "outputs": list(names)}, LOAD_S).header
        return self._encoder(header["alone"]), self._encoder(header["together"]), header["outputs"]

    def embed(self, number: int, batch: np.ndarray, places: np.ndarray | None, dimension: int) -> np.ndarray:
        """Embeddings [n, dimension] of views [n, ...]."""
        arrays = [batch] if places is None else [batch, places]
        wait_s, started = max(_forward_s(), SLOWER * self._seconds_a_view * len(batch)), time.monotonic()
        most = 16 * len(batch) * max(dimension, 1 << 16)
        reply = self._call({"call": "embed", "encoder": number}, wait_s, arrays, max_bytes=most)
        self._seconds_a_view = max(self._seconds_a_view, (time.monotonic() - started) / max(1, len(batch)))
        if len(reply.arrays) != 1:
            raise EncoderError(f"{self.name}: it gave no embeddings")
        return reply.arrays[0]

    def _call(
        self,
        header: Mapping[str, Any],
        wait_s: float,
        arrays: Sequence[np.ndarray] = (),
        *,
        max_bytes: int | None = None,
        event: Callable[[Mapping[str, Any]], float] | None = None,
    ) -> Message:
        """The reply to one call. An encoder whose process has ended, or took too long, fails from then on."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            whole = False
            try:
                self._channel.send(header, arrays)
                reply = self._channel.receive(wait_s, max_bytes)
                while event is not None and "event" in reply.header:
                    wait_s = event(reply.header)
                    reply = self._channel.receive(wait_s, max_bytes)
                whole = True
            except ChannelClosed:
                status = self._process.end()
                self._failure = EncoderCrash(self.name, 0 if status is None else status)
            except TooLate:
                self._failure = EncoderError(f"{self.name}: its code did not answer within {wait_s:,.0f} s")
            finally:
                if not whole:  # interrupted, perhaps in the middle of a message
                    self._process.end()
            if self._failure is not None:
                raise self._failure
        if "error" in reply.header:
            error = _error(reply.header)
            if header["call"] == "embed" or isinstance(error, CamtraceError | ForeignCodeError | MemoryError):
                raise error
            raise EncoderError(f"{self.name}: its process fails after its code ran ({describe_error(error)})")
        return reply


def _removed(folder: str, address: str, owner: int) -> None:
    """Forget an encoder that has gone; not in a fork of the process that loaded it."""
    if os.getpid() == owner:
        for key in [key for key in _lines if key[2] == address]:
            _lines.pop(key).channel.close()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, eq=False)
class RemoteEmbed:
    """``Encoder.embed`` in the encoder's process."""

    remote: _Remote
    number: int
    """Of the encoder there."""
    dimension: int
    at_places: bool | None = None
    """True if it reads single patches, whose places go with the views."""

    def __call__(self, batch: torch.Tensor | np.ndarray) -> torch.Tensor:
        """[n, ...] -> [n, dimension] on the CPU."""
        return self.start(batch)()

    def start(self, batch: torch.Tensor | np.ndarray, places: torch.Tensor | None = None) -> Callable[[], torch.Tensor]:
        """As of ``Embedder.start``; the embeddings are there when it returns."""
        import torch

        at = None if places is None else places.cpu().numpy()
        embeddings = torch.from_numpy(
            self.remote.embed(self.number, torch.as_tensor(batch).cpu().numpy(), at, self.dimension)
        )
        return lambda: embeddings


@dataclass(frozen=True)
class RemotePictures:
    """``Encoder.preprocess`` in forks of the encoder's process, one for each process and thread that calls it."""

    address: str
    token: str = field(repr=False)
    number: int
    """Of the encoder there."""
    group: int
    """Process group of the encoder."""
    name: str
    remote: _Remote | None = field(default=None, compare=False, repr=False)
    """Keeps the process; a worker of another interpreter has none."""

    def __reduce__(self) -> tuple[Any, ...]:
        return RemotePictures, (self.address, self.token, self.number, self.group, self.name)

    def __call__(self, image: Image.Image) -> np.ndarray:
        """RGB picture -> array.

        Raises:
            ForeignCodeError: the code ended its process, or does not answer.
        """
        reply = self._reply(image) or self._reply(image)
        if reply is None:
            raise ForeignCodeError(f"{HARMS_RUN}: its code ended the process ({KILLED})")
        if "error" in reply.header:
            raise _error(reply.header)
        if len(reply.arrays) != 1:
            raise EncoderError(f"{self.name}: it gave no array")
        return reply.arrays[0]

    def _reply(self, image: Image.Image) -> Message | None:
        """The reply about one picture; None if its process was killed, perhaps for lack of memory."""
        try:
            line = self._line()
            line.channel.send({"encoder": self.number}, [np.asarray(image)])
            return line.channel.receive(_forward_s(), MAX_ARRAY_BYTES)
        except (ChannelClosed, OSError):
            status = self._end()
        except TooLate:
            kill_group(self.group)
            raise ForeignCodeError(f"{HARMS_RUN}: it did not answer within {_forward_s():.0f} s") from None
        if status == -signal.SIGKILL:
            return None
        how = "" if status is None else f" ({how_it_ended(status)})"
        raise ForeignCodeError(f"{HARMS_RUN}: its code ended the process{how}")

    def _line(self) -> _Line:
        here = os.getpid(), threading.get_ident(), self.address
        if here not in _lines:
            with contextlib.ExitStack() as failed:
                channel = failed.enter_context(contextlib.closing(self._connected({})))
                _lines[here] = _Line(channel, int(channel.receive(_forward_s()).header["pid"]))
                failed.pop_all()
        return _lines[here]

    def _connected(self, header: Mapping[str, Any]) -> Channel:
        with contextlib.ExitStack() as failed:
            connected = failed.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            connected.connect(self.address)
            channel = Channel(connected)
            channel.send({"token": self.token, **header})
            failed.pop_all()
        return channel

    def _end(self) -> int | None:
        """Status of the process that had the picture; None if it is not known."""
        line = _lines.pop((os.getpid(), threading.get_ident(), self.address), None)
        if line is None:
            return None
        line.channel.close()
        with contextlib.suppress(ChannelClosed, TooLate, OSError):
            channel = self._connected({"status": line.pid})
            with contextlib.closing(channel):
                status: int | None = channel.receive(_forward_s()).header["status"]
                return status
        return None


class _Line(typing.NamedTuple):
    """A connection to the process that preprocesses pictures for this thread."""

    channel: Channel
    pid: int


_lines: dict[tuple[int, int, str], _Line] = {}
"""By process, thread and address."""


def _pixels(steps: Sequence[Sequence[Any]]) -> Pixels:
    """A preprocessing from its steps as JSON values."""
    known = {step.__name__: step for step in _step_classes()}
    values = [(known[name], {k: tuple(v) if isinstance(v, list) else v for k, v in s.items()}) for name, s in steps]
    return Pixels(tuple(step(**settings) for step, settings in values))


def _step_classes() -> list[Any]:
    classes: list[Any] = list(typing.get_args(Step))
    return classes + [part for step in classes for part in step.__subclasses__()]


def _error(header: Mapping[str, Any]) -> Exception:
    """The error that the process reports."""
    kind, text = str(header["error"]), str(header["text"])
    known = getattr(errors, kind, None)
    if kind == "ForeignCodeError":
        return ForeignCodeError(text)
    if kind == "MemoryError":
        return MemoryError(text)
    if isinstance(known, type) and issubclass(known, CamtraceError):
        error = known(text)
        if header.get("memory"):
            error.__cause__ = MemoryError()
        return error
    return type(kind, (Exception,), {})(text)
