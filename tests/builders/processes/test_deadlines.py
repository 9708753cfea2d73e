"""A deadline for work that cannot be interrupted."""

import queue
import threading
import time

import pytest

from builders.processes import DeadlineExceeded, run_with_deadline


def test_run_with_deadline__returns_raises_or_gives_up():
    never = threading.Event()
    with pytest.raises(DeadlineExceeded):
        run_with_deadline(0.05, never.wait)
    with pytest.raises(ZeroDivisionError):
        run_with_deadline(5.0, lambda: 1 / 0)
    assert run_with_deadline(5.0, lambda: "result") == "result"
    never.set()


def test_run_with_deadline__a_late_result_is_released():
    end, released = threading.Event(), queue.SimpleQueue()
    with pytest.raises(DeadlineExceeded):
        run_with_deadline(0.05, lambda: end.wait() and "late", late=released.put)
    assert released.empty()
    end.set()
    assert released.get(timeout=60) == "late"


def test_run_with_deadline__what_is_not_a_late_result_is_never_released():
    end, released, threads = threading.Event(), [], []

    def work(error=None):
        threads.append(threading.current_thread())
        if error is not None:
            end.wait()
            raise error
        return "in time"

    assert run_with_deadline(600.0, work, late=released.append) == "in time"
    with pytest.raises(DeadlineExceeded):
        run_with_deadline(0.05, lambda: work(ZeroDivisionError()), late=released.append)
    end.set()
    for thread in threads:
        thread.join(timeout=60)
    assert released == []


def test_run_with_deadline__work_that_takes_a_while_has_the_whole_time():
    assert run_with_deadline(600.0, lambda: time.sleep(0.2) or "result") == "result"


def test_run_with_deadline__the_thread_does_not_keep_the_process_alive():
    thread = run_with_deadline(5.0, threading.current_thread)
    assert (thread.daemon, thread.name) == (True, "within a deadline")
