"""What tied votes do to kNN scores: a table where the rule for ties matters."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.results.questions import Questions, metric_of
from benchmark.results.schema import Score
from benchmark.results.tables import interval, markdown_table, percent

MATTERS = 0.005
"""Least and greatest accuracy under any rule for ties that lie further apart are shown."""

_RULES = {
    "nearest": "our rule takes the nearest",
    "random": "the scores above are these expectations",
}
"""By ``RunOptions.ties``."""


def rows_of_ties(scores: Sequence[Score], questions: Questions) -> str:
    """A row a metric, a column a task: least to greatest, the expectation of a random tied label in brackets, the share
    of votes that tied.

    Empty where no score has ``details["ties"]`` whose ``least`` and ``greatest`` differ by more than half a point.
    """
    cells: dict[tuple[str, str], str] = {}
    for s in scores:
        ties = s.details.get("ties")
        if ties and ties["greatest"] - ties["least"] > MATTERS:
            signed = metric_of(questions, s.task, s.metric).signed
            ends = interval(ties["least"], ties["greatest"], signed)
            tied = percent(ties["share"])
            cells[s.metric, s.task] = f"{ends} ({percent(ties['random'], signed)}), {tied}"
    if not cells:
        return ""
    rule = next((str(s.details.get("tie_rule")) for s in scores if s.details.get("ties")), "")
    rule = rule if rule in _RULES else "nearest"
    tasks, shown = dict.fromkeys(task for _, task in cells), {metric for metric, _ in cells}
    metrics = [metric for metric in dict.fromkeys(s.metric for s in scores) if metric in shown]
    rows = [[metric, *(cells.get((metric, task), "-") for task in tasks)] for metric in metrics]
    told = (
        "Tied votes: the least and the greatest that any rule for ties would give, in brackets what is expected "
        "when a random tied label is taken, and the share of the votes that tied, all in %; "
        f"{_RULES[rule]}. Shown where they differ by more than {100 * MATTERS:g} points."
    )
    return f"{markdown_table(['with ties', *tasks], rows)}\n\n{told}"
