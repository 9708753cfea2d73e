"""Is the encoder sensitive? For each probe of a result an effect size, a test against chance, and a word for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmark.results.questions import Questions, metric_of
from benchmark.results.schema import Result, Score
from benchmark.stats import EffectSize, effect_size, holm

Trace = Literal["readable", "weak", "none"]
"""``none``: not told from chance; ``weak``: above chance, but by less than ``WEAK_BELOW``; ``readable``: by more."""

LEVEL = 0.05
"""Of the corrected p-value, and of the permutation test's."""

WEAK_BELOW = 0.05
"""Share of the way from chance to 1. Photos that are each asked in many views can tell 17.0 % from 16.7 %, which is no
trace to speak of."""


@dataclass(frozen=True)
class Verdict:
    """What one probe says about its trace."""

    chance: float
    """What a guess gets: one over the number of classes, or the share of the most frequent class where that is more."""
    effect: EffectSize | None
    """The share of the way from ``chance`` to 1; ``None`` where chance is 1."""
    p_value: float | None
    """Of no better than chance, after Holm's correction over the probes of the result; ``None`` in older results."""
    trace: Trace


def verdicts(result: Result, questions: Questions) -> dict[tuple[str, str], Verdict]:
    """The verdict on every main trace of a result, by task and metric.

    Above chance is decided by ``details["p_chance"]`` (``benchmark.stats.against_chance`` over the test photos), which
    Holm corrects over all probes asked of this encoder on these photos. Where the task has a permutation test
    (shuffled labels), its p-value is a second condition: it asks another question, so it is not of Holm's family. A
    result without ``p_chance`` falls back to its interval lying above chance.
    """
    scores = [s for s in result.scores if (m := metric_of(questions, s.task, s.metric)).main and m.kind == "trace"]
    tested = [s for s in scores if "p_chance" in s.details]
    corrected = holm([float(s.details["p_chance"]) for s in tested])
    p_values = {(s.task, s.metric): float(p) for s, p in zip(tested, corrected, strict=True)}
    return {(s.task, s.metric): _verdict(s, p_values.get((s.task, s.metric))) for s in scores}


def _verdict(score: Score, p_value: float | None) -> Verdict:
    chance = max(score.chance, float(score.details.get("most_frequent_class", 0.0)))
    effect = effect_size(score.value, score.low, score.high, chance) if chance < 1 else None
    shuffled = score.details.get("controls", {}).get("shuffled", {})
    above = score.low > score.chance if p_value is None else p_value < LEVEL
    if effect is None or not above or shuffled.get("p_value", 0.0) > LEVEL:
        return Verdict(chance, effect, p_value, "none")
    return Verdict(chance, effect, p_value, "weak" if effect.value < WEAK_BELOW else "readable")
