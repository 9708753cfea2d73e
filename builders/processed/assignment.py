"""Which class of a parameter a photo is given: by its id alone, or correlated with what the photo shows.

Correlated assignments are for controlled studies of shortcuts: processing and semantic class are tied with a known
strength. "Invisible Shortcuts" (arXiv 2608.05424) ties a share p_i of the photos, or a share p_c of the classes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from builders.errors import UsageError, unknown_name
from builders.pixels import Parameter, assigned_class, hash_order, in_share

Assignment = str
"""``uniform``: one class per photo at equal chance; ``every``: each photo in every class; ``study``: uniform for train
and every for the other splits, as the study's probe has it; ``correlated:P`` and ``correlated-classes:P``: uniform, but
a share P of the photos of each semantic class, or all photos of a share P of the semantic classes, get the processing
that is their semantic class's own."""

ASSIGNMENTS = ("uniform", "every", "study", "correlated:P", "correlated-classes:P")
"""As people write them; P is a number from 0 to 1."""

NO_OWN = -1
"""A semantic class without a processing of its own, or a photo without a semantic class."""

_CORRELATED = re.compile(r"(correlated|correlated-classes):(\d*\.?\d+|\d+\.)", re.ASCII)


@dataclass(frozen=True)
class Correlation:
    """The strength of a correlated assignment."""

    share: float
    """0 to 1."""
    of_classes: bool
    """Whether it is a share of the semantic classes (``correlated-classes``), or of the photos of each."""


def correlation_of(assignment: Assignment) -> Correlation | None:
    """How an assignment ties processing to semantic class; None for those that do not.

    Raises:
        UsageError: no such assignment, or a share outside 0 to 1.

    >>> correlation_of("correlated-classes:0.3")
    Correlation(share=0.3, of_classes=True)
    """
    if assignment in ("uniform", "every", "study"):
        return None
    match = _CORRELATED.fullmatch(assignment)
    if match is None:
        raise unknown_name("assignment", assignment, ASSIGNMENTS)
    share = float(match[2])
    if share > 1:
        raise UsageError(f"assignment {assignment}: the share is a number from 0 to 1")
    return Correlation(share, match[1] == "correlated-classes")


def classes_by_hash(
    label_names: Sequence[str], parameter: Parameter, assignment: Assignment, seed: int = 0
) -> np.ndarray:
    """The processing of each semantic class's own: int64 [semantic classes], ``NO_OWN`` where it has none.

    The semantic classes, in an order drawn by a hash of each name, are dealt out to the processings in turn, so that
    each processing is the own one of equally many (or of one more). ``correlated-classes:P`` deals to the first
    round(P K) of the K semantic classes only.

    Raises:
        UsageError: the assignment is correlated and there are no semantic classes.

    >>> from builders.pixels import PARAMETERS
    >>> classes_by_hash(["cat", "dog", "eel", "fox"], PARAMETERS["resizing"], "correlated-classes:.5").tolist()
    [-1, -1, 0, 1]
    """
    own = np.full(len(label_names), NO_OWN, dtype=np.int64)
    correlation = correlation_of(assignment)
    if correlation is None:
        return own
    if len(label_names) < 2:
        raise UsageError(
            f"assignment {assignment}: needs photos of at least two semantic classes, these have {len(label_names)}"
        )
    tied = round(correlation.share * len(own)) if correlation.of_classes else len(own)
    own[hash_order(label_names, parameter, seed)[:tied]] = np.arange(tied) % len(parameter.classes)
    return own


def classes_of(
    photo_id: str, parameter: Parameter, assignment: Assignment, seed: int, *, every: bool = False, own: int = NO_OWN
) -> Sequence[int]:
    """Which classes a photo gets.

    Args:
        photo_id: decides all that is drawn.
        parameter: the classes.
        assignment: how.
        seed: of what is drawn.
        every: the photo's split is one in which each photo is in every class.
        own: of the photo's semantic class (``classes_by_hash``).
    """
    if every:
        return range(len(parameter.classes))
    correlation = correlation_of(assignment)
    if correlation is None or own == NO_OWN:
        return (assigned_class(photo_id, parameter, seed),)
    tied = correlation.of_classes or in_share(photo_id, parameter, correlation.share, seed)
    return (own if tied else assigned_class(photo_id, parameter, seed),)


def expected_counts(label_counts: np.ndarray, own: np.ndarray, classes: int, assignment: Assignment) -> np.ndarray:
    """Expected number of photos by semantic class and processing: float64 [semantic classes, processings].

    The Cramer's V of this table is P for ``correlated:P`` and the root of P for ``correlated-classes:P`` where the tied
    semantic classes are a multiple of the processings and equally many photos each; elsewhere a little less.

    Args:
        label_counts: [semantic classes], photos of each.
        own: ``classes_by_hash``.
        classes: number of processings.
        assignment: how.

    >>> expected_counts(np.array([10, 10]), np.array([0, 1]), 2, "correlated:0.5").tolist()
    [[7.5, 2.5], [2.5, 7.5]]
    """
    correlation = correlation_of(assignment)
    tied = np.zeros(len(own))
    if correlation is not None:
        tied[own != NO_OWN] = 1.0 if correlation.of_classes else correlation.share
    rows = np.repeat((1 - tied)[:, None] / classes, classes, axis=1)
    at = np.flatnonzero(own != NO_OWN)
    rows[at, own[at]] += tied[at]
    return np.asarray(rows * np.asarray(label_counts)[:, None])
