"""Times and sizes of an estimate: sums over passes, extrapolation, and how they are written."""

from benchmark.scoring import PassTimes, size
from benchmark.scoring.estimating.clocks import duration, extrapolated, on_line, summed
from benchmark.scoring.estimating.measuring import Measured
from benchmark.scoring.estimating.text import pass_seconds
from benchmark.tasks import Seconds


def test_pass__views_are_made_once_and_forward_passes_add_up():
    slow = PassTimes(making_s=100, forward_s=30, making_processor_s=11, forward_processor_s=5)
    quick = PassTimes(making_s=90, forward_s=20, making_processor_s=10, forward_processor_s=7)
    both = {on_gpu: [Measured("a", "x", times=one, on_gpu=on_gpu) for one in (slow, quick)] for on_gpu in (True, False)}
    assert pass_seconds(both[True], workers=1) == (100, 11 + 5 + 7)
    assert pass_seconds([], workers=1) == (0, 0)
    assert pass_seconds(both[False], workers=1) == (150, 11 + 5 + 7)


def test_extrapolated__on_a_line_and_never_falling():
    assert extrapolated([(1, 2.0), (3, 6.0)], 10) == 20.0
    assert extrapolated([(1, 4.0), (2, 5.0)], 4) == 7.0
    assert extrapolated([(1, 5.0), (2, 5.0)], 4) == 10.0


def test_on_line__by_the_last_two_and_both_clocks():
    """The first call is slower than the line: it is not on it."""
    points = [(6, Seconds(9.0, 9.0)), (24, Seconds(2.0, 1.0)), (96, Seconds(5.0, 7.0))]
    assert on_line(points, 96 + 72) == Seconds(8.0, 13.0)


def test_duration__in_seconds_minutes_or_hours():
    given = (0.0, 9.94, 9.96, 119.4, 120.0, 7199.0, 7200.0, 9001.0)
    expected = ["0.0 s", "9.9 s", "10 s", "119 s", "2 min", "120 min", "2.0 h", "2.5 h"]
    assert [duration(seconds) for seconds in given] == expected
    assert summed([]) == Seconds(0, 0)


def test_size__in_megabytes_up_to_a_gigabyte():
    given = (0, 49_999, 50_001, 1_249_000, 999_999_999, 1_000_000_000, 12_340_000_000)
    expected = ["0.0 MB", "0.0 MB", "0.1 MB", "1.2 MB", "1000.0 MB", "1.0 GB", "12.3 GB"]
    assert [size(count) for count in given] == expected
