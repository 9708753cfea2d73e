"""Which of several encoders leads in a score, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.results import with_interval

NAMED = 3
"""Most encoders that a sentence names."""


@dataclass(frozen=True)
class Finder:
    """An encoder or hash with a score, of which more is better."""

    name: str
    value: float
    low: float
    high: float
    is_first: bool
    """Whether its rank may be the first."""


def most_text(kind: str, finders: Sequence[Finder], words: str) -> str:
    """Which of several encoders or hashes leads.

    Args:
        kind: what the score is about.
        finders: in any order.
        words: what the first one does.

    >>> hash_, network = Finder("phash", 0.9, 0.85, 0.94, True), Finder("network", 0.6, 0.5, 0.7, False)
    >>> most_text("Processed copies", [network, hash_], "matches most")
    'Processed copies: phash matches most, 90.0 % (85.0 to 94.0), then network, 60.0 % (50.0 to 70.0).'
    """
    ordered = sorted(finders, key=lambda f: -f.value)
    first = [f for f in ordered if f.is_first]
    others = [f for f in ordered if not f.is_first]
    more = f", then {_listed(others)}" if others else ""
    if len(first) == 1:
        return f"{kind}: {first[0].name} {words}, {_shown(first[0])}{more}."
    return f"{kind}: which {words} is undecided between {_listed(first)}{more}."


def _shown(finder: Finder) -> str:
    return with_interval(finder.value, finder.low, finder.high)


def _listed(finders: Sequence[Finder]) -> str:
    parts = [f"{f.name}, {_shown(f)}" for f in finders[:NAMED]]
    if len(finders) > NAMED:
        parts.append(f"{len(finders) - NAMED} more")
    return " and ".join(filter(None, ["; ".join(parts[:-1]), parts[-1]]))
