"""Which results of strangers a board takes: questions that it knows, numbers that can be, answers that agree."""

from __future__ import annotations

from benchmark.results import ResultFile, Score, contradiction
from benchmark.tasks import all_tasks

MAX_COUNT = 10**12
"""Test photos behind a score."""
MAX_UNLISTED = 8
"""Scores of a known task under names that it does not list (retrieval names its directions after the cameras)."""


def objection(file: ResultFile) -> str:
    """Why a result is not shown on a board; "" if it is."""
    questions = all_tasks()
    unknown = sorted({score.task for score in file.result.scores} - questions.keys())
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        return (
            f"it answers questions that this camtrace does not know ({unknown[0]}{more}); if a newer camtrace does, "
            "install that one (pip install -U camtrace)"
        )
    for task, question in questions.items():
        listed = {metric.name: metric for metric in question.metrics}
        own = [score for score in file.result.scores if score.task == task]
        if sum(score.metric not in listed for score in own) > MAX_UNLISTED:
            return f"{task} has more than {MAX_UNLISTED} scores under names that it does not list"
        for score in own:
            metric = listed.get(score.metric)
            if reason := _impossible(score, metric.kind if metric else "difference"):
                return f"{task} {score.metric}: {reason}"
    return contradiction(file, questions)


def _impossible(score: Score, kind: str) -> str:
    if not 1 <= score.n <= MAX_COUNT:
        return f"n is {score.n}"
    if kind != "difference" and not 0 <= score.low <= score.high <= 1:
        return "a share outside [0, 1]"
    if kind == "trace" and not 0 < score.chance < 1:
        return f"chance is {score.chance:g}: a guess between two classes or more is right sometimes"
    if kind == "accuracy" and not 0 <= score.chance <= 1:
        return f"chance is {score.chance:g}"
    return ""
