"""A fork does its part while the process does its own; what it cannot do is done where errors are told."""

import os
import signal
import sys
import time

import pytest

from benchmark.scoring.output import Forked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


def until(file, seconds=20):
    """Wait for a file; whether it came."""
    end = time.monotonic() + seconds
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.01)
    return file.exists()


def pids(folder):
    return [int(line) for line in (folder / "pids").read_text().split()]


def noted(folder, then=lambda: None):
    with (folder / "pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    (folder / "noted").touch()
    then()


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_forked__both_are_at_work_at_once_and_done_at_the_end(tmp_path):
    def there(folder):
        noted(folder)
        assert until(folder / "here")
        (folder / "there").touch()

    with Forked(there).run(tmp_path):
        (tmp_path / "here").touch()
        assert until(tmp_path / "there")
    [pid] = pids(tmp_path)
    assert pid != os.getpid()
    assert gone(pid)


def test_forked__is_ready_before_its_request_and_ends_without_one(tmp_path):
    with Forked(noted, lambda: noted(tmp_path)):
        assert until(tmp_path / "noted")
    [pid] = pids(tmp_path)
    assert gone(pid)
    with Forked(noted, lambda: noted(tmp_path)) as one, one.run(tmp_path):
        pass
    assert len(pids(tmp_path)) == 3  # ready, and done there once
    assert os.getpid() not in pids(tmp_path)


def test_forked__what_is_slower_is_waited_for(tmp_path):
    with Forked(lambda: (time.sleep(0.2), noted(tmp_path))).run():
        assert not (tmp_path / "pids").exists()
    assert os.getpid() not in pids(tmp_path)


def test_forked__an_error_is_raised_here_after_the_body_and_printed_once(tmp_path, capfd):
    def refuse(name):
        noted(tmp_path)
        raise OSError(28, "No space left on device", name)

    did = []
    with pytest.raises(OSError, match="No space left") as raised, Forked(refuse).run("report.png"):
        did.append("body")
    assert (did, raised.value.errno, raised.value.filename) == (["body"], 28, "report.png")
    assert [pid == os.getpid() for pid in pids(tmp_path)] == [False, True]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("when", ["ready", "work"])
def test_forked__what_a_killed_fork_leaves_is_done_here(tmp_path, when):
    changed = os.getpid()

    def end(now):
        if os.getpid() != changed and now == when:
            os.kill(os.getpid(), signal.SIGKILL)

    with Forked(lambda: noted(tmp_path, lambda: end("work")), lambda: end("ready")).run():
        pass
    assert pids(tmp_path)[-1] == changed


def test_forked__what_cannot_be_sent_is_done_here(tmp_path):
    with Forked(lambda function: noted(tmp_path, function)).run(lambda: None):
        pass
    assert pids(tmp_path) == [os.getpid()]


def test_forked__where_the_body_fails_the_fork_is_ended(tmp_path):
    def wait_and_fail():
        assert until(tmp_path / "noted")
        raise KeyError("body")

    def slow():
        noted(tmp_path, lambda: time.sleep(3))
        (tmp_path / "late").touch()

    with pytest.raises(KeyError, match="body"), Forked(slow).run():
        wait_and_fail()
    [pid] = pids(tmp_path)
    assert gone(pid)
    assert not (tmp_path / "late").exists()


def test_forked__where_nothing_is_forked_it_is_done_here(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with Forked(noted).run(tmp_path):
        assert not (tmp_path / "pids").exists()
    assert pids(tmp_path) == [os.getpid()]
