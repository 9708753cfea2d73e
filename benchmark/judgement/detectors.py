"""Whether processing of one class moves the score of a detector: the biases of one result, judged together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from benchmark.judgement.deciding import LEVEL, Comparison, Decision, decide
from benchmark.judgement.scores import units_of
from benchmark.judgement.traces import POINT
from benchmark.results import Score, percent

BY_PROCESSING = "by_processing"
"""Detail of a score: the bias by processing (``bias``, ``low``, ``high``, ``p_value``)."""


class Bias(NamedTuple):
    """The bias of a detector for one processing, in [-1, 1]."""

    value: float
    decision: Decision


def biases(score: Score) -> dict[str, Bias]:
    """Whether each processing of one class alone moves a detector; the processings are one family.

    *Yes*: it moves it, to the side of its value. *No*: it is shown to move it by less than a point.

    Args:
        score: of a bias, with ``details["by_processing"]``; of others there is nothing to judge.
    """
    table = score.details.get(BY_PROCESSING)
    if not isinstance(table, Mapping):
        return {}
    rows = {str(name): row for name, row in table.items() if isinstance(row, Mapping) and "p_value" in row}
    units = units_of(score)
    compared = [
        Comparison(
            float(row["bias"]),
            float(row["low"]),
            float(row["high"]),
            units,
            POINT,
            p_value=float(row["p_value"]),
            two_sided=True,
        )
        for row in rows.values()
    ]
    decisions = decide(compared) if compared else []
    return {name: Bias(c.value, d) for name, c, d in zip(rows, compared, decisions, strict=True)}


def biases_text(score: Score) -> str:
    """Which processings of one class move a detector, and to which side; "" where nothing was measured."""
    judged = biases(score)
    if not judged:
        return ""
    sides = {
        "Processing that looks generated to the detector": [
            n for n, b in judged.items() if _is(b, "yes") and b.value > 0
        ],
        "that looks real": [n for n, b in judged.items() if _is(b, "yes") and b.value <= 0],
        f"shown to move it by less than {100 * POINT:g} point": [n for n, b in judged.items() if _is(b, "no")],
        "undecided": [n for n, b in judged.items() if _is(b, "undecided")],
    }
    listed = [
        f"{words}: " + ", ".join(f"{name} ({percent(judged[name].value, True)} points)" for name in names)
        for words, names in sides.items()
        if names
    ]
    text = "; ".join(listed)
    return f"{text[0].upper()}{text[1:]}. Shown: p < {LEVEL:g} after Holm's correction over {len(judged)} processings."


def _is(bias: Bias, answer: str) -> bool:
    return bias.decision.answer == answer
