"""What is reserved of a budget, unit by unit; how long a picture waits; what started processes are given."""

import os
import threading
from pathlib import Path

import pytest
from PIL import Image

from builders.processes import child_environment, memory, memory_budget, reserve_for
from builders.processes.memory import Reservation, free_memory

UNIT = 64 * 2**20
VARIABLE = "CAMTRACE_MEMORY_BUDGET"


def units_of(pixels):
    return -(-pixels * 40 // UNIT)


@pytest.mark.parametrize(
    ("size", "limit", "locked"),
    [
        ((4000, 3000), 100 * UNIT, None),  # 12 megapixels, the most that reserve nothing
        ((12_000_001, 1), 100 * UNIT, (8, 100)),
        ((4096, 4096), 100 * UNIT, (10, 100)),  # 640 MiB to the byte
        ((4096, 4097), 100 * UNIT, (11, 100)),
        ((13_000, 13_000), 100 * UNIT, (100, 100)),  # 101 units: more than the whole
        ((5000, 5000), 1, (1, 1)),  # a budget has one unit at least
        ((5000, 5000), 2 * UNIT - 1, (1, 1)),
        ((5000, 5000), 15 * UNIT, (15, 15)),
    ],
)
def test_reserve_for__units_of_64_mebibytes(monkeypatch, size, limit, locked):
    calls = []
    monkeypatch.setattr(memory, "_locked", lambda descriptor, wanted, units: calls.append((wanted, units)) or True)
    with memory_budget(limit):
        reservation = reserve_for(*size)
        assert reservation.held is (locked is not None)
        reservation.release()
        assert not reservation.held
        reservation.release()
    assert calls == ([locked] if locked else [])
    if locked and locked[0] < locked[1]:
        assert locked[0] == units_of(size[0] * size[1])


@pytest.fixture
def clock(monkeypatch):
    """No unit is free, and time passes in sleep alone."""
    now, slept = [0.0], []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(memory.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(memory.time, "sleep", sleep)
    return slept


def test_reserve_for__waits_ever_longer_for_an_hour_and_then_goes_on_without(monkeypatch, clock):
    monkeypatch.setattr(memory, "_locked", lambda *_: False)
    with memory_budget(UNIT):
        before = os.listdir("/proc/self/fd")
        assert not reserve_for(5000, 5000).held
        assert os.listdir("/proc/self/fd") == before
    assert clock[:6] == [0.01, 0.02, 0.04, 0.08, 0.16, 0.2]
    assert set(clock[5:]) == {0.2}
    assert 3600 <= sum(clock) < 3600.3


def test_reserve_for__a_thread_that_holds_one_does_not_wait_for_itself(monkeypatch, clock):
    free = [True, False, True, False, False]
    monkeypatch.setattr(memory, "_locked", lambda *_: free.pop(0) if free else False)
    with memory_budget(UNIT):
        first = reserve_for(5000, 5000)
        assert first.held
        assert not reserve_for(5000, 5000).held
        assert clock == []
        first.release()
        second = reserve_for(5000, 5000)
        assert second.held
        others: list[Reservation] = []
        thread = threading.Thread(target=lambda: others.append(Reservation(os.open(os.devnull, os.O_RDONLY))))
        thread.start()
        thread.join()
        second.release()
        assert not reserve_for(5000, 5000).held
        assert len(clock) > 1000  # the other thread's is none of this thread
        others[0].release()


def test_reserve_for__a_file_that_is_gone_and_units_that_neighbour_each_other(monkeypatch):
    monkeypatch.setenv(VARIABLE, "9:/nonexistent/budget")
    assert not reserve_for(5000, 5000).held
    monkeypatch.delenv(VARIABLE)
    with memory_budget(25 * UNIT):
        reservations = [reserve_for(4096, 4096) for _ in range(2)]
        assert all(one.held for one in reservations)
        descriptor = os.open(child_environment()[VARIABLE].partition(":")[2], os.O_RDWR)
        assert not memory._locked(descriptor, 6, 25)  # five are free
        assert memory._locked(descriptor, 5, 25)
        reservations[0].release()
        assert memory._locked(descriptor, 10, 25)
        os.close(descriptor)
        reservations[1].release()


def test_tie_to__the_end_of_a_picture_releases_it():
    with memory_budget(25 * UNIT):
        reservation, picture = reserve_for(4096, 4096), Image.new("L", (2, 2))
        reservation.tie_to(picture)
        assert reservation.held
        del picture
        assert not reservation.held
    Reservation(None).tie_to(Image.new("L", (1, 1)))


def test_memory_budget__half_of_the_free_memory_and_that_of_the_parent(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(memory, "free_memory", lambda: 21 * UNIT)
    with memory_budget():
        assert child_environment()[VARIABLE].startswith(f"10:/proc/{os.getpid()}/fd/")
        assert {**child_environment(), VARIABLE: ""} == {**os.environ, VARIABLE: ""}
    assert VARIABLE not in child_environment()
    monkeypatch.setenv(VARIABLE, "3:/proc/1/fd/5")
    with memory_budget(100 * UNIT):
        assert child_environment()[VARIABLE] == "3:/proc/1/fd/5"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("MemTotal: 9 kB\nMemAvailable:    2048 kB\nMemFree: 1 kB\n", 2 << 20),
        ("MemTotal: 9 kB\n", 4 << 30),
        ("MemAvailable: many kB\n", 4 << 30),
        ("MemAvailable:\n", 4 << 30),
        (None, 4 << 30),
    ],
)
def test_free_memory__as_the_system_states_it(monkeypatch, text, size):
    def read_text(path, **_):
        assert str(path) == "/proc/meminfo"
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(Path, "read_text", read_text)
    assert free_memory() == size
