"""Acquisition -> class label: what each attribute means, its classes, and how a value finds its class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from builders.exif import Acquisition

LabelSet = Literal["clean", "reference"]

LABEL_SETS: tuple[LabelSet, ...] = ("clean", "reference")

UNKNOWN = "unknown"
"""The label of a photo that does not say."""

OTHER = "other"
"""The label of a photo that says something that is none of the classes."""


@dataclass(frozen=True)
class Attribute:
    """One acquisition attribute."""

    name: str
    classes: Mapping[LabelSet, tuple[str, ...]]
    """Class names by label set, in order."""
    tolerance: float | None
    """Numeric attributes: a value belongs to a class if ``abs(log2(value / class)) <= tolerance``."""
    find: Callable[[Acquisition, LabelSet], str]
    """The label of an acquisition: a class, ``OTHER`` or ``UNKNOWN``."""

    def chance(self, label_set: LabelSet = "clean") -> float:
        """Expected accuracy of a guess."""
        return 1 / len(self.classes[label_set])


ATTRIBUTES: dict[str, Attribute] = {}
"""make, model, smartphone_model, is_smartphone, exposure, aperture, iso, focal_length, flash, year."""


def label(acquisition: Acquisition, attribute: str, label_set: LabelSet = "clean") -> str:
    """The class of an acquisition: one of ``ATTRIBUTES[attribute].classes[label_set]``, ``OTHER`` or ``UNKNOWN``.

    Raises:
        UsageError: no such attribute or label set.
    """
    raise NotImplementedError


def device_type(acquisition: Acquisition) -> str:
    """``phone``, ``camera``, ``scanner``, ``drone``, ``software`` or ``UNKNOWN``."""
    raise NotImplementedError
