"""Refusals of tasks whose sentence has several parts: what is wrong, where, and what to do, word by word."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.encoders.encoder import StatedDetector, StoredEmbeddings
from benchmark.options import RunOptions
from benchmark.tasks import TaskInput, all_tasks, chosen_processings, fitting_tasks, select_tasks, tasks_without_views
from benchmark.tasks.registry import trace_of
from benchmark.tasks.scenes.scene_table import blocks_of
from benchmark.tasks.stored_files import can_answer
from benchmark.tasks.task import groups_of
from builders.errors import CamtraceError, DataError, EncoderError, UsageError
from builders.photos import UNLABELLED, Labels, PhotoSet, labels_of
from tests.support.planted_answers import answering, photo_set


def refusal(work, kind: type[CamtraceError] = DataError) -> str:
    with pytest.raises(CamtraceError) as refused:
        work()
    assert type(refused.value) is kind
    return str(refused.value)


def names(*patterns):
    return [all_tasks()[name] for name in patterns]


def encoder_of(stored, name="file"):
    return SimpleNamespace(stored=stored, answers=None, info=SimpleNamespace(id=name))


PHOTOS = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(3)}, ["a", "b", "a"], ["train", "train", "val"])
ROWS = {f"p{i}": i for i in range(3)}


def test_files__what_they_cannot_answer():
    vectors, options, bare = np.zeros((3, 2), np.float32), RunOptions(), photo_set(6)
    embeddings = encoder_of(StoredEmbeddings("embeddings:E", vectors, {"original": ROWS}))
    scores = encoder_of(StoredEmbeddings("scores:S", vectors[:, :1], {"original": ROWS}, StatedDetector()))

    def of(encoder, tasks, photos=PHOTOS):
        return refusal(lambda: tasks_without_views(encoder, names(*tasks), photos, options), EncoderError)

    assert of(encoder_of(None, "dino"), ["knn/original"], bare) == (
        "planted names no pictures, and dino embeds pictures: name their column (image=COLUMN), or give embeddings "
        "that were made elsewhere (--model embeddings:FILE)"
    )
    assert of(embeddings, ["probe/jpeg", "knn/jpeg"], bare) == (
        "embeddings:E: planted names no pictures to process (image=COLUMN), and what embeddings alone can answer needs "
        "a label of two classes, a group or scenes"
    )
    assert of(embeddings, ["probe/jpeg", "probe/make"]) == (
        "embeddings:E: it holds original, and no task here is about these views of toy"
    )
    assert of(scores, ["forensics/crossing", "knn/original"]) == (
        "scores:S: its scores answer no task that was chosen: forensics/crossing need more views than it holds"
    )
    assert of(scores, ["knn/original", "probe/jpeg"]) == (
        "scores:S: its scores answer no task that was chosen: none is about generated photos"
    )
    assert of(encoder_of(None, "dino"), ["answers/jpeg", "answers/resizing"]) == (
        "dino: it gives no task that was chosen what it needs (answers/jpeg, answers/resizing): it gives embeddings "
        "and no answers, which vlm:ORG/NAME and answers:FILE give"
    )
    others = encoder_of(StoredEmbeddings("scores:S", vectors[:, :1], {"original": {"x": 0}}, StatedDetector()))
    assert of(others, ["forensics/detect"]) == (
        "scores:S: it holds no id of toy: its ids are such as 'x', and those of the data 'p0' (?id=COLUMN names the "
        "column of ids)"
    )
    with_answers = answering(bare, {"original": np.ones(6)})
    rule = dataclasses.replace(with_answers.answers, rule=SimpleNamespace(unfit=lambda photos: "it has no classes"))
    assert of(dataclasses.replace(with_answers, answers=rule), ["answers/jpeg"], bare) == "planted: it has no classes"


def test_files__views_of_processings_by_name_of_photos_and_of_built_sets():
    """All views of a task, of one photo at least; what is masked, or cropped, depends on an encoder."""
    options, vectors = RunOptions(), np.zeros((3, 2), np.float32)
    jpeg, make, edited = names("probe/jpeg", "probe/make", "copies/edited")
    built = dataclasses.replace(PHOTOS, stored_views=jpeg.recipe(PHOTOS, options).names)
    for task, photos, expected in (
        (jpeg, PHOTOS, True), (jpeg, built, True), (all_tasks()["knn/original"], PHOTOS, True),
        (make, PHOTOS, False), (edited, PHOTOS, False),
    ):  # fmt: skip
        views = task.recipe(photos, options).names
        for rows, held in (
            ({view: {"p2": 0} for view in views}, True), (dict.fromkeys(views[1:], ROWS), False),
            ({**dict.fromkeys(views, ROWS), views[-1]: {}}, False),
        ):  # fmt: skip
            encoder = encoder_of(StoredEmbeddings("embeddings:E", vectors, rows))
            assert can_answer(encoder, task, photos, options) is (expected and held)


def test_files__ids_that_are_no_photo_of_several_views_count_once():
    rows = {"original": {**ROWS, "y\n": 0}, "sharpening-x4": {**ROWS, "z": 1, "y\n": 2}}
    scores = encoder_of(StoredEmbeddings("scores:S", np.zeros((3, 1)), rows, StatedDetector()))
    assert tasks_without_views(scores, names("forensics/detect"), PHOTOS, RunOptions()) == (
        "scores:S: 2 of its 5 ids are no photo of toy and are not read (the first: 'y\\\\x0a')"
    )


def test_answers__a_question_without_an_answer():
    photos, jpeg = photo_set(9), all_tasks()["answers/jpeg"]
    views = dict.fromkeys(("original", "jpeg-q75-420"), np.ones(9))
    encoder = answering(photos, views)
    for number in (3, 7):
        encoder.answers.rows["jpeg-q75-420"].pop((f"{number}.jpg", "q"))
    bank = SimpleNamespace(view=None, names=(), dim=1)
    inputs = TaskInput(photos, np.ones(9, bool), bank, RunOptions(), "cpu", answers=encoder.answers)
    assert refusal(lambda: jpeg.run(inputs)) == (
        "planted: 2 of 9 questions have no answer under jpeg-q75-420 (the first: q about 3.jpg); each question about a "
        "test photo needs one"
    )


NONE = "the label of every photo that it is applied to: plain has none"


@pytest.mark.parametrize(
    ("provenance", "values", "message"),
    [
        ({"column": "model", "classes": ["one", "two"]}, [0, 1, 1], NONE),
        ({"column": "make", "classes": ["one"]}, [0, 1, 1], NONE),
        (
            {"column": "make", "classes": ["two", "one"]},
            [0, UNLABELLED, UNLABELLED],
            "the label of every photo: 2 have none",
        ),
    ],
)
def test_eraser__photos_without_its_labels(provenance, values, message):
    photos = dataclasses.replace(PHOTOS, attributes={"make": Labels(("one", "two"), np.array(values, np.int32))})
    eraser = SimpleNamespace(needs_labels=True, provenance=provenance, name="leace of make")
    assert refusal(lambda: groups_of(eraser, photos, "plain", np.arange(3))) == f"leace of make needs {message}"
    for kind in ("groups", "attributes"):  # a group before an attribute
        labels = {"make": Labels(("two", "one"), np.array([1, 0, 1], np.int32))}
        there = dataclasses.replace(PHOTOS, **{kind: labels})
        fitted = SimpleNamespace(needs_labels=True, provenance={"column": "make", "classes": ["one", "two"]})
        assert groups_of(fitted, there, "plain", np.arange(3)).tolist() == [0, 1, 0]


def test_scenes__too_few_for_a_spread():
    alone = SimpleNamespace(index=np.zeros(5, int))
    assert refusal(lambda: blocks_of(alone)) == (
        "all scenes err together, so nothing is known of the spread between scenes"
    )
    photos = dataclasses.replace(
        PhotoSet.of_bytes("toy", dict.fromkeys("abc", b"")),
        columns={"scene": np.array(["s"] * 3)},
        groups={"g": labels_of("xyx")},
    )
    bank = SimpleNamespace(view=lambda name, at: np.eye(3)[at], dim=3)
    inputs = TaskInput(photos, np.ones(3, bool), bank, RunOptions(), "cpu")
    assert refusal(lambda: all_tasks()["variance/components"].run(inputs)) == (
        "toy: two scenes, and two photos of one, are needed to tell scenes from the rest"
    )


def test_leave_one_out__a_detector_that_was_trained_on_every_generator():
    rows = [(kind, split) for kind in ("fake", "real") for split in ("train", "val") for _ in range(20)]
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(80)}, [k for k, _ in rows], [s for _, s in rows])
    photos = dataclasses.replace(photos, groups={"generator": labels_of("gh" * 40)})
    values = np.arange(80.0)[:, None]
    stated = StatedDetector(threshold=0.5, trained_on=("h", "g"))
    given = StoredEmbeddings("scores:S", values, {"original": {f"p{i}": i for i in range(80)}}, stated)
    inputs = TaskInput(photos, np.ones(80, bool), SimpleNamespace(dim=1), RunOptions(), "cpu", given=given)
    task = all_tasks()["forensics/leave-one-out"]
    assert refusal(lambda: task.run(inputs)) == (
        "scores:S: trained_on= names every generator, so none is left to test it on"
    )
    unknown = dataclasses.replace(inputs, given=dataclasses.replace(given, detector=StatedDetector(threshold=0.5)))
    details = task.run(unknown).scores[0].details
    assert details["notes"] == [
        "It is not known which generators the detector was trained on (trained_on= states them)."
    ]


@pytest.mark.parametrize("classes", [["cat", "dog"], ["real", "cat"], ["fake"]])
def test_forensics__classes_that_do_not_say_which_photos_were_generated(classes):
    """A task that is run all the same refuses them, too."""
    names = (classes * 8)[:8]
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(8)}, names, ["train"] * 4 + ["val"] * 4)
    inputs = TaskInput(photos, np.ones(8, bool), SimpleNamespace(dim=1), RunOptions(), "cpu")
    for name in ("forensics/detect", "forensics/crossing", "forensics/floor"):
        task = all_tasks()[name]
        assert task.unfit(photos) == (
            "its labels are not two classes such as real and fake, or nature and ai (label=SOURCE names them)"
        )
        assert refusal(lambda task=task: task.run(inputs)) == (
            "toy: the usable photos of train are all of one class, real or generated"
        )


WEBP = '{step = "webp", quality = 10}]\n'


def test_registry__names_that_are_no_task_and_photos_that_fit_none(tmp_path):
    def select(pattern, groups=()):
        return refusal(lambda: select_tasks([pattern], all_tasks(), groups), UsageError)

    assert select("prob/jpeg") == "unknown task 'prob/jpeg': did you mean 'probe/jpeg'?"
    assert select("knn/scaner", ("scanner",)) == "unknown task 'knn/scaner': did you mean 'knn/scanner'?"
    assert select("robustness/scaner", ("scanner",)) == (
        "unknown task 'robustness/scaner': did you mean 'robustness/scanner'?"
    )
    assert refusal(lambda: trace_of("jpegs", PHOTOS, RunOptions()), UsageError) == (
        "unknown trace 'jpegs': did you mean 'jpeg'?"
    )
    pairs, make, iso, floor = names("retrieval/pairs", "probe/make", "probe/iso", "forensics/floor")
    assert refusal(lambda: fitting_tasks([pairs, make, iso, floor], PHOTOS, named=True)) == (
        "toy cannot answer any of the tasks (retrieval/pairs: its photos do not come in pairs; probe/make: it has no "
        "labels for make; probe/iso: it has no labels for iso)"
    )
    text = 'schema = 1\n[[processing]]\nname = "small"\nsteps = [{step = "resize", width = 16, filter = "box"}, ' + WEBP
    text += '[[processing]]\nname = "bright"\nsteps = [{step = "gamma", gamma = 3.0}, ' + WEBP
    text += '[[parameter]]\nname = "NAME"\nclasses = {small = "small", bright = "bright"}\n'
    for name, task in (("make", "probe/make"), ("iso", "probe/iso"), ("components", "variance/components")):
        (tmp_path / "mine.toml").write_text(text.replace("NAME", name))
        path = str(tmp_path / "mine.toml")
        assert refusal(lambda path=path: chosen_processings(path), UsageError) == (
            f"--processings {path}: the parameter {name} needs another name: {task} is a task"
        )
