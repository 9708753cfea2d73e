"""Copies: whether a threshold that some photos chose holds on others, how many reach it, and for which encoder most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.judgement.deciding import Answer
from benchmark.judgement.scores import find_score
from benchmark.results import Questions, Result, Score, interval, percent

NAMED = 3
"""Most encoders that a sentence names."""

MATCHED, NEAREST = "matched", "recall"
"""Metrics: the copy reaches the threshold, and no other photo is nearer to it than its original."""


def thresholds(result: Result) -> list[Score]:
    """The shares of false matches at a threshold, one a task; none where no task is about copies."""
    needed = ("threshold", "stated_rate", "chosen_on", "matches")
    return [score for score in result.scores if all(score.details.get(name) is not None for name in needed)]


def threshold_holds(score: Score) -> Answer:
    """Whether the false matches of photos that did not choose a threshold are as many as its stated rate lets expect.

    *No*: they are more. *Undecided*: they are as many or fewer, which does not show that the rate is exact; there is no
    *yes*.

    Args:
        score: the share of false matches, with ``matches``, ``expected_matches`` and ``stated_rate`` in its details.
    """
    expected = score.details.get("expected_matches")
    if isinstance(expected, list | tuple):
        return "no" if score.details["matches"] > expected[1] else "undecided"
    return "no" if score.low > score.details["stated_rate"] else "undecided"


def threshold_text(score: Score) -> str:
    """Sentences about one threshold: what it is, who chose it, and what other photos do at it.

    Args:
        score: as of ``threshold_holds``; its n is the number of these photos.

    >>> from types import SimpleNamespace
    >>> details = {"threshold": 0.8, "threshold_low": 0.75, "threshold_high": 0.9, "stated_rate": 0.01}
    >>> details |= {"chosen_on": 199, "matches": 3, "expected_matches": [0, 7]}
    >>> score = SimpleNamespace(value=0.015, low=0.004, high=0.04, n=200, details=details)
    >>> print(threshold_text(score))  # doctest: +NORMALIZE_WHITESPACE
    A cosine of 0.8000 (0.7500 to 0.9000), chosen on 199 photos, states 1.0 % of false matches. Of 200 photos that did
    not choose it 3 match a photo that they are no copy of (1.5 %, 0.4 to 4.0); 0 to 7 are expected: nothing speaks
    against the threshold.
    """
    return f"{chosen_text(score)} {held_text(score)}"


def chosen_text(score: Score) -> str:
    """Who chose a threshold, and which rate of false matches it states; ``score`` as of ``threshold_holds``."""
    d: Mapping[str, Any] = score.details
    low, high = d.get("threshold_low"), d.get("threshold_high")
    ends = "" if low is None or high is None else f" ({low:.4f} to {high:.4f})"
    return (
        f"A cosine of {d['threshold']:.4f}{ends}, chosen on {d['chosen_on']} photos, states "
        f"{percent(d['stated_rate'])} % of false matches."
    )


def held_text(score: Score) -> str:
    """What photos that did not choose a threshold do at it; ``score`` as of ``threshold_holds``."""
    expected = score.details.get("expected_matches")
    range_ = f"; {expected[0]} to {expected[1]} are expected" if expected else ""
    words = {
        "no": "the threshold does not hold on them",
        "undecided": "nothing speaks against the threshold",
    }
    false = f"{percent(score.value)} %, {interval(score.low, score.high)}"
    return (
        f"Of {score.n} photos that did not choose it {score.details['matches']} "
        f"match a photo that they are no copy of ({false}){range_}: "
        f"{words[threshold_holds(score)]}."
    )


def found_texts(result: Result, questions: Questions) -> tuple[list[str], list[str]]:
    """Which share of each kind of copies reaches the threshold, in short, and sentences with intervals."""
    short, long = [], []
    for threshold in thresholds(result):
        kind = kind_of_copies(threshold.task, questions)
        name = f"{kind[:1].lower()}{kind[1:]}"
        if matched := find_score(result.scores, threshold.task, MATCHED):
            short.append(f"{percent(matched.value)} % of {name}")
            long.append(f"{kind}: {_percent(matched)} reach the threshold, of {matched.n} photos.")
        if nearest := find_score(result.scores, threshold.task, NEAREST):
            count = (nearest.details.get("collection") or 0) + 1
            long.append(f"For {_percent(nearest)} of {name} the original is the nearest of {count:,} photos.")
    return short, long


def kind_of_copies(task: str, questions: Questions) -> str:
    """``Processed copies``: the title of a task."""
    return questions[task].title if task in questions else task


@dataclass(frozen=True)
class Finder:
    """An encoder or hash with its share of matched copies."""

    name: str
    value: float
    low: float
    high: float
    is_first: bool
    """Whether its rank may be the first."""


def most_text(kind: str, finders: Sequence[Finder]) -> str:
    """Which of several encoders or hashes matches most copies.

    Args:
        kind: of copies, in words.
        finders: in any order.

    >>> hash_, network = Finder("phash", 0.9, 0.85, 0.94, True), Finder("network", 0.6, 0.5, 0.7, False)
    >>> most_text("Processed copies", [network, hash_])
    'Processed copies: phash matches most, 90.0 % (85.0 to 94.0), then network, 60.0 % (50.0 to 70.0).'
    """
    ordered = sorted(finders, key=lambda f: -f.value)
    first = [f for f in ordered if f.is_first]
    others = [f for f in ordered if not f.is_first]
    more = f", then {_listed(others)}" if others else ""
    if len(first) == 1:
        return f"{kind}: {first[0].name} matches most, {_percent(first[0])}{more}."
    return f"{kind}: which matches most is undecided between {_listed(first)}{more}."


def _percent(shown: Score | Finder) -> str:
    return f"{percent(shown.value)} % ({interval(shown.low, shown.high)})"


def _listed(finders: Sequence[Finder]) -> str:
    parts = [f"{f.name}, {_percent(f)}" for f in finders[:NAMED]]
    if len(finders) > NAMED:
        parts.append(f"{len(finders) - NAMED} more")
    return " and ".join(filter(None, ["; ".join(parts[:-1]), parts[-1]]))
