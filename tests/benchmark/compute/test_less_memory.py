"""Work that is begun again with less memory, which errors mean that, and what a machine says of its memory."""

import os

import pytest
import torch

from benchmark.compute import budget, exact_device, free_on_host, memory, out_of_memory, with_less_memory
from benchmark.compute.memory import LEAST_RETRY_BYTES, MESSAGES
from builders.errors import EncoderError

GIB = 1 << 30


NO_ROOM = MemoryError("no room")


def failing(above, error=NO_ROOM):
    """Work that needs at most so many bytes, and what it was given."""
    given = []

    def work(memory_bytes):
        given.append(memory_bytes)
        if memory_bytes > above:
            raise error
        return f"with {memory_bytes}"

    return work, given


@pytest.mark.parametrize(
    ("above", "first", "tries"),
    [
        (100 << 20, 100 << 20, [100 << 20]),
        (30 << 20, 100 << 20, [100 << 20, 50 << 20, 25 << 20]),
        (1 << 20, 3 << 20, [3 << 20, 3 << 19, 1 << 20]),  # never less than the least
        (5, 5, [5]),
    ],
)
def test_with_less_memory__halves_until_it_fits(capsys, above, first, tries):
    work, given = failing(above)
    assert with_less_memory("kNN", work, first) == f"with {tries[-1]}"
    assert given == tries
    assert capsys.readouterr().err.splitlines() == [
        f"camtrace: kNN: memory ran out, again with {tried >> 20} MiB at a time" for tried in tries[1:]
    ]


@pytest.mark.parametrize("first", [LEAST_RETRY_BYTES, 10, 4 * LEAST_RETRY_BYTES])
def test_with_less_memory__gives_up_at_the_least(first):
    work, given = failing(0)
    with pytest.raises(EncoderError, match="kNN"):
        with_less_memory("kNN", work, first)
    assert given == ([first] if first <= LEAST_RETRY_BYTES else [first, first // 2, first // 4])
    work, given = failing(0, ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        with_less_memory("kNN", work, first)
    assert given == [first]


def caused_by(cause):
    try:
        raise EncoderError("x") from cause
    except EncoderError as error:
        return error


@pytest.mark.parametrize("message", MESSAGES)
def test_out_of_memory__by_what_libraries_say(message):
    error = RuntimeError(f"[a] {message} [b]")
    assert out_of_memory(error)
    assert out_of_memory(caused_by(caused_by(error)))
    assert out_of_memory(caused_by(MemoryError()))
    assert not out_of_memory(EncoderError(message))
    assert not out_of_memory(caused_by(KeyError(message)))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "MEMORY_INFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "PROCESS_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "fs")
    return tmp_path


@pytest.mark.parametrize("text", [None, "MemTotal: 8 kB\n", "MemAvailable: lots kB\n", "MemAvailable:\n"])
def test_free_on_host__where_the_system_does_not_say_it(machine, monkeypatch, text):
    if text is not None:
        (machine / "meminfo").write_text(text)
    pages = {"SC_PHYS_PAGES": 6 * 1024, "SC_PAGE_SIZE": 1 << 20}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    assert free_on_host() == 3 * GIB
    assert budget("cpu") == 3 * GIB // 2
    assert budget("cpu", 0.25) == 3 * GIB // 4

    def unknown(name):
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert free_on_host() == memory.UNKNOWN_BYTES


@pytest.mark.parametrize(
    ("lines", "files", "free"),
    [
        ("0::/job", {"job/memory.max": 5, "job/memory.current": 2}, 3),
        ("0::/job", {"job/memory.max": 5, "job/memory.current": 9}, 0),  # used more than the limit
        ("0::/job", {"job/memory.max": 5}, 8),  # no number of what is used
        ("0::/job", {"memory.max": 4, "memory.current": 1, "job/memory.max": 6, "job/memory.current": 1}, 3),
        ("3:cpu,memory:/job", {"memory/job/memory.limit_in_bytes": 5, "memory/job/memory.usage_in_bytes": 1}, 4),
        ("3:cpu:/job", {"memory/job/memory.limit_in_bytes": 5, "memory/job/memory.usage_in_bytes": 1}, 8),
        ("3:memory_recursive:/job", {"memory/job/memory.limit_in_bytes": 5, "memory/job/memory.usage_in_bytes": 1}, 8),
        ("0::/job", {"memory/job/memory.max": 5, "memory/job/memory.current": 1}, 8),
    ],
)
def test_free_on_host__in_control_groups(machine, lines, files, free):
    (machine / "meminfo").write_text(f"MemFree: 1 kB\nMemAvailable: {8 << 20} kB\nMemAvailable: 1 kB\n")
    (machine / "cgroup").write_text(f"{lines}\n")
    for name, gib in files.items():
        path = machine / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{gib * GIB}\n")
    assert free_on_host() == free * GIB


@pytest.mark.parametrize(
    ("device", "exact"), [("mps", "cpu"), ("cpu", "cpu"), ("cuda", "cuda"), (torch.device("cuda", 1), "cuda:1")]
)
def test_exact_device__is_the_cpu_for_mps_alone(device, exact):
    assert exact_device(device) == torch.device(exact)


def test_out_of_memory__an_error_while_another_was_handled_is_not_caused_by_it():
    def while_handled(cause):
        try:
            raise MemoryError
        except MemoryError:
            raise ValueError("another") from cause

    for cause, ran_out in ((None, False), (KeyError(), False), (MemoryError(), True)):
        with pytest.raises(ValueError, match="another") as caught:
            while_handled(cause)
        assert isinstance(caught.value.__context__, MemoryError)
        assert out_of_memory(caught.value) is ran_out
