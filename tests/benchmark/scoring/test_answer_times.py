"""Answers of a model: their cost, measured on a few photos, when weights are given back, and who reads them."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.answers import ClosedQuestion, QuestionRule
from benchmark.bank import PassCost
from benchmark.encoders import AnsweringModel
from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.scoring import Computation, EncoderRun, collect, jobs_on
from benchmark.scoring.answers import banks as banks_module
from benchmark.scoring.collect import OutputCollected, compare_with_embedding
from benchmark.tasks import all_tasks
from builders.errors import DataError, EncoderError
from builders.photos import PhotoSet
from tests.conftest import photo_bytes
from tests.support.planted_answerers import PixelAnswerer
from tests.support.scoring import as_rows, score_tasks, toy_encoder

TASK = "answers/jpeg"


@dataclasses.dataclass
class Releasing(PixelAnswerer):
    """Notes calls of the model and of ``release``, by its precision."""

    events: list[str] = dataclasses.field(default_factory=list)  # of every copy

    def logits(self, prepared):
        if self.events[-1:] != [self.dtype]:
            self.events.append(self.dtype)
        return super().logits(prepared)

    def release(self):
        self.events.append(f"without {self.dtype}")


def photo_set(count: int = 6) -> PhotoSet:
    files = {f"{i}": photo_bytes(i) for i in range(count)}
    return PhotoSet.of_bytes("p", files, [("cat", "dog")[i % 2] for i in range(count)], ["val"] * count)


def table(*photos: str) -> QuestionRule:
    """A question with two options about each photo, and a second one about the first."""
    named = [(photo, "1") for photo in photos] + [(photos[0], "2")]
    rows = tuple(ClosedQuestion(name, photo, f"Is it {name}?", ("yes", "no"), 0) for photo, name in named)
    return QuestionRule("table", rows)


def encoder_of(answerer, rule):
    encoder = toy_encoder(as_rows, lambda image: np.asarray(image.resize((4, 4))), 48, name=answerer.id)
    return dataclasses.replace(encoder, answers=AnsweringModel(answerer, rule))


def test_fill__each_copy_of_the_weights_is_read_once_and_given_back(tmp_path):
    photos = photo_set(4)
    answerer = Releasing(number=lambda pixels: float(pixels.mean()) - 100)
    score_tasks(encoder_of(answerer, QuestionRule("presence")), photos, [TASK], tmp_path)
    assert answerer.events == ["float32", "without float32", "bfloat16", "without bfloat16"]
    broken = Releasing(number=lambda pixels: float("nan"), id="vlm:broken")
    score_tasks(encoder_of(broken, QuestionRule("presence")), photos, [TASK], tmp_path, fails=True)
    assert broken.events == ["float32", "without float32"]


class Rows:
    """A bank whose photo ``c`` failed."""

    names = ("original",)
    dim = 2

    def __init__(self, constant=False, failed=("c",)):
        self.constant, self.failed = constant, failed

    def failures(self):
        return dict.fromkeys(self.failed, "broken")

    def source_jpeg(self):
        return {"4:2:0": 3}

    def view(self, name, rows):
        return np.ones((len(rows), 2), np.float32) * (1 if self.constant else np.asarray(rows)[:, None])


class Answers:
    """Banks of answers, none about photo ``a``."""

    def key(self):
        return {"views": "x"}

    def usable(self, usable):
        return usable & np.array([False, True, True, True])


def computation(**more):
    return Computation("toy", None, "cpu", reads_answers=True, **more)


PHOTOS = PhotoSet.of_bytes("p", dict.fromkeys("abcd", b""), list("xyxy"), ["train", "train", "val", "val"])


@pytest.mark.parametrize("with_answers", [True, False])
def test_jobs_on__photos_without_an_answer_are_missing_for_tasks_about_answers_alone(with_answers):
    tasks, state = [all_tasks()[name] for name in (TASK, "knn/jpeg")], EncoderRun({})
    how = computation(answers=Answers() if with_answers else None)
    jobs = jobs_on(Rows(), how, PHOTOS, tasks, RunOptions(min_usable=0.0), state)
    usable = {job.task.name: job.task_input.usable.tolist() for job, _ in jobs}
    assert usable == {TASK: [not with_answers, True, False, True], "knn/jpeg": [True, True, False, True]}
    assert [(job.cached, job.task_input.checkpoints) for job, _ in jobs] == [(None, None)] * 2
    assert state.failures == {("photo", "c"): "broken"}
    assert state.source_jpeg == {"4:2:0": 3}


def test_jobs_on__tasks_about_answers_only_where_there_are_some():
    tasks = [all_tasks()[name] for name in (TASK, "knn/jpeg")]
    how = dataclasses.replace(computation(), reads_answers=False)
    jobs = jobs_on(Rows(), how, PHOTOS, tasks, RunOptions(min_usable=0.0), EncoderRun({}))
    assert [job.task.name for job, _ in jobs] == ["knn/jpeg"]


def jobs_of(bank, *, single=False, state=None, share=0.0, **more):
    state = state or EncoderRun({})
    tasks = [all_tasks()["knn/jpeg"], all_tasks()["knn/resizing"]]
    made = jobs_on(bank, computation(**more), PHOTOS, tasks, RunOptions(min_usable=share), state, single=single)
    return made, {key: reason for key, reason in state.failures.items() if key[0] != "photo"}


def test_jobs_on__why_there_are_none():
    made, failures = jobs_of(Rows(constant=True))
    assert made == []
    assert list(failures) == [("encoder", "toy")]
    assert "one and the same embedding for all 3 photos" in failures["encoder", "toy"]
    made, failures = jobs_of(Rows(constant=True), has_embeddings=False)  # a file of answers alone
    assert (len(made), failures) == (2, {})
    assert [job.task_input.has_embeddings for job, _ in made] == [False, False]
    nothing = Rows(failed="abcd")
    made, failures = jobs_of(nothing)
    reason = "p: none of the 4 photos can be used (the first: broken)"
    assert (made, failures) == ([], {("encoder", "toy"): reason})
    with pytest.raises(DataError, match="photos"):
        jobs_of(nothing, single=True)
    made, failures = jobs_of(Rows(), share=0.6)
    reason = "1 of 2 val photos (50.0 %) can be used, fewer than 60.0 %: no score (--min-usable)"
    assert (made, failures) == ([], {("task", "knn/jpeg"): reason, ("task", "knn/resizing"): reason})
    assert len(jobs_of(Rows(), share=0.5)[0]) == 2
    made, failures = jobs_of(Rows(), state=EncoderRun({}, failures={("encoder", "toy"): "before"}))
    assert (made, failures) == ([], {("encoder", "toy"): "before"})
    made, failures = jobs_of(Rows(), state=EncoderRun({}, failures={("encoder", "other"): "before"}))
    assert len(made) == 2


def test_jobs_on__what_tasks_are_given():
    size, output, given, source = (8, 9), SimpleNamespace(name="o", read="r"), SimpleNamespace(), SimpleNamespace()
    (job, _), _ = jobs_of(Rows(), input_size=size, output=output, given=given, source=source)[0]
    task_input = job.task_input
    assert (task_input.input_size, task_input.brief, task_input.given) == (size, True, given)
    assert (task_input.answers, task_input.device) == (source, "cpu")
    (job, _), _ = jobs_of(Rows())[0]
    assert (job.task_input.input_size, job.task_input.brief, job.task_input.given) == (None, False, None)


def test_compare_with_embedding__only_scores_of_the_same_photos(monkeypatch):
    """Of four scores one is compared: the others lack answers here or there, or are of other photos."""
    names = ("a", "b", "c", "d")
    scores = [Score(f"knn/{n}", "", "accuracy", 0.5, 0.4, 0.6, 4, 0.1, {"k": 3}) for n in names]

    def values(photos, right):
        return collect.PhotoValues(np.array(photos), np.array(right, float), (0.0, 1.0))

    here = {("knn/a", "accuracy"): values([0, 1, 2], [1, 1, 0]), ("knn/b", "accuracy"): values([0, 1], [1, 1]),
            ("knn/d", "accuracy"): values([0, 2], [1, 0])}  # fmt: skip
    final = {("knn/a", "accuracy"): values([0, 1, 2], [0, 1, 0]), ("knn/c", "accuracy"): values([0, 1], [1, 1]),
             ("knn/d", "accuracy"): values([0, 1], [1, 0])}  # fmt: skip
    monkeypatch.setattr(collect, "read_answers", lambda answers, questions: SimpleNamespace(values=here))
    state = EncoderRun({}, scores=list(scores))
    compare_with_embedding(state, final)
    assert state.scores[1:] == scores[1:]
    details = state.scores[0].details
    assert (details["k"], details["against_final"]["value"]) == (3, 0.333333)
    assert list(details["against_final"]) == ["value", "low", "high", "p_value"]
    assert details["against_final"]["low"] < 0 < details["against_final"]["high"]


def test_scores_of_an_output__are_of_the_photo_set():
    output = SimpleNamespace(name="n", title="t", layer=3, layers=7, pooling="cls", dimension=5, read="r")
    state = EncoderRun({}, scores=[Score("knn/a", "", "accuracy", 0.5, 0.4, 0.6, 4, 0.1)])
    made = OutputCollected(output, state).scores(PHOTOS)
    fields = (made.name, made.title, made.layer, made.layers, made.pooling, made.dimension, made.read)
    assert fields == ("n", "t", 3, 7, "cls", 5, "r")
    assert [score.data for score in made.scores] == ["p"]


def test_fill_and_record__what_the_answers_cost_and_lack():
    class Filled:
        def fill(self, log):
            log("much")
            return [PassCost(1, 1, 4.0, 0.0, 1.0, 0.0), PassCost(1, 1, 5.0, 0.0, 2.0, 0.0)]

        def failures(self):
            return {"a": "no such grid"}

    state, lines, tasks = EncoderRun({"answering": 1.0}), [], [all_tasks()[TASK], all_tasks()["knn/jpeg"]]
    answers = Filled()
    assert banks_module.fill_and_record(answers, tasks, state, lines.append) is answers
    assert state.seconds == {"answering": 10.0, "of which the model": 3.0}
    assert (state.failures, lines) == ({("photo", "a"): "no such grid"}, ["much"])

    class Refused:
        def fill(self, log):
            raise EncoderError("toy: no memory")

    state = EncoderRun({})
    assert banks_module.fill_and_record(Refused(), tasks, state, lines.append) is None
    assert (state.failures, state.seconds) == ({("task", TASK): "toy: no memory"}, {})
    assert banks_module.fill_and_record(None, tasks, state, lines.append) is None
