"""The answers about an index: do nearest neighbours share how their files were made, beyond content and chance?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.judgement.deciding import Answer, Comparison, Decision, decide
from benchmark.judgement.differences import LossJudgement
from benchmark.judgement.traces import POINT
from benchmark.results import interval, percent

Control = Literal["label", "matched", "label and matched", "none"]
"""What stands for the content: the label; the neighbours by a second embedding; both; or nothing."""

LEAST_DECIDING = 0.1
"""Least share of neighbours whose label has files of the query's kind and of another. With fewer the label tells the
group, and content cannot be told from codec."""


@dataclass(frozen=True)
class GroupNeighbours:
    """How many neighbours share a group with their query."""

    group: str
    value: float
    """Share beyond what is expected."""
    low: float
    high: float
    units: float
    """Effective number of independent units."""
    p_value: float
    """One-sided."""
    permuted: float | None
    """P-value among groups shuffled within labels; None where clusters cannot be exchanged."""
    deciding: float
    """Share of the pairs that can show anything."""


@dataclass(frozen=True)
class IndexJudgement:
    """The answer about one group."""

    decision: Decision
    answer: Answer
    """*Yes*: neighbours share the group beyond content and chance. *No*: by less than one point. Else *undecided*."""
    reason: str
    """Why it is undecided although more neighbours share the group; else empty."""


def judge_index(groups: Sequence[GroupNeighbours], control: Control) -> list[IndexJudgement]:
    """The answers about the groups of one index, which are one family.

    >>> found = GroupNeighbours("format", 0.2, 0.18, 0.22, 500, 1e-9, 0.01, 1.0)
    >>> [judge_index([found], control)[0].answer for control in ("label", "none")]
    ['yes', 'undecided']
    """
    decisions = decide([_comparison(group) for group in groups])
    return [_judged(group, decision, control) for group, decision in zip(groups, decisions, strict=True)]


def _comparison(group: GroupNeighbours) -> Comparison:
    return Comparison(
        *(group.value, group.low, group.high),
        units=group.units,
        bound=POINT,
        p_value=group.p_value,
        permuted=group.permuted,
    )


def _judged(group: GroupNeighbours, decision: Decision, control: Control) -> IndexJudgement:
    if group.deciding < LEAST_DECIDING:
        reason = "the label tells the group, so that content and file cannot be told apart"
        return IndexJudgement(decision, "undecided", reason)
    if decision.answer == "yes" and control == "none":
        return IndexJudgement(decision, "undecided", "without a label or a second embedding, content may explain it")
    reason = "groups shuffled within the label share as much" if decision.reason == "shuffled labels" else ""
    return IndexJudgement(decision, decision.answer, reason)


def index_title(judged: Sequence[IndexJudgement]) -> str:
    """The heading of an index.

    >>> index_title([])
    'Nothing could be compared'
    """
    answers = {one.answer for one in judged}
    if not answers:
        return "Nothing could be compared"
    if "yes" in answers:
        return "Neighbours follow how files were made"
    if answers == {"no"}:
        return "Neighbours do not follow how files were made"
    return "Undecided whether neighbours follow how files were made"


def group_text(group: GroupNeighbours, judged: IndexJudgement, observed: float, k: int) -> str:
    """A sentence about one group.

    Args:
        group, judged: of the group.
        observed: share of the neighbours that are of the query's group.
        k: neighbours of a query.
    """
    words = {
        "yes": "beyond content and chance",
        "no": "shown to be less than one point beyond content and chance",
        "undecided": f"undecided: {judged.reason}" if judged.reason else "undecided",
    }
    ends = judged.decision.low, judged.decision.high  # of the interval that decides
    value = f"{percent(group.value, True)} points, {interval(*ends, True)}"
    return (
        f"{group.group}: {percent(observed)} % of the {k} nearest neighbours share it, "
        f"{percent(observed - group.value)} % are expected ({value}); {words[judged.answer]}."
    )


CONTROL_TEXT: dict[Control, str] = {
    "label": "Expected is how often photos of the neighbour's label are of the query's group: content finer than the "
    "label may explain a part of what is beyond.",
    "matched": "Expected is the share among neighbours by the second embedding, which stands for the content: what it "
    "keeps of the file is not seen.",
    "label and matched": "Expected is the share among neighbours by the second embedding, each compared with photos of "
    "its label.",
    "none": "There is neither a label nor a second embedding: expected is chance alone, and what is beyond it may be "
    "content.",
}
"""What is expected, and what it leaves open."""


def retrieval_text(before: float, after: float, loss: tuple[float, float, float], judged: LossJudgement) -> str:
    """A sentence about what a repair costs.

    Args:
        before, after: share of neighbours of the right label.
        loss: its fall and the ends of the interval.
        judged: against one point.
    """
    words = {
        "not worse": f"shown to be at most {100 * POINT:g} point",
        "worse": f"shown to be more than {100 * POINT:g} point",
        "undecided": f"whether that is more than {100 * POINT:g} point is undecided",
    }
    return (
        f"{percent(before)} % of the nearest neighbours have the right label before and {percent(after)} % after: a "
        f"loss of {percent(loss[0], True)} points ({interval(loss[1], loss[2], True)}), {words[judged]}."
    )


def dimensions_text(kept: int, dimension: int, photos: int, needed: int, control: Control) -> str:
    """A sentence about a fit of few photos for the dimensions.

    Args:
        kept: principal components that are left.
        dimension: of the vectors.
        photos: of the fit.
        needed: photos of a fit that leaves linear readers 2.5 points above chance or less in all dimensions.
        control: what stands for the content.
    """
    about = f"{float(f'{needed:.2g}'):,.0f}"
    few = f"{photos:,} photos are few for a map of {dimension:,} dimensions: linear readers come within 2.5 points of"
    why = f"{few} chance where the map is fitted on about {about}."
    if kept < dimension:
        return f"{why} It keeps the {kept:,} leading principal components alone."
    labelled = control in ("label", "label and matched")
    cost = "fewer cost more than a point" if labelled else "only a label (--label) can tell what fewer cost"
    return f"{why} All dimensions are kept: {cost}."
