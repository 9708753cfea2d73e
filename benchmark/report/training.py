"""What more train photos would change: learning curves and the spread over train photos, as words and tables."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from benchmark.judgement import Verdict, learning_curve, training_margin
from benchmark.report.tables import interval, markdown_table, percent
from benchmark.results import Score


def accuracy_text(score: Score, verdict: Verdict | None) -> str:
    """A score's accuracy in percent, with the words "at least" where it still rises (``Verdict.rises``).

    >>> accuracy_text(Score("probe/x", "toy", "accuracy", 0.267, 0.25, 0.29, 110, 0.17), None)
    '26.7'
    """
    return f"{'at least ' if verdict is not None and verdict.rises else ''}{percent(score.value)}"


def training_text(scores: Sequence[Score], verdicts: Sequence[Verdict | None]) -> str:
    """What the words "at least" and the margins of train photos mean; empty where the table has neither."""
    parts = []
    if any(verdict is not None and verdict.rises for verdict in verdicts):
        parts.append("At least: it still rose when the last half of the train photos was added.")
    if any(training_margin(s) is not None for s in scores):
        probes = max(s.details["training_spread"]["probes"] for s in scores if s.details.get("training_spread"))
        parts.append(
            "Interval: what other test photos would change. Train photos: within what other train photos (and class "
            f"assignments) would move it in 95 of 100 cases, by {probes} probes of random three quarters of them "
            "(a jackknife, which errs upwards); given where it is more than a third of the interval's half width."
        )
    return " ".join(parts)


def curves_table(scores: Sequence[Score]) -> str:
    """Table of learning curves; empty where no score has a curve of two parts or more."""
    curves = {s.task: curve for s in scores if (curve := learning_curve(s)) and len(curve["share"]) > 1}
    if not curves:
        return ""
    shares = sorted({share for curve in curves.values() for share in curve["share"]})
    header = [
        "accuracy % after part of the train photos",
        *map(_share, shares),
        "gain of the last step",
        "train photos",
    ]
    rows = []
    for task, curve in curves.items():
        accuracies = dict(zip(curve["share"], curve["accuracy"], strict=True))
        gain = curve.get("gain")
        gain_text = f"{percent(gain['value'], True)} ({interval(gain['low'], gain['high'], True)})" if gain else "-"
        cells = [percent(accuracies[share]) if share in accuracies else "-" for share in shares]
        rows.append([task, *cells, gain_text, str(curve["n_train"][-1])])
    return markdown_table(header, rows)


def _share(share: float) -> str:
    return "all" if share == 1 else str(Fraction(share).limit_denominator(100))
