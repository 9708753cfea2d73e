"""Copies in a report: the threshold of each task, and each kind of copy."""

from __future__ import annotations

from benchmark.results import Result
from builders.untrusted import readable


def copies_text(result: Result) -> str:
    """Sentences about thresholds, and a table of kinds of copies; empty where no task is about copies."""
    from benchmark.extras.copies.judged import threshold_text, thresholds
    from benchmark.report import markdown_table, percent

    by_task: dict[str, dict[str, dict[str, float]]] = {}
    parts = [f"{score.task}: {threshold_text(score)}" for score in thresholds(result)]
    for score in result.scores:
        shares = score.details.get("by_copy")
        if isinstance(shares, dict):
            by_task.setdefault(score.task, {})[score.metric] = shares
    for task, by_metric in by_task.items():
        names = list(dict.fromkeys(copy for shares in by_metric.values() for copy in shares))
        rows = [
            [readable(n), *(percent(by_metric[m][n]) if n in by_metric[m] else "-" for m in by_metric)] for n in names
        ]
        parts.append(markdown_table([task, *(f"{metric}, %" for metric in by_metric)], rows))
    return "\n\n".join(parts)
