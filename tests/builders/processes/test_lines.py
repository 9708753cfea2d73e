"""The line that says how far a process is, at a clock that the test sets."""

import sys

import pytest

from builders.processes import notice, progress, progress_bar, stage
from builders.processes.progress import status_line


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.5, "0 s"), (0.6, "1 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (61, "1 min 1 s"),
        (3599.4, "59 min 59 s"), (3600, "1 h 0 min"), (3661, "1 h 1 min"), (90_000, "25 h 0 min"),
    ],
)  # fmt: skip
def test_line__durations(clock, seconds, text):
    assert status_line(seconds) == f"working: {text}"
    with stage("loading"):
        clock[0] += seconds
        assert status_line(7) == f"loading: {text} (7 s in all)"


@pytest.mark.parametrize(
    ("done", "total", "seconds", "line"),
    [
        (0, 8, 100, "x: 0 % (0 of 8 rows), 1 min 40 s"),
        (2, 8, 100, "x: 25 % (2 of 8 rows), about 5 min 0 s left"),
        (8, 8, 100, "x: 100 % (8 of 8 rows), about 0 s left"),
        (12, 8, 0, "x: 100 % (12 of 8 rows), about 0 s left"),
        (5, None, 100, "x: 5 rows, 1 min 40 s"),
        (5, 0, 3, "x: 5 rows, 3 s"),
        (1, 3, 30, "x: 33 % (1 of 3 rows), about 1 min 0 s left"),
        (9_999_999, None, 0, "x: 9,999,999 rows, 0 s"),
        (10_000_000, None, 0, "x: 10.0 M rows, 0 s"),
        (1_234_500_000, 3e12, 0, "x: 0 % (1.2 G of 3,000.0 G rows), about 0 s left"),
        (999_000_000, None, 0, "x: 999.0 M rows, 0 s"),
    ],
)
def test_line__counts_shares_and_time_left(clock, done, total, seconds, line):
    for description in ("x", "x: ", " x"):
        with progress_bar(total=total, desc=description, unit="row") as bar:
            bar.update(done)
            clock[0] += seconds
            assert status_line(1) == f"{line} (1 s in all)"
    with progress_bar(total=total, unit="row") as bar:
        bar.update(done)
        bar.set_postfix_str("y", refresh=False)
        clock[0] += seconds
        assert status_line(1) == f"working (y){line[1:]} (1 s in all)"


def test_line__what_is_outermost_first_and_what_is_closed_leaves(clock):
    outer = progress_bar(total=2, desc="outer", unit="a")
    with stage("middle"):
        inner = progress_bar(total=2, desc="inner", unit="b")
        assert [part.partition(":")[0] for part in status_line(0).split("; ")] == ["outer", "middle", "inner"]
        outer.close()
        assert [part.partition(":")[0] for part in status_line(0).split("; ")] == ["middle", "inner"]
        inner.close()
        inner.close()
    assert status_line(0) == "working: 0 s"
    progress_bar(total=2, desc="without a reference")
    assert status_line(0) == "working: 0 s"


def test_notice__on_standard_error_unless_it_is_quiet_or_closed(monkeypatch, capsys):
    notice("a text")
    assert capsys.readouterr() == ("", "a text\n")
    monkeypatch.setattr(sys.stderr, "is_quiet", True, raising=False)
    notice("a text")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", None)
    notice("a text")
    with progress_bar(total=1, desc="x", unit="row"):
        assert status_line(0).startswith("x: 0 %")


def test_line__a_bar_that_was_iterated_leaves_although_it_has_a_reference(clock):
    bar = progress_bar([1, 2], desc="x", unit="row")
    assert list(bar) == [1, 2]
    assert (status_line(0), bar.n) == ("working: 0 s", 2)
    other = progress_bar([1, 2], desc="x", unit="row")
    items = iter(other)
    assert next(items) == 1
    assert status_line(0).startswith("x: 0 % (0 of 2 rows)")
    items.close()  # as a loop that is left early
    assert status_line(0) == "working: 0 s"
