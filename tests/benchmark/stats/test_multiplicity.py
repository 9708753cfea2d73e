"""Holm's correction against its definition, against the values of our former code, and by families."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.stats import holm


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
def test_holm__is_the_step_down_rule(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for step, i in enumerate(order):
            if p_values[i] * (len(p_values) - step) > level:
                break
            rejected.add(int(i))
        assert {int(i) for i in np.flatnonzero(adjusted <= level)} == rejected


def test_holm__of_none() -> None:
    assert holm([]).shape == (0,)


def test_holm__same_values_as_before() -> None:
    """What our own code gave before a library did it."""
    found = holm([0.01, 0.04, 0.03, 0.005, 0.2, 0.04, 1.0])
    assert found == pytest.approx([0.06, 0.16, 0.15, 0.035, 0.4, 0.16, 1.0], rel=1e-12)


def test_holm__a_family_knows_nothing_of_another() -> None:
    p_values, families = [0.01, 0.04, 0.03, 0.02], [("a", "b"), ("a", "c"), ("a", "b"), ("a", "c")]
    found = holm(p_values, families)
    assert found.tolist() == [*holm([0.01, 0.03])[:1], holm([0.04, 0.02])[0], *holm([0.01, 0.03])[1:], 0.04]
    assert found.tolist() == pytest.approx([0.02, 0.04, 0.03, 0.04])
