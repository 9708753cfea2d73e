"""The result of an audit of an index: values that ``index.json`` has, and the tables of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.index.measure import Measured
from benchmark.index.opened import OpenedIndex
from benchmark.index.repair import Repair
from benchmark.judgement import CONTROL_TEXT, Control, IndexJudgement, group_text, index_title
from benchmark.results import interval, percent

SCHEMA = 1
"""Version of ``index.json``."""

HEADER = ("group", "values", "share it", "expected", "beyond, points", "interval", "answer")


@dataclass(frozen=True, eq=False, repr=False)
class IndexAudit:
    """Whether the neighbours of an index follow how files were made."""

    index: OpenedIndex
    k: int
    asked: np.ndarray
    """int64, the queries."""
    near: np.ndarray
    """int64 [queries, k], their nearest photos; -1 where there are fewer."""
    control: Control
    groups: tuple[tuple[Measured, IndexJudgement], ...]
    """The strongest first."""
    left_out: Mapping[str, str]
    """Groups that could not be compared, and why."""
    repair: Repair | None
    seconds: Mapping[str, float]
    """Of each stage."""

    @property
    def title(self) -> str:
        """The heading."""
        return index_title([judged for _, judged in self.groups])

    @property
    def found(self) -> tuple[str, ...]:
        """Groups that neighbours share beyond content and chance, the strongest first."""
        return tuple(m.neighbours.group for m, judged in self.groups if judged.answer == "yes")

    @property
    def clean(self) -> bool:
        """Whether every group is shown to be shared no more than content and chance explain."""
        return bool(self.groups) and all(judged.answer == "no" for _, judged in self.groups)

    @property
    def sentences(self) -> list[str]:
        """What was found, one sentence each."""
        said = [group_text(m.neighbours, judged, m.observed, self.k) for m, judged in self.groups]
        return [*said, *self.not_compared]

    @property
    def not_compared(self) -> list[str]:
        """The groups that could not be compared, a sentence for each reason."""
        reasons = dict.fromkeys(self.left_out.values())
        by_reason = {why: ", ".join(name for name, its in self.left_out.items() if its == why) for why in reasons}
        return [f"Not compared: {names} ({reason})." for reason, names in by_reason.items()]

    @property
    def about(self) -> str:
        """What was measured, and what is expected."""
        n, units = len(self.index.photos), self.index.units
        over = "" if units.count == n else f" Intervals are over {units.count:,} {units.rule} units."
        return (
            f"{len(self.asked):,} queries among {n:,} vectors of {self.index.vectors.shape[1]:,} dimensions, "
            f"{self.k} neighbours by cosine. {CONTROL_TEXT[self.control]}{over}"
        )

    def table(self) -> list[tuple[str, ...]]:
        """Cells of ``HEADER``."""
        return [_row(measured, judged) for measured, judged in self.groups]

    def to_json(self) -> dict[str, Any]:
        """The content of ``index.json``."""
        groups = [
            {**_values(measured), "answer": judged.answer, "reason": judged.reason}
            | {"judged_low": judged.decision.low, "judged_high": judged.decision.high}
            for measured, judged in self.groups
        ]
        return {
            "schema": SCHEMA,
            "index": self.index.name,
            "vectors": len(self.index.photos),
            "dimension": int(self.index.vectors.shape[1]),
            "k": self.k,
            "queries": len(self.asked),
            "control": self.control,
            "units": {"rule": self.index.units.rule, "count": self.index.units.count},
            "title": self.title,
            "groups": groups,
            "left_out": dict(self.left_out),
            "repair": None if self.repair is None else _repair_record(self.repair),
            "seconds": {name: round(value, 2) for name, value in self.seconds.items()},
        }

    def __repr__(self) -> str:
        lines = [f"{self.index.name}: {self.title}.", self.about, *(f"  - {text}" for text in self.sentences)]
        if self.repair is not None:
            lines += ["Repair:", *(f"  - {text}" for text in self.repair.texts)]
        return "\n".join(lines)


def _row(measured: Measured, judged: IndexJudgement) -> tuple[str, ...]:
    found = measured.neighbours
    return (
        found.group,
        str(measured.values),
        f"{percent(measured.observed)} %",
        f"{percent(measured.observed - found.value)} %",
        percent(found.value, True),
        interval(judged.decision.low, judged.decision.high, True),
        judged.answer + (f": {judged.reason}" if judged.reason else ""),
    )


def _values(measured: Measured) -> dict[str, Any]:
    found = measured.neighbours
    return {
        "group": found.group,
        "values": measured.values,
        "unknown": measured.unknown,
        "observed": measured.observed,
        "beyond": found.value,
        "low": found.low,
        "high": found.high,
        "units": found.units,
        "p_value": found.p_value,
        "p_shuffled": found.permuted,
        "deciding": found.deciding,
    }


def _repair_record(repair: Repair) -> dict[str, Any]:
    return {
        "eraser": repair.eraser.name,
        "rank": repair.eraser.rank,
        "groups": list(repair.groups),
        "queries": len(repair.queries),
        "neighbours_kept": repair.kept,
        "retrieval": repair.retrieval,
        "beyond": {name: {"before": _values(b), "after": _values(a)} for name, (b, a) in repair.measured.items()},
        "readers": [
            {name: getattr(score, name) for name in ("group", "reader", "when", "value", "low", "high", "n", "chance")}
            for score in repair.readers
        ],
        "texts": list(repair.texts),
    }


def json_text(audit: IndexAudit) -> str:
    """The text of ``index.json``."""
    return json.dumps(audit.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def repair_rows(repair: Repair) -> list[tuple[str, ...]]:
    """Group, what neighbours share beyond what is expected before and after, with 95 % intervals, in points."""
    return [
        (name, *(f"{percent(m.neighbours.value, True)} ({_ends(m)})" for m in both))
        for name, both in repair.measured.items()
    ]


def reader_rows(repair: Repair) -> list[tuple[str, ...]]:
    """Group, reader, accuracy before and after, chance, photos."""
    pairs: dict[tuple[str, str], list[Any]] = {}
    for score in repair.readers:
        pairs.setdefault((score.group, score.reader), []).append(score)
    return [
        (
            *key,
            *(f"{percent(s.value)} ({interval(s.low, s.high)})" for s in scores),
            percent(scores[0].chance),
            f"{scores[0].n:,}",
        )
        for key, scores in pairs.items()
    ]


def _ends(measured: Measured) -> str:
    return interval(measured.neighbours.low, measured.neighbours.high, True)


def strongest(groups: Sequence[tuple[Measured, IndexJudgement]]) -> str:
    """The group of the worst queries: the strongest that was found, else the strongest."""
    found = [m for m, judged in groups if judged.answer == "yes"] or [m for m, _ in groups]
    return found[0].neighbours.group if found else ""
