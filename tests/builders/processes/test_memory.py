"""A budget of memory for pictures: nothing is reserved twice; pictures, errors and ended processes release it."""

import glob
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from builders.errors import PhotoError
from builders.pixels import decode_rgb
from builders.processes import child_environment, in_this_context, memory_budget, reserve_for
from builders.processes.memory import BYTES_PER_PIXEL, Reservation
from tests.support.images import image_bytes

SIDE = 4000
NEED = SIDE * SIDE * BYTES_PER_PIXEL


def png(cut=0):
    data = image_bytes(Image.new("L", (SIDE, SIDE)), "PNG", compress_level=1)
    return data[: len(data) - cut]


PNG = png()


def _try(answers, waits):
    """Whether a second process gets memory for a picture at once, or only after ``waits`` seconds at most."""
    import builders.processes.memory as reserving

    reserving.LONGEST_WAIT_S = waits
    answers.put(reserve_for(SIDE, SIDE).held)


def elsewhere(waits=0.0):
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=_try, args=(answers, waits))
    process.start()
    got = answers.get(timeout=60)
    process.join()
    return got


def test_reserve_for__two_large_pictures_are_not_decoded_at_once_where_one_fits():
    with memory_budget(int(1.5 * NEED)):
        assert elsewhere()
        picture = decode_rgb(PNG)
        assert not elsewhere()
        del picture
        assert elsewhere()


def test_reserve_for__both_fit_into_twice_the_memory():
    with memory_budget(int(2.5 * NEED)):
        stored = decode_rgb(PNG)
        assert elsewhere()
        assert stored.size == (SIDE, SIDE)


def test_reserve_for__more_than_the_whole_is_decoded_alone():
    with memory_budget(NEED // 10):
        assert decode_rgb(PNG).size == (SIDE, SIDE)
        assert elsewhere()


def test_reserve_for__waits_for_the_other_and_then_goes_on():
    context = multiprocessing.get_context("fork")
    with memory_budget(int(1.5 * NEED)):
        held = reserve_for(SIDE, SIDE)
        answers = context.Queue()
        process = context.Process(target=_try, args=(answers, 60.0))
        process.start()
        time.sleep(0.3)
        assert answers.empty()
        held.release()
        assert answers.get(timeout=60)
        process.join()


def test_reserve_for__a_killed_worker_releases_it():
    def hold(ready):
        stored = reserve_for(SIDE, SIDE)
        ready.put(stored.held)
        time.sleep(60)

    context = multiprocessing.get_context("fork")
    with memory_budget(int(1.5 * NEED)):
        ready = context.Queue()
        process = context.Process(target=hold, args=(ready,))
        process.start()
        assert ready.get(timeout=60)
        assert not elsewhere()
        process.kill()
        process.join()
        assert elsewhere()


def test_decode__a_picture_that_fails_releases_it():
    with memory_budget(int(1.5 * NEED)):
        with pytest.raises(PhotoError):
            decode_rgb(png(cut=100))
        assert elsewhere()


def test_reserve_for__small_pictures_and_no_budget_cost_nothing():
    with memory_budget(1):
        assert not reserve_for(3000, 3000).held
    assert not reserve_for(SIDE, SIDE).held
    Reservation(None).release()


def described():
    return child_environment().get("CAMTRACE_MEMORY_BUDGET", "")


def test_memory_budget__the_outer_one_is_in_force_and_leaves_no_file():
    with memory_budget(int(1.5 * NEED)):
        outer = described()
        with memory_budget(1):
            assert described() == outer
    assert not described()
    assert not os.path.exists(outer.partition(":")[2])
    assert outer.partition(":")[2].startswith(f"/proc/{os.getpid()}/fd/")


def test_memory_budget__a_started_process_shares_it_and_a_killed_run_leaves_nothing():
    """As a worker that is started, not forked, and outlives the run: it decodes without waiting."""
    child = "import sys; from builders.processes.memory import reserve_for as r; print(r(%d, %d).held, flush=True)"
    code = (
        "import subprocess, sys, os, signal\n"
        "from builders.processes.memory import child_environment, memory_budget, reserve_for\n"
        f"with memory_budget({int(2.5 * NEED)}):\n"
        f"    run = [sys.executable, '-c', {child % (SIDE, SIDE)!r}]\n"
        "    done = subprocess.run(run, env=child_environment(), capture_output=True, text=True, check=True)\n"
        "    print(done.stdout, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    before = set(glob.glob(os.path.join(tempfile.gettempdir(), "camtrace-memory-*")))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (-9, "True"), done.stderr
    assert set(glob.glob(os.path.join(tempfile.gettempdir(), "camtrace-memory-*"))) <= before


def test_memory_budget__of_two_calls_that_overlap_none_loses_it():
    """The first of two calls of one thread that ends takes nothing from the other."""
    first, second = memory_budget(int(1.5 * NEED)), memory_budget(int(1.5 * NEED))
    first.__enter__()
    second.__enter__()
    shared = described()
    first.__exit__(None, None, None)
    assert described() == shared
    assert os.path.exists(shared.partition(":")[2])
    second.__exit__(None, None, None)
    assert not described()
    assert not os.path.exists(shared.partition(":")[2])


def test_memory_budget__two_threads_have_their_own():
    """Each with room for one and for two pictures; forked, started and threaded workers have that of their call."""
    both_inside, seen = threading.Barrier(2, timeout=60), {}
    child = f"import builders.processes.memory as m; m.LONGEST_WAIT_S = 0; print(m.reserve_for({SIDE}, {SIDE}).held)"

    def call(pictures):
        with memory_budget(int((pictures + 0.5) * NEED)):
            both_inside.wait()
            held = reserve_for(SIDE, SIDE)
            started = subprocess.run(
                [sys.executable, "-c", child], env=child_environment(), capture_output=True, text=True, check=True
            )
            with ThreadPoolExecutor(1) as pool:
                threaded = pool.submit(in_this_context(described)).result()
            seen[pictures] = held.held, elsewhere(), started.stdout.strip(), threaded == described(), described()
            both_inside.wait()
            held.release()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(call, (1, 2)))
    assert seen[1][:4] == (True, False, "False", True)
    assert seen[2][:4] == (True, True, "True", True)
    assert seen[1][4].startswith("14:"), "1.5 x 640 MB in units of 64 MiB"
    assert seen[2][4] != seen[1][4]
    assert not described()
