"""What answers will cost, measured on a few photos: for ``--dry-run`` and for plans."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmark.answers import ClosedQuestion, QuestionRule, every_view
from benchmark.bank import ANSWER_STORAGE, Bank, fill_answers, key_of
from benchmark.encoders import Encoder
from benchmark.options import RunOptions
from benchmark.scoring.answers.banks import PRECISION, AnswerBank, answer_banks, ends_copy
from benchmark.tasks import Task
from benchmark.views import ViewRecipe
from builders.errors import EncoderError
from builders.files import scratch_prefix
from builders.photos import PhotoSet

MEASURED = 2
"""Photos that are asked about, after a first one."""


@dataclass(frozen=True)
class AnswerTimes:
    """Time and space of all answers of a model, scaled from a few photos."""

    load_s: float = 0.0
    """Seconds of the first photo of each copy of the weights, which reads them."""
    making_s: float = 0.0
    """Seconds of one core to make views and inputs."""
    forward_s: float = 0.0
    """Seconds of the model."""
    answers: int = 0
    bank_bytes: int = 0
    text: str = ""
    """What is asked, in one line; empty if nothing is."""


def answer_times(
    encoder: Encoder, recipe: ViewRecipe, tasks: Sequence[Task], photos: PhotoSet, options: RunOptions
) -> AnswerTimes:
    """Ask about a few photos, and scale time and space to all.

    Args:
        encoder, recipe, tasks, photos, options: as of ``answer_banks``.

    Raises:
        EncoderError: the model cannot answer.
    """
    total = AnswerTimes()
    banks = answer_banks(encoder, recipe, tasks, photos, options)
    is_loaded = False
    for at, bank in enumerate(banks):
        try:
            measured = _measured(bank, photos, options)
        except EncoderError:
            bank.answerer.release()
            if bank.view != PRECISION:
                raise
            continue  # as in a run, which leaves it out of the noise floor
        if ends_copy(banks, at):
            bank.answerer.release()
        count, views = len(bank.asking.by_photo), len(bank.recipe.names)
        total = replace(
            total,
            load_s=total.load_s + (0.0 if is_loaded else measured.load),
            making_s=total.making_s + measured.making * count,
            forward_s=total.forward_s + measured.forward * count,
            answers=total.answers + views * len(bank.asking.questions),
            bank_bytes=total.bank_bytes + views * len(photos) * bank.asking.width * np.dtype(ANSWER_STORAGE).itemsize,
        )
        is_loaded = not ends_copy(banks, at)
    if not banks:
        return total
    put = banks[0].asking
    text = f"{len(put.questions):,} questions about {len(put.by_photo):,} photos: {total.answers:,} answers"
    return replace(total, text=f"{text} with those of the noise floor")


class _Measured(NamedTuple):
    """Seconds of one bank, measured on a few photos."""

    load: float
    """Of the first photo, which reads the weights."""
    making: float
    """By photo, after the first one; so is ``forward``."""
    forward: float


def _measured(bank: AnswerBank, photos: PhotoSet, options: RunOptions) -> _Measured:
    """Seconds of the first photo, and of each of a few others."""
    shown = [at for at, photo_id in enumerate(photos.ids) if photo_id in bank.asking.by_photo]
    load = making = forward = 0.0
    some = [shown[:1], shown[1 : 1 + MEASURED] or shown[:1]]
    for few in (photos.select(np.array(at)) for at in some):
        asking = replace(bank.asking, questions=tuple(q for q in bank.asking.questions if q.photo in few.ids))
        with tempfile.TemporaryDirectory(prefix=scratch_prefix()) as scratch:
            key = key_of(replace(bank, asking=asking).encoder, few, "measured", ANSWER_STORAGE)
            store = Bank.open(Path(scratch), key, bank.recipe.view_keys())
            cost = fill_answers(
                few,
                bank.recipe,
                bank.answerer,
                asking,
                store,
                batch_size=options.batch_size,
                workers=0,
                silent=True,
            )
        load = load or cost.wall_s
        making, forward = cost.making_s / len(few), cost.forward_s / len(few)
    return _Measured(load, making, forward)


@dataclass(frozen=True)
class MadeUpAnswers:
    """Made-up answers under every view, to measure tasks with: an ``AnswerSource``."""

    name: str = "made up"
    rule: QuestionRule = field(default_factory=lambda: QuestionRule("presence"))
    graded: bool = True

    @property
    def views(self) -> tuple[str, ...]:
        """All that there are."""
        return every_view()

    def logits(self, view: str, questions: Sequence[ClosedQuestion]) -> np.ndarray:
        """As ``AnswerSource.logits``."""
        rng = np.random.default_rng([*view.encode()])
        return rng.normal(size=(len(questions), max(len(q.options) for q in questions))).astype(np.float32)
