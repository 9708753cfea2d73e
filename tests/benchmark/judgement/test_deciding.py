"""The decision: levels, bounds, vetoes, and its error rates on planted estimates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.judgement import is_confounded
from benchmark.judgement.deciding import Comparison, Reason, decide, is_significant
from benchmark.stats import p_above, p_below


def compared(value: float, half: float = 0.1, units: float = 100, bound: float = 0.05, **more: object) -> Comparison:
    return Comparison(value, value - half, value + half, units, bound, **more)  # type: ignore[arg-type]


def answers(*comparisons: Comparison) -> list[str]:
    return [decision.answer for decision in decide(comparisons)]


def test_p_above__is_that_of_a_t_test_on_units() -> None:
    units = np.random.default_rng(0).normal(0.3, 1, 25)
    expected = stats.ttest_1samp(units, 0, alternative="greater")
    ends = stats.ttest_1samp(units, 0).confidence_interval(0.95)
    assert p_above(units.mean(), ends.low, 25, 0) == pytest.approx(expected.pvalue)
    assert p_below(units.mean(), ends.high, 25, 0) == pytest.approx(1 - expected.pvalue)


def test_decide__a_p_value_at_the_level_is_not_below_it() -> None:
    assert answers(compared(0.1, p_value=0.049)) == ["yes"]
    assert answers(compared(0.1, p_value=0.05)) == ["undecided"]
    assert [d.p_value for d in decide([compared(0.1, p_value=p) for p in (0.01, 0.5, 0.02)])] == [0.03, 0.5, 0.04]


def test_decide__no_is_a_test_of_its_own_and_corrected_too() -> None:
    assert answers(compared(0.0, half=0.049)) == ["no"]  # 0.05 lies just beyond the interval: p < 0.025
    assert answers(*[compared(0.0, half=0.049)] * 3) == ["undecided"] * 3
    assert answers(compared(0.0, half=0.2)) == ["undecided"]


@pytest.mark.parametrize(("units", "answer", "reason"), [(21, "no", ""), (20, "undecided", "bound")])
def test_decide__a_bound_that_one_unit_outweighs_proves_nothing(units: int, answer: str, reason: str) -> None:
    [decision] = decide([compared(0.0, half=0.001, units=units)])
    assert (decision.answer, decision.reason) == (answer, reason)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"permuted": 0.051}, "shuffled labels"),
        ({"permuted": 0.05}, ""),
        ({"choices": (-0.01, 0.4)}, "ties"),
        ({"choices": (0.01, 0.4)}, ""),
    ],
)
def test_decide__vetoes(more: dict[str, object], reason: Reason) -> None:
    [decision] = decide([compared(0.2, p_value=0.001, **more)])
    assert (decision.answer, decision.reason) == ("undecided" if reason else "yes", reason)


def test_decide__no_needs_every_rule_for_ties() -> None:
    for choices, answer in (((-0.04, 0.049), "no"), ((-0.05, 0.0), "undecided"), ((0.0, 0.2), "undecided")):
        assert answers(compared(0.0, half=0.01, two_sided=True, choices=choices)) == [answer]


def test_decide__two_sided_looks_at_both_sides() -> None:
    assert answers(compared(-0.3)) == ["no"]
    assert answers(compared(-0.3, two_sided=True)) == ["yes"]
    assert answers(compared(-0.3, two_sided=True, choices=(-0.4, 0.1))) == ["undecided"]
    assert answers(compared(-0.04, half=0.03, two_sided=True, p_value=0.2)) == ["undecided"]
    assert answers(compared(0.0, half=0.03, two_sided=True)) == ["no"]


def test_decide__a_second_claim_is_needed_or_excuses() -> None:
    assert answers(compared(0.3, needed=0.01)) == ["yes"]
    assert answers(compared(0.3, needed=0.06)) == ["undecided"]
    assert answers(compared(0.3, needed=0.06, excused=0.02)) == ["no"]
    assert answers(compared(0.3, needed=0.06, excused=0.03)) == ["undecided"]  # two tests: twice the smaller p-value


def test_decide__errs_in_one_family_of_twenty_at_most() -> None:
    """3 null estimates and 3 at the bound, 2,000 times: any false yes, any false no."""
    rng = np.random.default_rng(7)
    false_yes = false_no = 0
    for _ in range(2000):
        null, strong = (decide([compared(rng.normal(at, 0.02), 0.04, 1000) for _ in range(3)]) for at in (0.0, 0.05))
        false_yes += any(d.answer == "yes" for d in null)
        false_no += any(d.answer == "no" for d in strong)
    assert 0.02 < false_yes / 2000 < 0.06
    assert 0.02 < false_no / 2000 < 0.06


def test_is_confounded__needs_significance_and_size() -> None:
    flags = [is_confounded(p, e, level=0.01, smallest=0.05) for p, e in [(0.009, 0.05), (0.01, 0.05), (0.009, 0.049)]]
    assert flags == [True, False, False]
    assert not is_significant(0.05)


@pytest.mark.parametrize(
    ("choices", "value", "answer"),
    [
        ((0.01, 0.3), 0.2, "yes"),
        ((0.0, 0.3), 0.2, "undecided"),  # an estimate at the reference is on neither side of it
        ((-0.3, -0.01), -0.2, "yes"),
        ((-0.3, 0.0), -0.2, "undecided"),
    ],
)
def test_decide__choices_of_ties_lie_on_one_side(choices: tuple[float, float], value: float, answer: str) -> None:
    [decision] = decide([compared(value, two_sided=True, p_value=0.001, choices=choices)])
    assert (decision.answer, decision.reason) == (answer, "" if answer == "yes" else "ties")


def test_decide__the_interval_lies_beyond_the_reference_exactly_for_yes() -> None:
    """Of families of any size, one- and two-sided, with ties, vetoes and p-values of their own."""
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(400):
        family = []
        for _ in range(rng.integers(1, 9)):
            value, half = rng.normal(0.02, 0.05), rng.uniform(0.005, 0.1)
            spread = rng.exponential(0.02)
            more: dict[str, object] = {"two_sided": bool(rng.random() < 0.5)}
            if rng.random() < 0.3:
                more["choices"] = (value - spread, value + spread)
            if rng.random() < 0.3:
                more["p_value"] = float(rng.beta(0.3, 1))
            if rng.random() < 0.3:
                more["permuted"] = float(rng.random() / 5)
            family.append(compared(value, half, rng.integers(3, 300), **more))
        for c, decision in zip(family, decide(family), strict=True):
            beyond = decision.low > c.reference or (c.two_sided and decision.high < c.reference)
            if c.value > c.reference or c.two_sided:
                assert beyond == (decision.answer == "yes")
            assert decision.low <= c.value <= decision.high
            seen.add((decision.answer, c.low > 0))
    assert len(seen) >= 4  # a plain interval beyond 0 does not decide
