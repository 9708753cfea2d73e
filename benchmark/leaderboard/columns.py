"""Columns of a board: their families, labels, meanings and order.

Those of questions come from the tasks; those of means over tasks, and of unknown scores, are defined here.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.results import families, metric_of, subject_of
from benchmark.tasks import all_tasks

SUMMARY, OTHER = "summary", "other"

_SUMMARY = (
    SUMMARY,
    "Summary",
    "Means over the tasks of a family, only for encoders that have every one of them. MP, SP and SPD are those "
    "of arXiv 2608.05424. MP, metadata prediction: accuracy of a linear probe that reads the label. SP, semantic "
    "prediction: accuracy of plain kNN, photos as they are (the 2025 study published none). SPD, semantic prediction "
    "distraction: how far the label moves kNN or retrieval, without its sign.",
)
_OTHER = (OTHER, "Further scores", "Other means over tasks, and scores of result files that belong to no family above.")


def board_families() -> tuple[tuple[str, str, str], ...]:
    """Id, label and explanation of each family, in order."""
    return (_SUMMARY, *((f.name, f.title, f.explain) for f in families(all_tasks())), _OTHER)


SUMMARIES = {
    "mp-processing": (
        "summary",
        "Metadata prediction (MP), processing",
        "Metadata prediction: mean accuracy over the four processing probes.",
        "trace",
    ),
    "mp-acquisition": (
        "summary",
        "Metadata prediction (MP), acquisition",
        "Metadata prediction: mean accuracy over the acquisition probes.",
        "trace",
    ),
    "sp": (
        "summary",
        "Semantic prediction (SP)",
        "Semantic prediction: accuracy of plain kNN, photos as they are.",
        "accuracy",
    ),
    "all-same": (
        "summary",
        "kNN all-same",
        "kNN accuracy where all photos share one processing, mean over the four parameters: the 2025 study's, not SP.",
        "accuracy",
    ),
    "spd-processing": (
        "summary",
        "Semantic distraction (SPD), processing",
        "Semantic prediction distraction: |pos-same - neg-same|, mean over the four parameters.",
        "size",
    ),
    "spd-acquisition": (
        "summary",
        "Semantic distraction (SPD), acquisition",
        "Semantic prediction distraction: |recall same - recall different|.",
        "size",
    ),
    "spd-processing-signed": (
        "other",
        "Semantic distraction (SPD), processing, signed",
        "pos-same minus neg-same, mean over the four parameters: above 0 where a shared processing attracts.",
        "difference",
    ),
    "log-odds-processing": (
        "other",
        "Log-odds processing",
        "Natural log-odds of accuracy less those of chance, mean over the four processing probes: 0 is a guess.",
        "log-odds",
    ),
    "log-odds-acquisition": (
        "other",
        "Log-odds acquisition",
        "Natural log-odds of accuracy less those of chance, mean over the acquisition probes: 0 is a guess.",
        "log-odds",
    ),
}
"""Family, label, meaning and kind of each mean; MP, SP, SPD are the follow-up study's (arXiv 2608.05424)."""


@dataclass(frozen=True)
class Meaning:
    """Meaning of a task and metric, independent of the data set."""

    family: str
    label: str
    explain: str
    kind: str
    """``trace`` (read by a probe), ``accuracy`` (of the content task), ``difference`` (signed), ``size`` (unsigned)
    or ``log-odds`` (of a probe)."""
    group: str = ""
    """Title over the columns of one question, where its family is grouped."""
    parameter: str = ""
    """Processing parameter or acquisition attribute, where there is one."""


def meaning(task: str, metric: str) -> Meaning:
    """Meaning of a task and metric. Unknown ones belong to the family "Further scores"."""
    subject = subject_of(task)
    if task.startswith(f"{SUMMARY}/") and subject in SUMMARIES:
        return Meaning(*SUMMARIES[subject])
    questions = all_tasks()
    number = metric_of(questions, task, metric)
    question = questions.get(task)
    shown = number.main or number.kind == "trace" or (question is not None and question.family.grouped)
    if question is None or not shown or number not in question.metrics:
        return Meaning(OTHER, f"{task} {metric}", f"{metric} of {task}.", number.kind, "", subject)
    alone = len([m for m in question.metrics if m.main]) == 1 and not question.family.grouped
    reader = "" if number.main or question.family.grouped else f", {number.title.partition(', ')[2]}"
    return Meaning(
        family=question.family.name,
        label=f"{question.title}{reader}" if alone else number.title,
        explain=f"{question.explain}{f' {number.explain}' if reader else ''}" if alone else number.explain,
        kind=number.kind,
        group=question.title if question.family.grouped else "",
        parameter=subject if alone or question.family.grouped else "",
    )


def column_order(task: str, metric: str) -> tuple[int, int, int, str, str]:
    """Sort key of a column within a data set: by family, then in the order of the tasks and their metrics."""
    questions = all_tasks()
    names = [name for name, *_ in board_families()]
    tasks = [*(f"{SUMMARY}/{name}" for name in SUMMARIES), *questions]
    metrics = [m.name for m in questions[task].metrics] if task in questions else []
    return (
        names.index(meaning(task, metric).family),
        tasks.index(task) if task in tasks else len(tasks),
        metrics.index(metric) if metric in metrics else len(metrics),
        task,
        metric,
    )
