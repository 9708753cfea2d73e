"""The judgement whether a new system is worse than an old one by more than a margin, as values and as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmark.judgement import LossJudgement, judge_losses, losses_text
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
    in_points: bool = True
    """Whether values and loss are shares, which are shown in percent; else they have the score's own unit."""


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
    """Loss that is accepted: a share (0.02 for 2 points), or a number in the score's own unit (``in_points``)."""
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

    @property
    def verdict(self) -> LossJudgement:
        """The judgement on all scores, from which the first line and the exit status are made."""
        return judge_losses([row.judgement for row in self.rows], len(self.missing))

    @property
    def in_points(self) -> bool:
        """Whether the margin is a share; else it has the score's own unit."""
        return all(row.in_points for row in self.rows)

    def passed(self, *, fail_undecided: bool = False) -> bool:
        """True if no score is worse by more than the margin.

        Args:
            fail_undecided: whether an undecided score fails too.
        """
        return self.verdict == "not worse" or (self.verdict == "undecided" and not fail_undecided)

    def to_json(self) -> dict[str, Any]:
        """The gate as JSON values; losses and ends in points, or in the score's own unit."""
        return {
            "verdict": self.verdict,
            **({"worse_by_points": 100 * self.margin} if self.in_points else {"worse_by": self.margin}),
            "coverage": self.coverage,
            "worse": [_name(row) for row in self.worse],
            "undecided": [_name(row) for row in self.undecided],
            "scores": [
                {
                    **{name: getattr(row, name) for name in ("data", "task", "metric", "old", "new")},
                    "old_value": row.old_value,
                    "new_value": row.new_value,
                    **_loss_values(row),
                    "n": row.n,
                    "units": row.units,
                    "judgement": row.judgement,
                }
                for row in self.rows
            ],
            "missing": [{"data": m.data, "task": m.task, "metric": m.metric, "reason": m.reason} for m in self.missing],
        }


def gate_text(gate: Gate, *, unit: str = "photo") -> str:
    """The gate as its verdict, a table, and what the table means.

    Args:
        gate: the judgement.
        unit: what is paired.
    """
    percents = " %" if gate.in_points else ""
    header = ["score", "data", f"old{percents}", f"new{percents}", "worse by", "interval", "judgement", "n"]
    table = [[_score(row), row.data, *_numbers(row, gate.in_points), row.judgement, str(row.n)] for row in gate.rows]
    table += [[_score(m), m.data, "", "", "", "", "undecided", "0"] for m in gate.missing]
    undecided = [_score(row) for row in gate.rows if row.judgement == "undecided"]
    names = [_score(row) for row in gate.worse], undecided, [_score(m) for m in gate.missing]
    by = f"{gate.margin:g}" + (" (in the score's own unit)" if gate.margin else "")
    if gate.in_points:
        by = f"{100 * gate.margin:g} point{'' if gate.margin == 0.01 else 's'}"
    own, shares = "the score's own unit", any(row.in_points for row in gate.rows)
    losses = "points" if gate.in_points else f"points where scores are in %, else in {own}" if shares else own
    sentences = [
        *(f"{_score(m)} on {m.data} is missing: {m.reason}." for m in gate.missing),
        f"Losses are in {losses}, paired by {unit}; the lower ends of all intervals hold together with 95 %.",
    ]
    first = losses_text(gate.verdict, *names, len(gate.rows) + len(gate.missing), by)
    return "\n\n".join([first, markdown_table(header, table), "\n".join(sentences)])


def _numbers(row: GateRow, all_in_points: bool) -> list[str]:
    """Old and new value, loss and interval of a row as text."""
    loss = row.loss
    if row.in_points:
        unit = "" if all_in_points else " %"
        values = [f"{percent(value, row.signed)}{unit}" for value in (row.old_value, row.new_value)]
        return [*values, percent(loss.value, True), interval(loss.low, loss.high, True)]
    return [
        f"{row.old_value:.4g}",
        f"{row.new_value:.4g}",
        f"{loss.value:+.4g}",
        f"{loss.low:+.4g} to {loss.high:+.4g}",
    ]


def _loss_values(row: GateRow) -> dict[str, float]:
    """The loss and its ends by their names in JSON."""
    ends = {"worse_by": row.loss.value, "low": row.loss.low, "high": row.loss.high}
    return {f"{name}_points": 100 * value for name, value in ends.items()} if row.in_points else ends


def _score(row: GateRow | MissingScore) -> str:
    return f"{row.task} {row.metric}".strip()


def _name(row: GateRow | MissingScore) -> dict[str, str]:
    return {"data": row.data, "task": row.task, "metric": row.metric}
