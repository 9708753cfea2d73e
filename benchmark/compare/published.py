"""One run beside the study's numbers: both, their difference, and whether theirs lies inside our interval; of other
photos only why they cannot be compared."""

from __future__ import annotations

import csv
import fnmatch
import functools
import io
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


@dataclass(frozen=True)
class PublishedPair:
    """One score, measured and published."""

    ours: Score
    theirs: PublishedScore
    unlike: str
    """Why the two cannot be compared: the photos of each, or the preset; an empty string where both are the same, as
    far as the data set's name, the number of test photos and the number of classes tell."""

    @property
    def comparable(self) -> bool:
        """Whether both are of the same photos, under the same preset."""
        return not self.unlike

    @property
    def signed(self) -> bool:
        """Whether the score is a difference."""
        return metric_of(all_tasks(), self.ours.task, self.ours.metric).signed

    @property
    def difference(self) -> float:
        """Ours minus theirs."""
        return self.ours.value - self.theirs.value

    @property
    def inside(self) -> bool | None:
        """Whether the published value lies in our 95 % interval; ``None`` where they cannot be compared."""
        return self.ours.low <= self.theirs.value <= self.ours.high if self.comparable else None


def pair_with_published(
    result: Result, encoder: PublishedEncoder, *, across_presets: bool = False
) -> list[PublishedPair]:
    """The scores that both have: of the same data set where there is one, else of all that were published.

    Args:
        result: ours.
        encoder: theirs.
        across_presets: a result of another preset than ``iccv2025`` may be compared all the same.
    """
    rows = []
    preset = "" if across_presets else _other_preset(result)
    for ours in result.scores:
        having = [t for t in encoder.scores if (t.task, t.metric) == (ours.task, ours.metric)]
        same = [t for t in having if t.data == ours.data]
        rows += [PublishedPair(ours, theirs, _unlike(result, ours, theirs) or preset) for theirs in same or having]
    return rows


def _other_preset(result: Result) -> str:
    """Why a result is not of the study's preset, or an empty string."""
    label = preset_label(result.environment.get("options") or {})
    return "" if label == STUDY_PRESET else f"preset {label}; the study: {STUDY_PRESET}"


def _unlike(result: Result, ours: Score, theirs: PublishedScore) -> str:
    """Why two scores are not of the same photos, or an empty string."""
    one, other = _classes(result, ours, theirs.data), _classes_of_study(theirs)
    if ours.n == theirs.n and (one == other or not (one and other)):
        return "" if ours.data == theirs.data else "another data set"
    counts = all_tasks()[ours.task].family.counts if ours.task in all_tasks() else "photos"
    if one and other:
        return f"{ours.n:,} {counts} of {one:,} classes; the study: {theirs.n:,} of {other:,}"
    return f"{ours.n:,} {counts}; the study: {theirs.n:,}"


def _classes(result: Result, ours: Score, published_data: str) -> int:
    """Classes of our photos: semantic ones where the study's set has such, else those of the question; 0 if unknown."""
    known = result.data.get("classes") if published_data in STUDY_CLASSES else ours.details.get("classes")
    return int(known or 0)


def _classes_of_study(theirs: PublishedScore) -> int:
    """The same of the study's photos. Pairs have none."""
    if theirs.data in STUDY_CLASSES:
        return STUDY_CLASSES[theirs.data]
    return round(1 / theirs.chance) if metric_of(all_tasks(), theirs.task, theirs.metric).kind == "trace" else 0


def published_encoder(name: str, encoder_id: str = "") -> PublishedEncoder:
    """The study's encoder of a name; without a name the one that an encoder id is.

    Raises:
        UsageError: there is none.
    """
    encoders = {e.name: e for e in published_encoders()}
    if name:
        if name not in encoders:
            raise unknown_name("published encoder", name, encoders)
        return encoders[name]
    from benchmark.encoders import STUDY

    for row in STUDY:
        if row.spec == encoder_id.partition("@")[0] and row.published_name:
            return encoders[row.published_name]
    raise UsageError(f"{encoder_id} is not one of the study's encoders: name one (--published NAME)")


def published_text(run: Run, name: str, patterns: Sequence[str] = (), *, across_presets: bool = False) -> str:
    """What ``compare DIR --published NAME`` prints.

    Raises:
        UsageError: the study has no such encoder.
        DataError: no task of the run was published.
    """
    encoder = published_encoder(name, run.encoder)
    rows = [
        row
        for row in pair_with_published(run.result, encoder, across_presets=across_presets)
        if not patterns or any(fnmatch.fnmatchcase(row.ours.task, p) for p in patterns)
    ]
    if not rows:
        raise DataError(f"{run.folder}: the study published none of its tasks for {encoder.name}")
    header = ["score", "ours on", "theirs on", "ours %", "95 % interval", "theirs %", "difference", "inside", "n ours"]
    table = [
        [
            f"{r.ours.task} {r.ours.metric}",
            r.ours.data,
            r.theirs.data,
            percent(r.ours.value, r.signed),
            interval(r.ours.low, r.ours.high, r.signed),
            percent(r.theirs.value, r.signed),
            percent(r.difference, True) if r.comparable else "-",
            (("yes" if r.inside else "no") if r.comparable else f"not comparable ({r.unlike})"),
            str(r.ours.n),
        ]
        for r in rows
    ]
    parts = [f"## {run.encoder} beside the study's {encoder.name}", markdown_table(header, table)]
    comparable = [r for r in rows if r.comparable]
    if comparable:
        inside = sum(bool(r.inside) for r in comparable)
        parts.append(f"{inside} of {len(comparable)} comparable published values lie inside our 95 % interval.")
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
        f"Published: {STUDY_CITATION}; read off its figures, without intervals, codec versions or seeds. Ours: "
        "interval by resampling photos, without the spread of training."
    )
    return "\n\n".join(parts)


@dataclass(frozen=True)
class PublishedRow:
    """One score of one encoder: ours, theirs, or both."""

    encoder: str
    """The study's name; the spec where the study does not have it."""
    spec: str
    group: str
    data: str
    """Ours; for a score that only the study has, the study's."""
    published_data: str
    task: str
    metric: str
    ours: Score | None
    theirs: float | None
    unlike: str = ""
    """Why the two cannot be compared (``PublishedPair.unlike``); an empty string where they are of the same photos."""

    @property
    def difference(self) -> float | None:
        """Ours minus theirs."""
        return None if self.ours is None or self.theirs is None else self.ours.value - self.theirs

    @property
    def inside(self) -> bool | None:
        """Whether the published value lies in our 95 % interval; ``None`` where the two are not of the same photos."""
        if self.ours is None or self.theirs is None or self.unlike:
            return None
        return self.ours.low <= self.theirs <= self.ours.high


def published_rows(rows: Iterable[Row]) -> list[PublishedRow]:
    """Every score of a sweep with the published one; encoders that failed have no rows.

    Of data sets that the study does not have, a score stands beside each of its data sets with that task.
    """
    published = {e.name: e for e in published_encoders()}
    names = {row.spec: row.published_name for row in STUDY}
    found: list[PublishedRow] = []
    for row in rows:
        encoder = published.get(names.get(row.spec) or "")
        name = encoder.name if encoder else row.spec
        if row.result is None:
            continue
        group = encoder.group if encoder else str(row.result.encoder.get("group", "unknown"))
        every = pair_with_published(row.result, encoder) if encoder else []
        for score in row.result.scores:
            mates: list[PublishedPair | None] = [b for b in every if b.ours is score]
            for mate in mates or [None]:
                where, value, unlike = (mate.theirs.data, mate.theirs.value, mate.unlike) if mate else ("", None, "")
                of = (row.data, where, score.task, score.metric)
                found.append(PublishedRow(name, row.spec, group, *of, score, value, unlike))
    return found


CSV_COLUMNS = (
    *("encoder", "spec", "group", "data", "published_data", "task", "metric"),
    *("ours", "low", "high", "n", "chance", "published", "difference", "inside"),
)


def write_beside(rows: Sequence[PublishedRow], path: Path) -> None:
    """One line per score, every digit."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for r in rows:
        s = r.ours
        measured = [s.value, s.low, s.high, s.n, s.chance] if s else [""] * 5
        texts = [r.encoder, r.spec, r.group, r.data, r.published_data, r.task, r.metric]
        theirs = ["" if x is None else x for x in (r.theirs, r.difference, r.inside)]
        writer.writerow([*texts, *measured, *theirs])
    write_text_atomically(path, out.getvalue())


def study_text(rows: Sequence[PublishedRow], swept: Sequence[Row]) -> str:
    """The tables as Markdown: by data set and family, ours / published in percent; group means; what failed."""
    parts = [
        "# The ICCV 2025 study beside our numbers\n\n"
        f"Published: {STUDY_CITATION}, {STUDY_URL}. Each cell: ours / published, in %."
    ]
    for data, published_data in dict.fromkeys((r.data, r.published_data) for r in rows):
        own = [r for r in rows if (r.data, r.published_data) == (data, published_data)]
        title = f"## {data}" + (f" beside the study's {published_data}" if published_data else ", not in the study")
        parts.append(title)
        if unlike := dict.fromkeys(r.unlike for r in own if r.unlike):
            parts.append(
                f"**Not comparable with the study's** ({'; or '.join(unlike)}): a difference says nothing about "
                "whether its numbers repeat."
            )
        tasks = all_tasks()
        for family in families(tasks):
            keys = [key for key in dict.fromkeys((r.task, r.metric) for r in own) if _shown(key, family)]
            for part in _tables(keys) if family.grouped else [keys]:
                if part:
                    parts += [_table(own, part), _group_table(own, part)]
    counted = [r for r in rows if r.inside is not None]
    if counted:
        inside = sum(bool(r.inside) for r in counted)
        apart = fmean(abs(r.difference or 0.0) for r in counted)
        parts.append(
            f"{inside} of {len(counted)} comparable published values lie inside our 95 % interval (by resampling "
            f"photos; the spread of training is not in it). Mean absolute difference: {percent(apart)} points."
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


def _tables(keys: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """One table for each task."""
    return [[key for key in keys if key[0] == task] for task in dict.fromkeys(key[0] for key in keys)]


def _group_table(rows: Sequence[PublishedRow], keys: Sequence[tuple[str, str]]) -> str:
    """Means by training type, over the encoders that have both numbers; empty if none has."""
    body = []
    for group, meaning in STUDY_GROUPS.items():
        cells = []
        members: set[str] = set()
        for key in keys:
            own = [
                r for r in rows if r.group == group and (r.task, r.metric) == key and r.theirs is not None and r.ours
            ]
            members |= {r.encoder for r in own}
            mean = [fmean(r.ours.value for r in own if r.ours), fmean(r.theirs or 0.0 for r in own)] if own else []
            cells.append(" / ".join(percent(m, _signed(key)) for m in mean))
        if members:
            body.append([f"mean of {meaning}", str(len(members)), *cells])
    return markdown_table(["training type", "encoders", *_titles(keys)], body) if body else ""


def _titles(keys: Sequence[tuple[str, str]]) -> list[str]:
    tasks = all_tasks()
    return [score_label(task, metric_of(tasks, task, metric), tasks) for task, metric in keys]


def _cell(row: PublishedRow | None) -> str:
    if row is None or row.ours is None:
        return ""
    signed = _signed((row.task, row.metric))
    return percent(row.ours.value, signed) + (f" / {percent(row.theirs, signed)}" if row.theirs is not None else "")


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
