"""What a detector of generated photos rests on: biases of one result, judged together, and whether to trust its AUC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from benchmark.judgement.deciding import LEVEL, Comparison, Decision, decide
from benchmark.judgement.differences import moves
from benchmark.judgement.scores import find_score, units_of
from benchmark.judgement.traces import POINT
from benchmark.results import Questions, Result, Score, interval, percent
from builders.untrusted import readable

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


class Reliance(NamedTuple):
    """Whether the AUC of a detector shows that it recognises generated photos."""

    answer: Literal["no", "limited", "unknown", "yes"]
    """``no``: another cause explains it; ``limited``: it fails under some conditions; ``unknown``: a control is
    missing; ``yes``: no control speaks against it."""
    title: str
    reasons: tuple[str, ...]
    """Sentences."""


TITLES = {
    "no": "Its AUC does not show that it recognises generated photos",
    "limited": "It recognises generated photos, with limits",
    "unknown": "Not every control was run",
    "yes": "No control speaks against it",
}


def reliance(result: Result, questions: Questions) -> Reliance | None:
    """What the controls say about a detector together, the gravest first; None for a result without a detector.

    The AUC is no evidence if the files alone give the label, or if two sources of real photos are distinguished as well
    as real and generated ones are. It has limits if the worst generator that was not in training is not found, or if
    processing of one class alone moves it by a point or more.
    """
    score = find_score(result.scores, "forensics/detect", "auc")
    if score is None:
        return None
    audit = score.details.get("audit")
    margin = moves(result, questions).get(("forensics/detect", "margin"))
    of_margin = find_score(result.scores, "forensics/detect", "margin")
    worst = find_score(result.scores, "forensics/leave-one-out", "worst")
    bias = find_score(result.scores, "forensics/crossing", "bias")
    against, limits, missing = [], [], []
    if not isinstance(audit, Mapping):
        missing.append("The files were not audited.")
    elif audit.get("flagged"):
        against.append("The files alone give the label, without any encoder: repair the set first.")
    if margin is None or of_margin is None:
        missing.append("The floor is not known: name the sources of the real photos (source=).")
    elif margin.answer != "yes" or of_margin.value <= 0:
        ends = interval(of_margin.low, of_margin.high, True)
        against.append(
            "It is not shown to distinguish generated photos better than two sources of real photos (margin "
            f"{percent(of_margin.value, True)} points, {ends})."
        )
    if worst is None:
        missing.append("No generator was left out of training.")
    elif not _above_chance(worst):
        ends = f"AUC {percent(worst.value)} %, {interval(worst.low, worst.high)}"
        name = readable(str(worst.details.get("generator", "One generator"))[:100])
        limits.append(f"{name} is not shown to be found ({ends}).")
    if bias is None:
        missing.append("No class was processed alone.")
    elif moved := {n: b for n, b in biases(bias).items() if _is(b, "yes") and abs(b.value) >= POINT}:
        name, most = max(moved.items(), key=lambda item: abs(item[1].value))
        limits.append(
            f"{len(moved)} of {len(biases(bias))} processings make photos look more generated or more real to it, most "
            f"{name} (processing generated instead of real photos moves the AUC by {percent(most.value, True)} points)."
        )
    answer: Literal["no", "limited", "unknown", "yes"] = (
        "no" if against else "limited" if limits else "unknown" if missing else "yes"
    )
    return Reliance(answer, TITLES[answer], (*against, *limits, *missing))


def _above_chance(score: Score) -> bool:
    comparison = Comparison(score.value, score.low, score.high, units_of(score), POINT, score.chance)
    return decide([comparison])[0].answer == "yes"


def _is(bias: Bias, answer: str) -> bool:
    return bias.decision.answer == answer
