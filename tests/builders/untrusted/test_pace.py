"""Limits on slow servers, at and beside their bounds; what comes from one address; hosts that do not answer."""

import pytest

from builders.errors import RemoteError
from builders.untrusted import Pace
from builders.untrusted.pace import Fetched, Outages, check_pace


@pytest.mark.parametrize(
    ("size", "seconds", "objection"),
    [
        (0, 30, ""), (3101, 31, ""), (3100, 31, ""), (10**9, 1000, ""),
        (3099, 31, "3,099 bytes in 31 seconds, fewer than 100 a second"),
        (3050, 30.51, "3,050 bytes in 31 seconds, fewer than 100 a second"),
        (10**9, 1001, "not complete after 1,000 seconds"), (0, 1001, "not complete after 1,000 seconds"),
    ],
)  # fmt: skip
def test_pace__the_rate_counts_after_the_grace_time(size, seconds, objection):
    pace = Pace(grace_s=30, least_bytes_per_s=100, deadline_s=1000)
    assert pace.objection(size, seconds) == objection
    fetched = Fetched(size, seconds)
    if objection:
        with pytest.raises(RemoteError) as refused:
            check_pace(fetched, pace, "https://a/b")
        assert str(refused.value) == f"https://a/b: too slow: {objection}"
    else:
        check_pace(fetched, pace, "https://a/b")


@pytest.mark.parametrize(
    ("failures", "lasts"),
    [
        ([(0, 0)], [False]), ([(0, 7)], [False]),  # the first failure, however long it took
        ([(0, 0), (5.9, 5.9)], [False, False]), ([(0, 0), (6, 6)], [False, True]), ([(0, 0), (0, 6)], [False, True]),
        ([(0, 5), (65, 65)], [False, True]), ([(0, 5), (65.1, 65.1)], [False, False]),
        ([(0, 0), (50, 50), (110, 110)], [False, True, True]),
        ([(0, 5), (60, 70)], [False, True]), ([(0, 5), (65, 95)], [False, True]),  # a request that waits is in it
        ([(0, 5), (65.1, 95), (96, 101), (97, 101.1)], [False, False, True, True]),
    ],
)  # fmt: skip
def test_outages__last_from_the_first_request_that_failed(failures, lasts):
    outages = Outages()
    assert [outages.lasts("a", *failure) for failure in failures] == lasts
    assert not outages.lasts("b", 200, 210)
    outages.end("a")
    outages.end("c")
    assert not outages.lasts("a", 120, 120)
