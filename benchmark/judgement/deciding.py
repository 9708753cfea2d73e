"""The decision: *yes*, *no* or *undecided* about each comparison of a family, corrected for their number.

- *Yes*: the estimate lies above its reference, with a p-value below ``LEVEL`` after Holm's correction over the family.
- *No*: the estimate lies above its reference by less than a bound. That is tested too (an equivalence test: Schuirmann,
  Journal of Pharmacokinetics and Biopharmaceutics 15, 1987), and corrected in the same way. A bound that is not above
  the weight of one unit proves nothing, because a single photo could have changed the answer.
- *Undecided*: neither. A difference that was not found is not an absent one.

Each decision has the interval that it follows from: at the level of its step of Holm's correction, and over every rule
for ties. It lies beyond the reference exactly where the answer is *yes*, so that a figure that draws it and marks the
answer cannot contradict itself.

In one family a false *yes* is as rare as ``LEVEL`` promises, and so is a false *no*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.stats import half_width_ratio, holm, p_above, p_below

Answer = Literal["yes", "no", "undecided"]

LEVEL = 0.05
"""Level of corrected p-values, and of the permutation test."""

INTERVAL_RULE = "95 %, corrected, any rule for ties"
"""What the interval of a decision is, in a legend."""


@dataclass(frozen=True)
class Comparison:
    """An estimate and what it is compared with."""

    value: float
    low: float
    """Lower end of the 95 % interval over units."""
    high: float
    units: float
    """Number of independent units: photos, or scenes or owners of which photos err together."""
    bound: float
    """The answer is *no* where the estimate lies above the reference by less than this."""
    reference: float = 0.0
    """Score of a guess; 0 for a difference."""
    p_value: float | None = None
    """Of "not above the reference", from values by photo; None where only the interval is known."""
    two_sided: bool = False
    """Whether an estimate below the reference counts too. ``p_value`` is then two-sided."""
    permuted: float | None = None
    """P-value of a permutation test, a second condition of *yes*. It tests another hypothesis: no part of the family.
    """
    choices: tuple[float, float] | None = None
    """The least and the greatest estimate under any rule for ties. *Yes* needs both on the same side, *no* both within
    the bound."""
    needed: float = 0.0
    """P-value of a second claim that *yes* needs as well."""
    excused: float | None = None
    """P-value of a second claim that is a *no* by itself."""
    limits: tuple[float, float] = (-1.0, 1.0)
    """Least and greatest estimate that is possible."""

    @property
    def weight(self) -> float:
        """The most that one unit adds to the estimate."""
        return 1 / max(self.units, 1)


Reason = Literal["", "shuffled labels", "ties", "bound"]
"""Why a comparison is undecided: shuffled labels are read as well; the rule for ties decides; the bound is not above
the weight of one unit; or, empty, too few units."""


@dataclass(frozen=True)
class Decision:
    """The answer to one comparison."""

    answer: Answer
    p_value: float
    """Of "not above the reference", corrected over the family."""
    p_absent: float
    """Of "above the reference by the bound or more", corrected; 1 where the bound proves nothing."""
    below: bool
    """Whether the estimate lies below the reference, by the same correction."""
    bound: float
    units: float
    family: int
    """Number of comparisons that were decided together."""
    low: float
    """Lower end of the interval that decides, which holds the reference unless the answer is *yes*."""
    high: float
    reason: Reason = ""


def decide(family: Sequence[Comparison], *, level: float = LEVEL) -> list[Decision]:
    """Decide the comparisons of one family together, in their order.

    >>> clear, faint, unknown = (0.3, 0.25, 0.35), (0.002, -0.01, 0.014), (0.1, -0.1, 0.3)
    >>> [d.answer for d in decide([Comparison(*c, units=500, bound=0.05) for c in (clear, faint, unknown)])]
    ['yes', 'no', 'undecided']
    """
    above = holm([max(p_of_more(c), c.needed) for c in family])
    absent = holm([_p_of_no(c) for c in family])
    under = holm([p_below(c.value, c.high, c.units, c.reference) for c in family])
    return [
        _decision(comparison, float(p), float(q), bool(r < level), len(family), level)
        for comparison, p, q, r in zip(family, above, absent, under, strict=True)
    ]


def p_of_more(c: Comparison) -> float:
    """P-value of "not above the reference", not corrected."""
    if c.p_value is not None:
        return c.p_value
    above = p_above(c.value, c.low, c.units, c.reference)
    if not c.two_sided:
        return above
    return min(1.0, 2 * min(above, p_below(c.value, c.high, c.units, c.reference)))


def p_of_less(c: Comparison) -> float:
    """P-value of "above the reference by the bound or more", not corrected; 1 where the bound proves nothing."""
    if not c.bound > c.weight:
        return 1.0
    below = p_below(c.value, c.high, c.units, c.reference + c.bound)
    return max(below, p_above(c.value, c.low, c.units, c.reference - c.bound)) if c.two_sided else below


def _p_of_no(c: Comparison) -> float:
    """One of two tests may give the answer: twice the smaller p-value."""
    absent = p_of_less(c)
    return absent if c.excused is None else min(1.0, 2 * min(absent, c.excused))


def _decision(c: Comparison, p: float, q: float, below: bool, family: int, level: float) -> Decision:
    reason: Reason = ""
    answer: Answer = "undecided"
    if p < level:
        answer, reason = ("undecided", veto) if (veto := _veto(c, level)) else ("yes", "")
    if answer != "yes" and q < level:
        within = c.choices is None or max(abs(end - c.reference) for end in c.choices) < c.bound
        answer, reason = ("no", "") if within else ("undecided", "ties")
    if answer == "undecided" and not reason and not c.bound > c.weight:
        reason = "bound"
    low, high = _judged_ends(c, answer, p, family, level)
    return Decision(answer, p, q, below, c.bound, c.units, family, low, high, reason)


def _judged_ends(c: Comparison, answer: Answer, p: float, family: int, level: float) -> tuple[float, float]:
    """Ends of the interval that decides.

    Where the p-value is not that of the interval, or another condition forbids a *yes*, the end is moved to agree.
    """
    raw = max(p_of_more(c), c.needed)
    step = min(max(p / raw, 1.0), family) if raw > 0 else family
    tail = level / step / (2 if c.two_sided else 1)
    ratio = half_width_ratio(c.units, tail)
    low, high = c.value - ratio * (c.value - c.low), c.value + ratio * (c.high - c.value)
    if answer == "yes" and not (low > c.reference or (c.two_sided and high < c.reference)):
        shrunk = ratio / half_width_ratio(c.units, raw / (2 if c.two_sided else 1))
        end = c.value - shrunk * (c.value - c.reference)
        low, high = (end, high) if c.value > c.reference else (low, end)
    if c.choices is not None:
        low, high = min(low, c.choices[0]), max(high, c.choices[1])
    if answer != "yes":
        low = min(low, c.reference)
        high = max(high, c.reference) if c.two_sided else high
    least = 0.0 if c.reference > 0 else c.limits[0]  # what is compared with chance is a share
    return max(low, least), min(high, c.limits[1])


def _veto(c: Comparison, level: float) -> Reason:
    """Why a significant comparison is not a *yes*; "" where it is."""
    if c.permuted is not None and c.permuted > level:
        return "shuffled labels"
    if c.choices is not None:
        least, greatest = c.choices
        if not (least > c.reference if c.value > c.reference else greatest < c.reference):
            return "ties"
    return ""


def is_significant(p_value: float, *, level: float = LEVEL) -> bool:
    """Whether a p-value is below a level; correct p-values of several tests before.

    >>> is_significant(0.049), is_significant(0.049, level=0.01)
    (True, False)
    """
    return bool(p_value < level)


def is_confounded(p_value: float, effect: float, *, level: float, smallest: float) -> bool:
    """Whether an audit flags a question: its p-value is significant, and its effect is ``smallest`` or more."""
    return is_significant(p_value, level=level) and bool(effect >= smallest)
