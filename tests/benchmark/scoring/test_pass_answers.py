"""Banks of answers in a pass by hand: which there are, what each is filled with, when weights are given back."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from benchmark.answers import ClosedQuestion, QuestionRule
from benchmark.bank import Asking, answering
from benchmark.encoders import AnsweringModel
from benchmark.options import RunOptions
from benchmark.scoring import answer_banks
from benchmark.scoring.answers.banks import PRECISION, ends_copy
from benchmark.tasks import all_tasks
from benchmark.views import ProcessingViews, WithPng
from builders.photos import PhotoSet
from builders.pixels import PROCESSINGS
from tests.support.planted_answerers import PixelAnswerer
from tests.support.scoring import as_rows, toy_encoder

PHOTOS = PhotoSet.of_bytes("set", dict.fromkeys("abcd", b"x"), ["cat", "dog"] * 2)
ROWS = tuple(ClosedQuestion(f"q{i}", photo, "Is it?", ("yes", "no"), 0) for i, photo in enumerate("aab"))
RULE = QuestionRule("table", ROWS)
FIRST, SECOND, *_ = PROCESSINGS
RECIPE = ProcessingViews((FIRST, SECOND, "original"))


@dataclasses.dataclass
class Releasing(PixelAnswerer):
    """Notes of ``release`` by precision."""

    released: list[str] = dataclasses.field(default_factory=list)

    def release(self):
        self.released.append(self.dtype)


def model(**more):
    answerer = Releasing(**more)
    encoder = toy_encoder(as_rows, lambda image: image, 4, name=answerer.id)
    return dataclasses.replace(encoder, answers=AnsweringModel(answerer, RULE)), answerer


def task(name="answers/jpeg", names=(FIRST,), reads=True):
    recipe = ProcessingViews((*names, "original"))
    made = dataclasses.replace(all_tasks()[name], recipe=lambda photos, options: recipe)
    assert made.reads_answers is reads
    return made


def test_answer_banks__views_then_the_noise_floor():
    encoder, answerer = model()
    tasks = [task(), task("knn/jpeg", (SECOND,), reads=False)]
    banks = answer_banks(encoder, RECIPE, tasks, PHOTOS, RunOptions(batch_size=2))
    asking = Asking(RULE.questions(PHOTOS, 0))
    views, batch, order, precision = banks
    assert (views.answerer, views.asking, views.view) == (answerer, asking, "")
    assert views.recipe == WithPng(RECIPE.only([FIRST, "original"]))
    original = RECIPE.only(("original",))
    assert (batch.answerer, batch.asking, batch.recipe, batch.view) == (
        answerer, dataclasses.replace(asking, batch=1), original, "other-batch",
    )  # fmt: skip
    assert (order.answerer, order.asking, order.recipe, order.view) == (
        answerer, dataclasses.replace(asking, reverse=True), original, "other-order",
    )  # fmt: skip
    assert (precision.answerer.dtype, precision.asking, precision.recipe, precision.view) == (
        "bfloat16", asking, original, PRECISION,
    )  # fmt: skip
    assert [bank.encoder for bank in banks] == [answering(bank.answerer, bank.asking) for bank in banks]
    assert [bank.view for bank in answer_banks(encoder, RECIPE, tasks, PHOTOS, RunOptions(batch_size=1))] == [
        "", "other-order", PRECISION,
    ]  # fmt: skip
    assert [ends_copy(banks, at) for at in range(4)] == [False, False, True, True]
    assert answer_banks(encoder, RECIPE, tasks[1:], PHOTOS, RunOptions()) == []
    plain = dataclasses.replace(encoder, answers=SimpleNamespace())
    assert answer_banks(plain, RECIPE, tasks, PHOTOS, RunOptions()) == []


@pytest.mark.parametrize(
    ("dtype", "other"),
    [("float32", "bfloat16"), ("tf32", "float32"), ("bfloat16", "float32"), ("float16", "float32")],
)
def test_answer_banks__each_precision_is_compared_with_another(dtype, other):
    encoder, _ = model(dtype=dtype)
    assert answer_banks(encoder, RECIPE, [task()], PHOTOS, RunOptions())[-1].answerer.dtype == other
