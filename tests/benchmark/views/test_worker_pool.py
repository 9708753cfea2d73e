"""The pool by hand, without processes: which position goes to which worker and slot, replies, errors, and stalls."""

import itertools
import os
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.views import PhotoViews
from benchmark.views.workers import pool as module
from benchmark.views.workers.pool import _Pool, _Worker
from benchmark.views.workers.runs import WorkQueue, next_choice
from benchmark.views.workers.worker import Reply, Task
from builders.errors import DataError


class Ring:
    """Free slots by number, whose leases have one tensor of two photos: ten times the slot, and one more."""

    def __init__(self, *free):
        self.free = list(free)

    def take(self):
        if not self.free:
            return None
        number = self.free.pop(0)
        return SimpleNamespace(
            number=number,
            tensors=lambda: [torch.tensor([[10.0 * number], [10.0 * number + 1]])],
            pixels=lambda place, shape: torch.full(shape, 100 * number + place, dtype=torch.uint8),
        )


class Pipe(SimpleNamespace):
    """An end of a pipe, which is a key as itself."""

    __hash__ = object.__hash__


def pool_of(gathers, *, free, ahead, workers=2, run_ids=()):
    """A pool without its thread and processes; ``pool.tasks`` are (worker, task) in the order of sending."""
    pool = object.__new__(_Pool)
    pool._queue = WorkQueue(sum(gathers), run_ids)
    pool._gather_of = [(g, place) for g, size in enumerate(gathers) for place in range(size)]
    pool._last = [place == gathers[g] - 1 for g, place in pool._gather_of]
    pool._ahead, pool._ring, pool._leases, pool._done = ahead, Ring(*free), {}, {}
    pool._wanted, pool._waiting, pool._error, pool._closing = 0, False, None, False
    pool._changed, pool._wake_up, pool.tasks = threading.Condition(), lambda: None, []
    pool._workers = [
        _Worker(
            SimpleNamespace(join=lambda seconds: None, exitcode=3, pid=0),
            Pipe(send=lambda task, number=number: pool.tasks.append((number, task))),
        )
        for number in range(workers)
    ]
    return pool


def new_tasks(pool):
    tasks, pool.tasks = pool.tasks, []
    return tasks


def test_give_out__as_many_ahead_as_allowed_in_the_slots_of_their_gathers():
    pool = pool_of([2, 1, 2, 2], free=[5, 7, 3], ahead=3)
    assert pool._give_out() is True
    assert new_tasks(pool) == [(0, Task(0, 5, 0)), (1, Task(1, 5, 1)), (0, Task(2, 7, 0))]
    assert pool._give_out() is False
    assert pool._ring.free == [3]  # no slot is taken before it is needed
    pool._wanted = 1
    assert pool._give_out() is True
    assert new_tasks(pool) == [(1, Task(3, 3, 0))]
    assert [worker.positions for worker in pool._workers] == [[0, 2], [1, 3]]
    pool._workers[0].positions.clear()
    pool._wanted = 3
    assert pool._give_out() is True
    assert new_tasks(pool) == [(0, Task(4, 3, 1))]
    assert pool._give_out() is False  # no slot is free
    pool._ring.free.append(5)
    assert pool._give_out() is True
    assert new_tasks(pool) == [(0, Task(5, 5, 0))]


@pytest.mark.parametrize(("ahead", "count"), [(1, 1), (2, 2), (3, 3), (4, 4), (5, 4)])
def test_give_out__no_more_than_ahead_and_two_for_each_worker(ahead, count):
    pool = pool_of([9], free=[0], ahead=ahead)
    pool._give_out()
    assert [task.position for _, task in new_tasks(pool)] == list(range(count))


def test_give_out__a_worker_that_stays_with_its_run_has_one_more():
    pool = pool_of([8], free=[0], ahead=8, run_ids=[0] * 4 + [1] * 4)
    pool._give_out()
    assert [(number, task.position) for number, task in new_tasks(pool)] == [
        (0, 0), (0, 1), (0, 2), (1, 4), (1, 5), (1, 6)
    ]  # fmt: skip
    assert [worker.run for worker in pool._workers] == [0, 1]


@pytest.mark.parametrize(("waiting", "done", "joins"), [(True, {}, True), (True, {0: 1}, False), (False, {}, False)])
def test_give_out__an_idle_worker_joins_a_run_only_while_a_photo_that_is_not_made_is_waited_for(waiting, done, joins):
    pool = pool_of([8], free=[0], ahead=8, run_ids=[0] * 8)
    pool._waiting, pool._done = waiting, done
    pool._give_out()
    assert {number for number, _ in new_tasks(pool)} == ({0, 1} if joins else {0})


def test_give_without_slot__only_where_the_wanted_photo_is_given_to_no_worker_and_all_are_idle():
    pool = pool_of([2, 2], free=[4], ahead=9, run_ids=[0, 0, 1, 1])
    pool._give_out()
    new_tasks(pool)
    for wanted, positions, starved in ((1, [], False), (2, [1], False), (2, [], True)):
        pool._wanted = wanted
        for worker, taken in zip(pool._workers, (positions, []), strict=True):
            worker.positions = list(taken)
        assert pool._starved() is starved
        pool._give_without_slot()
        assert new_tasks(pool) == ([(0, Task(2, None, 0))] if starved else [])
    pool._workers[0].positions.clear()
    pool._workers[1].run, pool._wanted = 1, 3  # the worker of the run goes on with it
    pool._workers[0].run = 0
    pool._give_without_slot()
    assert new_tasks(pool) == [(1, Task(3, None, 1))]
    pool._workers[1].positions.clear()
    pool._wanted = 4
    assert pool._starved() is False  # nothing is left


def test_wanted_is_given__while_the_caller_waits_for_a_photo_that_a_worker_has():
    pool = pool_of([3], free=[0], ahead=2)
    pool._give_out()
    for waiting, wanted, done, expected in (
        (True, 0, {}, True), (False, 0, {}, False), (True, 2, {}, False), (True, 1, {1: "reply"}, False),
    ):  # fmt: skip
        pool._waiting, pool._wanted, pool._done = waiting, wanted, done
        assert pool._wanted_is_given() is expected


def reply_to(task, *sent, pixels=None):
    return Reply(task, PhotoViews(40 + task.position, (), "", "", 0.5), sent, pixels)


def test_receive__the_reply_is_there_for_the_caller_and_the_worker_has_one_task_less():
    pool = pool_of([3], free=[0], ahead=3)
    pool._give_out()
    worker, reply = pool._workers[0], reply_to(Task(2, 0, 2))
    worker.pipe.recv = lambda: reply
    pool._receive(worker)
    assert (worker.positions, pool._done) == ([0], {2: reply})
    for error in (EOFError(), OSError("gone")):
        worker.pipe.recv = lambda error=error: (_ for _ in ()).throw(error)
        with pytest.raises(DataError, match="ended with status 3"):
            pool._receive(worker)


def test_next__views_from_the_slot_or_as_they_were_sent_and_the_lease_ends_with_its_last_photo():
    pool = pool_of([2, 1], free=[1, 2], ahead=9)
    pool._give_out()
    sent = np.array([7.0])
    pool._done = {
        0: reply_to(Task(0, 1, 0), None, pixels=(1, 2)),
        1: reply_to(Task(1, 1, 1), np.array([[5.0]]), pixels=np.array([[3]], np.uint8)),
        2: reply_to(Task(2, None, 0), sent, None),
    }
    first = pool.next(0)
    assert (first.index, [array.tolist() for array in first.arrays]) == (40, [[10.0]])
    assert first.decoded.tolist() == [[100, 100]]
    assert list(pool._leases) == [0, 1]
    second = pool.next(1)
    assert (second.arrays[0].tolist(), second.decoded.tolist()) == ([[5.0]], [[3]])  # not of the planned shape
    assert list(pool._leases) == [1]
    assert (pool._wanted, pool._waiting) == (1, False)
    third = pool.next(2)
    assert ([array.tolist() for array in third.arrays], third.decoded) == ([[7.0]], None)
    assert (pool._leases, pool._done) == ({}, {})


def test_next__an_error_of_the_thread_is_raised_after_the_photos_that_are_made():
    pool = pool_of([2], free=[1], ahead=9)
    pool._give_out()
    pool._done = {0: reply_to(Task(0, 1, 0), None)}
    pool._fail(DataError("a worker died"))
    assert pool.next(0).index == 40
    with pytest.raises(DataError, match="a worker died"):
        pool.next(1)


def test_serve__a_stall_is_an_error_only_while_a_photo_that_a_worker_has_is_waited_for(monkeypatch):
    """Each look finds nothing ready; the watch says from the third look on that nothing moves."""
    looks, timeouts = itertools.count(1), []

    def wait(sources, timeout):
        timeouts.append(timeout)
        pool._closing = next(looks) == 6
        return []

    watch = SimpleNamespace(reset=lambda: None, stalled=lambda seconds: len(timeouts) >= 3 and seconds == 60.0)
    monkeypatch.setattr(module, "wait", wait)
    monkeypatch.setattr(module, "Watch", lambda processes: watch)
    for waiting in (True, False):
        looks, timeouts[:] = itertools.count(1), []
        pool = pool_of([1], free=[0], ahead=1)
        pool._wake_read = -1
        for worker in pool._workers:
            worker.process.sentinel = object()
        pool._waiting = waiting
        pool._serve()
        assert len(timeouts) == (3 if waiting else 6)
        assert set(timeouts) == {module.LOOK_S}
        assert (str(pool._error) if waiting else pool._error) == (
            "the workers that make views have done nothing for 60 seconds; is the disk with the photos there? "
            "--workers 0 makes views without them" if waiting else None
        )  # fmt: skip


def test_close__ends_the_thread_and_every_worker_and_frees_the_ring():
    pool, steps = pool_of([2], free=[0], ahead=2), []
    alive = [[False], [True]]  # the second one ignores the request
    for number, worker in enumerate(pool._workers):
        worker.process = SimpleNamespace(
            **{
                name: lambda *given, name=name, number=number: steps.append((name, number, *given))
                for name in ("terminate", "join", "kill")
            },
            is_alive=lambda number=number: alive[number][0],
        )
        worker.pipe = SimpleNamespace(close=lambda number=number: steps.append(("closed", number)))
    pool._thread = SimpleNamespace(join=lambda: steps.append(("thread", pool._closing)))
    pool._ring.close = lambda: steps.append(("ring", len(pool._leases)))
    pool._leases = {0: "lease"}
    pool._wake_read, pool._wake_write = ends = os.pipe()
    pool.close()
    assert steps == [
        ("thread", True), ("terminate", 0), ("terminate", 1), ("join", 0, 5), ("closed", 0), ("join", 1, 5),
        ("kill", 1), ("join", 1), ("closed", 1), ("ring", 0),
    ]  # fmt: skip
    assert pool._wake_write == -1
    for descriptor in ends:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


def reference_choice(queue, loads, current, may_take, most, waiting):
    """``next_choice`` by its documentation: every candidate is listed, then the first one is taken."""
    order = sorted(range(len(loads)), key=lambda worker: (loads[worker], worker))
    left = [run for run in range(len(queue.next)) if queue.next[run] < queue._ends[run]]
    stays = [(w, current[w]) for w in order if loads[w] < most + 1 and current[w] in left and may_take(current[w])]
    if stays:
        return stays[0]
    takeable = []
    for run in left:
        if not may_take(run):
            break
        takeable.append(run)
    fresh = [run for run in takeable if run not in current]
    joined = takeable[:1] if waiting else []
    runs = fresh or joined
    return (order[0], runs[0]) if runs and loads[order[0]] < most else None


def test_next_choice__random_states_against_the_rules():
    rng = np.random.default_rng(0)
    chosen = set()
    for _ in range(3000):
        lengths = rng.integers(1, 4, rng.integers(1, 5))
        ids = np.repeat(np.arange(len(lengths)), lengths).tolist()
        queue = WorkQueue(len(ids), ids)
        for run, length in enumerate(lengths):
            for _ in range(rng.integers(0, length + 1)):
                queue.take(run)
        loads = rng.integers(0, 5, rng.integers(1, 4)).tolist()
        current = rng.integers(-1, len(lengths), len(loads)).tolist()
        allowed, most, waiting = rng.integers(0, 2, len(lengths)), int(rng.integers(1, 4)), bool(rng.integers(2))

        def may_take(run, allowed=allowed):
            return bool(allowed[run])

        expected = reference_choice(queue, loads, current, may_take, most, waiting)
        choice = next_choice(queue, loads, current, may_take, most=most, waiting=waiting)
        assert choice == expected
        chosen.add(choice is None)
    assert chosen == {True, False}
