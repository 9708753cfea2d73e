"""Admission to a board: why an untrusted result is not shown."""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.results import Result, ResultFile, Score, known_contradiction, processings_of
from benchmark.tasks import all_tasks
from builders.pixels import known_parameters

MAX_COUNT = 10**12
"""Most test photos of a score."""

MAX_GROUPS = 20
"""Most groups of one photo set whose questions are shown."""


def objection(file: ResultFile) -> str:
    """Why an untrusted result is not shown on a board; "" if it is."""
    listed_tasks = all_tasks()
    scored = {score.task for score in file.result.scores}
    unlisted = sorted(task for task in scored - set(listed_tasks) if not _is_of_a_stated_group(task, file.result))
    unknown = [t for t in unlisted if t.partition("/")[2] not in known_parameters() or t not in listed_tasks]
    if unknown and processings_of(file.result):
        return f"{unknown[0]} is about processings of the author's own file, which no other result here shares"
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        return (
            f"it answers questions that this camtrace does not know ({unknown[0]}{more}); if a newer camtrace does, "
            f"install that one (pip install -U camtrace){_unstated_group(unknown[0])}"
        )
    questions = {task: listed_tasks[task] for task in sorted(scored)}
    for task, question in questions.items():
        listed = {metric.name: metric for metric in question.metrics}
        scores = [score for score in file.result.scores if score.task == task]
        if sum(score.metric not in listed for score in scores) > question.most_unlisted:
            return f"{task} has more than {question.most_unlisted} scores under names that it does not list"
        for score in scores:
            metric = listed.get(score.metric)
            if reason := _impossible(score, metric.kind if metric else "difference"):
                return f"{task} {score.metric}: {reason}"
    return known_contradiction(file, listed_tasks)


def _is_of_a_stated_group(task: str, result: Result) -> bool:
    """Whether a task is one of a group of photos that the result states as a source: ``group=NAME``."""
    evidence = result.data.get("evidence")
    stated = [key for key in evidence if key.startswith("group=")] if isinstance(evidence, Mapping) else []
    return len(stated) <= MAX_GROUPS and f"group={task.partition('/')[2]}=" in stated and task in all_tasks()


def _unstated_group(task: str) -> str:
    """What a result lacks if an unlisted task is one of a group; "" if it cannot be one."""
    group = task.partition("/")[2]
    return f"; if {group} is a group of its photos, data.evidence lacks group={group}=" if task in all_tasks() else ""


def _impossible(score: Score, kind: str) -> str:
    """Why no run can give such a score; "" if one can."""
    if not 1 <= score.n <= MAX_COUNT:
        return f"n is {score.n}"
    if kind != "difference":
        for name, end in (("low", score.low), ("high", score.high)):
            if not _is_share(end):
                return f"{name} is {end:g}: not a share in [0, 1]"
        if score.low > score.high:
            return f"low is {score.low:g}, above high, {score.high:g}"
    if kind == "trace" and (not _is_share(score.chance) or score.chance in (0, 1)):
        return f"chance is {score.chance:g}: a guess between two classes or more is right sometimes"
    if kind == "accuracy" and not _is_share(score.chance):
        return f"chance is {score.chance:g}"
    return ""


def _is_share(value: float) -> bool:
    return 0 <= value <= 1
