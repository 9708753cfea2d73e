"""How worker processes are started, what they are sent, and the sentences about those that are lost."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from builders.errors import UsageError
from builders.processes import (
    Sandbox,
    SandboxError,
    WorkerKilled,
    WorkerLost,
    guards,
    map_sandboxed,
    pool,
    progress,
    sandbox,
)
from tests.builders.processes.test_pool import work

ROOT = Path(__file__).parents[3]


def test_start__program_pipes_and_environment(monkeypatch):
    started = []
    monkeypatch.setattr(sandbox.subprocess, "Popen", lambda command, **options: started.append((command, options)))
    monkeypatch.setattr(sandbox, "child_environment", lambda: {"BUDGET": "3"})
    monkeypatch.setattr(sys, "path", ["", "/a"])
    sandbox._start("module:function", 77)
    [(command, options)] = started
    assert command[:2] == [sys.executable, "-c"]
    assert command[3:] == ["module:function", "77", str(os.getpid())]
    assert options == {
        "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL,
        "env": {"BUDGET": "3", "PYTHONPATH": f"{os.getcwd()}{os.pathsep}/a"},
    }  # fmt: skip
    served = []
    monkeypatch.setattr(sandbox, "_serve", lambda *given: served.append(given))
    monkeypatch.setattr(sys, "argv", ["-c", *command[3:]])
    exec(command[2], {})
    assert served == [("module:function", 77, os.getpid())]
    assert sys.path == [str(ROOT / "builders" / "import_names"), "/a"]


@pytest.mark.parametrize(
    ("file", "header", "data"),
    [(b"bytes", [None, "x", "y"], b"bytes"), (b"", [None, "x", "y"], b""), (Path("/a/b"), ["/a/b", "x", "y"], b"")],
)
def test_send__two_lengths_a_header_and_the_bytes(file, header, data):
    stream = io.BytesIO()
    sandbox._send(stream, file, ("x", "y"))
    written = stream.getvalue()
    sizes = struct.unpack(">QQ", written[:16])
    text = json.dumps(header).encode()
    assert (sizes, written[16:]) == ((len(text), len(data)), text + data)


class Process:
    """A worker that has written some bytes to its output."""

    def __init__(self, written):
        reading, writing = os.pipe()
        os.write(writing, written)
        os.close(writing)
        self.stdin, self.stdout = io.BytesIO(), os.fdopen(reading, "rb")
        self.killed = False

    def kill(self):
        self.killed = True

    def wait(self):
        return -9


@pytest.mark.parametrize(
    ("answer", "error", "stopped"),
    [
        (b'{"ended": true, "value": 5}\n', None, False),
        (b'{"ended": false}\n', "needs more than 9 bytes of memory", False),
        (b'{"ended": true, "value": 5}', "ended its process (status -9)", True),  # it ended in the middle
        (b"", "ended its process (status -9)", True),
        (b"[]\n", "ended its process (status -9)", True),
        (b"5\n", "ended its process (status -9)", True),
        (b'{"ended": true}\n', "ended its process (status -9)", True),
        (b"no json\n", "ended its process (status -9)", True),
    ],
)
def test_call__of_every_answer(monkeypatch, answer, error, stopped):
    process = Process(answer)
    monkeypatch.setattr(sandbox, "_start", lambda target, memory_bytes: process)
    one = Sandbox("m:f", timeout_s=30, memory_bytes=9)
    if error is None:
        assert one.call(b"x", parse=lambda value: value + 1) == 6
    else:
        with pytest.raises(WorkerLost if stopped else SandboxError) as caught:
            one.call(b"x", parse=lambda value: value + 1)
        assert str(caught.value) == error
        assert getattr(caught.value, "status", None) == (-9 if stopped else None)
    assert (process.killed, one._process is None, process.stdout.closed) == (stopped, stopped, stopped)
    assert one.stop() == (None if stopped else -9)
    assert one.stop() is None


def test_call__an_answer_of_a_megabyte_and_a_longer_one(monkeypatch):
    text = "x" * (sandbox.MAX_ANSWER_BYTES - 100)
    parts: list[bytes] = []
    monkeypatch.setattr(sandbox.os, "read", lambda descriptor, size: parts.pop(0) if parts else b"")
    monkeypatch.setattr(sandbox.select, "select", lambda *given: ([1], [], []))
    one = Sandbox("m:f", timeout_s=30, memory_bytes=9)
    process = SimpleNamespace(stdout=SimpleNamespace(fileno=lambda: 7))
    parts[:] = [json.dumps({"value": text}).encode(), b"\n"]
    assert one._answer(process) == {"value": text}
    parts[:] = [b"x" * (sandbox.MAX_ANSWER_BYTES + 1), b"\n"]
    with pytest.raises(OSError, match="the worker closed its output or sends without end"):
        one._answer(process)


def test_map_sandboxed__so_many_sandboxes_with_their_limits(monkeypatch):
    made, stopped = [], []

    class Double:
        def __init__(self, target, **limits):
            made.append((target, limits))

        def stop(self):
            stopped.append(self)

    monkeypatch.setattr(sandbox, "Sandbox", Double)
    taken: list[int] = []

    def items():
        for i in range(20):
            taken.append(i)
            yield i

    results = map_sandboxed(
        lambda one, item: 10 * item, items(), target="m:f", workers=2, timeout_s=3.0, memory_bytes=5
    )
    assert (next(results), len(taken)) == (0, 8)
    assert list(results) == [10 * i for i in range(1, 20)]
    assert made == [("m:f", {"timeout_s": 3.0, "memory_bytes": 5})] * 2
    assert len(stopped) == 2


def test_limit_memory__on_top_of_what_the_imports_take(monkeypatch):
    import resource

    limits = []
    monkeypatch.setattr(resource, "setrlimit", lambda *given: limits.append(given))
    monkeypatch.setattr(sandbox, "_address_space", lambda: 1000)
    sandbox._limit_memory(77)
    assert limits == [(resource.RLIMIT_AS, (1077, 1077)), (resource.RLIMIT_CORE, (0, 0))]

    def lower(*_):
        raise ValueError("a lower limit is in force")

    monkeypatch.setattr(resource, "setrlimit", lower)
    sandbox._limit_memory(77)


@pytest.mark.parametrize(("text", "pages"), [("300 20 10", 300), ("", 0), ("many", 0), (None, 0)])
def test_address_space__pages_of_the_system(monkeypatch, text, pages):
    def read_text(path, **_):
        assert str(path) == "/proc/self/statm"
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(Path, "read_text", read_text)
    assert sandbox._address_space() == pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("workers", "tasks", "processes"), [(4, [1, 1], 2), (2, [1, 1, 1], 2), (1, [2], 1), (3, [], 1)]
)
def test_run_in_pool__no_more_processes_than_tasks(monkeypatch, workers, tasks, processes):
    made = []
    original = pool.ProcessPoolExecutor

    def recorded(count, **options):
        made.append((count, options["mp_context"].get_start_method(), options["initargs"][2]))
        return original(count, **options)

    monkeypatch.setattr(pool, "ProcessPoolExecutor", recorded)
    items: list[int] = []
    results = pool.run_in_pool(work, tasks, shared={"factor": 1, "pid": 0}, workers=workers, progress=items.append)
    assert [value for value, _, _ in results] == tasks
    assert sum(items) == sum(tasks)
    assert made == [(processes, "fork", os.getpid())]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_run_in_pool__the_sentence_about_a_killed_worker(monkeypatch, platform):
    class Broken:
        _processes = None

        def __init__(self, *_, **__):
            pass

        def submit(self, *_):
            raise pool.BrokenProcessPool

        def shutdown(self, **how):
            assert how == {"wait": True, "cancel_futures": True}

    monkeypatch.setattr(pool, "ProcessPoolExecutor", Broken)
    monkeypatch.setattr(pool, "sys", SimpleNamespace(platform=platform))
    with pytest.raises(WorkerKilled) as error:
        pool.run_in_pool(work, [1], shared=None, workers=1)
    reason = "out of memory?" if platform == "linux" else (
        'out of memory, or a script whose calls do not stand under: if __name__ == "__main__"?'
    )  # fmt: skip
    assert str(error.value) == f"a worker process was killed ({reason})"


def test_refuse_unguarded_main__within_the_import_of_a_spawned_worker(monkeypatch):
    pool.refuse_unguarded_main()
    monkeypatch.setattr(pool.multiprocessing, "current_process", lambda: SimpleNamespace(_inheriting=True))
    with pytest.raises(UsageError) as error:
        pool.refuse_unguarded_main()
    assert str(error.value) == (
        'workers cannot be started from a script whose calls do not stand under: if __name__ == "__main__"; write '
        "that line above the calls"
    )


@pytest.mark.parametrize("in_file", [True, False])
def test_handed__bytes_in_memory_or_in_a_file_that_goes(in_file):
    handed = pool._Handed(b"some", in_file=in_file)
    assert handed.bytes() == b"some"
    path = handed._path
    assert (path is not None) is in_file
    handed.remove()
    handed.remove()
    assert path is None or not os.path.exists(path)


@pytest.mark.parametrize(("text", "workers"), [("", 3), ("2", 2), ("9", 3), ("0", 1), ("two", 3)])
def test_default_workers__at_most_what_a_scheduler_gave(monkeypatch, text, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5, 9}, raising=False)
    monkeypatch.setenv("CAMTRACE_CPUS", text)
    assert pool.default_workers() == workers


@pytest.mark.parametrize("message", ["", "the run has ended"])
def test_exit_with_parent__polls_and_ends_with_a_sentence(monkeypatch, message, capsys):
    parents, ended = [5, 5, 1], []
    slept: list[float] = []
    monkeypatch.setattr(guards.os, "getppid", lambda: parents.pop(0))
    monkeypatch.setattr(guards.time, "sleep", slept.append)
    monkeypatch.setattr(guards.os, "_exit", ended.append)
    guards._wait_for_end(5, message)
    assert (slept, ended) == ([0.5, 0.5], [1])
    assert capsys.readouterr() == ("", f"{message}\n" if message else "")
    assert guards.END_SIGNALS == (signal.SIGINT, signal.SIGTERM)


def test_threads_of_guards_and_heartbeats__do_not_keep_the_process_alive(monkeypatch):
    ended, made = threading.Event(), []
    monkeypatch.setattr(
        guards, "_wait_for_end", lambda *given: made.append((threading.current_thread(), given)) or ended.set()
    )
    guards.exit_with_parent(7, "it has ended")
    assert ended.wait(60)
    [(thread, given)] = made
    assert (thread.daemon, given) == (True, (7, "it has ended"))
    with progress.heartbeat(io.StringIO()):
        beating = [thread.daemon for thread in threading.enumerate() if thread.name == "heartbeat"]
    assert beating
    assert all(beating)
