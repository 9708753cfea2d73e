"""The pool of worker processes that make views, and the thread that distributes photos to them.

Views are written into the slots of a ring; only task numbers and failures pass through pipes. Each worker has a pipe,
and no lock is shared. A worker that dies or stops therefore blocks nothing, and is reported within seconds.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

import numpy as np
import torch

from benchmark.compute import EncoderCrash, blamed_in, threads_of_work
from benchmark.views.recipe import PhotoViews
from benchmark.views.workers.ring import Ring, SlotLease, SlotPlan
from benchmark.views.workers.runs import Choice, WorkQueue, next_choice
from benchmark.views.workers.worker import Make, Reply, Task, Watch, work
from builders.errors import DataError
from builders.processes import deferred_signals

Item = TypeVar("Item")


class EagerStream(Generator[Item, None, None]):
    """Generator of ``make(0)``, ..., ``make(count - 1)`` whose work has already begun.

    It calls ``end`` once, when it is exhausted, closed or deleted; a plain generator would not if it was never started.

    >>> ended = []
    >>> EagerStream(str, 3, lambda: ended.append(True)).close()
    >>> list(EagerStream(str, 3, lambda: ended.append(True))), ended
    (['0', '1', '2'], [True, True])
    """

    def __init__(self, make: Callable[[int], Item], count: int, end: Callable[[], object]) -> None:
        self._make = make
        self._left = iter(range(count))
        self._end: Callable[[], object] | None = end

    def send(self, value: None) -> Item:
        try:
            position = next(self._left)
            if self._end is None:
                raise StopIteration
            return self._make(position)
        except BaseException:
            self.close()
            raise

    def throw(self, kind: Any, value: Any = None, trace: Any = None) -> Item:
        self.close()
        return super().throw(kind, value, trace)

    def close(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end()

    def __del__(self) -> None:
        self.close()


QUEUED = 2
"""Photos that a worker has at a time: it never waits for the next one, and a slow photo delays only one other."""

STALLED_S = 60.0
"""Seconds without any sign of activity of a worker, after which a run that waits for a photo ends with an error."""

LOOK_S = 0.5
"""Seconds between two checks for activity."""

SLOT_PATIENCE_S = 0.02
"""Seconds to wait for a free slot when all workers are idle; then a photo is sent through its worker's pipe."""


def made_by_workers(
    make: Make,
    gathers: Sequence[int],
    plan: SlotPlan,
    slots: int,
    workers: int,
    *,
    ahead: int,
    pin: torch.device | None = None,
    run_ids: Sequence[int] = (),
) -> Generator[PhotoViews, None, None]:
    """Views of the photos at positions 0, 1, ..., in order; workers begin at once.

    Args:
        make: makes the views of the photo at a position, in a worker.
        gathers: numbers of photos of all gathers, in order; each gather has a slot.
        plan: layout of a slot.
        slots: number of slots.
        workers: number of processes.
        ahead: most photos that are made before they are requested.
        pin: the GPU for copies to which the memory of the slots is pinned; None if it is not.
        run_ids: one number per position; neighbours with the same number are made by one worker, unless a photo is
            waited for while another worker is idle. By default, positions are independent.

    Raises:
        DataError: a worker died, or all of them have stopped.
    """
    pool = _Pool(make, list(gathers), plan, slots, workers, ahead, pin, run_ids)
    return EagerStream(pool.next, sum(gathers), pool.close)


@dataclass(eq=False)
class _Worker:
    process: Any
    pipe: Connection
    positions: list[int] = field(default_factory=list)
    """Positions that it has to make."""
    run: int = -1
    """Run of its last position, see ``WorkQueue``."""


class _Pool:
    """The workers, their ring, and a thread that gives out positions and receives replies."""

    def __init__(
        self,
        make: Make,
        gathers: list[int],
        plan: SlotPlan,
        slots: int,
        workers: int,
        ahead: int,
        pin: torch.device | None,
        run_ids: Sequence[int],
    ) -> None:
        self._queue = WorkQueue(sum(gathers), run_ids)
        self._gather_of = [(g, place) for g, size in enumerate(gathers) for place in range(size)]
        self._last = [place == gathers[g] - 1 for g, place in self._gather_of]
        self._ahead = ahead
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._ring = Ring(plan, slots, forked=context.get_start_method() == "fork", freed=self._wake_up)
        self._leases: dict[int, tuple[SlotLease, list[torch.Tensor]]] = {}
        self._done: dict[int, Reply] = {}
        self._wanted = 0
        """Position that is requested next, or now."""
        self._waiting = False
        """Whether the caller waits for it."""
        self._error: Exception | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._workers: list[_Worker] = []
        for _ in range(workers):
            pipe, worker_pipe = context.Pipe()
            others = [worker.pipe for worker in self._workers] + [pipe]
            inherited = others if context.get_start_method() == "fork" else []
            process = context.Process(
                target=work, args=(make, self._ring, worker_pipe, inherited), daemon=True, name="views"
            )
            # a worker that begins with one thread needs no thread pool, which a fork does not inherit
            with deferred_signals(), threads_of_work(0):
                process.start()
            worker_pipe.close()
            self._workers.append(_Worker(process, pipe))
        if pin is not None:
            self._ring.pin(pin)
        self._thread = threading.Thread(target=self._serve, name="views", daemon=True)
        self._thread.start()

    def next(self, position: int) -> PhotoViews:
        """Wait for the photo at a position; positions are requested in order."""
        with self._changed:
            self._wanted, self._waiting = position, True
            self._wake_up()
            while position not in self._done and self._error is None:
                self._changed.wait()
            self._waiting = False
            if position not in self._done:
                assert self._error is not None
                raise self._error
            return self._assembled(self._done.pop(position))

    def close(self) -> None:
        """End the thread and the workers."""
        self._closing = True
        self._wake_up()
        self._thread.join()
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self._leases.clear()
        self._ring.close()
        write, self._wake_write = self._wake_write, -1
        os.close(write)
        os.close(self._wake_read)

    def _wake_up(self) -> None:
        with contextlib.suppress(OSError):  # the pipe is full, so the thread wakes up anyway, or it is closed
            os.write(self._wake_write, b"\0")

    def _assembled(self, reply: Reply) -> PhotoViews:
        gather, place = self._gather_of[reply.task.position]
        made = reply.made
        if reply.task.slot is not None:
            lease, slot = self._leases[gather]
            arrays = [slot[i][place] if sent is None else torch.from_numpy(sent) for i, sent in enumerate(reply.sent)]
            if isinstance(reply.pixels, tuple):
                made = replace(made, decoded=lease.pixels(place, reply.pixels))
        else:
            arrays = [torch.from_numpy(sent) for sent in reply.sent if sent is not None]
        if isinstance(reply.pixels, np.ndarray):
            made = replace(made, decoded=torch.from_numpy(reply.pixels))
        if self._last[reply.task.position]:
            self._leases.pop(gather, None)
        return replace(made, arrays=tuple(arrays))

    def _serve(self) -> None:
        """Thread: until closed, give out positions, receive replies, and detect workers that died or stopped."""
        pipes: dict[Any, _Worker] = {worker.pipe: worker for worker in self._workers}
        ends = {worker.process.sentinel: worker for worker in self._workers}
        watch = Watch([worker.process.pid for worker in self._workers])
        try:
            while not self._closing:
                given = self._give_out()
                ready = wait([*pipes, *ends, self._wake_read], SLOT_PATIENCE_S if self._starved() else LOOK_S)
                if self._wake_read in ready:
                    os.read(self._wake_read, 4096)
                for worker in [pipes[source] for source in ready if source in pipes]:
                    self._receive(worker)
                    watch.reset()
                if died := [ends[source] for source in ready if source in ends]:
                    raise _died(died[0].process)
                if not ready and not given:
                    self._give_without_slot()
                    if self._wanted_is_given() and watch.stalled(STALLED_S):
                        raise DataError(
                            f"the workers that make views have done nothing for {STALLED_S:.0f} seconds; "
                            "is the disk with the photos there? --workers 0 makes views without them"
                        )
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _receive(self, worker: _Worker) -> None:
        try:
            reply: Reply = worker.pipe.recv()
        except (EOFError, OSError):
            raise _died(worker.process) from None
        worker.positions.remove(reply.task.position)
        with self._changed:
            self._done[reply.task.position] = reply
            self._changed.notify_all()

    def _give_out(self) -> bool:
        """Give positions to workers that have few; returns whether there was one to give."""
        given = False
        while (choice := self._choice()) is not None:
            position = self._queue.next[choice.run]
            gather, place = self._gather_of[position]
            task = Task(position, self._leases[gather][0].number, place)
            self._give(self._workers[choice.worker], choice.run, task)
            given = True
        return given

    def _choice(self) -> Choice | None:
        loads, runs = [len(worker.positions) for worker in self._workers], [worker.run for worker in self._workers]
        waiting = self._waiting and self._wanted not in self._done
        return next_choice(self._queue, loads, runs, self._may_take, most=QUEUED, waiting=waiting)

    def _may_take(self, run: int) -> bool:
        """Whether the next position of a run is not too far ahead and has a slot, or gets one now."""
        if (position := self._queue.next[run]) >= self._wanted + self._ahead:
            return False
        first = self._gather_of[self._queue.first][0]
        for gather in range(first, self._gather_of[position][0] + 1):  # slots are leased in the order of gathers
            with self._changed:
                if gather not in self._leases:
                    if (lease := self._ring.take()) is None:
                        return False
                    self._leases[gather] = lease, lease.tensors()
                    del lease
        return True

    def _give_without_slot(self) -> None:
        """If the caller holds all slots while it waits for a photo, have it sent through the pipe."""
        if self._starved():
            run, position = next(self._queue.unfinished()), self._queue.first
            worker = next((worker for worker in self._workers if worker.run == run), self._workers[0])
            self._give(worker, run, Task(position, None, self._gather_of[position][1]))

    def _starved(self) -> bool:
        """Whether the wanted photo could not be given to a worker because no slot is free, and all workers are idle."""
        waiting = self._queue.first == self._wanted < len(self._gather_of)
        return waiting and not any(worker.positions for worker in self._workers)

    def _give(self, worker: _Worker, run: int, task: Task) -> None:
        self._queue.take(run)
        worker.positions.append(task.position)
        worker.run = run
        with contextlib.suppress(OSError):  # it died: its sentinel becomes ready
            worker.pipe.send(task)

    def _wanted_is_given(self) -> bool:
        """Whether the caller waits for a photo that a worker has. Encoders may compute for minutes between requests."""
        return self._waiting and self._queue.is_taken(self._wanted) and self._wanted not in self._done


def _died(process: Any) -> DataError | EncoderCrash:
    process.join(5)
    status: int | None = process.exitcode
    if status is not None and status != -signal.SIGKILL and (name := blamed_in(process.pid)):
        return EncoderCrash(name, status)
    how = f"was killed by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
    why = "probably for memory: use fewer --workers" if status == -signal.SIGKILL else "--workers 0 may show why"
    return DataError(f"a worker that makes views {how} ({why}); finished embeddings are saved")
