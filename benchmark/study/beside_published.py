"""One run beside the study's numbers: both, their difference, and whether theirs lies inside our interval; of other
photos only why they cannot be compared."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.options import STUDY_PRESET, preset_label
from benchmark.results import (
    STUDY_CITATION,
    STUDY_CLASSES,
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


def beside(result: Result, encoder: PublishedEncoder, *, across_presets: bool = False) -> list[Beside]:
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
        rows += [Beside(ours, theirs, _unlike(result, ours, theirs) or preset) for theirs in same or having]
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
        for row in beside(run.result, encoder, across_presets=across_presets)
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
