"""Answers of vision-language models in a run: the banks that tasks read, the noise floor among them, and their keys."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.answers import ClosedQuestion, QuestionRule
from benchmark.bank import Asking, Bank, answering, read_answers_of
from benchmark.encoders import Answerer, Encoder
from benchmark.options import RunOptions
from benchmark.tasks import Task
from benchmark.views import ORIGINAL, ViewRecipe, WithPng
from builders.photos import PhotoSet

OTHER_DTYPE: Mapping[str, str] = {"float32": "bfloat16", "tf32": "float32", "bfloat16": "float32", "float16": "float32"}
"""Precision of a run -> the one that it is compared with."""


@dataclass(frozen=True)
class AnswerBank:
    """One bank of answers of a model."""

    answerer: Answerer
    asking: Asking
    recipe: ViewRecipe
    view: str = ""
    """The view of the noise floor that it holds; empty for the bank of all views."""

    @property
    def encoder(self) -> Encoder:
        """What its key and paths belong to."""
        return answering(self.answerer, self.asking)


def answer_banks(
    encoder: Encoder, recipe: ViewRecipe, tasks: Sequence[Task], photos: PhotoSet, options: RunOptions
) -> list[AnswerBank]:
    """The banks that the tasks about answers read: of their views, then of the noise floor.

    Args:
        encoder: of a vision-language model, or another one, which has none.
        recipe: of the pass.
        tasks: of the pass.
        photos: the photo set.
        options: of the run.
    """
    names = {name for task in tasks if task.reads_answers for name in task.recipe(photos, options).names}
    answerer, source = encoder.answerer, encoder.answers
    if answerer is None or source is None or not names:
        return []
    asking = Asking(source.rule.questions(photos, options.seed))
    original = recipe.only((ORIGINAL,))
    banks = [AnswerBank(answerer, asking, WithPng(recipe.only([n for n in recipe.names if n in names])))]
    if options.batch_size > 1:
        banks.append(AnswerBank(answerer, replace(asking, batch=1), original, "other-batch"))
    banks.append(AnswerBank(answerer, replace(asking, reverse=True), original, "other-order"))
    other = answerer.in_dtype(OTHER_DTYPE[answerer.dtype])
    return [*banks, AnswerBank(other, asking, original, "other-precision")]


@dataclass(frozen=True, eq=False)
class BankAnswers:
    """Answers in banks: an ``AnswerSource``."""

    name: str
    rule: QuestionRule
    photos: PhotoSet
    banks: Sequence[tuple[AnswerBank, Bank]]
    graded: bool = True

    @functools.cached_property
    def views(self) -> tuple[str, ...]:
        """Views that were answered."""
        return tuple(self._places())

    def logits(self, view: str, questions: Sequence[ClosedQuestion]) -> np.ndarray:
        """As ``AnswerSource.logits``."""
        answer_bank, bank, name = self._places()[view]
        rows = read_answers_of(bank, answer_bank.asking, self.photos, name)
        row_of = {(question.photo, question.id): at for at, question in enumerate(answer_bank.asking.questions)}
        return rows[[row_of[question.photo, question.id] for question in questions]]

    def _places(self) -> dict[str, tuple[AnswerBank, Bank, str]]:
        """By view, where its logits are."""
        return {
            answer_bank.view or name: (answer_bank, bank, name)
            for answer_bank, bank in self.banks
            for name in bank.names
        }
