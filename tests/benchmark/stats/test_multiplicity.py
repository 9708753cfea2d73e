"""Holm's correction against its definition, against statsmodels, and by families."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

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


@pytest.mark.parametrize("count", [1, 2, 7, 300])
def test_holm__equals_statsmodels(count: int) -> None:
    p_values = np.round(np.random.default_rng(count).random(count) ** 3, 2)  # with ties
    expected = multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(expected, rel=1e-12)


def test_holm__a_family_knows_nothing_of_another() -> None:
    p_values, families = [0.01, 0.04, 0.03, 0.02], [("a", "b"), ("a", "c"), ("a", "b"), ("a", "c")]
    result = holm(p_values, families)
    assert result.tolist() == [*holm([0.01, 0.03])[:1], holm([0.04, 0.02])[0], *holm([0.01, 0.03])[1:], 0.04]
    assert result.tolist() == pytest.approx([0.02, 0.04, 0.03, 0.04])
