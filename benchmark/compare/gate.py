"""A gate: is a new encoder worse than an old one by more than a margin, on the same photos?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmark.compare.judged import Gate, GateRow, Loss, MissingScore
from benchmark.compare.paired import (
    CommonAnswers,
    check_pair,
    check_patterns,
    common_answers,
    is_wanted,
    warn_of_unreadable,
)
from benchmark.judgement import judge_loss, loss_level
from benchmark.results import MetricKind, Run, metric_of
from benchmark.stats import paired_difference
from benchmark.tasks import all_tasks
from builders.errors import DataError, UsageError


def gate_runs(
    old: Sequence[Run],
    new: Sequence[Run],
    patterns: Sequence[str] = (),
    *,
    margin: float = 0.0,
    all_metrics: bool = False,
    across_codecs: bool = False,
    across_presets: bool = False,
) -> Gate:
    """Judge whether new runs are worse than old ones by more than a margin.

    A trace (``Metric.kind``) is worse where it is higher, an accuracy where it is lower, a difference where it is
    farther from 0. Each loss has a paired interval by photo (or by cluster), whose coverage is corrected for the number
    of scores that are judged (``loss_level``).

    Args:
        old, new: runs of one encoder each on some data sets, or of encoders with the same names.
        patterns: of tasks; all by default.
        margin: loss that is accepted, as a share.
        all_metrics: whether to judge all metrics of each task, not only the main ones.
        across_codecs, across_presets: as in ``compare_runs``.

    Raises:
        UsageError: a pattern matches no task, no run of ``new`` belongs to one of ``old``, or it is not clear which.
        DataError: photos, codecs or presets differ, or there is nothing to judge.
    """
    check_patterns([*old, *new], patterns)
    warn_of_unreadable([*old, *new])
    answers: list[tuple[Run, Run, CommonAnswers]] = []
    missing: list[MissingScore] = []
    pairs = _pairs(old, new)
    for before, after in pairs:
        check_pair(before, after, across_codecs=across_codecs, across_presets=across_presets)
        common = list(common_answers(before.encoder, before, after.encoder, after, patterns, all_metrics))
        answers += [(before, after, each) for each in common]
        compared = {(each.task, each.metric) for each in common}
        missing += _missing(before, compared, patterns, all_metrics, _reasons(after))
    for before in (run for run in old if not any(run is paired for paired, _ in pairs)):
        missing += _missing(before, set(), patterns, all_metrics, _no_result(before))
    if not answers:
        raise DataError("no task has per-photo answers (answers.npz) in both results: there is nothing to judge")
    coverage = loss_level(len(answers))
    rows = [_row(before, after, each, margin, coverage) for before, after, each in answers]
    return Gate(margin, coverage, tuple(rows), tuple(missing))


def _pairs(old: Sequence[Run], new: Sequence[Run]) -> list[tuple[Run, Run]]:
    """The old and the new run of each data set; of encoders by name where there are several."""
    pairs = []
    for data in dict.fromkeys(run.data for run in old):
        before, after = ([run for run in runs if run.data == data] for runs in (old, new))
        if len(before) == 1 and len(after) == 1:
            pairs.append((before[0], after[0]))
            continue
        by_name = {run.encoder: run for run in after}
        if len(by_name) < len(after) or len({run.encoder for run in before}) < len(before):
            raise UsageError(f"{data}: an encoder has several results in one folder; give the folder of one of them")
        pairs += [(run, by_name[run.encoder]) for run in before if run.encoder in by_name]
    if not pairs:
        of_old, of_new = (", ".join(f"{run.encoder} on {run.data}" for run in runs) or "nothing" for runs in (old, new))
        raise UsageError(f"no result of NEW belongs to one of OLD: OLD has {of_old}; NEW has {of_new}")
    return pairs


def _missing(
    before: Run,
    compared: set[tuple[str, str]],
    patterns: Sequence[str],
    all_metrics: bool,
    reason: Callable[[str], str],
) -> Iterator[MissingScore]:
    for task, metric in before.answers:
        if (task, metric) not in compared and is_wanted(task, metric, patterns, all_metrics):
            yield MissingScore(before.data, task, metric, reason(task))


def _reasons(after: Run) -> Callable[[str], str]:
    """(task) -> why the new run lacks it."""
    failures = {failure.name: failure.reason for failure in after.result.failures} | dict(after.unreadable)
    return lambda task: failures.get(task, f"{after.folder} has no answers of it")


def _no_result(before: Run) -> Callable[[str], str]:
    return lambda task: f"NEW has no result of {before.encoder} on {before.data}"


def _row(before: Run, after: Run, answers: CommonAnswers, margin: float, coverage: float) -> GateRow:
    metric = metric_of(all_tasks(), answers.task, answers.metric)
    differences = [
        paired_difference(first, second, **answers.pairing, level=coverage)
        for first, second in _sides(metric.kind, answers)
    ]
    # The new size exceeds both the old value and its opposite: the weaker of the two statements decides.
    loss = Loss(*(min(getattr(one, name) for one in differences) for name in ("value", "low", "high")))
    return GateRow(
        before.data,
        answers.task,
        answers.metric,
        before.encoder,
        after.encoder,
        float(answers.first.mean()),
        float(answers.second.mean()),
        loss,
        differences[0].n,
        differences[0].units,
        judge_loss(loss.low, loss.high, margin),
        metric.signed,
    )


def _sides(kind: MetricKind, answers: CommonAnswers) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of values whose mean difference is the loss; of a difference with a sign two, and the loss is the less."""
    old, new = answers.first, answers.second
    least = min(answers.pairing["limits"] or answers.pairing["bounds"])
    if kind == "accuracy":
        yield old, new
    elif kind == "trace" or least >= 0:
        yield new, old
    else:
        size = new if new.mean() >= 0 else -new
        yield size, old
        yield size, -old
