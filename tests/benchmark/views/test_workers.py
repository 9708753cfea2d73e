"""Workers that die, stop or wait, memory that is used again, and a /dev/shm as small as Docker's."""

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
import types

import numpy as np
import pytest
import torch
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from benchmark.views.acquisition import PlainViews
from benchmark.views.loading import iterate_views
from benchmark.views.recipe import PhotoViews
from benchmark.views.workers import pool as workers_module
from benchmark.views.workers import ring as ring_module
from benchmark.views.workers import worker as watch_module
from benchmark.views.workers.pool import made_by_workers
from benchmark.views.workers.ring import Ring, Row, SlotPlan, shared_folder
from benchmark.views.workers.runs import WorkQueue, chosen
from benchmark.views.workers.worker import Watch
from builders.errors import DataError
from builders.kernels.background import VARIABLE
from builders.photos import PhotoSet
from builders.processes import memory
from tests.support.processes import run_python

ROW = Row((2, 3), np.dtype(np.uint8))


def numbered(position: int) -> PhotoViews:
    """Views that say which photo they are of."""
    return PhotoViews(position, (torch.full((2, 3), position, dtype=torch.uint8),), "", "", 0.0)


def made(make, count=9, gather=3, slots=4, workers=2, ahead=6):
    gathers = [min(gather, count - start) for start in range(0, count, gather)]
    return made_by_workers(make, gathers, SlotPlan(gather, (ROW,), 0), slots, workers, ahead=ahead)


def test_made_by_workers__views_of_a_gather_stand_one_after_the_other():
    for start in (0, 3, 6):
        stream = made(numbered)
        photos = list(stream)
        assert [photo.index for photo in photos] == list(range(9))
        assert [photo.arrays[0].tolist() for photo in photos] == [[[i] * 3] * 2 for i in range(9)]
        addresses = [photo.arrays[0].data_ptr() for photo in photos[start : start + 3]]
        assert np.diff(addresses).tolist() == [ROW.nbytes, ROW.nbytes]


def test_made_by_workers__a_slot_is_used_again_only_when_its_last_tensor_is_gone():
    """Two slots, seven gathers: whoever keeps everything has everything, whoever lets go gets the same memory again."""
    kept = list(made(numbered, count=21, slots=2))
    assert [int(photo.arrays[0][0, 0]) for photo in kept] == list(range(21))
    seen = set()
    for photo in made(numbered, count=21, slots=2):
        seen.add(photo.arrays[0].data_ptr())
        assert int(photo.arrays[0][1, 2]) == photo.index
        del photo
    assert len(seen) <= 6 + 3  # the places of two slots, and what came through a pipe


def by_whom(position: int) -> PhotoViews:
    return PhotoViews(
        position, (torch.zeros((2, 3), dtype=torch.uint8),), "", "", 0.0, digest=str(os.getpid()).encode()
    )


def test_made_by_workers__neighbours_that_are_kin_are_made_by_one_worker():
    plan = SlotPlan(4, (ROW,), 0)
    kin = [position // 2 for position in range(40)]
    photos = list(made_by_workers(by_whom, [4] * 10, plan, 4, 2, ahead=8, kin=kin))
    workers = [photo.digest for photo in photos]
    assert workers[::2] == workers[1::2]
    assert len(set(workers)) == 2


class Warm:
    """A source that notes who warmed it up, with which row; its photos are two grey pixels."""

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
    assert shown == [1, 1]  # the workers' copies were made after it
    assert [v.arrays[0].max() for v in iterate_views(photos, [3], PlainViews(), [np.asarray])] == [1]
    assert len(photos.source.warmed) == 1


def simulated(runs: WorkQueue, seconds, ahead: int, waited) -> list[set[int]]:
    """Workers that had a part in each run, where worker ``w`` takes ``seconds[w]`` a position and everything made is
    asked for at once."""
    held, at = [[] for _ in seconds], [-1] * len(seconds)
    clock, done, makers = [0.0] * len(seconds), set(), {}
    while True:
        wanted = next(i for i in itertools.count() if i not in done)
        while choice := chosen(
            runs,
            [len(one) for one in held],
            at,
            lambda run: runs.next[run] < wanted + ahead,  # noqa: B023
            most=2,
            waited=waited,
        ):
            held[choice.worker].append(runs.take(choice.run))
            at[choice.worker] = choice.run
            makers.setdefault(choice.run, set()).add(choice.worker)
        busy = [worker for worker in range(len(seconds)) if held[worker]]
        if not busy:
            assert runs.first == len(done)
            return [makers[run] for run in sorted(makers)]
        soonest = min(busy, key=lambda worker: clock[worker] + seconds[worker])
        now = clock[soonest] + seconds[soonest]
        clock = [time if worker in busy else now for worker, time in enumerate(clock)]
        clock[soonest] = now
        done.add(held[soonest].pop(0))


@pytest.mark.parametrize("seconds", [(1.0, 1.0), (1.0, 3.7), (1.0, 1.3, 0.8)])
def test_chosen__a_run_is_one_workers_where_nobody_waits(seconds):
    """44 scenes through 27 cameras: a run that is cut by what may be made ahead is gone on with by whoever began it."""
    scenes = simulated(WorkQueue(44 * 27, [i // 27 for i in range(44 * 27)]), seconds, 93, waited=False)
    assert [len(workers) for workers in scenes] == [1] * 44
    assert set.union(*scenes) == set(range(len(seconds)))


def test_chosen__who_has_nothing_to_begin_helps_where_somebody_waits():
    for waited, expected in ((False, [{0}]), (True, [{0, 1}])):
        assert simulated(WorkQueue(27, [0] * 27), (1.0, 1.0), 93, waited) == expected
    scenes = simulated(WorkQueue(44 * 27, [i // 27 for i in range(44 * 27)]), (1.0, 1.3), 93, waited=True)
    assert [len(workers) for workers in scenes[:-2]] == [1] * 42


def test_chosen__positions_that_are_no_kin_go_to_the_idlest():
    runs = WorkQueue(3)
    assert chosen(runs, [1, 0], [-1, -1], lambda run: True, most=2, waited=False) == (1, 0)
    assert chosen(runs, [2, 2], [-1, -1], lambda run: True, most=2, waited=False) is None
    assert chosen(runs, [0, 0], [-1, -1], lambda run: False, most=2, waited=True) is None


def deadly(position: int) -> PhotoViews:
    if position == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return numbered(position)


def test_made_by_workers__a_worker_that_is_killed_is_an_error_at_once():
    stream = made(deadly)
    with pytest.raises(DataError, match=r"a worker that makes views was killed by signal 9 .*fewer --workers"):
        list(stream)
    assert not [child for child in multiprocessing.active_children() if child.name == "views"]


def asleep(position: int) -> PhotoViews:
    time.sleep(3600 if position == 4 else 0)
    return numbered(position)


def test_made_by_workers__workers_that_do_nothing_are_not_waited_for(monkeypatch):
    monkeypatch.setattr(workers_module, "STALLED_S", 0.5)
    with pytest.raises(DataError, match="have done nothing for"):
        list(made(asleep))


def test_made_by_workers__who_computes_for_long_has_not_been_kept_waiting(monkeypatch):
    """A large encoder on a CPU takes minutes for a gather, in which workers with nothing to do stand idle."""
    monkeypatch.setattr(workers_module, "STALLED_S", 0.2)
    monkeypatch.setattr(workers_module, "LOOK_S", 0.05)
    found = []
    for photo in made(numbered, count=30):
        found.append(photo.index)
        if photo.index == 4:
            time.sleep(0.8)
    assert found == list(range(30))


def busy(position: int) -> PhotoViews:
    until = time.process_time() + (0.7 if position == 4 else 0)
    while time.process_time() < until:
        pass
    return numbered(position)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much a process computes")
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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process reads")
@pytest.mark.parametrize("make", [waits_for_memory, reads_slowly])
def test_made_by_workers__waiting_for_memory_and_reading_are_no_standstill(monkeypatch, make):
    monkeypatch.setattr(workers_module, "STALLED_S", 0.4)
    monkeypatch.setattr(workers_module, "LOOK_S", 0.1)
    with memory.memory_budget(1 << 30):
        held = memory.reserve_for(13_000, 13_000)
        assert len(list(made(make))) == 9
        held.release()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the state of a process")
def test_watch__a_process_that_waits_for_a_core_is_no_standstill():
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"], stdout=-1)
    assert sleeper.stdout.read(1) == b"1"
    try:
        time.sleep(0.1)
        watch = Watch([sleeper.pid])
        time.sleep(0.01)
        assert watch.stalled(0.0)
        with_this_one = Watch([sleeper.pid, os.getpid()])  # which runs while it looks
        time.sleep(1.1)
        assert not with_this_one.stalled(1.0)
    finally:
        sleeper.kill()
        sleeper.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process does")
def test_watch__a_process_that_was_stopped_itself_does_not_count_that_time(monkeypatch):
    """As after Ctrl-Z and fg, or on a machine that slept: one look after an hour says nothing of the workers."""
    clock = [0.0]
    monkeypatch.setattr(watch_module, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"], stdout=-1)
    try:
        assert sleeper.stdout.read(1) == b"1"
        while watch_module._waits_for_a_core(sleeper.pid):
            time.sleep(0.01)
        watch = Watch([sleeper.pid])
        looks = 0
        clock[0] += 3600
        while not watch.stalled(60.0):
            looks += 1
            clock[0] += 0.5
        assert looks == 117  # two seconds of the hour, then 58 in halves, and one more
    finally:
        sleeper.kill()
        sleeper.communicate()


def test_made_by_workers__left_before_its_end_leaves_no_process():
    stream = made(numbered)
    next(stream)
    stream.close()
    assert not [child for child in multiprocessing.active_children() if child.name == "views"]


def test_made_by_workers__begin_at_once_and_end_with_their_stream_asked_or_not():
    for leave in ("close", "__del__"):
        stream = made(numbered)
        own = [child for child in multiprocessing.active_children() if child.name == "views"]
        assert len(own) == 2
        getattr(stream, leave)()
        assert not any(child.is_alive() for child in own)
        assert list(stream) == []
    stream = made(numbered)
    with pytest.raises(RuntimeError, match="enough"):
        stream.throw(RuntimeError("enough"))
    assert not [child for child in multiprocessing.active_children() if child.name == "views"]


def test_ring__of_a_process_that_is_no_fork_is_a_file_where_there_is_room(monkeypatch, tmp_path):
    monkeypatch.setattr(ring_module, "SHARED_FOLDER", tmp_path)
    monkeypatch.setattr(ring_module.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(64, 64, 10_000))
    assert shared_folder(10_000) == tmp_path
    assert shared_folder(10_001) != tmp_path
    ours = Ring(SlotPlan(3, (ROW,), 0), 2, forked=False)
    assert ours.path.parent == tmp_path
    theirs = pickle.loads(pickle.dumps(ours))
    lease = ours.take()
    ours.plan.views(theirs.memory(lease.number), 0)[1] = 7
    assert lease.tensors()[0][:, 0, 0].tolist() == [0, 7, 0]
    ours.close()
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
    """24 photos of 15 MB of views each, more than 64 MB in the hands of few workers."""
    photos = PhotoSet.of_bytes("noise", {str(i): b"P6 2 2 255\n" + bytes([i] * 12) for i in range(24)})
    stream = iterate_views(photos, range(24), PlainViews(), [enlarged], workers=workers, gathers=[2] * 12)
    return sum(not views.failure for views in stream), sum(1 for _ in os.scandir("/dev/shm"))


def enlarged(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((2236, 2236)))


def test_iterate_views__64_mb_of_shared_memory_and_eight_workers():
    """Docker's default. Of the loader that stood here before, the main process waited for ever."""
    done = run_python("-c", SMALL_SHM, env={**os.environ, "PYTHONPATH": os.getcwd(), VARIABLE: "pillow"})
    if done.stderr.endswith((" namespaces here\n", "no mounts here\n")):
        pytest.skip(done.stderr)
    assert done.stdout.strip() == "(24, 0)", done.stderr


def threads_here(position: int) -> PhotoViews:
    """Threads that libraries have in a worker, after each has had work for several."""
    square = np.ones((300, 300))
    assert (square @ square == 300).all()
    assert (torch.ones(300, 300) @ torch.ones(300, 300) == 300).all()
    most = max(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
    told = torch.tensor([[most] * 3, [torch.get_num_threads()] * 3], dtype=torch.uint8)
    return PhotoViews(position, (told,), "", "", 0.0)


def test_made_by_workers__each_has_one_thread_whatever_this_process_has():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with threadpool_limits(3):
            (torch.ones(400, 400) @ torch.ones(400, 400)).sum()
            (np.ones((400, 400)) @ np.ones((400, 400))).sum()
            found = [photo.arrays[0].tolist() for photo in made(threads_here)]
            assert found == [[[1] * 3] * 2] * 9
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


class Ends:
    """Garbage that may only end where it began: a runtime, say, whose end waits for its threads."""

    def __init__(self) -> None:
        self.process, self.itself = os.getpid(), self

    def __del__(self) -> None:
        if os.getpid() != self.process:
            os.kill(os.getpid(), signal.SIGKILL)


def collecting(position: int) -> PhotoViews:
    gc.collect()
    return numbered(position)


def test_made_by_workers__do_not_end_what_the_parent_left():
    gc.disable()
    try:
        Ends()
        assert len(list(made(collecting))) == 9
    finally:
        gc.enable()
        gc.collect()
