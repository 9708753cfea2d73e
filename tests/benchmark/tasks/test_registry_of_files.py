"""The tasks of a processing file in their order and with their flags, and inputs that tasks share or erase."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.detection import best_threshold
from benchmark.encoders import StatedDetector, StoredEmbeddings
from benchmark.options import RunOptions
from benchmark.tasks import TaskInput, all_tasks, chosen_processings, traces
from benchmark.tasks.registry import GROUP_TASKS, PARAMETER_TASKS, TASKS, tasks_with
from builders.errors import DataError
from builders.photos import Labels, PhotoSet, labels_of
from builders.pixels import BUILT_IN, use_processings

FILE = """schema = 1
[[processing]]
name = "small"
steps = [{step = "resize", width = 16, filter = "box"}, {step = "webp", quality = 10}]
[[processing]]
name = "bright"
steps = [{step = "gamma", gamma = 3.0}, {step = "jpeg", quality = 90}]
[[parameter]]
name = "pipeline"
title = "My pipeline"
explain = "Which pipeline."
classes = {small = "small", bright = "bright"}
[[parameter]]
name = "light"
classes = {plain = "bright", dark = "small"}
"""


@pytest.fixture
def chosen(tmp_path):
    (tmp_path / "mine.toml").write_text(FILE, encoding="utf-8")
    use_processings(chosen := chosen_processings(str(tmp_path / "mine.toml")))
    yield chosen
    use_processings("")


def test_tasks_of_a_file__stand_before_the_built_in_ones_of_their_family(chosen):
    """Each listed once; the built-in ones only where they are named."""
    expected = []
    for name in TASKS:
        head, _, subject = name.partition("/")
        if head in PARAMETER_TASKS and subject in BUILT_IN:
            expected += [
                f"{head}/{of_file}" for of_file in ("pipeline", "light") if f"{head}/{of_file}" not in expected
            ]
        expected.append(name)
    tasks = all_tasks()
    expected += ["probe/<group>", "knn/<group>", "robustness/<group>"]
    assert list(tasks)[: len(expected)] == expected  # then those of extras
    assert len(tasks) == len(list(tasks))
    for name, task in TASKS.items():
        built_in = name.partition("/")[0] in PARAMETER_TASKS and name.partition("/")[2] in BUILT_IN
        made = tasks[name]
        if built_in:
            assert made == dataclasses.replace(task, by_name=True, by_family=False)
        elif name not in ("knn/adversary", "forensics/crossing"):
            assert made is task
        else:
            assert made.recipe(PhotoSet.of_bytes("toy", {"a": b""}), RunOptions()).names == (
                "small",
                "bright",
                "original",
            )
            assert (made.name, made.by_name, made.by_family) == (name, task.by_name, task.by_family)
    flags = {head: (tasks[f"{head}/light"].by_name, tasks[f"{head}/light"].by_family) for head in PARAMETER_TASKS}
    assert flags == {"probe": (False, False), "knn": (False, False), "answers": (True, True)}
    assert [tasks[f"{head}/pipeline"].title for head in PARAMETER_TASKS] == ["My pipeline"] * 3
    assert [tasks[f"{head}/pipeline"].explain for head in PARAMETER_TASKS] == ["Which pipeline."] * 3
    assert [tasks[f"{head}/light"].title for head in PARAMETER_TASKS] == ["light"] * 3
    assert [tasks[f"{head}/light"].explain for head in PARAMETER_TASKS] == ["Which class of light."] * 3
    assert [tasks[f"{head}/light"].summary for head in PARAMETER_TASKS] == [
        "can a linear probe tell plain, dark apart?",
        "does light decide which photos are nearest?",
        "do answers of a vision-language model change under plain, dark?",
    ]
    assert tasks_with("") is TASKS
    assert tasks_with(chosen) is tasks_with(chosen)
    assert {"pipeline", "light", "jpeg"} <= set(traces())


def test_tasks_of_a_file__are_known_by_name_when_it_is_no_longer_in_use(chosen):
    before = all_tasks()["knn/pipeline"]
    use_processings("")
    tasks = all_tasks()
    assert tasks["knn/pipeline"] is before
    assert "probe/light" in tasks
    assert "probe/light" not in list(tasks)
    assert "retrieval/light" not in tasks
    # where no parameter has the name it is that of a group
    assert [tasks[f"{head}/lights"].for_group for head in GROUP_TASKS] == [None] * 3
    assert tasks["probe/lights"].about_group
    assert not tasks["probe/light"].about_group


def test_leave_one_out__a_threshold_is_chosen_without_the_generator():
    """Of a detector made elsewhere; of training photos that are real or of the other generators."""
    rng = np.random.default_rng(1)
    rows = [(kind, split) for kind in ("fake", "real") for split in ("train", "val") for _ in range(22)]
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(88)}, [k for k, _ in rows], [s for _, s in rows])
    photos = dataclasses.replace(photos, groups={"generator": labels_of("gh" * 44)})
    fake, train = np.array([k == "fake" for k, _ in rows]), np.array([s == "train" for _, s in rows])
    generator = np.array(list("gh" * 44))
    scores = rng.normal(size=88) + 1.5 * fake * np.where(generator == "g", 1.0, 3.0)
    given = StoredEmbeddings(
        "scores:S", scores[:, None], {"original": {f"p{i}": i for i in range(88)}}, StatedDetector()
    )
    inputs = TaskInput(photos, np.ones(88, bool), SimpleNamespace(dim=1), RunOptions(), "cpu", given=given)
    outcome = all_tasks()["forensics/leave-one-out"].run(inputs)
    thresholds = {}
    for name in "gh":
        at = train & (~fake | (generator != name))
        thresholds[name] = best_threshold(scores[at], fake[at])
    assert thresholds["g"] != thresholds["h"]
    names = outcome.answers["left_out_names"].tolist()
    assert sorted(names) == ["g", "h"]
    for name, made in zip(names, outcome.answers["scores"], strict=True):
        np.testing.assert_allclose(made, scores[~train] - thresholds[name])


def test_input__indices_are_usable_photos_of_a_split_and_views_are_erased():
    photos = PhotoSet.of_bytes("toy", dict.fromkeys("abcde", b""), None, ["train", "val", "train", "test", "train"])
    photos = dataclasses.replace(photos, attributes={"make": Labels(("x", "y"), np.array([0, 1, 1, 0, -1], np.int32))})
    rows = np.arange(10.0).reshape(5, 2)
    bank = SimpleNamespace(view=lambda name, at: rows[at])
    inputs = TaskInput(photos, np.array([True, True, False, True, True]), bank, RunOptions(), "cpu")
    assert [inputs.indices(split).tolist() for split in ("train", "val", "test")] == [[0, 4], [1], [3]]
    assert inputs.view("v", np.array([3, 1])).tolist() == [[6, 7], [2, 3]]
    for unit_rows in (False, True):
        eraser = SimpleNamespace(
            needs_labels=True,
            provenance={"column": "make", "classes": ["y", "x"]},
            unit_rows=unit_rows,
            apply=lambda some, groups: some * 10 + groups[:, None],
            name="e",
        )
        erased = dataclasses.replace(inputs, eraser=eraser).view("v", np.array([3, 1, 0]))
        assert (len(erased), erased.shape, erased.as_given, erased.reads_rows) == (3, (3, 2), unit_rows, True)
        assert erased[1:].tolist() == [[20, 30], [1, 11]]
        plain = dataclasses.replace(inputs, eraser=SimpleNamespace(**{**vars(eraser), "needs_labels": False,
            "apply": lambda some, groups: (some, groups)}))  # fmt: skip
        assert plain.view("v", np.array([4]))[:][1] is None
    with pytest.raises(DataError, match="needs"):
        dataclasses.replace(inputs, eraser=eraser).view("v", np.array([0, 4]))
