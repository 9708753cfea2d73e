"""Measured scores paired with the published numbers of the study, as values, tables and CSV.

A pair has a difference, and the published value lies in the measured interval or not; where the two are not of the same
photos and preset, it has the reason instead.
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmark.encoders import STUDY
from benchmark.options import STUDY_PRESET, preset_label
from benchmark.report import interval, markdown_table, percent
from benchmark.results import (
    STUDY_CITATION,
    STUDY_CLASSES,
    STUDY_GROUPS,
    STUDY_URL,
    Family,
    PublishedEncoder,
    PublishedScore,
    Result,
    Run,
    Score,
    families,
    metric_of,
    published_encoders,
    score_label,
)
from benchmark.scoring import Row
from benchmark.tasks import all_tasks
from builders.errors import DataError, UsageError, unknown_name
from builders.files import write_text_atomically
from builders.untrusted import csv_text


@dataclass(frozen=True)
class PublishedPair:
    """One score, measured and published."""

    measured: Score
    published: PublishedScore
    not_comparable: str
    """Why the two cannot be compared: other photos, or another preset. Empty where the name of the data set, the number
    of test photos, the number of classes and the preset agree."""

    @property
    def comparable(self) -> bool:
        """Whether both are of the same photos, under the same preset."""
        return not self.not_comparable

    @property
    def signed(self) -> bool:
        """Whether the score is a difference."""
        return metric_of(all_tasks(), self.measured.task, self.measured.metric).signed

    @property
    def difference(self) -> float:
        """Measured minus published value."""
        return self.measured.value - self.published.value

    @property
    def inside(self) -> bool | None:
        """Whether the published value lies in the measured 95 % interval; ``None`` where they cannot be compared."""
        return self.measured.low <= self.published.value <= self.measured.high if self.comparable else None


def pair_with_published(
    result: Result, encoder: PublishedEncoder, *, across_presets: bool = False
) -> list[PublishedPair]:
    """Every score with the published one of the same data set; without such a data set, with those of all data sets.

    Args:
        result: the measured scores.
        encoder: the published scores.
        across_presets: whether a result of another preset than ``iccv2025`` is comparable.
    """
    rows = []
    preset = "" if across_presets else _other_preset(result)
    for score in result.scores:
        published = [p for p in encoder.scores if (p.task, p.metric) == (score.task, score.metric)]
        same_data = [p for p in published if p.data == score.data]
        rows += [PublishedPair(score, p, _other_photos(result, score, p) or preset) for p in same_data or published]
    return rows


def _other_preset(result: Result) -> str:
    """The preset of a result and that of the study; empty where they are the same."""
    label = preset_label(result.environment.get("options") or {})
    return "" if label == STUDY_PRESET else f"preset {label}; the study: {STUDY_PRESET}"


def _other_photos(result: Result, score: Score, published: PublishedScore) -> str:
    """Why two scores are not of the same photos, or an empty string."""
    classes, study_classes = _classes(result, score, published.data), _classes_of_study(published)
    if score.n == published.n and (classes == study_classes or not (classes and study_classes)):
        return "" if score.data == published.data else "another data set"
    counts = all_tasks()[score.task].family.counts if score.task in all_tasks() else "photos"
    if classes and study_classes:
        return f"{score.n:,} {counts} of {classes:,} classes; the study: {published.n:,} of {study_classes:,}"
    return f"{score.n:,} {counts}; the study: {published.n:,}"


def _classes(result: Result, score: Score, published_data: str) -> int:
    """Semantic classes where the data set of the study has such, else classes of the question; 0 if unknown."""
    classes = result.data.get("classes") if published_data in STUDY_CLASSES else score.details.get("classes")
    return int(classes or 0)


def _classes_of_study(published: PublishedScore) -> int:
    """Classes of a published score, likewise; 0 for pairs, which have none."""
    if published.data in STUDY_CLASSES:
        return STUDY_CLASSES[published.data]
    is_trace = metric_of(all_tasks(), published.task, published.metric).kind == "trace"
    return round(1 / published.chance) if is_trace else 0


def published_encoder(name: str, encoder_id: str = "") -> PublishedEncoder:
    """The encoder of the study with a name, or without a name with the specification of an encoder id.

    Raises:
        UsageError: there is none.
    """
    encoders = {e.name: e for e in published_encoders()}
    if name:
        if name not in encoders:
            raise unknown_name("published encoder", name, encoders)
        return encoders[name]
    for row in STUDY:
        if row.spec == encoder_id.partition("@")[0] and row.published_name:
            return encoders[row.published_name]
    raise UsageError(f"{encoder_id} is not one of the study's encoders: name one (--published NAME)")


def published_text(run: Run, name: str, patterns: Sequence[str], *, across_presets: bool) -> str:
    """The text of ``compare DIR --published NAME``.

    Args:
        run: the measured scores.
        name: of the published encoder; empty for the one that the run measured.
        patterns: of tasks; all by default.
        across_presets: whether a run of another preset is comparable.

    Raises:
        UsageError: the study has no such encoder.
        DataError: no task of the run was published.
    """
    encoder = published_encoder(name, run.encoder)
    rows = [
        row
        for row in pair_with_published(run.result, encoder, across_presets=across_presets)
        if not patterns or any(fnmatch.fnmatchcase(row.measured.task, p) for p in patterns)
    ]
    if not rows:
        raise DataError(f"{run.folder}: the study published none of its tasks for {encoder.name}")
    header = [
        "score",
        "measured on",
        "published on",
        "measured %",
        "95 % interval",
        "published %",
        "difference",
        "inside",
        "n",
    ]
    table = [
        [
            f"{r.measured.task} {r.measured.metric}",
            r.measured.data,
            r.published.data,
            percent(r.measured.value, r.signed),
            interval(r.measured.low, r.measured.high, r.signed),
            percent(r.published.value, r.signed),
            percent(r.difference, True) if r.comparable else "-",
            (("yes" if r.inside else "no") if r.comparable else f"not comparable ({r.not_comparable})"),
            str(r.measured.n),
        ]
        for r in rows
    ]
    parts = [f"## {run.encoder} and the study's {encoder.name}", markdown_table(header, table)]
    comparable = [r for r in rows if r.comparable]
    if comparable:
        inside = sum(bool(r.inside) for r in comparable)
        parts.append(
            f"{inside} of {len(comparable)} comparable published values lie inside the measured 95 % interval."
        )
    if len(comparable) < len(rows):
        preset = _other_preset(run.result)
        why = f"another preset ({preset}), " if preset and not across_presets else ""
        parts.append(
            f"**Not comparable**: {len(rows) - len(comparable)} of {len(rows)} rows are of {why}other photos or other "
            "classes than the study's; they say nothing about whether its numbers repeat."
        )
    if across_presets and (preset := _other_preset(run.result)):
        parts.append(f"**Across presets**: {preset}. A difference may be that of preprocessing, votes or probes.")
    parts.append(
        f"Published: {STUDY_CITATION}; read off its figures, without intervals, codec versions or seeds. Measured: "
        "interval by resampling photos, without the spread of training."
    )
    return "\n\n".join(parts)


@dataclass(frozen=True)
class PublishedRow:
    """A measured score of one encoder, with the published one where there is one."""

    encoder: str
    """Name in the study; the specification of an encoder that is not in it."""
    spec: str
    group: str
    data: str
    """Measured data set."""
    published_data: str
    task: str
    metric: str
    measured: Score
    published: float | None
    not_comparable: str = ""
    """As ``PublishedPair.not_comparable``."""

    @property
    def difference(self) -> float | None:
        """Measured minus published value; ``None`` where none is published."""
        return None if self.published is None else self.measured.value - self.published

    @property
    def inside(self) -> bool | None:
        """Whether the published value lies in the measured 95 % interval; ``None`` where they cannot be compared."""
        if self.published is None or self.not_comparable:
            return None
        return self.measured.low <= self.published <= self.measured.high


def published_rows(rows: Iterable[Row]) -> list[PublishedRow]:
    """Every score of a sweep with the published one; encoders that failed have no rows.

    A score of a data set that is not in the study is paired with each data set of the study that has the task.
    """
    published = {e.name: e for e in published_encoders()}
    names = {row.spec: row.published_name for row in STUDY}
    pairs: list[PublishedRow] = []
    for row in rows:
        encoder = published.get(names.get(row.spec) or "")
        name = encoder.name if encoder else row.spec
        if row.result is None:
            continue
        group = encoder.group if encoder else str(row.result.encoder.get("group", "unknown"))
        all_pairs = pair_with_published(row.result, encoder) if encoder else []
        for score in row.result.scores:
            key = (score.task, score.metric, score)
            score_pairs = [pair for pair in all_pairs if pair.measured is score]
            if not score_pairs:
                pairs.append(PublishedRow(name, row.spec, group, row.data, "", *key, None))
            for pair in score_pairs:
                study = (pair.published.value, pair.not_comparable)
                pairs.append(PublishedRow(name, row.spec, group, row.data, pair.published.data, *key, *study))
    return pairs


CSV_COLUMNS = (
    *("encoder", "spec", "group", "data", "published_data", "task", "metric"),
    *("ours", "low", "high", "n", "chance", "published", "difference", "inside"),
)


def write_published(rows: Sequence[PublishedRow], path: Path) -> None:
    """Write a CSV file with a line for each score, every digit."""
    lines: list[Sequence[object]] = [CSV_COLUMNS]
    for r in rows:
        s = r.measured
        measured = [s.value, s.low, s.high, s.n, s.chance]
        texts = [r.encoder, r.spec, r.group, r.data, r.published_data, r.task, r.metric]
        published = ["" if x is None else x for x in (r.published, r.difference, r.inside)]
        lines.append([*texts, *measured, *published])
    write_text_atomically(path, csv_text(lines))


def study_text(rows: Sequence[PublishedRow], swept: Sequence[Row]) -> str:
    """Tables by data set and family (measured / published, in percent), means by group, and failures, as Markdown."""
    parts = [
        "# The ICCV 2025 study and measured numbers\n\n"
        f"Published: {STUDY_CITATION}, {STUDY_URL}. Each cell: measured / published, in %."
    ]
    for data, published_data in dict.fromkeys((r.data, r.published_data) for r in rows):
        part = [r for r in rows if (r.data, r.published_data) == (data, published_data)]
        title = f"## {data}" + (f" and the study's {published_data}" if published_data else ", not in the study")
        parts.append(title)
        if reasons := dict.fromkeys(r.not_comparable for r in part if r.not_comparable):
            parts.append(
                f"**Not comparable with the study's** ({'; or '.join(reasons)}): a difference says nothing about "
                "whether its numbers repeat."
            )
        tasks = all_tasks()
        for family in families(tasks):
            keys = [key for key in dict.fromkeys((r.task, r.metric) for r in part) if _shown(key, family)]
            for columns in _by_task(keys) if family.grouped else [keys]:
                if columns:
                    parts += [_table(part, columns), _group_table(part, columns)]
    counted = [r for r in rows if r.inside is not None]
    if counted:
        inside = sum(bool(r.inside) for r in counted)
        distance = fmean(abs(r.difference or 0.0) for r in counted)
        parts.append(
            f"{inside} of {len(counted)} comparable published values are inside the measured 95 % interval (by "
            f"resampling photos; the spread of training is not in it). Mean absolute difference: {percent(distance)} "
            "points."
        )
    failed = [row for row in swept if row.state == "failed"]
    if failed:
        parts.append(
            "## Not measured\n\n" + markdown_table(["encoder", "data", "because"], [_failed(r) for r in failed])
        )
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(rows: Sequence[PublishedRow], keys: Sequence[tuple[str, str]]) -> str:
    by = {(r.encoder, r.task, r.metric): r for r in rows}
    body = [
        [name, group, *(_cell(by.get((name, *key))) for key in keys)]
        for name, group in dict.fromkeys((r.encoder, r.group) for r in rows)
    ]
    return markdown_table(["encoder", "group", *_titles(keys)], body)


def _by_task(keys: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The columns of one table for each task."""
    return [[key for key in keys if key[0] == task] for task in dict.fromkeys(key[0] for key in keys)]


def _group_table(rows: Sequence[PublishedRow], keys: Sequence[tuple[str, str]]) -> str:
    """Means by training type, over the encoders that have both numbers; empty if none has."""
    body = []
    for group, meaning in STUDY_GROUPS.items():
        cells = []
        members: set[str] = set()
        for key in keys:
            both = [
                (r.encoder, r.measured.value, r.published)
                for r in rows
                if r.group == group and (r.task, r.metric) == key and r.published is not None
            ]
            members |= {encoder for encoder, _, _ in both}
            means = [fmean(measured for _, measured, _ in both), fmean(p for _, _, p in both)] if both else []
            cells.append(" / ".join(percent(mean, _signed(key)) for mean in means))
        if members:
            body.append([f"mean of {meaning}", str(len(members)), *cells])
    return markdown_table(["training type", "encoders", *_titles(keys)], body) if body else ""


def _titles(keys: Sequence[tuple[str, str]]) -> list[str]:
    tasks = all_tasks()
    return [score_label(task, metric_of(tasks, task, metric), tasks) for task, metric in keys]


def _cell(row: PublishedRow | None) -> str:
    if row is None:
        return ""
    signed = _signed((row.task, row.metric))
    return percent(row.measured.value, signed) + (
        f" / {percent(row.published, signed)}" if row.published is not None else ""
    )


def _shown(key: tuple[str, str], family: Family) -> bool:
    """Whether a score belongs to the family, and the study has such a number or it is a main one."""
    task = all_tasks().get(key[0])
    return task is not None and task.family == family and (key in _published() or metric_of(all_tasks(), *key).main)


@functools.cache
def _published() -> frozenset[tuple[str, str]]:
    return frozenset((s.task, s.metric) for e in published_encoders() for s in e.scores)


def _signed(key: tuple[str, str]) -> bool:
    return metric_of(all_tasks(), *key).signed


def _failed(row: Row) -> list[str]:
    return [row.spec, row.data, row.reason]
