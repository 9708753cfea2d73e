"""What a model answered: logits of the options by view and question, whoever made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from benchmark.answers.questions import ClosedQuestion, QuestionRule
from builders.pixels import ALL_PROCESSINGS

NOISE_VIEWS: Mapping[str, str] = {
    "png": "the same pixels, saved as PNG",
    "other-batch": "another batch size",
    "other-precision": "another precision",
    "other-order": "the options in another order",
}
"""Views of the noise floor by name: the unprocessed photo, where only what should not matter differs. Logits are in the
order of ``ClosedQuestion.options`` in every view."""


def every_view() -> tuple[str, ...]:
    """Every view that can be answered: the unprocessed photo, processings in use, and those of ``NOISE_VIEWS``."""
    return ("original", *ALL_PROCESSINGS, *NOISE_VIEWS)


class AnswerSource(Protocol):
    """Answers of one model, as tasks read them."""

    @property
    def name(self) -> str:
        """Id of the model, for messages."""

    @property
    def rule(self) -> QuestionRule:
        """Which questions were asked."""

    @property
    def views(self) -> Sequence[str]:
        """Views that were answered: ``original``, processings, and those of ``NOISE_VIEWS``."""

    @property
    def graded(self) -> bool:
        """Whether there are logits; else only the option that was chosen is known."""

    def logits(self, view: str, questions: Sequence[ClosedQuestion]) -> np.ndarray:
        """float32 [questions, most options], the logits of the options of each question under one view.

        NaN beyond the options of a question, and in the whole row of a question without an answer. Where ``graded`` is
        false, 0 for the option that was chosen and minus infinity for others; minus infinity for all where the answer
        is none of the options.
        """
