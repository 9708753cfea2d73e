"""What more train photos would change: whether an accuracy still rises, and the spread over train photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.judgement.deciding import Comparison, decide
from benchmark.judgement.scores import ScoreLike, units_of
from benchmark.stats import SMALLEST_GAIN, t_quantile

MATTERS = 1 / 3
"""Share of the half width of the interval over test photos. A margin over train photos above it is stated."""


def training_margin(score: ScoreLike) -> float | None:
    """Half width of the range of 95 % of probes with other train photos; None where it does not matter.

    It matters where it is more than a third of the half width of the interval over test photos.

    >>> from types import SimpleNamespace
    >>> details = {"training_spread": {"deviation": 0.01, "probes": 8}}
    >>> round(training_margin(SimpleNamespace(low=0.45, high=0.55, details=details)), 4)  # t = 2.365
    0.0236
    """
    spread = score.details.get("training_spread")
    if not isinstance(spread, Mapping):
        return None
    margin = t_quantile(int(spread["probes"]) - 1) * float(spread["deviation"])
    return margin if margin > MATTERS * (score.high - score.low) / 2 else None


def learning_curve(score: ScoreLike) -> Mapping[str, Any] | None:
    """``details["learning_curve"]``, or None."""
    curve = score.details.get("learning_curve")
    return curve if isinstance(curve, Mapping) else None


def rising(scores: Sequence[ScoreLike]) -> list[bool]:
    """Whether each accuracy still rose when the last part of the train photos was added; all curves are one family.

    A curve that records no rise (``LearningCurve.rises``: less than half a point) does not rise.
    """
    curves = [learning_curve(score) for score in scores]
    steps = {i: c["gain"] for i, c in enumerate(curves) if c is not None and c.get("gain")}
    decisions = decide([_gain(gain, units_of(scores[i])) for i, gain in steps.items()])
    yes = {i for i, decision in zip(steps, decisions, strict=True) if decision.answer == "yes"}
    return [i in yes and bool(curve and curve["rises"]) for i, curve in enumerate(curves)]


def _gain(gain: Mapping[str, Any], units: float) -> Comparison:
    """The comparison of a gain with 0; the recorded p-value is two-sided."""
    value, p = float(gain["value"]), gain.get("p_value")
    one_sided = None if p is None else float(p) / 2 if value > 0 else 1 - float(p) / 2
    return Comparison(value, float(gain["low"]), float(gain["high"]), units, SMALLEST_GAIN, p_value=one_sided)
