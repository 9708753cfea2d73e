"""Differences: what processing moves, extremes against jitter, and two runs on the same photos."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from benchmark.judgement.deciding import LEVEL, Comparison, Decision, decide
from benchmark.judgement.scores import units_of
from benchmark.judgement.traces import POINT
from benchmark.results import Questions, Result, Score, metric_of, percent
from builders.errors import UsageError
from builders.untrusted import readable

JITTER = "jitter"
"""Detail of a score that is an extreme over processings: the same extreme over jitters of equal size (``value``,
``low``, ``high``, ``jitters``), and how much further processing goes (``beyond``, paired by photo). ``queries`` and
``units`` are those of a sample of the queries."""


class DifferenceLike(Protocol):
    """A paired difference, such as ``benchmark.stats.Difference``."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def p_value(self) -> float: ...
    @property
    def units(self) -> int: ...


def decide_differences(
    differences: Sequence[DifferenceLike], families: Sequence[Hashable], bounds: Sequence[float] | None = None
) -> list[Decision]:
    """Whether paired differences are there, in their order.

    *Yes*: there is a difference, on the side of its value. *No*: it is shown to be smaller than its bound on both
    sides.

    Args:
        differences: with two-sided p-values.
        families: the family of each; each family is corrected by itself.
        bounds: below which each difference counts as none; a point by default. With 0 there is no *no*.
    """
    decisions: dict[int, Decision] = {}
    for family in dict.fromkeys(families):
        at = [i for i, other in enumerate(families) if other == family]
        members = [_compared(differences[i], POINT if bounds is None else bounds[i]) for i in at]
        decisions.update(zip(at, decide(members), strict=True))
    return [decisions[i] for i in range(len(differences))]


def _compared(d: DifferenceLike, bound: float) -> Comparison:
    limits = (-1.0, 1.0) if bound else (-math.inf, math.inf)
    return Comparison(d.value, d.low, d.high, d.units, bound, p_value=d.p_value, two_sided=True, limits=limits)


LossJudgement = Literal["worse", "not worse", "undecided"]
"""Whether a loss exceeds a margin."""


def accepted_loss(points: float) -> float:
    """A margin as a share, from percentage points.

    Raises:
        UsageError: it is none: a loss of nan points would never be judged.

    >>> accepted_loss(2.5)
    0.025
    """
    if not 0 <= points < 100:
        raise UsageError(f"worse by {points}: give percentage points of at least 0 and less than 100")
    return points / 100


def checked_loss(worse_by: float) -> float:
    """A loss that is accepted, in whatever unit.

    Raises:
        UsageError: it is none: a loss of nan would never be judged.
    """
    if not 0 <= worse_by < math.inf:
        raise UsageError(f"worse by {worse_by}: give a number of at least 0")
    return worse_by


def judge_loss(low: float, high: float, margin: float) -> LossJudgement:
    """Whether a loss exceeds a margin, from its interval.

    Correct the interval for the number of losses that are judged together (``loss_level``).

    >>> [judge_loss(*ends, 0.02) for ends in ((0.03, 0.05), (-0.01, 0.02), (0.01, 0.03))]
    ['worse', 'not worse', 'undecided']
    """
    return "worse" if low > margin else "not worse" if high <= margin else "undecided"


def judge_losses(judgements: Sequence[LossJudgement], missing: int) -> LossJudgement:
    """The judgement on all scores together: *worse* if one is, *undecided* if one is or is missing.

    >>> judge_losses(["not worse", "worse"], 1), judge_losses(["not worse"], 1), judge_losses(["not worse"], 0)
    ('worse', 'undecided', 'not worse')
    """
    if "worse" in judgements:
        return "worse"
    return "undecided" if missing or "undecided" in judgements else "not worse"


def loss_level(count: int, *, level: float = LEVEL) -> float:
    """Coverage of each of ``count`` intervals so that all of their lower ends hold together (Bonferroni).

    Each end alone fails with probability ``level / count``, so that the probability that ``judge_loss`` finds any loss
    where none exceeds the margin is at most ``level``.

    >>> loss_level(1), loss_level(4)
    (0.9, 0.975)
    """
    return 1 - 2 * level / count


def moves(result: Result, questions: Questions) -> dict[tuple[str, str], Decision]:
    """Whether processing, or the camera, moves neighbours: the signed differences of a result, by task and metric.

    They are one family. *Yes* also needs every rule for ties to give the same sign; *no* is a difference that is shown
    to be smaller than a point.
    """
    scores = [s for s in result.scores if metric_of(questions, s.task, s.metric).if_positive]
    return {(s.task, s.metric): decision for s, decision in zip(scores, judge_moves(scores), strict=True)}


def judge_moves(scores: Sequence[Score]) -> list[Decision]:
    """Decisions on signed differences that are one family, such as those of several encoders, in their order."""
    return decide([_move(score) for score in scores])


def _move(score: Score) -> Comparison:
    ties = score.details.get("ties")
    choices = (float(ties["least"]), float(ties["greatest"])) if isinstance(ties, Mapping) else None
    permuted = (score.details.get("controls") or {}).get("shuffled", {}).get("p_value")
    ends, units = (score.value, score.low, score.high), units_of(score)
    return Comparison(*ends, units=units, bound=POINT, two_sided=True, choices=choices, permuted=permuted)


def jitter_of(score: Score) -> Mapping[str, Any] | None:
    """``details["jitter"]``, or None."""
    jitter = score.details.get(JITTER)
    return jitter if isinstance(jitter, Mapping) else None


def extremes(result: Result) -> dict[tuple[str, str], Decision]:
    """Whether an extreme over processings goes further than the same extreme over jitters, by task and metric.

    A minimum over 14 draws is low whatever is drawn. All extremes of a result that have jitters are one family.
    """
    scores = [s for s in result.scores if jitter_of(s) is not None]
    decisions = decide([_beyond(score) for score in scores])
    return {(s.task, s.metric): decision for s, decision in zip(scores, decisions, strict=True)}


def _beyond(score: Score) -> Comparison:
    jitter = jitter_of(score) or {}
    value, low, high, p = (float(jitter["beyond"][name]) for name in ("value", "low", "high", "p_value"))
    units = min(units_of(score), float(jitter.get("units", score.n)))  # of a sample of the queries
    return Comparison(value, low, high, units, POINT, p_value=p / 2 if value > 0 else 1 - p / 2)


CLAIMS = ("beyond", "change")
"""Columns of ``by_processing`` about answers that are judged: flips beyond the noise floor, and change of accuracy."""

RANK_BOUND = 0.1
"""A rank correlation that is shown to be smaller than this counts as none."""


class AnswerMove(NamedTuple):
    """What a processing does to the answers of a model."""

    value: float
    low: float
    high: float
    p_value: float
    """Two-sided, of no difference; not corrected."""
    units: int
    decision: Decision | None = None


def answer_moves(result: Result) -> dict[str, dict[str, AnswerMove]]:
    """Whether each processing moves the answers of a model, by claim (``CLAIMS``) and processing.

    The processings of all tasks are one family for each claim; one that stands in several tasks counts once.
    """
    rows = _answer_rows(result, "by_processing")
    judged: dict[str, dict[str, AnswerMove]] = {}
    for claim in CLAIMS:
        of_claim = {
            name: AnswerMove(
                float(row[claim]),
                float(row[f"{claim}_low"]),
                float(row[f"{claim}_high"]),
                float(row[f"{claim}_p"]),
                round(units_of(score)),
            )
            for name, (row, score) in rows.items()
            if all(f"{claim}{end}" in row for end in ("", "_low", "_high", "_p"))
        }
        decisions = decide_differences(list(of_claim.values()), [claim] * len(of_claim))
        if of_claim:
            pairs = zip(of_claim.items(), decisions, strict=True)
            judged[claim] = {name: move._replace(decision=decision) for (name, move), decision in pairs}
    return judged


def flip_shares(result: Result, detail: str) -> dict[str, float]:
    """Share of flips by row of a detail (``by_processing``, ``noise``) of the scores about answers."""
    return {name: float(row["flips"]) for name, (row, _) in _answer_rows(result, detail).items()}


def _answer_rows(result: Result, detail: str) -> dict[str, tuple[Mapping[str, Any], Score]]:
    """Rows of a detail of the scores about answers, each with its score; one that stands in several counts once."""
    rows: dict[str, tuple[Mapping[str, Any], Score]] = {}
    for score in result.scores:
        table = score.details.get(detail)
        for name, row in table.items() if isinstance(table, Mapping) else ():
            if isinstance(row, Mapping) and "flips_low" in row:
                rows.setdefault(str(name), (row, score))
    return rows


class AnswerTexts(NamedTuple):
    """Sentences about the answers of a model."""

    flips: str
    """Which processings flip more answers than the noise floor."""
    accuracy: str
    """Which processings move accuracy."""
    rule: str
    movement: tuple[str, ...]
    """Whether photos whose embedding moves more flip more, by task."""


def answer_texts(result: Result) -> AnswerTexts | None:
    """Sentences about the answers of a model; None where there are none."""
    judged = answer_moves(result)
    if not judged:
        return None
    flips = "No noise floor was measured, so flips are not judged."
    if "beyond" in judged:
        flips = _claim_text("Answers flip more than under the noise floor", "less", judged["beyond"])
    count = max(map(len, judged.values()))
    rule = f"Shown: p < {LEVEL:g} after Holm's correction over {count} processings."
    accuracy = "No change of accuracy was recorded, so accuracy is not judged."
    if "change" in judged:
        accuracy = _claim_text("Accuracy rises", "falls", judged["change"])
    return AnswerTexts(flips, accuracy, rule, tuple(_movement_texts(result)))


def _claim_text(more: str, less: str, moved: Mapping[str, AnswerMove]) -> str:
    groups: dict[str, list[str]] = {more: [], less: [], "shown to change by less than a point": [], "undecided": []}
    for name, move in moved.items():
        answer = move.decision.answer if move.decision is not None else "undecided"
        if answer == "yes":
            text = f"{readable(name)} ({percent(move.value, True)} points)"
            groups[more if move.value > 0 else less].append(text)
        else:
            groups["undecided" if answer == "undecided" else "shown to change by less than a point"].append(name)
    listed = [f"{words}: {', '.join(names)}" for words, names in groups.items() if names]
    if not groups[more]:
        listed.insert(0, f"{more}: under none that was shown")
    return f"{'; '.join(listed)}."


def _movement_texts(result: Result) -> list[str]:
    """Whether photos whose embedding moves more flip more: a sentence for each task; the tasks are one family."""
    scores = [s for s in result.scores if isinstance(s.details.get("movement"), Mapping)]
    compared = []
    for score in scores:
        value, low, high = (float(score.details["movement"][name]) for name in ("value", "low", "high"))
        compared.append(Comparison(value, low, high, units_of(score), RANK_BOUND, two_sided=True))
    texts = []
    for score, c, decision in zip(scores, compared, decide(compared), strict=True):
        which = "more" if c.value > 0 else "less"
        words = {
            "yes": f"photos whose embedding moves more flip {which}",
            "no": f"flips follow the movement of the embedding by less than {RANK_BOUND:g}",
            "undecided": "undecided whether photos whose embedding moves more flip more",
        }[decision.answer]
        numbers = f"rank correlation {c.value:+.2f}, {c.low:+.2f} to {c.high:+.2f}, n = {score.n}"
        texts.append(f"{score.task}: {words} ({numbers}).")
    return texts
