"""The process that imports the code of an encoder: it loads the encoder, and answers with embeddings and arrays.

The run (``isolated.py``) has the other end of the socket. Pictures are preprocessed by a fork for each process of the
run that asks; by threads of this process where the code uses a GPU, which a fork cannot.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmark.compute import (
    Channel,
    ChannelClosed,
    Message,
    announcing,
    foreign_code,
    json_values,
    out_of_memory,
    quiet_fork,
)
from benchmark.encoders.encoder import Encoder, Runtime
from benchmark.encoders.layers.layered import with_outputs
from benchmark.encoders.load import load_encoder
from benchmark.encoders.preprocess.pixels import Pixels
from builders import errors
from builders.errors import CamtraceError, EncoderError
from builders.processes import exit_with_parent, flush_outputs, setup_child
from builders.untrusted import ForeignCodeError, describe_error, first_line

STATUS_S = 2.0
"""Longest wait for the status of a fork that has closed its socket."""

_Reply = tuple[Mapping[str, Any], list[np.ndarray]]


def main(connected: socket.socket) -> None:
    """Serve one run until it closes its end."""
    channel = Channel(connected)
    with suppress(ChannelClosed):
        _Server(channel).serve()


class _Server:
    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._encoders: list[Encoder] = []
        self._token = secrets.token_hex(16)

    def serve(self) -> None:
        while True:
            message = self._channel.receive()
            calls: dict[str, Callable[..., _Reply]] = {
                "load": self._load,
                "torch": self._in_torch,
                "outputs": self._with_outputs,
                "embed": self._embed,
            }
            _answer(self._channel, partial(calls[message.header["call"]], message))

    def _load(self, message: Message) -> _Reply:
        def in_torch(encoder: Encoder) -> None:
            self._channel.send({"event": "in torch", "encoder": self._described(encoder)})

        # Before the code runs: what it does to threading must not hinder ours.
        _Pictures(message.header["address"], self._token, self._encoders).start()
        with announcing(lambda phase: self._channel.send({"event": phase})):
            encoder = load_encoder(**message.header["arguments"], before_conversion=in_torch)
        return {"encoder": self._described(encoder), "token": self._token}, []

    def _in_torch(self, message: Message) -> _Reply:
        encoder = self._encoders[message.header["encoder"]]
        assert encoder.in_torch is not None
        return {"encoder": self._described(encoder.in_torch())}, []

    def _with_outputs(self, message: Message) -> _Reply:
        encoder = replace(self._encoders[message.header["encoder"]], reload=None)
        layered = with_outputs(encoder, message.header["outputs"])
        outputs = [vars(output) for output in layered.outputs]
        pair = {"alone": self._described(layered.encoder), "together": self._described(layered.together)}
        return {**pair, "outputs": outputs}, []

    def _embed(self, message: Message) -> _Reply:
        encoder, (batch, *places) = self._encoders[message.header["encoder"]], message.arrays
        start, views = getattr(encoder.embed, "start", None), torch.from_numpy(batch)
        with foreign_code():
            if places:
                assert start is not None
                embeddings = start(views, torch.from_numpy(places[0]))()
            else:
                embeddings = encoder.embed(views)
        if not isinstance(embeddings, torch.Tensor):
            name = encoder.info.id
            raise EncoderError(f"{name}: it gives {type(embeddings).__name__}, not a tensor of embeddings")
        embeddings = embeddings.detach().cpu()
        return {}, [(embeddings.float() if embeddings.dtype == torch.bfloat16 else embeddings).numpy()]

    def _described(self, encoder: Encoder) -> dict[str, Any]:
        """What the run needs to know of an encoder, as JSON values."""
        self._encoders.append(encoder)
        pixels, runtime = encoder.preprocess, encoder.runtime
        return {
            "number": len(self._encoders) - 1,
            "info": json_values({field.name: getattr(encoder.info, field.name) for field in fields(encoder.info)}),
            "pixels": _steps(pixels) if type(pixels) is Pixels else None,
            "device": encoder.device,
            "dtype": encoder.dtype,
            "compiled": encoder.compiled,
            "runtime": None if runtime is None else {f.name: getattr(runtime, f.name) for f in fields(Runtime)},
            "in_torch": encoder.in_torch is not None,
            "at_places": getattr(encoder.embed, "at_places", None) is not None,
            "only_here": encoder.stored is not None or encoder.answers is not None,
            "notices": list(encoder.notices),
            "random": encoder.random,
        }


def _steps(pixels: Pixels) -> list[list[Any]]:
    """The steps of a preprocessing as JSON values: names of classes and their fields."""
    return [[type(step).__name__, json_values(vars(step))] for step in pixels.steps]


def _answer(channel: Channel, work: Callable[[], _Reply]) -> None:
    """Send the result of work, or its error as JSON values."""
    try:
        header, arrays = work()
    except ChannelClosed:
        raise
    except Exception as error:  # of others' code
        known = next((c.__name__ for c in type(error).__mro__ if hasattr(errors, c.__name__)), type(error).__name__)
        kind = "MemoryError" if out_of_memory(error) and not isinstance(error, EncoderError) else known
        text = str(error) if isinstance(error, CamtraceError | ForeignCodeError) else first_line(error)
        text = "" if describe_error(error).endswith(": no message") else text
        fits = isinstance(error, EncoderError) and out_of_memory(error)
        header, arrays = {"error": kind, "text": text, "memory": fits}, []
    channel.send(header, arrays)


class _Pictures(threading.Thread):
    """Accepts connections of the processes of the run, and has a fork preprocess pictures for each."""

    def __init__(self, address: str, token: str, encoders: list[Encoder]) -> None:
        super().__init__(name="pictures", daemon=True)
        self._token, self._encoders = token, encoders
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(address)
        self._socket.listen(64)

    def run(self) -> None:
        while True:
            try:
                connected, _ = self._socket.accept()
            except OSError:  # the code closed the socket, or left no descriptors: the run finds its picture unanswered
                self._socket.close()
                return
            channel = Channel(connected)
            with suppress(ChannelClosed):
                header = channel.receive(STATUS_S).header
                if header.get("token") != self._token:
                    channel.close()
                elif "status" in header:
                    channel.send({"status": _status(int(header["status"]))})
                    channel.close()
                elif torch.cuda.is_available() and torch.cuda.is_initialized():
                    channel.send({"pid": 0})
                    threading.Thread(target=self._preprocess, args=(channel,), daemon=True).start()
                else:
                    self._fork(channel)

    def _fork(self, channel: Channel) -> None:
        flush_outputs()
        server = os.getpid()
        pid = quiet_fork()
        if pid:
            channel.send({"pid": pid})
            channel.close()
            return
        try:
            setup_child()
            exit_with_parent(server)
            self._socket.close()
            torch.set_num_threads(1)
            self._preprocess(channel)
            flush_outputs()
        finally:
            os._exit(0)

    def _preprocess(self, channel: Channel) -> None:
        with suppress(ChannelClosed):
            while True:
                message = channel.receive()
                _answer(channel, partial(self._array, message))

    def _array(self, message: Message) -> _Reply:
        picture = Image.fromarray(message.arrays[0])
        with foreign_code():
            return {}, [np.asarray(self._encoders[message.header["encoder"]].preprocess(picture))]


def _status(pid: int) -> int | None:
    """Status of a fork that ends about now, as of ``waitstatus_to_exitcode``; None if it does not."""
    until = time.monotonic() + STATUS_S
    with suppress(ChildProcessError):
        while time.monotonic() < until:
            ended, raw = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(raw)
            time.sleep(0.005)
        os.kill(pid, signal.SIGKILL)
    return None
