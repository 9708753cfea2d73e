"""The verdict of an audit, and its sentences: whether a confound is there, and what would have been found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.judgement.deciding import Answer
from benchmark.judgement.units import UNIT_NAMES, are_few, plural_of

ConfoundMark = Literal["found", "hint", "calm"]
"""Mark of one question of an audit: flagged; flagged, but the content may explain it; not flagged."""

Tone = Literal["bad", "open", "good", "plain"]
"""How a heading is drawn: confounded; undecided; nothing found in files and pixels; nothing found, files alone seen."""


@dataclass(frozen=True)
class ConfoundVerdict:
    """The verdict of an audit. Heading, colour, exit status, text and ``repr`` are made from it alone."""

    answer: Answer
    """*Yes*: how the files were made tells the label (the split, the source). *No*: nothing that was looked at does.
    *Undecided*: something does that the content may explain, or nothing was looked at that could settle it."""
    title: str
    """The heading."""
    text: str
    """One to three sentences."""
    effect: float
    """The largest flagged association or advantage over chance, 0 to 1, hints included; 0 if nothing is flagged."""
    pixels: bool
    """Whether pixels were looked at."""

    @property
    def tone(self) -> Tone:
        """How the heading is drawn."""
        tones: dict[Answer, Tone] = {"yes": "bad", "undecided": "open", "no": "good" if self.pixels else "plain"}
        return tones[self.answer]

    def passes(self, threshold: float) -> bool:
        """Whether a check accepts the data set: it is decided, or flagged by less than the threshold."""
        return self.effect < threshold and (self.answer != "undecided" or self.effect > 0)


def confound_verdict(
    text: str, confounds: Sequence[float], hints: Sequence[float], *, settled: bool, pixels: bool
) -> ConfoundVerdict:
    """The verdict of an audit.

    Args:
        text: what it says.
        confounds: flagged effects of how the files were made.
        hints: flagged effects that the content may explain.
        settled: whether what was looked at could have shown a confound.
        pixels: whether pixels were looked at.

    >>> confound_verdict("", [], [0.9], settled=True, pixels=True).title
    'Undecided whether confounded'
    """
    answer: Answer = "yes" if confounds else "undecided" if hints or not settled else "no"
    found = "No confound found" if pixels else "No confound found in the files, pixels not looked at"
    titles: dict[Answer, str] = {"yes": "Confounded", "undecided": "Undecided whether confounded", "no": found}
    return ConfoundVerdict(answer, titles[answer], text, max([*confounds, *hints], default=0.0), pixels)


def confound_mark(flagged: bool, content: bool) -> ConfoundMark:
    """The mark of one question: in a table, on the page and in the figure."""
    return "calm" if not flagged else "hint" if content else "found"


CONFOUND_LIMITS = (
    "A confound is not proof that a classifier uses it; it is proof that one could.",
    "No difference in headers is not proof that pixels hold no trace: a common re-save hides headers, not an earlier "
    "compression. Look with --pixels.",
    "What is marked as a hint is moved by what the picture shows too: alone it leaves the verdict undecided.",
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


def failed_check_text(name: str, verdict: ConfoundVerdict, threshold: float) -> str:
    """Why a command that was given a threshold ends with another exit status."""
    size = f" ({verdict.effect:.2f}, the threshold is {threshold:g})" if verdict.effect else ""
    return f"{name}: {verdict.title.lower()}{size}"


def unconfounded_text(photos: int, *, pixels: bool) -> str:
    """What an audit says that flagged nothing in the files. A confound that was not found is not an absent one.

    Args:
        photos: of the audit.
        pixels: whether nothing was flagged in their pixels either.
    """
    where = "in header, size, Exif or pixels" if pixels else "in header, size or Exif"
    found = f"No confound was found in the files of {photos:,} photos, {where}"
    return f"{found}; that alone does not show that there is none."


SAME_HEADERS = (
    "The headers of all photos are the same, so they cannot tell how photos were made before they were saved alike. "
    "Look at the pixels with --pixels N."
)
"""What an audit says that could only ask the headers, where they have one value alone."""


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
