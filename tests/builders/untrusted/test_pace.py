"""How slow an answer from outside may be."""

from builders.untrusted import Pace


def test_pace__counts_from_the_end_of_its_grace():
    pace = Pace(grace_s=30, least_bytes_per_s=100, deadline_s=1000)
    assert pace.objection(0, 30) == ""
    assert pace.objection(3101, 31) == ""
    assert pace.objection(3099, 31) == "3,099 bytes in 31 seconds, fewer than 100 a second"
    assert pace.objection(10**9, 1001) == "not complete after 1,000 seconds"
