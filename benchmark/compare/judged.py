"""The judgement whether a new system is worse than an old one by more than a margin, as values and as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmark.judgement import LossJudgement, losses_text
from benchmark.report import interval, markdown_table, percent


@dataclass(frozen=True)
class Loss:
    """How much worse the new encoder is on one score: a positive loss is worse."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class GateRow:
    """One score of the old and of the new encoder, and the judgement on the difference."""

    data: str
    task: str
    metric: str
    old: str
    """Encoder."""
    new: str
    """Encoder."""
    old_value: float
    new_value: float
    loss: Loss
    n: int
    """Photos that both have."""
    units: int
    """Independent units among them: photos, or clusters of photos that err together."""
    judgement: LossJudgement
    signed: bool = False
    """Whether the values are differences, which are shown with their sign."""


@dataclass(frozen=True)
class MissingScore:
    """A score that the old encoder has and the new one lacks."""

    data: str
    task: str
    metric: str
    reason: str


@dataclass(frozen=True)
class Gate:
    """The judgement on every score of a pair of encoders."""

    margin: float
    """Loss that is accepted, as a share: 0.02 for 2 points."""
    coverage: float
    """Of each interval; all lower ends hold together with 95 %."""
    rows: tuple[GateRow, ...]
    missing: tuple[MissingScore, ...]

    @property
    def worse(self) -> tuple[GateRow, ...]:
        """Scores on which the new encoder is worse by more than the margin."""
        return tuple(row for row in self.rows if row.judgement == "worse")

    @property
    def undecided(self) -> tuple[GateRow | MissingScore, ...]:
        """Scores whose interval contains the margin, and scores that the new encoder lacks."""
        return (*(row for row in self.rows if row.judgement == "undecided"), *self.missing)

    def passed(self, *, fail_undecided: bool = False) -> bool:
        """True if no score is worse by more than the margin.

        Args:
            fail_undecided: whether an undecided score fails too.
        """
        return not (self.worse or (fail_undecided and self.undecided))

    def to_json(self) -> dict[str, Any]:
        """The gate as JSON values; losses and ends in points."""
        return {
            "worse_by_points": 100 * self.margin,
            "coverage": self.coverage,
            "worse": [_name(row) for row in self.worse],
            "undecided": [_name(row) for row in self.undecided],
            "scores": [
                {
                    **{name: getattr(row, name) for name in ("data", "task", "metric", "old", "new")},
                    "old_value": row.old_value,
                    "new_value": row.new_value,
                    "worse_by_points": 100 * row.loss.value,
                    "low_points": 100 * row.loss.low,
                    "high_points": 100 * row.loss.high,
                    "n": row.n,
                    "units": row.units,
                    "judgement": row.judgement,
                }
                for row in self.rows
            ],
            "missing": [{"data": m.data, "task": m.task, "metric": m.metric, "reason": m.reason} for m in self.missing],
        }


def gate_text(gate: Gate, *, unit: str = "photo") -> str:
    """The gate as a table with its meaning.

    Args:
        gate: the judgement.
        unit: what is paired.
    """
    header = ["score", "data", "old %", "new %", "worse by", "interval", "judgement", "n"]
    table = []
    for row in gate.rows:
        values = [percent(value, row.signed) for value in (row.old_value, row.new_value)]
        ends = interval(row.loss.low, row.loss.high, True)
        table.append([_score(row), row.data, *values, percent(row.loss.value, True), ends, row.judgement, str(row.n)])
    table += [[_score(m), m.data, "", "", "", "", "undecided", "0"] for m in gate.missing]
    names = [_score(row) for row in gate.worse], [_score(row) for row in gate.undecided]
    sentences = [
        *losses_text(*names, len(gate.rows), gate.margin)[: 2 if gate.undecided else 1],
        *(f"{_score(m)} on {m.data} is missing: {m.reason}." for m in gate.missing),
        f"Losses are in points, paired by {unit}; the lower ends of all intervals hold together with 95 %.",
    ]
    return "\n\n".join([markdown_table(header, table), "\n".join(filter(None, sentences))])


def _score(row: GateRow | MissingScore) -> str:
    return f"{row.task} {row.metric}".strip()


def _name(row: GateRow | MissingScore) -> dict[str, str]:
    return {"data": row.data, "task": row.task, "metric": row.metric}
