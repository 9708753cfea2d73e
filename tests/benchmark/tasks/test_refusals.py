"""Refusals of tasks whose sentence has several parts: what is wrong, where, and what to do, word by word."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.encoders import StatedDetector, StoredEmbeddings
from benchmark.options import RunOptions
from benchmark.tasks import TaskInput, all_tasks, can_answer, tasks_without_views
from builders.errors import CamtraceError, DataError
from builders.photos import PhotoSet, labels_of


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


def test_leave_one_out__a_detector_that_was_trained_on_every_generator():
    rows = [(kind, split) for kind in ("fake", "real") for split in ("train", "val") for _ in range(20)]
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(80)}, [k for k, _ in rows], [s for _, s in rows])
    photos = dataclasses.replace(photos, groups={"generator": labels_of("gh" * 40)})
    values = np.arange(80.0)[:, None]
    stated = StatedDetector(threshold=0.5, trained_on=("h", "g"))
    given = StoredEmbeddings("scores:S", values, {"original": {f"p{i}": i for i in range(80)}}, stated)
    inputs = TaskInput(photos, np.ones(80, bool), SimpleNamespace(dim=1), RunOptions(), "cpu", given=given)
    task = all_tasks()["forensics/leave-one-out"]
    assert "trained_on=" in refusal(lambda: task.run(inputs))
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
        assert "generated" in refusal(lambda task=task: task.run(inputs))
