"""One pass on several devices: one process per device fills some blocks of the same banks.

Every block has a file for its marker, so the processes share nothing but folders. This process distributes the blocks,
shows one progress bar, collects the photos' hashes and watches the others. If one of them dies, that is an error within
a second; its finished blocks stay, and the same command makes the others.
"""

from __future__ import annotations

import contextlib
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
from benchmark.bank.fill.device_process import BOOT, DIGESTS, DONE, FAILED, LINE, Share, Work
from benchmark.bank.fill.fill import PassCost, PassOutcome, fill_banks
from benchmark.bank.fill.members import missing_parts
from benchmark.bank.fill.targets import OutputsBank
from benchmark.encoders import Encoder, move_to_host
from benchmark.views import Prefetch, ViewRecipe, available_cores
from builders import errors
from builders.errors import CamtraceError, DataError
from builders.photos import PhotoSet
from builders.processes import child_environment, progress_bar
from builders.untrusted import first_line, readable

LOOK_S = 0.5
"""Seconds between two checks whether all processes are alive."""

END_S = 5.0
"""Seconds that a process has to end after it was terminated."""

_CLOSED = "closed"
"""Kind of message: the process has closed its output."""


def workers_each(workers: int, devices: int) -> int:
    """Workers that make views for each device: the requested number, limited to the device's part of the cores.

    >>> workers_each(0, 4)
    0
    """
    return workers if devices < 2 else min(workers, max(1, available_cores() // devices))


def fill_banks_on(
    devices: Sequence[str],
    photos: PhotoSet,
    recipe: ViewRecipe,
    encoders: Sequence[Encoder],
    banks: Sequence[Bank | OutputsBank],
    *,
    batch_size: int = 64,
    workers: int,
    views: str = "auto",
    label: str = "embedding",
    learn: Callable[[int, bytes], None] = lambda index, digest: None,
    ahead: Prefetch | None = None,
) -> PassOutcome:
    """``fill_banks`` by one process per device, on disjoint blocks; the banks are equal to those of a single process.

    Args:
        devices: such as ``("cuda:0", "cuda:1")``. With a single device, this process does the work.
        photos, recipe, encoders, banks, batch_size, views, label, learn, ahead: as of ``fill_banks``. Each process
            loads the encoders again. If one cannot be loaded again, this process does the work.
        workers: processes that make views for each device, limited by ``workers_each``.

    Raises:
        DataError: a process died, or its workers did.
    """
    missing = sorted({block for part in missing_parts(recipe.names, banks) for block in part.blocks})
    loaders = [encoder.reload for encoder in encoders if encoder.reload is not None]
    only_here = [encoder.info.id for encoder in encoders if encoder.reload is None]
    if only_here and len(devices) > 1 and missing:
        where = f"this pass embeds on {encoders[0].device} alone"
        print(f"camtrace: {only_here[0]} exists in this process only: {where}", file=sys.stderr)
    if only_here or len(devices) < 2 or len(missing) < 2:
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
        move_to_host(encoder)  # the process of this device loads it again
    used = devices[: len(missing)]
    each = workers_each(workers, len(used))
    work = Work(photos, recipe, list(banks), loaders, batch_size, each, views, len(used))
    shares = [Share(device, tuple(missing[number :: len(used)])) for number, device in enumerate(used)]
    started = time.perf_counter()
    count = sum(len(banks[0].blocks.photos_of(block)) for block in missing)
    with progress_bar(total=count, desc=f"{readable(label)}, {len(used)} devices", unit="photo", delay=1) as bar:
        processes = _Processes(work, shares)
        try:
            outcomes = processes.outcomes(bar, learn)
        finally:
            processes.close()
    return merge_outcomes(outcomes, time.perf_counter() - started)


def merge_outcomes(outcomes: Sequence[PassOutcome], wall_s: float) -> PassOutcome:
    """The outcomes of parallel processes as that of one pass: work is summed, times are means over the devices.

    Args:
        outcomes: of the processes, for the same encoders.
        wall_s: elapsed time in seconds.
    """
    n = len(outcomes)
    compiling_s = sum(outcome.cost.compiling_s for outcome in outcomes) / n
    encoders = range(len(outcomes[0].views))
    failures: dict[int, str] = {}
    for outcome in outcomes:
        failures.update({i: reason for i, reason in outcome.failures.items() if i not in failures})
    cost = PassCost(
        photos=sum(outcome.cost.photos for outcome in outcomes),
        views=sum(outcome.cost.views for outcome in outcomes),
        wall_s=wall_s - compiling_s,
        waiting_s=sum(outcome.cost.waiting_s for outcome in outcomes) / n,
        forward_s=sum(outcome.cost.forward_s for outcome in outcomes) / n,
        making_s=sum(outcome.cost.making_s for outcome in outcomes),
        compiling_s=compiling_s,
    )
    views = tuple(sum(outcome.views[i] for outcome in outcomes) for i in encoders)
    forward_s = tuple(sum(outcome.forward_s[i] for outcome in outcomes) / n for i in encoders)
    return PassOutcome(cost, failures, views, forward_s)


@dataclass(eq=False)
class _DeviceProcess:
    share: Share
    process: subprocess.Popen[bytes]
    outcome: PassOutcome | None = None
    """None while it works."""


class _Processes:
    """The processes of a pass, and a queue of their messages."""

    def __init__(self, work: Work, shares: Sequence[Share]) -> None:
        try:
            packed = pickle.dumps(work)
        except Exception as error:  # raised by the photo source of a user
            first = first_line(error)
            reason = f"cannot be handed to other processes ({first}); use one --device"
            raise DataError(f"{work.photos.name}: {reason}") from None
        self._lines: set[str] = set()
        self._messages: queue.Queue[tuple[_DeviceProcess, str, Any]] = queue.Queue()
        self._running: list[_DeviceProcess] = []
        for share in shares:
            process = subprocess.Popen(
                [sys.executable, "-c", BOOT],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**child_environment(), "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
            )
            running = _DeviceProcess(share, process)
            self._running.append(running)
            threading.Thread(target=self._communicate, args=(running, packed), name=share.device, daemon=True).start()

    def outcomes(self, bar: tqdm[Any], learn: Callable[[int, bytes], None]) -> list[PassOutcome]:
        """Wait until all processes are done.

        Raises:
            DataError: a process died. Errors that a process reports are raised as they are.
        """
        while any(child.outcome is None for child in self._running):
            try:
                sender, kind, content = self._messages.get(timeout=LOOK_S)
            except queue.Empty:
                for child in self._running:
                    if child.outcome is None and child.process.poll() is not None and self._messages.empty():
                        raise _died(child) from None
                continue
            if kind == DIGESTS:
                for index, digest in content:
                    learn(index, digest)
                bar.update(len(content))
            elif kind == LINE:
                self._print_once(bar, content)
            elif kind == DONE:
                sender.outcome = content
            elif kind == FAILED:
                raise _error(*content)
            elif sender.outcome is None:
                sender.process.wait(END_S)
                raise _died(sender)
        return [child.outcome for child in self._running if child.outcome is not None]

    def close(self) -> None:
        """End the processes that still work; the blocks that they have finished stay."""
        for child in self._running:
            if child.process.poll() is None and child.outcome is None:
                child.process.terminate()
        for child in self._running:
            try:
                child.process.wait(END_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            with contextlib.suppress(OSError):
                assert child.process.stdin is not None
                child.process.stdin.close()

    def _communicate(self, running: _DeviceProcess, packed: bytes) -> None:
        """Thread per process: send the work, then put its messages into the queue until its output ends."""
        stdin, stdout = running.process.stdin, running.process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(pickle.dumps(sys.path) + packed + pickle.dumps(running.share))
            stdin.flush()
            with stdout:
                while True:
                    self._messages.put((running, *pickle.load(stdout)))
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            self._messages.put((running, _CLOSED, None))

    def _print_once(self, bar: tqdm[Any], line: str) -> None:
        """Print a line once: usually every process prints it."""
        if line not in self._lines:
            self._lines.add(line)
            bar.write(line, file=sys.stderr)


def _died(child: _DeviceProcess) -> DataError:
    status = child.process.poll()
    how = f"was killed by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
    why = "probably for memory: use fewer --workers" if status == -signal.SIGKILL else "one --device may show why"
    return DataError(
        f"the process that embeds on {child.share.device} {how} ({why}); finished embeddings are saved, the same "
        "command makes the others"
    )


def _error(kind: str, message: str) -> CamtraceError:
    known: Mapping[str, Any] = vars(errors)
    return known.get(kind, DataError)(message)
