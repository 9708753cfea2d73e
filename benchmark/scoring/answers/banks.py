"""Answers of vision-language models in a run: banks of views and of the noise floor, filled before tasks read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.answers import ClosedQuestion, QuestionRule
from benchmark.bank import Asking, Bank, PassCost, answering, fill_answers, key_hash, read_answers_of
from benchmark.encoders import Answerer, AnsweringModel, Encoder, move_to_host
from benchmark.options import RunOptions
from benchmark.scoring.collect import EncoderRun
from benchmark.scoring.store_paths import BankPaths, require_space
from benchmark.tasks import Task
from benchmark.views import ORIGINAL, ViewRecipe, WithPng
from builders.errors import EncoderError
from builders.photos import PhotoSet
from builders.processes import notice

OTHER_DTYPE: Mapping[str, str] = {"float32": "bfloat16", "tf32": "float32", "bfloat16": "float32", "float16": "float32"}
"""Precision of a run -> the one that it is compared with."""

PRECISION = "other-precision"
"""View of the noise floor that another copy of the weights gives."""


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
        """The owner of its key and paths."""
        return answering(self.answerer, self.asking)


def answer_banks(
    encoder: Encoder, recipe: ViewRecipe, tasks: Sequence[Task], photos: PhotoSet, options: RunOptions
) -> list[AnswerBank]:
    """The banks that the tasks about answers read: of their views, then of the noise floor.

    Args:
        encoder: of a vision-language model; any other has none.
        recipe: of a pass.
        tasks: of the pass.
        photos: the photo set.
        options: of the run.
    """
    names = {name for task in tasks if task.reads_answers for name in task.recipe(photos, options).names}
    source = encoder.answers
    if not isinstance(source, AnsweringModel) or not names:
        return []
    answerer, asking = source.answerer, Asking(source.rule.questions(photos, options.seed))
    original = recipe.only((ORIGINAL,))
    banks = [AnswerBank(answerer, asking, WithPng(recipe.only([name for name in recipe.names if name in names])))]
    if options.batch_size > 1:
        banks.append(AnswerBank(answerer, replace(asking, batch=1), original, "other-batch"))
    banks.append(AnswerBank(answerer, replace(asking, reverse=True), original, "other-order"))
    other = answerer.in_dtype(OTHER_DTYPE[answerer.dtype])
    return [*banks, AnswerBank(other, asking, original, PRECISION)]


def ends_copy(banks: Sequence[AnswerBank], at: int) -> bool:
    """Whether no later bank needs the copy of the weights that fills this one."""
    return all(later.answerer is not banks[at].answerer for later in banks[at + 1 :])


def pass_answers(
    encoder: Encoder,
    recipe: ViewRecipe,
    tasks: Sequence[Task],
    paths: BankPaths,
    photos: PhotoSet,
    options: RunOptions,
) -> PassAnswers | None:
    """The answers that the tasks of a pass read; None if the model gives none in this run.

    Args:
        encoder, recipe, tasks, photos, options: as of ``answer_banks``.
        paths: of the banks, with the hash of the photos' bytes.
    """
    banks = answer_banks(encoder, recipe, tasks, photos, options)
    return PassAnswers(encoder, banks, paths, photos, options) if banks else None


def fill_and_record(
    answers: PassAnswers | None, tasks: Sequence[Task], state: EncoderRun, log: Callable[[str], object]
) -> PassAnswers | None:
    """Fill the banks and record what that cost; if the model cannot answer, the tasks that read it are failures."""
    if answers is None:
        return None
    try:
        costs = answers.fill(log)
    except EncoderError as error:
        state.failures |= {("task", task.name): str(error) for task in tasks if task.reads_answers}
        return None
    state.add_seconds("answering", sum(cost.wall_s for cost in costs))
    state.add_seconds("of which the model", sum(cost.forward_s for cost in costs))
    state.failures |= {("photo", photo): reason for photo, reason in answers.failures().items()}
    return answers


class PassAnswers:
    """The answers of one model that the tasks of a pass read."""

    def __init__(
        self, encoder: Encoder, banks: Sequence[AnswerBank], paths: BankPaths, photos: PhotoSet, options: RunOptions
    ) -> None:
        self._encoder, self._parts, self._photos, self._options = encoder, list(banks), photos, options
        self._paths = paths.of_answers()

    def key(self) -> dict[str, str]:
        """Hashes of the keys of the banks, for the key of an outcome."""
        return {part.view or "views": key_hash(self._paths.key(part.encoder)) for part in self._parts}

    def look(self) -> list[Bank]:
        """The banks as they are."""
        return [self._paths.look(part.encoder, part.recipe.view_keys()) for part in self._parts]

    def complete(self) -> bool:
        """Whether every question has been put."""
        return all(bank.complete for bank in self.look())

    def failures(self) -> dict[str, str]:
        """By photo id, the reason why an answer about it lacks."""
        return {photo: reason for bank in self.look() for photo, reason in bank.failures().items()}

    def usable(self, usable: np.ndarray) -> np.ndarray:
        """bool [photos], those of ``usable`` about which no answer lacks."""
        failed = self.failures()
        return usable & np.array([photo_id not in failed for photo_id in self._photos.ids])

    def fill(self, log: Callable[[str], object]) -> list[PassCost]:
        """Fill the banks.

        Raises:
            EncoderError: the model cannot answer.
            DiskError: its answers do not fit the disk.
        """
        options, costs = self._options, []
        require_space(self.look(), options.cache, log)
        move_to_host(self._encoder)
        parts = list(self._parts)
        for at, part in enumerate(parts):
            views = part.recipe.view_keys()
            bank = self._paths.open(part.encoder, views, list(views) if options.fresh else [])
            try:
                cost = fill_answers(
                    self._photos,
                    part.recipe,
                    part.answerer,
                    part.asking,
                    bank,
                    batch_size=options.batch_size,
                    workers=options.workers,
                    label=f"{self._encoder.info.id} {part.view or 'answers'}",
                )
            except EncoderError as error:
                if part.view != PRECISION:
                    part.answerer.release()
                    raise
                notice(f"{self._encoder.info.id}: {PRECISION} is left out of the noise floor: {error}")
                self._parts.remove(part)
            else:
                costs.append(cost)
            if ends_copy(parts, at):
                part.answerer.release()
        return costs

    def source(self) -> BankAnswers:
        """The answers, as tasks read them; the banks are complete."""
        model = self._encoder.answers
        assert isinstance(model, AnsweringModel)
        return BankAnswers(model.name, model.rule, self._photos, tuple(zip(self._parts, self.look(), strict=True)))


@dataclass(frozen=True, eq=False)
class BankAnswers:
    """Answers in banks: an ``AnswerSource``."""

    name: str
    rule: QuestionRule
    photos: PhotoSet
    banks: Sequence[tuple[AnswerBank, Bank]]
    graded: bool = True

    @property
    def views(self) -> tuple[str, ...]:
        """Views with answers."""
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
