"""One pass on several devices: a process for each fills its own blocks of the same banks.

Blocks and their markers are files of their own, so the processes share nothing but folders. This one deals out the
blocks, shows one bar, keeps the photos' hashes, and watches: a process that dies is an error within a second, its
finished blocks stay, and the same command makes the others.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm.auto import tqdm

from benchmark.bank.bank import Bank
from benchmark.bank.fill.device_process import BOOT, DONE, FAILED, LEARNT, SAID, Share, Work
from benchmark.bank.fill.fill import PassCost, PassOutcome, fill_banks
from benchmark.bank.fill.members import missing_parts
from benchmark.bank.fill.targets import OutputsBank
from benchmark.encoders import Encoder, move_to_host
from benchmark.views import Prefetch, ViewRecipe
from builders import errors
from builders.errors import CamtraceError, DataError
from builders.photos import PhotoSet
from builders.untrusted import first_line, readable

LOOK_S = 0.5
"""Seconds after which it is looked whether all processes are alive."""

END_S = 5.0
"""Seconds that a process has to end after it was told to."""

_GONE = "gone"


def workers_each(workers: int, devices: int) -> int:
    """Processes that make views for each of several devices: as many as were asked for, within its part of the cores.

    >>> workers_each(0, 4)
    0
    """
    return workers if devices < 2 else min(workers, max(1, _cores() // devices))


def fill_banks_on(
    devices: Sequence[str],
    photos: PhotoSet,
    recipe: ViewRecipe,
    encoders: Sequence[Encoder],
    banks: Sequence[Bank | OutputsBank],
    *,
    batch_size: int = 64,
    workers: int = 2,
    views: str = "auto",
    label: str = "embedding",
    learn: Callable[[int, bytes], None] = lambda index, digest: None,
    ahead: Prefetch | None = None,
) -> PassOutcome:
    """``fill_banks`` by one process a device, over disjoint blocks; the banks are equal to those of one process.

    Args:
        devices: such as ``("cuda:0", "cuda:1")``. On one alone, this process does the work.
        photos, recipe, encoders, banks, batch_size, views, label, learn, ahead: as of ``fill_banks``. Each process
            loads the encoders again; one that cannot be (it exists in this process only) leaves the work here.
        workers: processes that make views for each device, within its part of the cores (``workers_each``).

    Raises:
        DataError: a process died, or its workers did.
    """
    missing = sorted({block for part in missing_parts(recipe.names, banks) for block in part.blocks})
    again = [encoder.reload for encoder in encoders if encoder.reload is not None]
    held = [encoder.info.id for encoder in encoders if encoder.reload is None]
    if held and len(devices) > 1 and missing:
        where = f"this pass embeds on {encoders[0].device} alone"
        print(f"camtrace: {held[0]} exists in this process only: {where}", file=sys.stderr)
    if held or len(devices) < 2 or len(missing) < 2:
        return fill_banks(
            photos,
            recipe,
            encoders,
            banks,
            batch_size=batch_size,
            workers=workers,
            views=views,
            label=label,
            learn=learn,
            ahead=ahead,
        )
    for encoder in encoders:
        move_to_host(encoder)  # the process of this device has its own
    used = devices[: len(missing)]
    each = workers_each(workers, len(used))
    work = Work(photos, recipe, list(banks), again, batch_size, each, views, len(used))
    shares = [Share(device, tuple(missing[number :: len(used)])) for number, device in enumerate(used)]
    started = time.perf_counter()
    count = sum(len(banks[0].blocks.photos_of(block)) for block in missing)
    with tqdm(total=count, desc=f"{readable(label)}, {len(used)} devices", unit="photo", delay=1, disable=None) as bar:
        crew = _Crew(work, shares)
        try:
            outcomes = crew.outcomes(bar, learn)
        finally:
            crew.close()
    return joined(outcomes, time.perf_counter() - started)


def joined(outcomes: Sequence[PassOutcome], wall_s: float) -> PassOutcome:
    """What processes that worked side by side did, as one pass: work is summed, time is the mean over the devices."""
    n = len(outcomes)
    compiling_s = sum(one.cost.compiling_s for one in outcomes) / n
    encoders = range(len(outcomes[0].views))
    failures: dict[int, str] = {}
    for outcome in outcomes:
        failures.update({i: reason for i, reason in outcome.failures.items() if i not in failures})
    cost = PassCost(
        photos=sum(one.cost.photos for one in outcomes),
        views=sum(one.cost.views for one in outcomes),
        wall_s=wall_s - compiling_s,
        waiting_s=sum(one.cost.waiting_s for one in outcomes) / n,
        forward_s=sum(one.cost.forward_s for one in outcomes) / n,
        making_s=sum(one.cost.making_s for one in outcomes),
        compiling_s=compiling_s,
    )
    views = tuple(sum(one.views[i] for one in outcomes) for i in encoders)
    return PassOutcome(cost, failures, views, tuple(sum(one.forward_s[i] for one in outcomes) / n for i in encoders))


@dataclass(eq=False)
class _Hand:
    """One process."""

    share: Share
    process: subprocess.Popen[bytes]
    outcome: PassOutcome | None = None


class _Crew:
    def __init__(self, work: Work, shares: Sequence[Share]) -> None:
        try:
            packed = pickle.dumps(work)
        except Exception as error:  # a photo source of the user's own
            first = first_line(error)
            reason = f"cannot be handed to other processes ({first}); use one --device"
            raise DataError(f"{work.photos.name}: {reason}") from None
        self._said: set[str] = set()
        self._told: queue.Queue[tuple[_Hand, str, Any]] = queue.Queue()
        self._hands: list[_Hand] = []
        for share in shares:
            process = subprocess.Popen(
                [sys.executable, "-c", BOOT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
            )
            hand = _Hand(share, process)
            self._hands.append(hand)
            threading.Thread(target=self._talk, args=(hand, packed), name=share.device, daemon=True).start()

    def outcomes(self, bar: tqdm[Any], learn: Callable[[int, bytes], None]) -> list[PassOutcome]:
        """Wait for all of them.

        Raises:
            DataError: one died; others' errors as they are.
        """
        while any(hand.outcome is None for hand in self._hands):
            try:
                hand, kind, what = self._told.get(timeout=LOOK_S)
            except queue.Empty:
                for hand in self._hands:
                    if hand.outcome is None and hand.process.poll() is not None and self._told.empty():
                        raise _died(hand) from None
                continue
            if kind == LEARNT:
                for index, digest in what:
                    learn(index, digest)
                bar.update(len(what))
            elif kind == SAID:
                self._say(bar, what)
            elif kind == DONE:
                hand.outcome = what
            elif kind == FAILED:
                raise _error(*what)
            elif hand.outcome is None:
                hand.process.wait(END_S)
                raise _died(hand)
        return [hand.outcome for hand in self._hands if hand.outcome is not None]

    def close(self) -> None:
        """End those that still work; what they have finished stays."""
        for hand in self._hands:
            if hand.process.poll() is None and hand.outcome is None:
                hand.process.terminate()
        for hand in self._hands:
            try:
                hand.process.wait(END_S)
            except subprocess.TimeoutExpired:
                hand.process.kill()
                hand.process.wait()
            with contextlib.suppress(OSError):
                assert hand.process.stdin is not None
                hand.process.stdin.close()

    def _talk(self, hand: _Hand, packed: bytes) -> None:
        """On a thread of its own: hand over the work, then pass on what comes back, until there is no more."""
        stdin, stdout = hand.process.stdin, hand.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(pickle.dumps(sys.path) + packed + pickle.dumps(hand.share))
            stdin.flush()
            with stdout:
                while True:
                    self._told.put((hand, *pickle.load(stdout)))
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            self._told.put((hand, _GONE, None))

    def _say(self, bar: tqdm[Any], line: str) -> None:
        """A sentence of one of them, once: the others say it too."""
        if line not in self._said:
            self._said.add(line)
            bar.write(line, file=sys.stderr)


def _died(hand: _Hand) -> DataError:
    status = hand.process.poll()
    how = f"was killed by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
    why = "probably for memory: use fewer --workers" if status == -signal.SIGKILL else "one --device may show why"
    return DataError(
        f"the process that embeds on {hand.share.device} {how} ({why}); embeddings made so far are kept, the same "
        "command makes the others"
    )


def _error(kind: str, sentence: str) -> CamtraceError:
    known: Mapping[str, Any] = vars(errors)
    return known.get(kind, DataError)(sentence)


def _cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
