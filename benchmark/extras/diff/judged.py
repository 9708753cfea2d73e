"""Ways to the embedding of the same photos: whether one moves more than noise and than the weakest trace, and flips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.judgement import LEVEL, POINT, Answer, Comparison, LossJudgement, decide, judge_loss
from benchmark.results import percent


@dataclass(frozen=True)
class PathMoves:
    """What one way does to embeddings and answers, compared with the first way; intervals are over units."""

    name: str
    identical: bool
    """Whether every input and every embedding is equal, bit for bit."""
    beyond_noise: Any = None
    """Paired difference of its cosine distances and those of the noise floor; None where one is not known."""
    traces: tuple[float, float, float] | None = None
    """Mean cosine distance in units of the weakest trace, and its ends, corrected for the number of ways; None where
    there is no unit."""
    flips: tuple[int, int] | None = None
    """Answers that only the first way, and only this one, has right; None without labels."""
    flip_p: float = 1.0
    """P-value of as many flips in both directions."""
    accuracy: Any = None
    """Paired difference of accuracies, the first way minus this one."""


@dataclass(frozen=True)
class PathJudgement:
    """The answers about one way."""

    beyond_noise: Answer
    """Whether it moves embeddings more than noise does."""
    limit: LossJudgement
    """Whether it moves them by more than the limit: ``worse`` is *yes*."""
    accuracy: Answer
    """Whether it changes the accuracy."""
    text: str
    """A sentence for each answer."""


ROUNDING = 1e-9
"""Cosine distance that rounding alone may make: of a relative error of 4e-5, more than any library in float32 has."""

_MANY = 1e12
"""Units of a distance, of which one photo cannot change the answer by its weight as it can change a share."""


def judge_paths(paths: Sequence[PathMoves], trace: str, at_most: float) -> list[PathJudgement]:
    """The answers about several ways, which are one family of each question.

    Args:
        paths: other than the first.
        trace: name of the processing that is the unit.
        at_most: the limit, in units of the weakest trace.

    >>> [same] = judge_paths([PathMoves("decoder=pillow", True)], "jpeg-q95-444", 1.0)
    >>> same.text
    'decoder=pillow gives the same inputs and the same embeddings, bit for bit.'
    """
    moving = [p for p in paths if p.beyond_noise is not None and not p.identical]
    noise = dict(zip((p.name for p in moving), decide([_beyond(p) for p in moving]), strict=True)) if moving else {}
    labelled = [p for p in paths if p.accuracy is not None and not p.identical]
    flips = dict(zip((p.name for p in labelled), decide([_flips(p) for p in labelled]), strict=True))
    judged = []
    for path in paths:
        if path.identical:
            text = f"{path.name} gives the same inputs and the same embeddings, bit for bit."
            judged.append(PathJudgement("no", "not worse", "no", text))
            continue
        beyond: Answer = noise[path.name].answer if path.name in noise else "undecided"
        limit = "undecided" if path.traces is None else judge_loss(*path.traces[1:], at_most)
        accuracy: Answer = flips[path.name].answer if path.name in flips else "undecided"
        sentences = [_limit_text(path, limit, trace, at_most), _noise_text(beyond, path.name in noise)]
        if path.name in flips:
            sentences.append(_flip_text(path, accuracy, flips[path.name].p_value))
        judged.append(PathJudgement(beyond, limit, accuracy, " ".join(s for s in sentences if s)))
    return judged


def paths_rule(count: int) -> str:
    """The rule behind the sentences about so many ways."""
    if count < 2:
        return f"Shown: p < {LEVEL:g}."
    return f"Shown: p < {LEVEL:g} after Holm's correction over {count} ways; limits hold for all of them together."


def _beyond(path: PathMoves) -> Comparison:
    d = path.beyond_noise
    return Comparison(d.value, d.low, d.high, _MANY, ROUNDING, reference=ROUNDING)


def _flips(path: PathMoves) -> Comparison:
    d = path.accuracy
    return Comparison(d.value, d.low, d.high, d.units, POINT, p_value=path.flip_p, two_sided=True)


def _limit_text(path: PathMoves, limit: LossJudgement, trace: str, at_most: float) -> str:
    if path.traces is None:
        return f"{path.name}: there is no trace to measure it by."
    value, low, high = path.traces
    moved = (
        f"{path.name} moves embeddings {value:.3g} times as far as the weakest trace, {trace} ({low:.3g} to {high:.3g})"
    )
    words = {
        "worse": "more than",
        "not worse": "not more than",
        "undecided": "it is undecided whether that is more than",
    }
    return f"{moved}: {words[limit]} the limit of {at_most:g}."


def _noise_text(beyond: Answer, has_noise: bool) -> str:
    if not has_noise:
        return ""
    if beyond == "yes":
        return "That is more than another batch size does."
    if beyond == "no":
        return "That is no more than rounding and another batch size do."
    return "Whether that is more than another batch size does is undecided."


def _flip_text(path: PathMoves, accuracy: Answer, p_value: float) -> str:
    lost, won = path.flips or (0, 0)
    counts = f"{lost} right answers of kNN become wrong and {won} wrong ones right"
    change = f"{percent(0.0 - path.accuracy.value, True)} points"
    if accuracy == "yes":
        return f"{counts}: the accuracy differs ({change}, p = {p_value:.2g})."
    if accuracy == "no":
        return f"{counts}: the accuracy is shown to differ by less than {100 * POINT:g} point ({change})."
    return f"{counts}: whether the accuracy differs is undecided ({change}, p = {p_value:.2g})."
