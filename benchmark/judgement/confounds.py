"""The sentences of an audit that say whether a confound is there, and what would have been found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from benchmark.judgement.units import UNIT_NAMES, are_few, plural_of

CONFOUND_TITLES: Mapping[bool, str] = MappingProxyType({True: "Confounded", False: "No confound found"})
"""Heading of an audit, by whether a question was flagged."""

CONFOUND_LIMITS = (
    "A confound is not proof that a classifier uses it; it is proof that one could.",
    "No difference in headers is not proof that pixels hold no trace: a common re-save hides headers, not an earlier "
    "compression. Look with --pixels.",
    "What is marked as a hint is moved by what the picture shows too.",
)
"""What an audit does not show, whatever it flagged."""

OWN_SOURCES = (
    "Each class comes from sources of its own: a classifier cannot be shown to learn anything but the source, whatever "
    "the files look like. Add photos of every class from every source."
)
"""The verdict where the label follows from the source."""


def predicted_text(what: str, accuracy: str, layer: str, chance: str, because: str, *, verdict: bool = False) -> str:
    """A flagged layer predicts a column.

    Args:
        what: the column at the beginning of a sentence: ``The label``.
        accuracy, chance: with their unit.
        layer: that predicts it.
        because: the values that carry it, with the full stop.
        verdict: whether to say that classifiers can use it.

    >>> predicted_text("The split", "80 %", "the size", "50 %", ".")
    'The split can be predicted at 80 % from the size (chance 50 %).'
    """
    tail = " Any classifier can use this." if verdict else ""
    return f"{what} can be predicted at {accuracy} from {layer} (chance {chance}){because}{tail}"


def associated_text(what: str, feature: str, effect: str, because: str, *, verdict: bool = False) -> str:
    """A flagged feature goes with a column. Arguments as of ``predicted_text``; ``effect`` is ``V = 0.30``."""
    return f"{what} goes with the {feature} ({effect}){because}{' A classifier can use this.' if verdict else ''}"


def pixels_text(layer: str, accuracy: str, chance: str, photos: int, *, flagged: bool, hidden: bool) -> str:
    """What a layer of the picture itself says about the label.

    Args:
        layer: in words; ``accuracy`` and ``chance`` with their unit.
        photos: that were decoded.
        flagged: whether it predicts the label.
        hidden: whether most of the picture was hidden.
    """
    meaning = "what the pictures show, or how they were made; this layer does not tell which."
    if hidden:
        meaning = "most of what the picture shows is hidden there, so it may well be how the photos were made."
    if not flagged:
        meaning = "nothing was found there."
    return f"From {layer} the label can be predicted at {accuracy} (chance {chance}, {photos:,} photos): {meaning}"


def audit_units_text(rule: str, count: int, effective: float) -> str:
    """What errs together in an audit.

    >>> audit_units_text("slide", 40, 40)
    'Intervals and p-values are over slides, because photos of one slide err together: the sample has 40 slides.'
    """
    name, plural = UNIT_NAMES.get(rule, rule), plural_of(rule)
    equal = f" (as many as {effective:,.0f} of equal size)" if round(effective) != count else ""
    few = f" Intervals over so few or unequal {plural} are less sure than they say."
    return (
        f"Intervals and p-values are over {plural}, because photos of one {name} err together: the sample has "
        f"{count:,} {plural}{equal}.{few if are_few(count, effective) else ''}"
    )


def confounded_text(name: str, effect: float, threshold: float) -> str:
    """Why a command that was given a threshold ends with another exit status."""
    return f"{name} is confounded ({effect:.2f}, the threshold is {threshold:g})"


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
        rule: what errs together: ``ErrorUnits.rule``, or the word of a named column.

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
