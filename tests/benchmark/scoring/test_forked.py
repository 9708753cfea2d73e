"""A fork does its part while the process does its own; what it cannot do is done where errors are told."""

import os
import signal
import sys
import time
from functools import partial

import pytest

from benchmark.scoring import output as reports
from benchmark.scoring.forked import beside

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


def until(file, seconds=20):
    """Wait for a file; whether it came."""
    end = time.monotonic() + seconds
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.01)
    return file.exists()


def pids(folder):
    return [int(line) for line in (folder / "pids").read_text().split()]


def work(folder, then=lambda: None):
    with (folder / "pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    then()


def test_beside__both_are_at_work_at_once_and_done_at_the_end(tmp_path):
    def there():
        assert until(tmp_path / "here")
        (tmp_path / "there").touch()

    with beside(partial(work, tmp_path, there)):
        (tmp_path / "here").touch()
        assert until(tmp_path / "there")
    [pid] = pids(tmp_path)
    assert pid != os.getpid()


def test_beside__what_is_slower_is_waited_for(tmp_path):
    with beside(lambda: (time.sleep(0.2), (tmp_path / "late").touch())):
        assert not (tmp_path / "late").exists()
    assert (tmp_path / "late").exists()


def test_beside__an_error_is_raised_here_after_the_body_and_said_once(tmp_path, capfd):
    def refuse():
        raise OSError(28, "No space left on device", "report.png")

    did = []
    with pytest.raises(OSError, match="No space left") as raised, beside(partial(work, tmp_path, refuse)):
        did.append("body")
    assert (did, raised.value.errno, raised.value.filename) == (["body"], 28, "report.png")
    assert [pid == os.getpid() for pid in pids(tmp_path)] == [False, True]
    assert capfd.readouterr() == ("", "")


def test_beside__what_a_killed_fork_leaves_is_done_here(tmp_path):
    own = os.getpid()
    with beside(partial(work, tmp_path, lambda: os.getpid() == own or os.kill(os.getpid(), signal.SIGKILL))):
        pass
    assert [pid == own for pid in pids(tmp_path)] == [False, True]


def test_beside__where_the_body_fails_the_fork_is_ended(tmp_path):
    def wait_and_fail():
        assert until(tmp_path / "pids")
        raise KeyError("body")

    with pytest.raises(KeyError, match="body"), beside(partial(work, tmp_path, lambda: time.sleep(600))):
        wait_and_fail()
    [pid] = pids(tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_beside__where_nothing_is_forked_it_is_done_here(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with beside(partial(work, tmp_path)):
        assert not (tmp_path / "pids").exists()
    assert pids(tmp_path) == [os.getpid()]


def test_write_reports__the_page_is_written_here_and_pictures_are_drawn_beside_it(tmp_path, monkeypatch):
    def drawn(results, questions, path):
        assert until(tmp_path / "report.html")
        path.write_text(str(os.getpid()))

    def page(results, text, path, photos):
        path.write_text(str(os.getpid()))

    monkeypatch.setattr(reports, "draw_report", drawn)
    monkeypatch.setattr(reports, "write_report_page", page)
    monkeypatch.setattr(reports, "draw_courses", lambda courses, questions, path: None)
    monkeypatch.setattr(reports, "courses", lambda results: [])
    monkeypatch.setattr(reports, "report_text", lambda results, questions, unloaded: "text")
    one = type("Result", (), {"encoder": {"id": "toy"}})
    assert reports.write_reports([one, one], {}, tmp_path) == "text"
    assert (tmp_path / "report.html").read_text() == str(os.getpid()) != (tmp_path / "report.png").read_text()
