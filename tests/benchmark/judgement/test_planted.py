"""A small version of ``scripts/checks/planted.py``: by the real command, nothing false is said about planted data."""

import pytest

from scripts.checks.planted import CASES, allowed, count_false

pytestmark = [pytest.mark.slow, pytest.mark.by_hand, pytest.mark.usefixtures("unpainted", "brief")]

SETS = {
    "bursts-30": 2,
    "null-readers": 3,
    "owners-20": 3,
    "classes-50": 3,
}
"""Data sets of each case whose claims may be false by chance: few, for what is wrong by design is wrong in most sets.

``test_outputs.py`` and ``test_worst_jitter.py`` hold the rates of equal outputs and of jitter, in many more sets.
"""


@pytest.mark.parametrize("case", SETS)
def test_planted__false_claims_are_as_rare_as_promised(case):
    assert count_false(case, SETS[case]) <= allowed(case, SETS[case]) < SETS[case]


@pytest.mark.parametrize("case", ["constant-80", "constant-70", "fewer-answers"])
def test_planted__what_is_never_so_is_never_said(case):
    assert count_false(case, 2) == 0


def test_planted__cases_are_known():
    assert {*SETS, "constant-80"} < set(CASES)
    assert [allowed("bursts", sets) for sets in (100, 300)] == [10, 23]
