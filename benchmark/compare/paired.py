"""Paired differences between runs on the same photos, as values and as text."""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmark.judgement import TIES_RULE, Answer, decide_differences, differing_text
from benchmark.options import OPTIONS, choices
from benchmark.report import interval, markdown_table, p_value, percent
from benchmark.results import Run, failed_encoder, metric_of, processings_of
from benchmark.stats import Difference, paired_difference, rank_intervals
from benchmark.tasks import all_tasks
from builders.errors import DataError, UsageError, unknown_name


@dataclass(frozen=True)
class Compared:
    """One score of two encoders on the same photos."""

    data: str
    task: str
    metric: str
    first: str
    second: str
    first_value: float
    second_value: float
    difference: Difference
    holm_p: float = math.nan
    """The p-value after Holm's correction over all rows of this pair of encoders."""
    answer: Answer = "undecided"
    """Whether the two differ, by the same correction; *no*: shown to differ by less than a point."""


@dataclass(frozen=True)
class Tie:
    """The encoders that are tied with the best on one score."""

    data: str
    task: str
    metric: str
    best: str
    tied: tuple[str, ...]
    encoders: int


def compare_runs(
    runs: Sequence[Run],
    patterns: Sequence[str] = (),
    *,
    all_metrics: bool = False,
    across_codecs: bool = False,
    across_presets: bool = False,
) -> tuple[list[Compared], list[Tie]]:
    """Differences of every pair of runs on the same data, for every score that both have.

    A task whose answers cannot be read is left out with a warning.

    Args:
        runs: two or more.
        patterns: of tasks; all by default.
        all_metrics: whether to compare all metrics of each task, not only the main ones.
        across_codecs: compare although codec canaries differ (with a warning).
        across_presets: compare although presets differ (with a warning).

    Returns:
        A row for each score of each pair of encoders, with p-values after Holm's correction; and ties by score.

    Raises:
        UsageError: fewer than two runs, no two on data of one name, or a pattern that matches no task of theirs.
        DataError: photos, codecs or presets differ, or nothing can be compared.
    """
    check_patterns(runs, patterns)
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.data, []).append(run)
    groups = {data: members for data, members in groups.items() if len(members) > 1}
    if not groups:
        where = ", ".join(f"{run.encoder} on {run.data}" for run in runs)
        raise UsageError(f"two results on the same data are needed, found: {where}")
    warn_of_unreadable(run for members in groups.values() for run in members)
    rows: list[Compared] = []
    ties: list[Tie] = []
    for members in groups.values():
        named = _named(members)
        for (first, a), (second, b) in itertools.combinations(named.items(), 2):
            check_pair(a, b, across_codecs=across_codecs, across_presets=across_presets)
            rows += _pair(first, a, second, b, patterns, all_metrics)
        ties += _ties(named, patterns, all_metrics)
    if not rows:
        raise DataError("no task has per-photo answers (answers.npz) in two of these results")
    decisions = decide_differences([row.difference for row in rows], [_family(row) for row in rows])
    return [
        replace(row, holm_p=decision.p_value, answer=decision.answer)
        for row, decision in zip(rows, decisions, strict=True)
    ], ties


def comparison_text(rows: Sequence[Compared], ties: Sequence[Tie]) -> str:
    """Differences as a table with their meaning, and ties where there are three encoders or more."""
    header = ["score", "data", "first", "second", "first %", "second %", "difference", "95 % interval", "p (Holm)"]
    header += ["differs", "n"]
    table = [
        [
            f"{r.task} {r.metric}",
            r.data,
            r.first,
            r.second,
            *(percent(v, metric_of(all_tasks(), r.task, r.metric).signed) for v in (r.first_value, r.second_value)),
            percent(r.difference.value, True),
            interval(r.difference.low, r.difference.high, True),
            p_value(r.holm_p),
            r.answer,
            str(r.difference.n),
        ]
        for r in rows
    ]
    parts = [
        markdown_table(header, table),
        differing_text([r.answer for r in rows], _sizes(rows), [(r.difference.n, r.difference.units) for r in rows]),
    ]
    ties = [tie for tie in ties if tie.encoders > 2]
    if ties:
        rows_of_ties = [
            [f"{t.task} {t.metric}", t.data, t.best, ", ".join(t.tied) or "none", str(t.encoders)] for t in ties
        ]
        parts.append(markdown_table(["score", "data", "highest", "tied with it", "encoders"], rows_of_ties))
        parts.append(TIES_RULE)
    return "\n\n".join(parts)


def difference_rows(rows: Sequence[Compared]) -> list[dict[str, Any]]:
    """Differences as flat rows: first minus second, 95 % interval, p-values before and after Holm's correction."""
    names = ("data", "task", "metric", "first", "second", "first_value", "second_value")
    return [
        {
            **{name: getattr(row, name) for name in names},
            "difference": row.difference.value,
            "low": row.difference.low,
            "high": row.difference.high,
            "p_value": row.difference.p_value,
            "holm_p": row.holm_p,
            "differs": row.answer,
            "n": row.difference.n,
        }
        for row in rows
    ]


def comparison_json(rows: Sequence[Compared], ties: Sequence[Tie]) -> dict[str, Any]:
    """Differences and ties as JSON values."""
    return {"differences": difference_rows(rows), "ties": [dataclasses.asdict(tie) for tie in ties]}


def _family(row: Compared) -> frozenset[str]:
    """The family of Holm's correction: all rows of one pair of encoders, so that a third encoder changes no p-value."""
    return frozenset((row.first, row.second))


def _sizes(rows: Sequence[Compared]) -> str:
    """Sizes of the families of Holm's correction: ``4 rows``, ``3 to 5 rows``."""
    sizes = Counter(_family(row) for row in rows).values()
    least, most = min(sizes), max(sizes)
    return f"{least} to {most} rows" if least < most else "1 row" if most == 1 else f"{most} rows"


def _pair(first: str, a: Run, second: str, b: Run, patterns: Sequence[str], all_metrics: bool) -> Iterable[Compared]:
    for pair in common_answers(first, a, second, b, patterns, all_metrics):
        difference = paired_difference(pair.first, pair.second, **pair.pairing)
        values = float(pair.first.mean()), float(pair.second.mean())
        yield Compared(a.data, pair.task, pair.metric, first, second, *values, difference)


@dataclass(frozen=True, eq=False)
class CommonAnswers:
    """Values of two runs for one score, on the photos that both have."""

    task: str
    metric: str
    first: np.ndarray
    """float64 [n]."""
    second: np.ndarray
    """float64 [n]."""
    pairing: Mapping[str, Any]
    """What ``paired_difference`` has to know of the values of both."""


def common_answers(
    first: str, a: Run, second: str, b: Run, patterns: Sequence[str], all_metrics: bool
) -> Iterable[CommonAnswers]:
    """The values of every score that two runs share, paired by photo, with a warning where photos are missing."""
    for task, metric in a.answers:
        if (task, metric) not in b.answers or not is_wanted(task, metric, patterns, all_metrics):
            continue
        of_a, of_b = a.answers[task, metric], b.answers[task, metric]
        if of_a.over != of_b.over:
            warn(
                f"{task} {metric} on {a.data}: {first} is over {len(of_a.over)} processings and {second} over "
                f"{len(of_b.over)}, which are not the same; they are not compared"
            )
            continue
        common, at_a, at_b = np.intersect1d(of_a.photos, of_b.photos, assume_unique=True, return_indices=True)
        if not len(common):
            continue
        if len(common) < max(len(of_a.photos), len(of_b.photos)):
            warn(
                f"{task} on {a.data}: {len(common)} photos are in both {first} ({len(of_a.photos)}) and {second} "
                f"({len(of_b.photos)}); only these are compared"
            )
        clusters = None if of_a.clusters is None else of_a.clusters[at_a]
        pairing = {**of_a.pairing, "clusters": clusters}
        yield CommonAnswers(task, metric, of_a.values[at_a], of_b.values[at_b], pairing)


def _ties(named: dict[str, Run], patterns: Sequence[str], all_metrics: bool) -> Iterable[Tie]:
    keys = dict.fromkeys(key for run in named.values() for key in run.answers)
    for task, metric in keys:
        answers = {name: run.answers[task, metric] for name, run in named.items() if (task, metric) in run.answers}
        if len(answers) < 2 or not is_wanted(task, metric, patterns, all_metrics):
            continue
        first = next(iter(answers.values()))
        if any(v.over != first.over or not np.array_equal(v.photos, first.photos) for v in answers.values()):
            continue
        values_by_run = np.array([values.values for values in answers.values()])
        ranks = rank_intervals(values_by_run, clusters=first.clusters, bounds=first.bounds)
        names = list(answers)
        best = names[int(np.argmin(ranks.rank))]
        tied = tuple(n for n, t in zip(names, ranks.tied_with_best, strict=True) if t and n != best)
        yield Tie(next(iter(named.values())).data, task, metric, best, tied, len(answers))


def check_patterns(runs: Iterable[Run], patterns: Sequence[str]) -> None:
    """Check that every pattern matches a task: one of the registry, or one that a run has answers of.

    Raises:
        UsageError: a pattern matches none.
    """
    names = {*all_tasks(), *(task for run in runs for task, _ in run.answers)}
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise unknown_name("task", pattern, names)


def check_pair(a: Run, b: Run, *, across_codecs: bool, across_presets: bool) -> None:
    """Check that two runs can be compared, with a warning about what makes that doubtful.

    Raises:
        DataError: an encoder failed, or photos, codecs or presets differ.
    """
    for run in (a, b):
        if reason := failed_encoder(run.result):
            raise DataError(f"{run.folder}: {run.encoder} failed on {run.data} ({reason}): it is not compared")
    _check_comparable(a, b, across_codecs)
    _check_presets(a, b, across_presets)


def _check_comparable(a: Run, b: Run, across_codecs: bool) -> None:
    hashes = {
        "ids_hash": "ids, splits or labels",
        "question_hash": "attributes, groups, clusters, owners, scenes, pairs or stored views",
        "bytes_hash": "bytes",
    }
    for name, what in hashes.items():
        hash_a, hash_b = a.result.data.get(name), b.result.data.get(name)
        if name == "question_hash" and not (hash_a and hash_b):
            older = " and ".join(str(run.folder) for run in (a, b) if not run.result.data.get(name))
            warn(f"{older}: written by an older camtrace, so only ids, splits and labels are checked, not the {what}")
        elif hash_a != hash_b:
            raise DataError(
                f"{a.folder} and {b.folder}: both are {a.data}, but the {what} of the photos differ "
                f"({hash_a} and {hash_b}): nothing can be paired"
            )
    definitions = [processings_of(run.result) for run in (a, b)]
    if definitions[0] != definitions[1]:
        raise DataError(f"{a.folder} and {b.folder}: --processings define different ones; score both under one file")
    canaries = [run.result.environment.get("codec_canary") for run in (a, b)]
    if canaries[0] != canaries[1]:
        both = " and ".join(map(str, canaries))
        sentence = f"{a.folder} and {b.folder}: the photos were processed by different codecs ({both})"
        if not across_codecs:
            raise DataError(f"{sentence}: score both with one version of Pillow, or say --across-codecs")
        warn(f"{sentence}: a difference may be the codec's")


def _check_presets(a: Run, b: Run, across_presets: bool) -> None:
    of_a, of_b = (_recorded(run) for run in (a, b))
    if of_a["preset"] != of_b["preset"]:
        sentence = f"{a.folder} and {b.folder}: the presets are {of_a['preset']} and {of_b['preset']}"
        if not across_presets:
            raise DataError(f"{sentence}, which ask differently: score both under one, or say --across-presets")
        warn(f"{sentence}: a difference may be that of preprocessing, votes or probes")
    for name in (option.name for option in OPTIONS if option.changes_question and option.name != "preset"):
        if of_a.get(name) != of_b.get(name):
            warn(f"{a.folder} and {b.folder}: {name} is {of_a.get(name)} and {of_b.get(name)}")


def _recorded(run: Run) -> dict[str, Any]:
    """The options of a run. A run from before presets used the choices of the preset ``camtrace``."""
    recorded = run.result.environment.get("options") or {}
    unchanged = {option.name: option.default for option in OPTIONS if option.role.in_result == "if changed"}
    return {**unchanged, "preset": "camtrace", **choices("camtrace", {}), **recorded}


def _named(members: Sequence[Run]) -> dict[str, Run]:
    """Runs by encoder; several runs of one encoder by encoder and folder."""
    ids = [run.encoder for run in members]
    return {run.encoder if ids.count(run.encoder) == 1 else f"{run.encoder} ({run.folder})": run for run in members}


def is_wanted(task: str, metric: str, patterns: Sequence[str], all_metrics: bool) -> bool:
    """Whether the patterns name a task, and the metric is one of those that are compared."""
    named = not patterns or any(fnmatch.fnmatchcase(task, pattern) for pattern in patterns)
    return named and (all_metrics or metric_of(all_tasks(), task, metric).main)


def warn_of_unreadable(runs: Iterable[Run]) -> None:
    """One line for each task whose answers cannot be read."""
    for run in runs:
        for task, reason in run.unreadable.items():
            warn(f"{run.folder}: {task} is left out: {reason}")


def warn(sentence: str) -> None:
    """Print a warning on standard error."""
    print(f"camtrace: warning: {sentence}", file=sys.stderr)
