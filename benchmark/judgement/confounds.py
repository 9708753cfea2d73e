"""The sentences of an audit that say whether a confound is there, and what would have been found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from benchmark.judgement.units import plural_of

CONFOUND_TITLES: Mapping[bool, str] = MappingProxyType({True: "Confounded", False: "No confound found"})
"""Heading of an audit, by whether a question was flagged."""

SILENT_LAYER = "nothing was found there."
"""About a layer of pixels that was not flagged."""


def unconfounded_text(photos: int) -> str:
    """What an audit says that flagged nothing. A confound that was not found is not an absent one."""
    return (
        f"No confound was found in the files of {photos:,} photos, in header, size or Exif; that alone does not show "
        "that there is none."
    )


def power_text(effects: Sequence[tuple[int, float]], rule: str) -> str:
    """The sentence about associations that would have been found.

    Args:
        effects: (values of a feature, smallest V that would be flagged), of each feature.
        rule: what errs together, ``ErrorUnits.rule``.

    >>> power_text([(2, 0.116), (9, 0.21)], "photo")[:56]
    'An association of V = 0.12 or more with a feature of 2 v'
    >>> power_text([(2, 1.0)], "owner")
    'With so few owners no association could have been found, however strong.'
    """
    outcome = sorted((effect for effect in effects if effect[1] < 1), key=lambda effect: effect[1])
    if not outcome:
        return f"With so few {plural_of(rule)} no association could have been found, however strong."
    (few, low), (many, high) = outcome[0], outcome[-1]
    if round(low, 2) == round(high, 2):
        return f"An association of V = {high:.2f} or more would most likely have been found."
    return (
        f"An association of V = {low:.2f} or more with a feature of {few} values, and of V = {high:.2f} or more with "
        f"one of {many}, would most likely have been found."
    )


def untestable_text(titles: Sequence[str], rule: str) -> str:
    """Which features could not be found, however strong their association.

    Args:
        titles: of features.
        rule: as in ``power_text``.
    """
    return (
        f"With so few {plural_of(rule)} no association with these could have been found, however strong: "
        f"{', '.join(titles)}."
    )
