"""Progress without a terminal: what is counted, and the line that says so."""

import io
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builders.processes import heartbeat, progress_bar, stage, step_bar
from builders.processes.progress import status_line

ROOT = Path(__file__).parents[3]


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Lines(io.StringIO):
    """A stream that tells when a line has been written."""

    def __init__(self):
        super().__init__()
        self.written = threading.Event()

    def flush(self):
        self.written.set()


def test_bar__counts_without_a_terminal():
    with progress_bar(total=8, desc="scoring", unit="task", delay=2) as bar:
        assert re.fullmatch(r"scoring: 0 % \(0 of 8 tasks\), \d s \(5 s in all\)", status_line(5))
        bar.update(2)
        assert "left" not in status_line(5)  # of few tasks no speed is known
        bar.update(2)
        bar.set_postfix_str("probe/jpeg", refresh=False)
        assert re.fullmatch(
            r"scoring \(probe/jpeg\): 50 % \(4 of 8 tasks\), about \d s left \(5 s in all\)", status_line(5)
        )
        with stage("loading"), progress_bar(desc="reading", unit="photo") as inner:
            inner.update(1234)
            assert status_line(5).endswith("; loading: 0 s; reading: 1,234 photos, 0 s (5 s in all)")
    assert status_line(5) == "working: 5 s"


def test_time_left__is_that_of_the_counts_after_the_first(monkeypatch):
    """The first count takes as long as loading does; between counts nothing is known, and the clock runs down."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with progress_bar(total=101, desc="embedding", unit="photo") as bar:
        for seconds, count, left in ((50, 1, ""), (60, 10, "1 min 30 s"), (65, 0, "1 min 25 s"), (100, 40, "50 s")):
            now[0] = float(seconds)
            if count:
                bar.update(count)
            assert not left or f"about {left} left" in status_line(0)


def test_bar__iterates_and_leaves_also_after_an_error():
    seen = [(item, status_line(0)) for item in progress_bar(range(4), desc="x", unit="row")]
    assert [item for item, _ in seen] == [0, 1, 2, 3]
    assert "x: 75 % (3 of 4 rows)" in seen[-1][1]
    with pytest.raises(ValueError, match="oh"), progress_bar(total=3, desc="x"):
        raise ValueError("oh")
    assert status_line(0) == "working: 0 s"


def test_bar__draws_on_a_terminal_and_counts_nothing_if_silent(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(total=3, desc="drawn", mininterval=0) as bar:
        bar.update(3)
    assert "drawn: 100%" in terminal.getvalue()
    monkeypatch.undo()
    with progress_bar(total=3, desc="silent", silent=True):
        assert status_line(0) == "working: 0 s"


def test_step_bar__waits_for_two_seconds_and_goes(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with step_bar([1, 2], desc="step", unit="row") as bar:
        assert (bar.delay, bar.leave, bar.desc, bar.unit, list(bar)) == (2, False, "step", "row", [1, 2])
    assert sys.stderr.getvalue() == ""
    with step_bar(total=3, desc="silent", silent=True) as bar:
        assert bar.disable


def test_heartbeat__writes_lines_while_work_goes_on():
    stream = Lines()
    with heartbeat(stream, every_s=0.01), progress_bar(total=2, desc="scoring", unit="task") as bar:
        bar.update()
        assert stream.written.wait(60)
    first, *_ = stream.getvalue().splitlines()
    assert re.fullmatch(r"camtrace: (scoring: \d+ % \(\d of 2 tasks\), .*|working: 0 s.*)", first)
    ended = stream.getvalue()
    assert stream.getvalue() == ended


def test_heartbeat__is_silent_on_a_terminal_and_survives_a_closed_stream():
    terminal = Terminal()
    with heartbeat(terminal, every_s=0.001):
        threading.Event().wait(0.05)
    assert terminal.getvalue() == ""
    closed = Lines()
    with heartbeat(closed, every_s=0.001):
        closed.close()
        threading.Event().wait(0.01)


@pytest.mark.slow
def test_command__says_how_far_it_is_in_a_pipe(tmp_path):
    """Each command runs inside ``heartbeat``; here its lines come faster."""
    code = (
        "import builders.processes.progress as p; p.heartbeat.__wrapped__.__kwdefaults__['every_s'] = 0.05\n"
        "import sys, benchmark.__main__ as m; sys.exit(m.camtrace(sys.argv[1:]))"
    )
    words = ["build", "simcams", "--scenes", "3", "--size", "64", "--output", str(tmp_path / "x")]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^camtrace: .*\d s", done.stderr, re.MULTILINE)
