"""Workers that die, stop or wait, memory that is reused, and a /dev/shm as small as Docker's."""

import dataclasses
import gc
import itertools
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from benchmark.views import PhotoViews, PlainViews, iterate_views
from benchmark.views.workers import pool as workers_module
from benchmark.views.workers import ring as ring_module
from benchmark.views.workers.pool import made_by_workers
from benchmark.views.workers.ring import Ring, Row, SlotPlan, shared_folder
from benchmark.views.workers.runs import WorkQueue, next_choice
from benchmark.views.workers.worker import Watch
from builders.errors import DataError
from builders.kernels import VARIABLE
from builders.photos import PhotoSet
from builders.processes import memory
from tests.support.processes import run_python

ROW = Row((2, 3), np.dtype(np.uint8))


def numbered(position: int) -> PhotoViews:
    """Views whose values are the position of their photo."""
    return PhotoViews(position, (torch.full((2, 3), position, dtype=torch.uint8),), "", "", 0.0)


def made(make, count=9, gather=3, slots=4, workers=2, ahead=6):
    gathers = [min(gather, count - start) for start in range(0, count, gather)]
    return made_by_workers(make, gathers, SlotPlan(gather, (ROW,), 0), slots, workers, ahead=ahead)


@pytest.mark.slow
def test_made_by_workers__views_of_a_gather_are_adjacent_in_memory():
    for start in (0, 3, 6):
        stream = made(numbered)
        photos = list(stream)
        assert [photo.index for photo in photos] == list(range(9))
        assert [photo.arrays[0].tolist() for photo in photos] == [[[i] * 3] * 2 for i in range(9)]
        addresses = [photo.arrays[0].data_ptr() for photo in photos[start : start + 3]]
        assert np.diff(addresses).tolist() == [ROW.nbytes, ROW.nbytes]


@pytest.mark.slow
def test_made_by_workers__a_slot_is_reused_only_when_its_last_tensor_is_deleted():
    """Two slots, seven gathers: all photos stay valid if all are held; if they are released, memory is reused."""
    photos = list(made(numbered, count=21, slots=2))
    assert [int(photo.arrays[0][0, 0]) for photo in photos] == list(range(21))
    seen = set()
    for photo in made(numbered, count=21, slots=2):
        seen.add(photo.arrays[0].data_ptr())
        assert int(photo.arrays[0][1, 2]) == photo.index
        del photo
    assert len(seen) <= 6 + 3  # the photos of two slots, and those sent through a pipe


def by_process(position: int) -> PhotoViews:
    return PhotoViews(
        position, (torch.zeros((2, 3), dtype=torch.uint8),), "", "", 0.0, digest=str(os.getpid()).encode()
    )


def test_made_by_workers__a_run_is_made_by_one_worker():
    plan = SlotPlan(4, (ROW,), 0)
    run_ids = [position // 2 for position in range(40)]
    photos = list(made_by_workers(by_process, [4] * 10, plan, 4, 2, ahead=8, run_ids=run_ids))
    workers = [photo.digest for photo in photos]
    assert workers[::2] == workers[1::2]
    assert len(set(workers)) == 2


class Warm:
    """A source that records which process warmed it up with which row; its photos are 2 x 2 grey pixels."""

    def __init__(self) -> None:
        self.warmed = []

    def read(self, row: int) -> bytes:
        return b"P6 2 2 255\n" + bytes([len(self.warmed)] * 12)

    def warm_up(self, row: int) -> None:
        self.warmed.append((os.getpid(), row))


def test_iterate_views__a_source_is_warmed_up_once_before_its_workers():
    photos = PhotoSet.of_bytes("grey", {str(i): b"" for i in range(5)})
    photos = dataclasses.replace(photos, source=Warm(), rows=np.arange(10, 15))
    shown = [views.arrays[0].max() for views in iterate_views(photos, [3, 4], PlainViews(), [np.asarray], workers=2)]
    assert photos.source.warmed == [(os.getpid(), 13)]
    assert shown == [1, 1]  # the workers were forked after it
    assert [v.arrays[0].max() for v in iterate_views(photos, [3], PlainViews(), [np.asarray])] == [1]
    assert len(photos.source.warmed) == 1


def simulated(queue: WorkQueue, seconds, ahead: int, waiting) -> list[set[int]]:
    """Per run, the workers that made positions of it; worker ``w`` takes ``seconds[w]`` per position, and each photo is
    requested as soon as it is made."""
    held, current = [[] for _ in seconds], [-1] * len(seconds)
    clock, done, makers = [0.0] * len(seconds), set(), {}
    while True:
        wanted = next(i for i in itertools.count() if i not in done)
        while choice := next_choice(
            queue,
            [len(positions) for positions in held],
            current,
            lambda run: queue.next[run] < wanted + ahead,  # noqa: B023
            most=2,
            waiting=waiting,
        ):
            held[choice.worker].append(queue.take(choice.run))
            current[choice.worker] = choice.run
            makers.setdefault(choice.run, set()).add(choice.worker)
        busy = [worker for worker in range(len(seconds)) if held[worker]]
        if not busy:
            assert queue.first == len(done)
            return [makers[run] for run in sorted(makers)]
        soonest = min(busy, key=lambda worker: clock[worker] + seconds[worker])
        now = clock[soonest] + seconds[soonest]
        clock = [time if worker in busy else now for worker, time in enumerate(clock)]
        clock[soonest] = now
        done.add(held[soonest].pop(0))


@pytest.mark.parametrize("seconds", [(1.0, 1.0), (1.0, 3.7), (1.0, 1.3, 0.8)])
def test_next_choice__a_run_is_made_by_one_worker_unless_a_photo_is_waited_for(seconds):
    """44 scenes through 27 cameras: a worker continues its run when more may be made ahead."""
    scenes = simulated(WorkQueue(44 * 27, [i // 27 for i in range(44 * 27)]), seconds, 93, waiting=False)
    assert [len(workers) for workers in scenes] == [1] * 44
    assert set.union(*scenes) == set(range(len(seconds)))


def test_next_choice__a_worker_without_a_run_to_begin_helps_when_a_photo_is_waited_for():
    for waiting, expected in ((False, [{0}]), (True, [{0, 1}])):
        assert simulated(WorkQueue(27, [0] * 27), (1.0, 1.0), 93, waiting) == expected
    scenes = simulated(WorkQueue(44 * 27, [i // 27 for i in range(44 * 27)]), (1.0, 1.3), 93, waiting=True)
    assert [len(workers) for workers in scenes[:-2]] == [1] * 42


def test_next_choice__independent_positions_go_to_the_worker_with_the_fewest():
    queue = WorkQueue(3)
    assert next_choice(queue, [1, 0], [-1, -1], lambda run: True, most=2, waiting=False) == (1, 0)
    assert next_choice(queue, [2, 2], [-1, -1], lambda run: True, most=2, waiting=False) is None
    assert next_choice(queue, [0, 0], [-1, -1], lambda run: False, most=2, waiting=True) is None


def deadly(position: int) -> PhotoViews:
    if position == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return numbered(position)


def test_made_by_workers__a_worker_that_is_killed_is_an_error_at_once():
    stream = made(deadly)
    with pytest.raises(DataError, match="--workers"):
        list(stream)
    assert not [child for child in multiprocessing.active_children() if child.name == "views"]


def asleep(position: int) -> PhotoViews:
    time.sleep(3600 if position == 4 else 0)
    return numbered(position)


@pytest.mark.slow
def test_made_by_workers__workers_that_do_nothing_are_an_error(monkeypatch):
    monkeypatch.setattr(workers_module, "STALLED_S", 0.5)
    with pytest.raises(DataError, match="nothing"):
        list(made(asleep))


def busy(position: int) -> PhotoViews:
    until = time.process_time() + (0.7 if position == 4 else 0)
    while time.process_time() < until:
        pass
    return numbered(position)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports how much a process computes")
def test_made_by_workers__a_photo_that_takes_long_is_waited_for(monkeypatch):
    monkeypatch.setattr(workers_module, "STALLED_S", 0.3)
    assert len(list(made(busy))) == 9


def waits_for_memory(position: int) -> PhotoViews:
    if position == 4:
        memory.LONGEST_WAIT_S = 0.9
        memory.reserve_for(13_000, 13_000)
    return numbered(position)


def reads_slowly(position: int) -> PhotoViews:
    if position == 4:
        with open(os.devnull, "rb") as file:
            for _ in range(9):
                time.sleep(0.1)
                os.read(file.fileno(), 1)
    return numbered(position)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports what a process reads")
@pytest.mark.parametrize("make", [waits_for_memory, reads_slowly])
def test_made_by_workers__waiting_for_memory_and_reading_are_no_stall(monkeypatch, make):
    monkeypatch.setattr(workers_module, "STALLED_S", 0.4)
    monkeypatch.setattr(workers_module, "LOOK_S", 0.1)
    with memory.memory_budget(1 << 30):
        held = memory.reserve_for(13_000, 13_000)
        assert len(list(made(make))) == 9
        held.release()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux reports the state of a process")
def test_watch__a_process_that_waits_for_a_core_has_not_stalled():
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"], stdout=-1)
    assert sleeper.stdout.read(1) == b"1"
    try:
        time.sleep(0.1)
        watch = Watch([sleeper.pid])
        time.sleep(0.01)
        assert watch.stalled(0.0)
        with_this_one = Watch([sleeper.pid, os.getpid()])  # which is running during the check
        time.sleep(1.1)
        assert not with_this_one.stalled(1.0)
    finally:
        sleeper.kill()
        sleeper.communicate()


def test_made_by_workers__closed_before_its_end_leaves_no_process():
    stream = made(numbered)
    next(stream)
    stream.close()
    assert not [child for child in multiprocessing.active_children() if child.name == "views"]


def test_made_by_workers__workers_begin_at_once_and_end_with_their_stream_even_if_it_was_never_read():
    for leave in ("close", "__del__"):
        stream = made(numbered)
        workers = [child for child in multiprocessing.active_children() if child.name == "views"]
        assert len(workers) == 2
        getattr(stream, leave)()
        assert not any(child.is_alive() for child in workers)
        assert list(stream) == []
    stream = made(numbered)
    with pytest.raises(RuntimeError, match="enough"):
        stream.throw(RuntimeError("enough"))
    assert not [child for child in multiprocessing.active_children() if child.name == "views"]


def test_ring__for_processes_that_are_not_forked_is_a_file_where_there_is_space(monkeypatch, tmp_path):
    monkeypatch.setattr(ring_module, "SHARED_FOLDER", tmp_path)
    monkeypatch.setattr(ring_module.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(64, 64, 10_000))
    assert shared_folder(10_000) == tmp_path
    assert shared_folder(10_001) != tmp_path
    ring = Ring(SlotPlan(3, (ROW,), 0), 2, forked=False)
    assert ring.path.parent == tmp_path
    received = pickle.loads(pickle.dumps(ring))
    lease = ring.take()
    ring.plan.views(received.memory(lease.number), 0)[1] = 7
    assert lease.tensors()[0][:, 0, 0].tolist() == [0, 7, 0]
    ring.close()
    assert not list(tmp_path.iterdir())


SMALL_SHM = """
import ctypes, os, pathlib, shutil, subprocess, sys
rules = {"setgroups": "deny", "uid_map": f"0 {os.getuid()} 1", "gid_map": f"0 {os.getgid()} 1"}
if ctypes.CDLL(None).unshare(0x10000000 | 0x20000):  # CLONE_NEWUSER, CLONE_NEWNS
    sys.exit("no mount namespaces here")
for name, rule in rules.items():
    pathlib.Path("/proc/self", name).write_text(rule)
for mount in ("--make-rprivate /", "-t tmpfs -o size=64m tmpfs /dev/shm"):
    if subprocess.run(["mount", *mount.split()]).returncode:
        sys.exit("no mounts here")
assert shutil.disk_usage("/dev/shm").total == 64 << 20
from tests.benchmark.views.test_workers import large_views
print(large_views(8))
"""


def large_views(workers: int) -> tuple[int, int]:
    """24 photos of 15 MB of views each: a few workers hold more than 64 MB."""
    photos = PhotoSet.of_bytes("noise", {str(i): b"P6 2 2 255\n" + bytes([i] * 12) for i in range(24)})
    stream = iterate_views(photos, range(24), PlainViews(), [enlarged], workers=workers, gathers=[2] * 12)
    return sum(not views.failure for views in stream), sum(1 for _ in os.scandir("/dev/shm"))


def enlarged(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((2236, 2236)))


@pytest.mark.slow
def test_iterate_views__64_mb_of_shared_memory_and_eight_workers():
    """Docker's default, with which an earlier loader waited for ever."""
    done = run_python("-c", SMALL_SHM, env={**os.environ, "PYTHONPATH": os.getcwd(), VARIABLE: "pillow"})
    if done.stderr.endswith((" namespaces here\n", "no mounts here\n")):
        pytest.skip(done.stderr)
    assert done.stdout.strip() == "(24, 0)", done.stderr


def threads_here(position: int) -> PhotoViews:
    """Numbers of threads of the libraries in a worker, after each has had work for several."""
    square = np.ones((300, 300))
    assert (square @ square == 300).all()
    assert (torch.ones(300, 300) @ torch.ones(300, 300) == 300).all()
    most = max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
    counts = torch.tensor([[most] * 3, [torch.get_num_threads()] * 3], dtype=torch.uint8)
    return PhotoViews(position, (counts,), "", "", 0.0)


def test_made_by_workers__each_worker_has_one_thread_however_many_this_process_has():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with threadpool_limits(3):
            (torch.ones(400, 400) @ torch.ones(400, 400)).sum()
            (np.ones((400, 400)) @ np.ones((400, 400))).sum()
            counts = [photo.arrays[0].tolist() for photo in made(threads_here)]
            assert counts == [[[1] * 3] * 2] * 9
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


class Ends:
    """Garbage that may be deleted only in its process, for example a runtime whose deletion waits for its threads."""

    def __init__(self) -> None:
        self.process, self.itself = os.getpid(), self

    def __del__(self) -> None:
        if os.getpid() != self.process:
            os.kill(os.getpid(), signal.SIGKILL)


def collecting(position: int) -> PhotoViews:
    gc.collect()
    return numbered(position)


def test_made_by_workers__do_not_collect_garbage_of_the_parent():
    gc.disable()
    try:
        Ends()
        assert len(list(made(collecting))) == 9
    finally:
        gc.enable()
        gc.collect()
