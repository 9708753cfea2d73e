"""Whether a threshold that some photos chose holds on others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.judgement.deciding import Answer
from benchmark.results import Score, interval, percent


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
    d: Mapping[str, Any] = score.details
    ends = "" if d["threshold_low"] is None else f" ({d['threshold_low']:.4f} to {d['threshold_high']:.4f})"
    expected = d.get("expected_matches")
    range_ = f"; {expected[0]} to {expected[1]} are expected" if expected else ""
    words = {
        "no": "the threshold does not hold on them",
        "undecided": "nothing speaks against the threshold",
    }
    false = f"{percent(score.value)} %, {interval(score.low, score.high)}"
    return (
        f"A cosine of {d['threshold']:.4f}{ends}, chosen on {d['chosen_on']} photos, states "
        f"{percent(d['stated_rate'])} % of false matches. Of {score.n} photos that did not choose it {d['matches']} "
        f"match a photo that they are no copy of ({false}){range_}: "
        f"{words[threshold_holds(score)]}."
    )
