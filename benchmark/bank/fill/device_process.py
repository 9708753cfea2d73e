"""What a process does that fills some blocks of banks on one device, for another that waits for it.

It reads its work from standard input and tells what happens on what was its standard output, both as pickles of our
own process; see ``several_devices.py``, which starts it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from benchmark.bank.bank import Bank
from benchmark.bank.fill.fill import PassOutcome, fill_banks
from benchmark.bank.fill.targets import OutputsBank
from benchmark.bank.keys import encoder_key
from benchmark.compute import prepare_process, share_machine
from benchmark.encoders import Encoder
from benchmark.views import ViewRecipe
from builders.errors import CamtraceError, EncoderError, disk_error, is_disk_error
from builders.photos import PhotoSet

BOOT = (
    "import pickle, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "sys.path[:] = pickle.load(sys.stdin.buffer); from benchmark.bank.fill.device_process import main; main()"
)
"""What ``python -c`` runs. Not ``multiprocessing``, which would import the user's script or notebook again."""

TOLD_EVERY_S = 0.2
"""Seconds after which photos that are done are told of."""

LEARNT, SAID, DONE, FAILED = "learnt", "said", "done", "failed"
"""Kinds of messages: [(index, digest), ...] of photos; a line for people; the outcome; class and text of an error."""


@dataclass(frozen=True)
class Work:
    """What all processes of a pass are given."""

    photos: PhotoSet
    recipe: ViewRecipe
    banks: Sequence[Bank | OutputsBank]
    encoders: Sequence[Callable[..., Encoder]]
    """One per bank, ``Encoder.elsewhere``."""
    batch_size: int
    workers: int
    """Of each process."""
    views: str
    processes: int


@dataclass(frozen=True)
class Share:
    """What one of them is given beside that."""

    device: str
    blocks: tuple[int, ...]


def main() -> None:
    """The life of such a process: it ends when its work is done, or when whoever started it is gone."""
    messages = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not be taken for a message
    prepare_process()
    told = _Message(messages)
    with contextlib.redirect_stderr(_Lines(told)):
        try:
            work: Work = pickle.load(sys.stdin.buffer)
            share: Share = pickle.load(sys.stdin.buffer)
            threading.Thread(target=_end_with_parent, daemon=True).start()
            outcome = fill_share(work, share, told.learnt)
            told.flush()
            told.tell(DONE, outcome)
        except (CamtraceError, OSError) as error:
            if isinstance(error, OSError) and not is_disk_error(error):
                raise
            known = disk_error(error) if isinstance(error, OSError) else error
            told.flush()
            told.tell(FAILED, (type(known).__name__, str(known)))


def fill_share(work: Work, share: Share, learn: Callable[[int, bytes], None]) -> PassOutcome:
    """Load the encoders on the device and fill these blocks of their banks.

    An encoder that cannot be loaded there, or is another one there, has failed; the others go on.
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
            loaded[i] = the_same(load(device=share.device), bank, share.device)
        except CamtraceError as error:
            failures[i] = str(error)
    if not loaded:
        raise EncoderError("; ".join(failures.values()))
    found = fill_banks(
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
    at = {i: place for place, i in enumerate(loaded)}
    failures.update({i: found.failures[place] for i, place in at.items() if place in found.failures})
    every = range(len(work.banks))
    return dataclasses.replace(
        found,
        failures=failures,
        views=tuple(found.views[at[i]] if i in at else 0 for i in every),
        forward_s=tuple(found.forward_s[at[i]] if i in at else 0.0 for i in every),
    )


def the_same(encoder: Encoder, bank: Bank | OutputsBank, device: str) -> Encoder:
    """The encoder as it was loaded here, under the name that it has there.

    Raises:
        EncoderError: it is not the one that the bank is of: weights, preprocessing, precision or runtime differ.
    """
    wanted = bank.key["encoder"]
    if encoder.in_torch is not None and "runtime" not in wanted:  # torch was found to be more exact on these photos
        encoder = encoder.in_torch()
    encoder = dataclasses.replace(encoder, info=dataclasses.replace(encoder.info, id=bank.encoder))
    found = encoder_key(
        encoder.info, encoder.dtype, compiled=encoder.compiled, device=encoder.device, runtime=encoder.runtime
    )
    differing = [name for name in {**wanted, **found} if _plain(wanted.get(name)) != _plain(found.get(name))]
    if differing:
        raise EncoderError(
            f"{bank.encoder}: loaded again for {device} it is another encoder ({', '.join(differing)} differ); have "
            "its files changed? Run the command again"
        )
    return encoder


class _Message:
    """Messages to whoever waits, from any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._learnt: list[tuple[int, bytes]] = []
        self._last = time.monotonic()

    def learnt(self, index: int, digest: bytes) -> None:
        self._learnt.append((index, digest))
        if time.monotonic() - self._last > TOLD_EVERY_S:
            self.flush()

    def flush(self) -> None:
        learnt, self._learnt, self._last = self._learnt, [], time.monotonic()
        if learnt:
            self.tell(LEARNT, learnt)

    def tell(self, kind: str, what: object) -> None:
        with self._lock:
            try:
                pickle.dump((kind, what), self._stream)
                self._stream.flush()
            except OSError:  # nobody is there any more
                os._exit(1)


class _Lines(io.TextIOBase):
    """Standard error, told line by line."""

    def __init__(self, told: _Message) -> None:
        self._told, self._rest = told, ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._told.tell(SAID, line.rpartition("\r")[2])
        return len(text)


def _end_with_parent() -> None:
    """Standard input ends when whoever started this process is gone, however that happened."""
    while os.read(0, 1):
        pass
    os._exit(1)


def _plain(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
