"""Sentences on scores of copies: whether a threshold that some photos chose holds on others, and how many reach it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.judgement import Answer, Conclusion, find_score, listed
from benchmark.results import Questions, Result, Score, interval, percent, with_interval

MATCHED, NEAREST = "matched", "recall"
"""Metrics: the copy reaches the threshold, and no other photo is nearer to it than its original."""


def short_answers(results: Sequence[Result], questions: Questions) -> tuple[Conclusion, ...]:
    """Which copies are found, at which threshold, and how many photos match falsely that did not choose it; empty
    where no score says it.

    Args:
        results: of one encoder.
        questions: what the scores mean.
    """
    if not any(map(thresholds, results)):
        return ()
    lists: list[list[str]] = [[] for _ in range(6)]
    shares, sentences, cosines, chosen, matches, held = lists
    for result in results:
        data = f"{result.data['name']}: " if len(results) > 1 else ""
        short, long = found_texts(result, questions)
        shares += [f"{data}{text}" for text in short]
        sentences += [f"{data}{text}" for text in long]
        for score in thresholds(result):
            cosines.append(f"{score.details['threshold']:.4f}")
            chosen.append(f"{data}{chosen_text(score)}")
            matches.append(f"{score.details['matches']} of {score.n}")
            held.append(f"{data}{held_text(score)}")
    return (
        Conclusion(
            "Finds copies", f"Matches {listed(shares)}" if shares else "No copy was scored", " ".join(sentences)
        ),
        Conclusion("Threshold", f"Cosine of {_each(cosines)}", _sentences(chosen)),
        Conclusion("False matches", f"{_each(matches)} other photos match falsely", _sentences(held)),
    )


def _each(values: Sequence[str]) -> str:
    """Values, each once: tasks of one collection share a threshold."""
    return listed(dict.fromkeys(values))


def _sentences(sentences: Sequence[str]) -> str:
    return " ".join(dict.fromkeys(sentences))


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
        kind = questions[threshold.task].title if threshold.task in questions else threshold.task
        name = f"{kind[:1].lower()}{kind[1:]}"
        if matched := find_score(result.scores, threshold.task, MATCHED):
            short.append(f"{percent(matched.value)} % of {name}")
            reached = with_interval(matched.value, matched.low, matched.high)
            long.append(f"{kind}: {reached} reach the threshold, of {matched.n} photos.")
        if nearest := find_score(result.scores, threshold.task, NEAREST):
            count = (nearest.details.get("collection") or 0) + 1
            found = with_interval(nearest.value, nearest.low, nearest.high)
            long.append(f"For {found} of {name} the original is the nearest of {count:,} photos.")
    return short, long
