"""The process that fills some blocks of banks on one device; ``devices.py`` starts one per device and waits for them.

It reads its work from standard input and writes messages to its original standard output, both as pickles between
processes of the same program.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from benchmark.bank.bank import Bank
from benchmark.bank.fill.fill import PassOutcome, fill_banks
from benchmark.bank.fill.targets import OutputsBank
from benchmark.bank.keys import encoder_key
from benchmark.compute import json_values, prepare_process, share_machine
from benchmark.encoders import Encoder
from benchmark.views import ViewRecipe
from builders.errors import CamtraceError, EncoderError, disk_error, is_disk_error
from builders.photos import PhotoSet

BOOT = (
    "import pickle, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "sys.path[:] = pickle.load(sys.stdin.buffer); from benchmark.bank.fill.device_process import main; main()"
)
"""The program of ``python -c``. ``multiprocessing`` would import the user's script or notebook again."""

REPORT_EVERY_S = 0.2
"""Seconds between two messages about finished photos."""

DIGESTS, LINE, DONE, FAILED = "digests", "line", "done", "failed"
"""Kinds of messages: [(index, digest), ...] of photos; a line of output; the outcome; class and text of an error."""


@dataclass(frozen=True)
class Work:
    """The work that all processes of a pass share; arguments of ``fill_banks``."""

    photos: PhotoSet
    recipe: ViewRecipe
    banks: Sequence[Bank | OutputsBank]
    encoders: Sequence[Callable[..., Encoder]]
    """Per bank, ``Encoder.reload``: loads the encoder on a device."""
    batch_size: int
    workers: int
    """Workers of each process."""
    views: str
    processes: int
    """Number of processes that share the machine."""


@dataclass(frozen=True)
class Share:
    """The part of one process."""

    device: str
    blocks: tuple[int, ...]
    """Indices of the blocks that it fills."""


def main() -> None:
    """Run the process: it ends when its work is done, or when the process that started it has ended."""
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # printed output must not be read as a message
    prepare_process()
    messages = _Messages(stream)
    with contextlib.redirect_stderr(_Lines(messages)):
        try:
            work: Work = pickle.load(sys.stdin.buffer)
            share: Share = pickle.load(sys.stdin.buffer)
            threading.Thread(target=_end_with_parent, daemon=True).start()
            outcome = fill_share(work, share, messages.add_digest)
            messages.flush()
            messages.send(DONE, outcome)
        except (CamtraceError, OSError) as error:
            if isinstance(error, OSError) and not is_disk_error(error):
                raise
            known = disk_error(error) if isinstance(error, OSError) else error
            messages.flush()
            messages.send(FAILED, (type(known).__name__, str(known)))


def fill_share(work: Work, share: Share, learn: Callable[[int, bytes], None]) -> PassOutcome:
    """Load the encoders on the device of the share and fill its blocks of their banks.

    An encoder that cannot be loaded there, or differs from the bank's, has failed; the others are not affected.

    Args:
        work: of all processes.
        share: of this process.
        learn: as of ``fill_banks``.

    Raises:
        EncoderError: no encoder can be loaded.
        DataError: a worker died, or all of them have stopped.
    """
    import torch

    share_machine(work.processes)
    torch.set_num_threads(max(1, torch.get_num_threads() // work.processes))
    if share.device.startswith("cuda"):
        torch.cuda.set_device(torch.device(share.device))
    loaded: dict[int, Encoder] = {}
    failures: dict[int, str] = {}
    for i, (load, bank) in enumerate(zip(work.encoders, work.banks, strict=True)):
        try:
            loaded[i] = check_same_encoder(load(device=share.device), bank, share.device)
        except CamtraceError as error:
            failures[i] = str(error)
    if not loaded:
        raise EncoderError("; ".join(failures.values()))
    outcome = fill_banks(
        work.photos,
        work.recipe,
        list(loaded.values()),
        [work.banks[i] for i in loaded],
        batch_size=work.batch_size,
        workers=work.workers,
        views=work.views,
        learn=learn,
        blocks=share.blocks,
        silent=True,
    )
    at = {i: position for position, i in enumerate(loaded)}
    failures.update({i: outcome.failures[position] for i, position in at.items() if position in outcome.failures})
    every = range(len(work.banks))
    return dataclasses.replace(
        outcome,
        failures=failures,
        views=tuple(outcome.views[at[i]] if i in at else 0 for i in every),
        forward_s=tuple(outcome.forward_s[at[i]] if i in at else 0.0 for i in every),
    )


def check_same_encoder(encoder: Encoder, bank: Bank | OutputsBank, device: str) -> Encoder:
    """Check that an encoder that was loaded again is the bank's; returns it under the bank's name.

    Args:
        encoder: as loaded in this process.
        bank: that it fills.
        device: for the message.

    Raises:
        EncoderError: weights, preprocessing, precision or runtime differ from those in the bank's key.
    """
    wanted = bank.key["encoder"]
    if encoder.in_torch is not None and "runtime" not in wanted:  # the gate has chosen torch for these photos
        encoder = encoder.in_torch()
    encoder = dataclasses.replace(encoder, info=dataclasses.replace(encoder.info, id=bank.encoder))
    loaded = encoder_key(
        encoder.info, encoder.dtype, compiled=encoder.compiled, device=encoder.device, runtime=encoder.runtime
    )
    differing = [
        name for name in {**wanted, **loaded} if json_values(wanted.get(name)) != json_values(loaded.get(name))
    ]
    if differing:
        raise EncoderError(
            f"{bank.encoder}: loaded again for {device} it is another encoder ({', '.join(differing)} differ); have "
            "its files changed? Run the command again"
        )
    return encoder


class _Messages:
    """Sends messages to the process that waits; may be used by any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._digests: list[tuple[int, bytes]] = []
        self._last = time.monotonic()

    def add_digest(self, index: int, digest: bytes) -> None:
        self._digests.append((index, digest))
        if time.monotonic() - self._last > REPORT_EVERY_S:
            self.flush()

    def flush(self) -> None:
        digests, self._digests, self._last = self._digests, [], time.monotonic()
        if digests:
            self.send(DIGESTS, digests)

    def send(self, kind: str, content: object) -> None:
        with self._lock:
            try:
                pickle.dump((kind, content), self._stream)
                self._stream.flush()
            except OSError:  # the process that waited has ended
                os._exit(1)


class _Lines(io.TextIOBase):
    """Standard error, sent line by line."""

    def __init__(self, messages: _Messages) -> None:
        self._messages, self._rest = messages, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._messages.send(LINE, line.rpartition("\r")[2])
        return len(text)


def _end_with_parent() -> None:
    """Standard input ends when the process that started this one has ended, for whatever reason."""
    while os.read(0, 1):
        pass
    os._exit(1)
