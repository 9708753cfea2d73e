"""Limits on slow servers."""

from builders.untrusted import Pace


def test_pace__the_rate_counts_after_the_grace_time():
    pace = Pace(grace_s=30, least_bytes_per_s=100, deadline_s=1000)
    assert pace.objection(0, 30) == ""
    assert pace.objection(3101, 31) == ""
    assert pace.objection(3099, 31) == "3,099 bytes in 31 seconds, fewer than 100 a second"
    assert pace.objection(10**9, 1001) == "not complete after 1,000 seconds"
