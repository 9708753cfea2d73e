"""Arithmetic of changed answers, on arrays: Q questions about P photos under V views; the first is unprocessed.

An answer is the option with the greatest logit; of equal ones the first. Margins are differences of probabilities among
the options (softmax over their logits alone), so that models whose logits have other scales are comparable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NO_OPTION = -1
"""An answer in words that is none of the options. It is wrong, and counts as an answer of its own."""

MARGIN_EDGES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Edges between groups of questions by the margin of the unprocessed photo."""


@dataclass(frozen=True, eq=False)
class ModelAnswers:
    """Answers of one model to the same questions under several views."""

    chosen: np.ndarray
    """int8 [V, Q], the option that was chosen; ``NO_OPTION`` for none."""
    probability: np.ndarray | None
    """float32 [V, Q], probability of the right option; None where only the chosen option is known."""
    margin: np.ndarray | None
    """float32 [Q], probability of the first choice minus that of the second, of the unprocessed photo; None as above.
    """


def answers_of(logits: np.ndarray, right: np.ndarray, *, graded: bool) -> ModelAnswers:
    """The answers that logits give.

    Args:
        logits: float [V, Q, K], as ``AnswerSource.logits`` has them; no row is all NaN.
        right: int [Q], the right option.
        graded: whether they are logits, not only marks of what was chosen.

    >>> answers = answers_of(np.log([[[0.7, 0.3]], [[0.4, 0.6]]]), np.array([0]), graded=True)
    >>> answers.chosen.tolist(), [f"{p:.2f}" for p in answers.probability[:, 0]], [f"{m:.2f}" for m in answers.margin]
    ([[0], [1]], ['0.70', '0.40'], ['0.40'])
    """
    values = np.where(np.isnan(logits), -np.inf, logits).astype(np.float64)
    best = values.max(axis=2, keepdims=True)
    chosen = np.where(np.isneginf(best[..., 0]), NO_OPTION, values.argmax(axis=2)).astype(np.int8)
    if not graded:
        return ModelAnswers(chosen, None, None)
    weights = np.exp(values - best)
    shares = weights / weights.sum(axis=2, keepdims=True)
    first = np.sort(shares[0])
    of_right = np.take_along_axis(shares, np.broadcast_to(right[None, :, None], (*shares.shape[:2], 1)), 2)[..., 0]
    return ModelAnswers(chosen, of_right.astype(np.float32), (first[:, -1] - first[:, -2]).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Changes:
    """What becomes of each answer under V views, against the unprocessed photo: bool [V, Q] each."""

    flipped: np.ndarray
    to_wrong: np.ndarray
    """Right on the unprocessed photo, wrong under the view."""
    to_right: np.ndarray


def changes_of(chosen: np.ndarray, original: np.ndarray, right: np.ndarray) -> Changes:
    """Changes of answers [V, Q] against those of the unprocessed photo [Q]; ``right`` [Q] are the right options.

    A change from one wrong answer to another is a flip, and neither to wrong nor to right.

    >>> changes = changes_of(np.array([[1, 0, 2]]), np.array([0, 1, 1]), np.array([0, 0, 0]))
    >>> changes.flipped.tolist(), changes.to_wrong.tolist(), changes.to_right.tolist()
    ([[True, True, True]], [[True, False, False]], [[False, True, False]])
    """
    before, after = original == right, chosen == right
    return Changes(chosen != original, before & ~after, ~before & after)


def by_photo(values: np.ndarray, photo: np.ndarray, photos: int) -> np.ndarray:
    """Means over the questions about each photo, float64 [..., P]; each photo has a question.

    Args:
        values: [..., Q].
        photo: int [Q], the photo of each question.
        photos: P.

    >>> by_photo(np.array([1, 0, 1]), np.array([0, 0, 1]), 2).tolist()
    [0.5, 1.0]
    """
    order = np.argsort(photo, kind="stable")
    counts = np.bincount(photo, minlength=photos)
    sums = np.add.reduceat(np.asarray(values, np.float64)[..., order], np.cumsum(counts) - counts, axis=-1)
    means: np.ndarray = sums / counts
    return means


def margin_groups(margin: np.ndarray) -> np.ndarray:
    """int64 [Q], the group of ``MARGIN_EDGES`` of each margin; a margin on an edge belongs to the group above.

    >>> margin_groups(np.array([0.0, 0.1, 0.3, 1.0])).tolist()
    [0, 1, 2, 4]
    """
    groups: np.ndarray = np.digitize(margin, MARGIN_EDGES[1:-1]).astype(np.int64)
    return groups
