"""Assignment of photos to the classes of a parameter: by the photo's id alone, or correlated with its semantic class.

Correlated assignments are for controlled studies of shortcuts: processing and semantic class are associated with a
known strength. "Invisible Shortcuts" (arXiv 2608.05424) ties a share p_i of the photos, or a share p_c of the classes.
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
and every for the other splits, as in the study's probe; ``correlated:P`` and ``correlated-classes:P``: uniform, but a
share P of the photos of each semantic class, or all photos of a share P of the semantic classes, get the processing
that is tied to their semantic class."""

ASSIGNMENTS = ("uniform", "every", "study", "correlated:P", "correlated-classes:P")
"""The assignments in messages; P is a number from 0 to 1."""

UNTIED = -1
"""Code of a semantic class to which no processing is tied, or of a photo without a semantic class."""

_CORRELATED = re.compile(r"(correlated|correlated-classes):(\d*\.?\d+|\d+\.)", re.ASCII)


@dataclass(frozen=True)
class Correlation:
    """The strength of a correlated assignment."""

    share: float
    """0 to 1."""
    of_classes: bool
    """True for a share of the semantic classes (``correlated-classes``), False for a share of the photos of each."""


def correlation_of(assignment: Assignment) -> Correlation | None:
    """The correlation of an assignment; None if it is not correlated.

    Raises:
        UsageError: there is no such assignment, or the share is not between 0 and 1.

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


def tied_classes(label_names: Sequence[str], parameter: Parameter, assignment: Assignment, seed: int = 0) -> np.ndarray:
    """The processing that is tied to each semantic class.

    The semantic classes are sorted by a hash of their names and assigned to the processings in turn, so that each
    processing is tied to equally many semantic classes, or to one more. ``correlated-classes:P`` ties only the first
    round(P K) of the K semantic classes.

    Args:
        label_names: names of the semantic classes.
        parameter: with the processings.
        assignment: correlated or not.
        seed: of the hash.

    Returns:
        int64 [semantic classes], ``UNTIED`` for a semantic class without a tied processing.

    Raises:
        UsageError: the assignment is correlated, and there are fewer than two semantic classes.

    >>> from builders.pixels import PARAMETERS
    >>> tied_classes(["cat", "dog", "eel", "fox"], PARAMETERS["resizing"], "correlated-classes:.5").tolist()
    [-1, -1, 0, 1]
    """
    codes = np.full(len(label_names), UNTIED, dtype=np.int64)
    correlation = correlation_of(assignment)
    if correlation is None:
        return codes
    if len(label_names) < 2:
        raise UsageError(
            f"assignment {assignment}: needs photos of at least two semantic classes, these have {len(label_names)}"
        )
    count = round(correlation.share * len(codes)) if correlation.of_classes else len(codes)
    codes[hash_order(label_names, parameter, seed)[:count]] = np.arange(count) % len(parameter.classes)
    return codes


def classes_of(
    photo_id: str,
    parameter: Parameter,
    assignment: Assignment,
    seed: int,
    *,
    every: bool = False,
    tied_class: int = UNTIED,
) -> Sequence[int]:
    """The classes of one photo, as codes.

    Args:
        photo_id: the only input of the random draw, with the seed.
        parameter: with the classes.
        assignment: how classes are assigned.
        seed: of the random draw.
        every: whether photos of this split are in every class.
        tied_class: the processing tied to the photo's semantic class (``tied_classes``).
    """
    if every:
        return range(len(parameter.classes))
    correlation = correlation_of(assignment)
    if correlation is None or tied_class == UNTIED:
        return (assigned_class(photo_id, parameter, seed),)
    is_tied = correlation.of_classes or in_share(photo_id, parameter, correlation.share, seed)
    return (tied_class if is_tied else assigned_class(photo_id, parameter, seed),)


def expected_counts(label_counts: np.ndarray, tied: np.ndarray, classes: int, assignment: Assignment) -> np.ndarray:
    """Expected number of photos by semantic class and processing: float64 [semantic classes, processings].

    The Cramer's V of this table is P for ``correlated:P`` and the root of P for ``correlated-classes:P`` if the number
    of tied semantic classes is a multiple of the number of processings and all have equally many photos; otherwise it
    is a little less.

    Args:
        label_counts: [semantic classes], photos of each.
        tied: from ``tied_classes``.
        classes: number of processings.
        assignment: how classes are assigned.

    >>> expected_counts(np.array([10, 10]), np.array([0, 1]), 2, "correlated:0.5").tolist()
    [[7.5, 2.5], [2.5, 7.5]]
    """
    correlation = correlation_of(assignment)
    share = np.zeros(len(tied))
    if correlation is not None:
        share[tied != UNTIED] = 1.0 if correlation.of_classes else correlation.share
    rows = np.repeat((1 - share)[:, None] / classes, classes, axis=1)
    at = np.flatnonzero(tied != UNTIED)
    rows[at, tied[at]] += share[at]
    return np.asarray(rows * np.asarray(label_counts)[:, None])
