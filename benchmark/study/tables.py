"""The study's tables with our numbers beside the published ones: per encoder, per training type, and as one CSV."""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from benchmark.encoders import STUDY
from benchmark.results import (
    STUDY_CITATION,
    STUDY_GROUPS,
    STUDY_URL,
    Family,
    Score,
    families,
    markdown_table,
    metric_of,
    percent,
    published_encoders,
    score_label,
)
from benchmark.study.beside_published import Beside, beside
from benchmark.sweep import Row
from benchmark.tasks import all_tasks
from builders.files import write_text_atomically


@dataclass(frozen=True)
class BesideRow:
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
    """Why the two cannot be compared (``Beside.unlike``); an empty string where they are of the same photos."""

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


def beside_rows(rows: Iterable[Row]) -> list[BesideRow]:
    """Every score of a sweep with the published one; encoders that failed have no rows.

    Of data sets that the study does not have, a score stands beside each of its data sets with that task.
    """
    published = {e.name: e for e in published_encoders()}
    names = {row.spec: row.published_name for row in STUDY}
    found: list[BesideRow] = []
    for row in rows:
        encoder = published.get(names.get(row.spec) or "")
        name = encoder.name if encoder else row.spec
        if row.result is None:
            continue
        group = encoder.group if encoder else str(row.result.encoder.get("group", "unknown"))
        every = beside(row.result, encoder) if encoder else []
        for score in row.result.scores:
            mates: list[Beside | None] = [b for b in every if b.ours is score]
            for mate in mates or [None]:
                where, value, unlike = (mate.theirs.data, mate.theirs.value, mate.unlike) if mate else ("", None, "")
                of = (row.data, where, score.task, score.metric)
                found.append(BesideRow(name, row.spec, group, *of, score, value, unlike))
    return found


CSV_COLUMNS = (
    *("encoder", "spec", "group", "data", "published_data", "task", "metric"),
    *("ours", "low", "high", "n", "chance", "published", "difference", "inside"),
)


def write_beside(rows: Sequence[BesideRow], path: Path) -> None:
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


def study_text(rows: Sequence[BesideRow], swept: Sequence[Row]) -> str:
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


def _table(rows: Sequence[BesideRow], keys: Sequence[tuple[str, str]]) -> str:
    by = {(r.encoder, r.task, r.metric): r for r in rows}
    body = [
        [name, group, *(_cell(by.get((name, *key))) for key in keys)]
        for name, group in dict.fromkeys((r.encoder, r.group) for r in rows)
    ]
    return markdown_table(["encoder", "group", *_titles(keys)], body)


def _tables(keys: Sequence[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """One table for each task."""
    return [[key for key in keys if key[0] == task] for task in dict.fromkeys(key[0] for key in keys)]


def _group_table(rows: Sequence[BesideRow], keys: Sequence[tuple[str, str]]) -> str:
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


def _cell(row: BesideRow | None) -> str:
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
