"""Worker processes with limits that answer in JSON."""

import os
import sys
import time
from pathlib import Path

import pytest

from builders.processes import Sandbox, SandboxError, WorkerLost, map_sandboxed

HERE = f"{__name__}:served"


def served(file, *arguments):
    """What the tests ask a worker to do."""
    if not isinstance(file, bytes):
        return {"path": str(file), "arguments": arguments}
    if file == b"crash":
        os.kill(os.getpid(), 11)
    if file == b"raise":
        raise KeyError
    if file == b"hang":
        time.sleep(60)
    if file == b"memory":
        bytearray(2**33)
    if file == b"print":
        print("no answer", flush=True)
        os.write(1, b"nor this\n")
    if file == b"long":
        return "x" * 2**21
    return {"size": len(file), "arguments": arguments}


@pytest.fixture
def worker():
    one = Sandbox(HERE, timeout_s=30, memory_bytes=2**30)
    yield one
    one.stop()


def identity(value):
    return value


def test_sandbox__gives_paths_as_they_are_and_bytes_and_arguments(worker):
    odd = Path(os.fsdecode(b"caf\xe9.jpg"))
    assert worker.call(odd, "a", "\u00e9", parse=identity) == {"path": str(odd), "arguments": ["a", "\u00e9"]}
    assert worker.call(b"12345", parse=identity) == {"size": 5, "arguments": []}


@pytest.mark.parametrize(("file", "status"), [(b"crash", -11), (b"raise", 1)])
def test_sandbox__a_worker_that_ends_is_replaced(worker, file, status):
    with pytest.raises(WorkerLost) as caught:
        worker.call(file, parse=identity)
    assert caught.value.status == status
    assert worker.call(b"12", parse=identity)["size"] == 2


def test_sandbox__memory_has_a_limit_and_the_worker_goes_on(worker):
    worker.call(b"12", parse=identity)
    process = worker._process
    with pytest.raises(SandboxError, match="1073741824"):
        worker.call(b"memory", parse=identity)
    assert worker.call(b"12", parse=identity)["size"] == 2
    assert worker._process is process


def test_sandbox__time_has_a_limit(worker):
    worker.call(b"12", parse=identity)
    worker.timeout_s = 0.5
    with pytest.raises(SandboxError, match=r"^took longer than 0\.5 s$"):
        worker.call(b"hang", parse=identity)
    worker.timeout_s = 30
    assert worker.call(b"12", parse=identity)["size"] == 2


def test_sandbox__what_a_library_prints_is_no_answer(worker):
    assert worker.call(b"print", parse=identity)["size"] == 5


def test_sandbox__an_answer_that_is_malformed_or_without_end_loses_the_worker(worker):
    with pytest.raises(WorkerLost):
        worker.call(b"long", parse=identity)
    with pytest.raises(WorkerLost):
        worker.call(b"12", parse=lambda value: value["absent"])
    assert worker.call(b"12", parse=identity)["size"] == 2


def size(worker, file):
    try:
        return worker.call(file, parse=lambda value: value["size"])
    except WorkerLost as error:
        return error.status


def sizes(files, workers):
    return map_sandboxed(size, files, target=HERE, workers=workers, timeout_s=60, memory_bytes=2**30)


def test_map_sandboxed__results_are_in_order():
    assert list(sizes([b"x" * n for n in range(9)] + [b"crash"] + [b"12"], workers=2)) == [*range(9), -11, 2]


def test_map_sandboxed__takes_items_only_as_fast_as_results_are_read():
    taken = []

    def files():
        for i in range(100):
            taken.append(i)
            yield b"x"

    results = sizes(files(), workers=1)
    next(results)
    assert len(taken) <= 8
    results.close()


def test_map_sandboxed__calls_end_when_it_is_interrupted():
    ends = []

    def request(worker, file):
        try:
            return worker.call(file, parse=lambda value: value["size"])
        except SandboxError as error:
            ends.append(str(error))

    results = map_sandboxed(request, [b"1", b"hang", b"2"], target=HERE, workers=1, timeout_s=50, memory_bytes=2**30)
    assert next(results)
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt)
    assert ends
    assert not any("longer than" in end for end in ends)


def test_sandbox__ends_when_its_parent_is_killed(tmp_path):
    """A worker that hangs reads no end of its input."""
    import subprocess

    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        f"from builders.processes import Sandbox\n"
        f"worker = Sandbox({HERE!r}, timeout_s=60, memory_bytes=2**30)\n"
        "worker.call(b'12', parse=str)\n"
        "print(worker._process.pid, flush=True)\n"
        "worker.call(b'hang', parse=str)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 30
    while _runs(pid) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _runs(pid)


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
