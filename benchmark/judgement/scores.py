"""What the judge reads from a score: chance, and the number of independent units behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from benchmark.results import Score


class ScoreLike(Protocol):
    """A score with its interval and its details, such as ``benchmark.results.Score``."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def n(self) -> int: ...
    @property
    def chance(self) -> float: ...
    @property
    def details(self) -> Mapping[str, Any]: ...


def chance_of(score: ScoreLike) -> float:
    """Accuracy of a guess: one over the classes, or the share of the most frequent class where that is more.

    >>> from types import SimpleNamespace
    >>> chance_of(SimpleNamespace(chance=0.5, details={"most_frequent_class": 0.7}))
    0.7
    """
    return max(score.chance, float(score.details.get("most_frequent_class") or 0.0))


def units_of(score: ScoreLike) -> float:
    """Number of independent units behind a score: the effective one, else scenes or owners, else photos.

    >>> from types import SimpleNamespace
    >>> units_of(SimpleNamespace(n=280, details={"resampled": "scene", "units": 12}))
    12.0
    >>> units_of(SimpleNamespace(n=280, details={"resampled": "photo", "units": 280}))
    280.0
    """
    details = score.details
    if isinstance(effective := details.get("effective_units"), int | float):
        return float(effective)
    units = details.get("units")
    return float(units) if isinstance(units, int) and rule_of(score) != "photo" else float(score.n)


def rule_of(score: ScoreLike) -> str:
    """What the interval of a score resamples: ``photo``, unless its record says something else."""
    return str(score.details.get("resampled") or "photo")


def find_score(scores: Sequence[Score], task: str, metric: str) -> Score | None:
    """The score of a task and metric; None where there is none."""
    return next((s for s in scores if (s.task, s.metric) == (task, metric)), None)
