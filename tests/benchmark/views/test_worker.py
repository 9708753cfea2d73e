"""A worker by hand: what it writes into a slot, what it sends, how it begins and ends, and when it has stalled."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmark.views import PhotoViews
from benchmark.views.workers import worker as module
from benchmark.views.workers.ring import Row, SlotPlan
from benchmark.views.workers.worker import Reply, Task, Watch, _reply, work

PLAN = SlotPlan(2, (Row((2, 3), np.dtype(np.uint8)), Row((2,), np.dtype(np.float32))), decoded_bytes=12)


class Ring:
    """Two slots in this process."""

    plan = PLAN

    def __init__(self):
        self.slots = [np.zeros(PLAN.nbytes, np.uint8) for _ in range(2)]

    def memory(self, number):
        return self.slots[number]


def made(*arrays, decoded=None):
    tensors = tuple(torch.from_numpy(array) for array in arrays)
    return PhotoViews(7, tensors, "", "q75 4:2:0", 0.5, decoded=None if decoded is None else torch.from_numpy(decoded))


BYTES, FLOATS = np.arange(6, dtype=np.uint8).reshape(2, 3), np.array([1.5, 2.5], np.float32)


def test_reply__views_of_the_planned_shape_are_written_into_the_slot():
    ring, task = Ring(), Task(5, 1, 1)
    reply = _reply(task, made(BYTES, FLOATS), ring)
    assert reply == Reply(task, PhotoViews(7, (), "", "q75 4:2:0", 0.5), (None, None), None)
    np.testing.assert_array_equal(PLAN.views(ring.slots[1], 0)[1], BYTES)
    np.testing.assert_array_equal(PLAN.views(ring.slots[1], 1)[1], FLOATS)
    assert not PLAN.views(ring.slots[1], 0)[0].any()
    assert not ring.slots[0].any()


@pytest.mark.parametrize(
    ("slot", "arrays", "sent"),
    [
        (None, (BYTES, FLOATS), (True, True)),
        (0, (BYTES[:1], FLOATS), (True, False)),
        (0, (BYTES.astype(np.float32), FLOATS), (True, False)),
        (0, (BYTES, FLOATS.astype(np.float64)), (False, True)),
    ],
)
def test_reply__other_views_are_sent(slot, arrays, sent):
    ring = Ring()
    reply = _reply(Task(0, slot, 0), made(*arrays), ring)
    assert tuple(array is not None for array in reply.sent) == sent
    for array, given in zip(reply.sent, arrays, strict=True):
        if array is not None:
            np.testing.assert_array_equal(array, given)
            assert array.dtype == given.dtype
    assert ring.slots[0].any() == (slot is not None)


def test_reply__pixels_of_a_decoded_photo():
    ring, small = Ring(), np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    reply = _reply(Task(0, 0, 1), made(decoded=small), ring)
    assert (reply.pixels, reply.sent, reply.made.decoded) == ((2, 2, 3), (), None)
    np.testing.assert_array_equal(PLAN.pixels(ring.slots[0], 1, (2, 2, 3)), small)
    large = np.ones((1, 5, 3), np.uint8)
    for slot, pixels in ((0, large), (None, small)):
        np.testing.assert_array_equal(_reply(Task(0, slot, 0), made(decoded=pixels), Ring()).pixels, pixels)


def test_work__until_the_pipe_is_closed(monkeypatch):
    steps, tasks = [], [Task(3, None, 0), Task(4, None, 0)]

    class Pipe:
        def recv(self):
            if not tasks:
                raise EOFError
            return tasks.pop(0)

        def send(self, reply):
            steps.append((reply.task.position, reply.made.index))

    def make(position):
        return PhotoViews(10 + position, (), "", "", 0.0)

    monkeypatch.setattr(module, "setup_child", lambda: steps.append("set up"))
    monkeypatch.setattr(module, "declare_worker", lambda: steps.append("declared"))
    monkeypatch.setattr(module.torch, "set_num_threads", lambda count: steps.append(count))
    others = [SimpleNamespace(close=lambda i=i: steps.append(f"closed {i}")) for i in range(2)]
    work(make, Ring(), Pipe(), others)
    assert steps == ["set up", "declared", "closed 0", "closed 1", 1, (3, 13), (4, 14)]


@pytest.fixture
def machine(monkeypatch):
    """A clock, and files of ``/proc`` by process and name."""
    w = SimpleNamespace(now=100.0, files={})
    monkeypatch.setattr(module.time, "monotonic", lambda: w.now)
    monkeypatch.setattr(module, "_proc", lambda process, name: w.files.get((process, name), b""))
    return w


def stat(state=b"S", user=3, system=4):
    """``/proc/PID/stat`` of a process whose name has a bracket and a space."""
    return b"12 (a) b) " + b" ".join([state, *[b"0"] * 10, b"%d" % user, b"%d" % system, b"9", b"9"])


def test_watch__only_idle_time_counts(machine):
    machine.files = {(1, "stat"): stat(), (1, "io"): b"read 5"}
    watch = Watch([1])

    def stalled(after, patience=5.0):
        machine.now += after
        return watch.stalled(patience)

    assert [stalled(2.0), stalled(2.0), stalled(1.0)] == [False, False, False]
    assert stalled(0.1) is True
    for changed in ((1, "stat"), stat(user=4)), ((1, "stat"), stat(user=4, system=5)), ((1, "io"), b"read 6"):
        machine.files[changed[0]] = changed[1]
        assert stalled(1.0, 0.0) is False  # it has done something
        assert stalled(1.0, 0.5) is True
    watch.reset()
    assert [stalled(100.0), stalled(100.0), stalled(100.0)] == [
        False,
        False,
        True,
    ]  # 2 s each: this process was stopped
    watch.reset()
    machine.files[1, "stat"] = stat(state=b"R", user=4, system=5)
    assert [stalled(2.0, 1.0), stalled(2.0, 1.0)] == [False, False]  # it waits for a core
    machine.files = {}
    assert [stalled(2.0, 3.0), stalled(2.0, 3.0), stalled(2.0, 3.0)] == [False, False, True]
