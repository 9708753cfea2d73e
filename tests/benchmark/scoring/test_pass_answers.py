"""Banks of answers in a pass by hand: which there are, what each is filled with, when weights are given back."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.answers import ClosedQuestion, QuestionRule
from benchmark.bank import Asking, PassCost, answering, key_hash
from benchmark.encoders import AnsweringModel
from benchmark.options import RunOptions
from benchmark.scoring.answers import banks as module
from benchmark.scoring.answers.banks import PRECISION, BankAnswers, PassAnswers, answer_banks, ends_copy, pass_answers
from benchmark.tasks import all_tasks
from benchmark.views import PlainViews, ProcessingViews, WithPng
from builders.errors import EncoderError
from builders.photos import PhotoSet
from builders.pixels.parameters import PROCESSINGS
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


class Bank:
    """A bank of answers whose views are those that it was opened with."""

    def __init__(self, name, views, failed=(), complete=True):
        self.name, self.names, self.failed, self.complete = name, tuple(views), failed, complete

    def failures(self):
        return dict.fromkeys(self.failed, f"{self.name} fails")


@pytest.fixture
def world(monkeypatch, tmp_path):
    """Calls of opening and filling banks."""
    w = SimpleNamespace(calls=[], opened=[], lacks={}, complete=True, fails={})
    w.options = RunOptions(cache=tmp_path, workers=3, batch_size=5)

    class Paths:
        def of_answers(self):
            return self

        def key(self, encoder):
            return {"of": dict(encoder.info.preprocessing), "dtype": encoder.dtype}

        def look(self, encoder, views):
            return Bank(encoder.info.id, views, w.lacks.get(tuple(views), ()), w.complete)

        def open(self, encoder, views, fresh):
            w.opened.append((list(views), list(fresh)))
            return f"bank {len(w.opened)}"

    def fill(photos, recipe, answerer, asking, bank, **how):
        w.calls.append((photos, recipe.names, answerer.dtype, asking.batch, asking.reverse, bank, how))
        if error := w.fails.get(answerer.dtype):
            raise error
        return PassCost(1, 1, float(len(w.calls)), 0.0, 0.0, 0.0)

    monkeypatch.setattr(module, "fill_answers", fill)
    monkeypatch.setattr(module, "require_space", lambda banks, *given: w.calls.append(("space", len(banks), *given)))
    monkeypatch.setattr(module, "move_to_host", lambda encoder: w.calls.append(("host", encoder.info.id)))
    w.encoder, w.answerer = model()
    w.answers = lambda: pass_answers(w.encoder, RECIPE, [task()], Paths(), PHOTOS, w.options)
    return w


def test_fill__each_bank_with_what_it_holds(world):
    answers, log, name = world.answers(), print, world.encoder.info.id
    costs = answers.fill(log)
    views = (FIRST, "original", "png")
    space, host, *fills = world.calls
    assert (space, host) == (("space", 4, world.options.cache, log), ("host", name))
    assert [cost.wall_s for cost in costs] == [3.0, 4.0, 5.0, 6.0]
    how = {"batch_size": 5, "workers": 3}
    parts = [(views, "float32", None, False, "answers"), (("original",), "float32", 1, False, "other-batch")]
    parts += [
        (("original",), "float32", None, True, "other-order"),
        (("original",), "bfloat16", None, False, PRECISION),
    ]
    assert fills == [
        (PHOTOS, names, dtype, batch, reverse, f"bank {at}", {**how, "label": f"{name} {label}"})
        for at, (names, dtype, batch, reverse, label) in enumerate(parts, 1)
    ]
    assert world.opened == [(list(views), []), *[(["original"], [])] * 3]
    assert world.answerer.released == ["float32", "bfloat16"]
    world.options = dataclasses.replace(world.options, fresh=True)
    world.opened.clear()
    world.answers().fill(log)
    assert world.opened == [(list(views), list(views)), *[(["original"], ["original"])] * 3]


def test_fill__a_model_that_fails(world, capsys):
    world.fails = {"bfloat16": EncoderError("no memory")}
    answers = world.answers()
    assert len(answers.fill(print)) == 3
    assert list(answers.key()) == ["views", "other-batch", "other-order"]
    line = f"{world.encoder.info.id}: other-precision is left out of the noise floor: no memory"
    assert line in capsys.readouterr().err
    world.fails = {"float32": EncoderError("no memory")}
    world.answerer.released.clear()
    with pytest.raises(EncoderError, match=r"^no memory$"):
        world.answers().fill(print)
    assert world.answerer.released == ["float32"]


def test_pass_answers__keys_and_photos_without_an_answer(world):
    answers = world.answers()
    banks = answer_banks(world.encoder, RECIPE, [task()], PHOTOS, world.options)
    names = ["views", "other-batch", "other-order", PRECISION]
    assert answers.key() == {
        name: key_hash({"of": dict(bank.encoder.info.preprocessing), "dtype": bank.encoder.dtype})
        for name, bank in zip(names, banks, strict=True)
    }
    world.lacks = {("original",): ("b",), (FIRST, "original", "png"): ("c", "b")}
    assert sorted(answers.failures()) == ["b", "c"]
    assert answers.usable(np.array([False, True, True, True])).tolist() == [False, False, False, True]
    assert answers.complete() is True
    world.complete = False
    assert answers.complete() is False
    assert isinstance(answers, PassAnswers)
    source = answers.source()
    assert (source.name, source.rule, source.photos) == (world.encoder.answers.name, RULE, PHOTOS)
    assert [(part.view, bank.names) for part, bank in source.banks] == [
        ("", (FIRST, "original", "png")), ("other-batch", ("original",)),
        ("other-order", ("original",)), (PRECISION, ("original",)),
    ]  # fmt: skip


def test_bank_answers__rows_of_the_questions_that_are_named(world, monkeypatch):
    reads = []

    def read(bank, asking, photos, name):
        reads.append((bank.name, asking, photos, name))
        return np.arange(len(asking.questions) * 2, dtype=np.float32).reshape(-1, 2) + 100 * len(reads)

    monkeypatch.setattr(module, "read_answers_of", read)
    first, *_, last = answer_banks(world.encoder, RECIPE, [task()], PHOTOS, world.options)
    banks = ((first, Bank("views", ("original", "png"))), (last, Bank("other", ("original",))))
    source = BankAnswers("m", RULE, PHOTOS, banks)
    assert source.views == ("original", "png", PRECISION)
    questions = first.asking.questions
    assert source.logits("png", [questions[2], questions[0]]).tolist() == [[104, 105], [100, 101]]
    assert source.logits(PRECISION, [questions[1]]).tolist() == [[202, 203]]
    assert reads == [("views", first.asking, PHOTOS, "png"), ("other", last.asking, PHOTOS, "original")]


def test_pass_answers__none_where_nothing_is_put(world):
    tasks = [task("knn/jpeg", reads=False)]
    assert pass_answers(world.encoder, PlainViews(), tasks, None, PHOTOS, world.options) is None
