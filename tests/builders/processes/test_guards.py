"""A signal during a fork is not lost."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builders.processes import deferred_signals, setup_child

FORKS = """
import gc, multiprocessing, os, signal
import numpy as np
from benchmark.scoring.output import Forked
from benchmark.views.recipe import PhotoViews
from benchmark.views.workers.ring import Row, SlotPlan
from benchmark.views.workers.pool import made_by_workers
from builders.processes import setup_child, deferred_signals

def child():
    setup_child()
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert gc.get_freeze_count() > 1000
    print("child", flush=True)

def held():
    with deferred_signals():
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
        print("begun")

def worked():
    make = lambda position: PhotoViews(position, (), "", "", 0.0)
    plan = SlotPlan(1, (Row((1,), np.dtype(np.uint8)),), 0)
    list(made_by_workers(make, [1], plan, 1, 1, ahead=1))

os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGINT))
for fork in (held, lambda: Forked(print), worked):
    try:
        fork()
        print("lost")
    except KeyboardInterrupt:
        print("interrupted", flush=True)
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
def test_deferred_signals__a_signal_during_a_fork_is_raised_afterwards():
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.split() == ["child", "begun", "interrupted", "interrupted", "interrupted"]
    assert done.stderr == ""


def ended_early(number):
    os.kill(os.getpid(), number)
    setup_child()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)])
def test_setup_child__a_signal_before_it_ends_the_child_as_its_handlers_would(number, status):
    with deferred_signals():
        process = multiprocessing.get_context("fork").Process(target=ended_early, args=(number,))
        process.start()
    process.join()
    assert process.exitcode == status


def test_deferred_signals__each_handler_is_called_once_afterwards_and_stays():
    called = []
    before = signal.signal(signal.SIGTERM, lambda number, _: called.append(number))
    try:
        with deferred_signals():
            for _ in range(3):
                signal.raise_signal(signal.SIGTERM)
            assert called == []
        assert called == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert called == [signal.SIGTERM] * 2
        if sys.platform == "linux":  # signals that were deferred before do not end a later fork
            process = multiprocessing.get_context("fork").Process(target=setup_child)
            process.start()
            process.join()
            assert process.exitcode == 0
    finally:
        signal.signal(signal.SIGTERM, before)


def test_deferred_signals__nothing_is_deferred_in_another_thread():
    result = []

    def work():
        with deferred_signals():
            result.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert result == [signal.getsignal(signal.SIGINT)]
