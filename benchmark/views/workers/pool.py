"""Processes that make views into a ring's slots, and a thread that keeps them busy.

Only numbers and reasons pass through pipes, one pipe for each worker: no lock is shared, so that a worker that dies or
stops takes nothing with it, and is told within seconds instead of being waited for.
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

from benchmark.compute import threads_of_work
from benchmark.views.recipe import PhotoViews
from benchmark.views.workers.ring import Ring, SlotLease, SlotPlan
from benchmark.views.workers.runs import Choice, WorkQueue, chosen
from benchmark.views.workers.worker import Make, Reply, Task, Watch, work
from builders.errors import DataError
from builders.processes import deferred_signals

Item = TypeVar("Item")


class Begun(Generator[Item, None, None]):
    """``make`` of 0, 1, ..., ``count`` - 1. Unlike a generator that has not been asked yet, it calls ``end`` when it is
    closed or gone; once.

    >>> ended = []
    >>> Begun(str, 3, lambda: ended.append(True)).close()
    >>> list(Begun(str, 3, lambda: ended.append(True))), ended
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
"""Photos that a worker has been given at a time: the next one is there when one is done, and a slow photo holds up one
other at most."""

STALLED_S = 60.0
"""Seconds in which no worker computed, read, waited for a core or gave anything: then a run that waits is ended."""

LOOK_S = 0.5
"""Seconds after which the thread looks whether anything goes on."""

SLOT_PATIENCE_S = 0.02
"""Seconds for a slot to become free, where everything else is done; then a photo goes through its worker's pipe."""


def made_by_workers(
    make: Make,
    gathers: Sequence[int],
    plan: SlotPlan,
    slots: int,
    workers: int,
    *,
    ahead: int,
    pin: bool = False,
    kin: Sequence[int] = (),
) -> Generator[PhotoViews, None, None]:
    """The photos at positions 0, 1, ..., in order; workers begin at once.

    Args:
        make: what a worker does.
        gathers: photos of each gather, one after the other; each gets a slot.
        plan, slots: of the ring.
        workers: processes.
        ahead: photos made before they are asked for, at most.
        pin: the ring's memory, for copies to a GPU.
        kin: one number a position, or none at all; where neighbours have the same, one worker makes all of them, unless
            somebody waits while another has nothing else to do.

    Raises:
        DataError: a worker died, or all have stopped.
    """
    team = _Team(make, list(gathers), plan, slots, workers, ahead, pin, kin)
    return Begun(team.next, sum(gathers), team.close)


@dataclass(eq=False)
class _Worker:
    process: Any
    pipe: Connection
    given: list[int] = field(default_factory=list)
    """Positions."""
    run: int = -1
    """Of ``WorkQueue``, which it was given a photo of last."""


class _Team:
    def __init__(
        self,
        make: Make,
        gathers: list[int],
        plan: SlotPlan,
        slots: int,
        workers: int,
        ahead: int,
        pin: bool,
        kin: Sequence[int],
    ) -> None:
        self._runs = WorkQueue(sum(gathers), kin)
        self._gather_of = [(g, place) for g, size in enumerate(gathers) for place in range(size)]
        self._last = [place == gathers[g] - 1 for g, place in self._gather_of]
        self._ahead = ahead
        context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._ring = Ring(plan, slots, forked=context.get_start_method() == "fork", freed=self._wake_up)
        self._leases: dict[int, tuple[SlotLease, list[torch.Tensor]]] = {}
        self._done: dict[int, Reply] = {}
        self._wanted = 0
        self._waited_for = False
        self._error: Exception | None = None
        self._closing = False
        self._changed = threading.Condition()
        self._workers: list[_Worker] = []
        for _ in range(workers):
            ours, theirs = context.Pipe()
            others = [worker.pipe for worker in self._workers] + [ours]
            inherited = others if context.get_start_method() == "fork" else []
            process = context.Process(
                target=work, args=(make, self._ring, theirs, inherited), daemon=True, name="views"
            )
            # a worker that begins with one thread needs no pool that only the parent has
            with deferred_signals(), threads_of_work(0):
                process.start()
            theirs.close()
            self._workers.append(_Worker(process, ours))
        if pin:
            self._ring.pin()
        self._thread = threading.Thread(target=self._serve, name="views", daemon=True)
        self._thread.start()

    def next(self, position: int) -> PhotoViews:
        with self._changed:
            self._wanted, self._waited_for = position, True
            self._wake_up()
            while position not in self._done and self._error is None:
                self._changed.wait()
            self._waited_for = False
            if position not in self._done:
                assert self._error is not None
                raise self._error
            return self._assembled(self._done.pop(position))

    def close(self) -> None:
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
        woken, wake, self._wake = self._woken, self._wake, -1
        os.close(wake)
        os.close(woken)

    def _wake_up(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake up anyway; closed: it need not
            os.write(self._wake, b"\0")

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
        """Until closed: give out photos, take in replies, notice who died and when nothing goes on."""
        pipes: dict[Any, _Worker] = {worker.pipe: worker for worker in self._workers}
        ends = {worker.process.sentinel: worker for worker in self._workers}
        watch = Watch([worker.process.pid for worker in self._workers])
        try:
            while not self._closing:
                given = self._give_out()
                ready = wait([*pipes, *ends, self._woken], SLOT_PATIENCE_S if self._starved() else LOOK_S)
                if self._woken in ready:
                    os.read(self._woken, 4096)
                for worker in [pipes[one] for one in ready if one in pipes]:
                    self._take_in(worker)
                    watch.seen()
                if died := [ends[one] for one in ready if one in ends]:
                    raise _died(died[0].process)
                if not ready and not given:
                    self._give_without_slot()
                    if self._wanted_is_out() and watch.stalled(STALLED_S):
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

    def _take_in(self, worker: _Worker) -> None:
        try:
            reply: Reply = worker.pipe.recv()
        except (EOFError, OSError):
            raise _died(worker.process) from None
        worker.given.remove(reply.task.position)
        with self._changed:
            self._done[reply.task.position] = reply
            self._changed.notify_all()

    def _give_out(self) -> bool:
        """Photos to workers that have few, the idlest first; whether there was one."""
        given = False
        while (choice := self._choice()) is not None:
            position = self._runs.next[choice.run]
            gather, place = self._gather_of[position]
            task = Task(position, self._leases[gather][0].number, place)
            self._give(self._workers[choice.worker], choice.run, task)
            given = True
        return given

    def _choice(self) -> Choice | None:
        loads, runs = [len(worker.given) for worker in self._workers], [worker.run for worker in self._workers]
        waited = self._waited_for and self._wanted not in self._done
        return chosen(self._runs, loads, runs, self._has_room, most=QUEUED, waited=waited)

    def _has_room(self, run: int) -> bool:
        """Whether the next photo of a run is near enough to what is wanted and has a slot, or gets one now."""
        if (position := self._runs.next[run]) >= self._wanted + self._ahead:
            return False
        first = self._gather_of[self._runs.first][0]
        for gather in range(first, self._gather_of[position][0] + 1):  # no slot for a later one before it
            with self._changed:
                if gather not in self._leases:
                    if (lease := self._ring.take()) is None:
                        return False
                    self._leases[gather] = lease, lease.tensors()
                    del lease
        return True

    def _give_without_slot(self) -> None:
        """All slots are held by who waits for this photo: it comes through the pipe."""
        if self._starved():
            run, position = next(self._runs.left()), self._runs.first
            worker = next((one for one in self._workers if one.run == run), self._workers[0])
            self._give(worker, run, Task(position, None, self._gather_of[position][1]))

    def _starved(self) -> bool:
        """Whether a photo is waited for that no worker was given for want of a slot, while all workers are idle."""
        waiting = self._runs.first == self._wanted < len(self._gather_of)
        return waiting and not any(worker.given for worker in self._workers)

    def _give(self, worker: _Worker, run: int, task: Task) -> None:
        self._runs.take(run)
        worker.given.append(task.position)
        worker.run = run
        with contextlib.suppress(OSError):  # it died: its sentinel says so
            worker.pipe.send(task)

    def _wanted_is_out(self) -> bool:
        """Whether somebody waits for a photo that a worker has: an encoder may compute for minutes before it asks."""
        return self._waited_for and self._runs.given(self._wanted) and self._wanted not in self._done


def _died(process: Any) -> DataError:
    process.join(5)
    status: int | None = process.exitcode
    how = f"was killed by signal {-status}" if status is not None and status < 0 else f"ended with status {status}"
    why = "probably for memory: use fewer --workers" if status == -signal.SIGKILL else "--workers 0 may show why"
    return DataError(f"a worker that makes views {how} ({why}); embeddings made so far are kept")
