"""One run beside the study's numbers: ours, theirs, the difference, and whether theirs lies inside our interval."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.results import (
    STUDY_CITATION,
    PublishedEncoder,
    PublishedScore,
    Result,
    Run,
    Score,
    interval,
    markdown_table,
    metric_of,
    percent,
    published_encoders,
)
from benchmark.tasks import all_tasks
from builders.errors import DataError, UsageError, unknown_name


@dataclass(frozen=True)
class Beside:
    """One score, measured and published."""

    ours: Score
    theirs: PublishedScore
    same_data: bool
    """Whether both are of one data set (by name)."""

    @property
    def signed(self) -> bool:
        """Whether the score is a difference."""
        return metric_of(all_tasks(), self.ours.task, self.ours.metric).signed

    @property
    def difference(self) -> float:
        """Ours minus theirs."""
        return self.ours.value - self.theirs.value

    @property
    def inside(self) -> bool:
        """Whether the published value lies in our 95 % interval."""
        return self.ours.low <= self.theirs.value <= self.ours.high


def beside(result: Result, encoder: PublishedEncoder) -> list[Beside]:
    """The scores that both have: of the same data set where there is one, else of all that were published."""
    rows = []
    for ours in result.scores:
        having = [t for t in encoder.scores if (t.task, t.metric) == (ours.task, ours.metric)]
        same = [t for t in having if t.data == ours.data]
        rows += [Beside(ours, theirs, bool(same)) for theirs in same or having]
    return rows


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


def published_text(run: Run, name: str, patterns: Sequence[str] = ()) -> str:
    """What ``compare DIR --published NAME`` prints.

    Raises:
        UsageError: the study has no such encoder.
        DataError: no task of the run was published.
    """
    encoder = published_encoder(name, run.encoder)
    rows = [
        row
        for row in beside(run.result, encoder)
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
            percent(r.difference, True),
            "yes" if r.inside else "no",
            str(r.ours.n),
        ]
        for r in rows
    ]
    parts = [f"## {run.encoder} beside the study's {encoder.name}", markdown_table(header, table)]
    parts.append(f"{sum(r.inside for r in rows)} of {len(rows)} published values lie inside our 95 % interval.")
    if not all(r.same_data for r in rows):
        parts.append(
            "**Other photos**: where the two data sets differ, a difference says nothing about whether the numbers "
            "repeat."
        )
    parts.append(
        f"Published: {STUDY_CITATION}; read off its figures, without intervals, codec versions or seeds. Ours: "
        "interval by resampling photos, without the spread of training."
    )
    return "\n\n".join(parts)
