"""What tasks declare, need and refuse is an interface between versions: boards, the Hub and banks depend on it."""

import dataclasses
import functools

import numpy as np

from benchmark.options import RunOptions
from benchmark.tasks import all_tasks
from builders.exif import ATTRIBUTES
from builders.photos import CLUSTER, Labels, PhotoSet
from builders.pixels import BUILT_IN, Parameter
from tests.support.detection_photos import detection_photos
from tests.support.recorded import check_recorded
from tests.support.scenes import scene_photos


def named(value):
    """Functions and parameters by their names, other values as they are."""
    if isinstance(value, functools.partial):
        return [named(value.func), *map(named, value.args), *map(named, value.keywords.values())]
    if isinstance(value, Parameter):
        return value.name
    return value.__name__ if callable(value) else value


def declared(task):
    """The fields of a task, its family and metrics by their names."""
    fields = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    fields |= {"family": task.family.name, "metrics": [metric.name for metric in task.metrics]}
    return {name: named(value) for name, value in fields.items()}


def test_tasks__declare_what_they_did():
    tasks = all_tasks()
    alike = {*BUILT_IN, *(attribute.task for attribute in ATTRIBUTES.values())} - {"jpeg", "make"}
    shown = [name for name in tasks if name.partition("/")[2] not in alike]
    made = {name: declared(tasks[name]) for name in shown}
    made |= {
        f"{name}: by name": [task.by_name, task.title, task.explain, task.summary]
        for name, task in tasks.items()
        if name not in shown
    }
    made |= {f"family {task.family.name}": task.family for task in tasks.values()}
    made |= {f"{t.family.name}: {m.name}": [m, m.signed, m.bounds] for t in tasks.values() for m in t.metrics}
    assert len(made) > 80


def test_tasks__of_one_family_differ_in_their_subject_alone():
    """A parameter that must be named is left out of ``answers/*`` too."""
    tasks, compared = all_tasks(), []

    def of_subject(fields, subject):
        return {
            field: ["SUBJECT" if part == subject else part for part in value] if isinstance(value, list) else value
            for field, value in fields.items()
            if field not in ("name", "title", "explain", "summary")
        }

    for head, first, subjects in (
        ("probe", "jpeg", BUILT_IN), ("knn", "jpeg", BUILT_IN), ("answers", "jpeg", BUILT_IN),
        ("probe", "make", [attribute.task for attribute in ATTRIBUTES.values()]),
    ):  # fmt: skip
        expected = of_subject(declared(tasks[f"{head}/{first}"]), first)
        for subject in subjects:
            hidden = subject in BUILT_IN and BUILT_IN[subject].by_name
            of_one = {"by_name": hidden or head == "answers", "by_family": head == "answers" and not hidden}
            task = tasks[f"{head}/{subject}"]
            assert of_subject(declared(task), subject) == {**expected, **of_one}
            assert task.name == f"{head}/{subject}"
            compared.append((head, hidden))
    assert ("answers", True) in compared


def noted_photos(n: int = 40, **columns) -> PhotoSet:
    """Photos of two classes with an attribute, a group and further columns, seven in ten to train on."""
    splits = ["val" if i % 10 > 6 else "train" for i in range(n)]
    photos = PhotoSet.of_bytes("noted", {str(i): b"" for i in range(n)}, [f"class {i % 2}" for i in range(n)], splits)
    attributes = {"make": Labels(("a", "b"), (np.arange(n) // 2 % 3 - 1).astype(np.int32))}
    groups = {"scanner": Labels(("one", "two"), (np.arange(n) // 2 % 2).astype(np.int32))}
    return dataclasses.replace(photos, attributes=attributes, groups=groups, columns=columns)


def without_classes(photos: PhotoSet) -> PhotoSet:
    return dataclasses.replace(photos, labels=Labels(("class 0",), np.zeros(len(photos), np.int32)))


PHOTOS = {
    "noted": noted_photos,
    "without classes": lambda: without_classes(noted_photos()),
    "one group": lambda: dataclasses.replace(
        noted_photos(), groups={"scanner": Labels(("one",), np.zeros(40, np.int32))}
    ),
    "neither groups nor attributes": lambda: dataclasses.replace(noted_photos(), groups={}, attributes={}),
    "train alone": lambda: noted_photos().select(np.flatnonzero(np.arange(40) % 10 <= 6)),
    "val alone": lambda: noted_photos().select(np.flatnonzero(np.arange(40) % 10 > 6)),
    "stored": lambda: dataclasses.replace(noted_photos(), stored_views=tuple(BUILT_IN["jpeg"].processings)),
    "clusters": lambda: noted_photos(**{CLUSTER: np.arange(40) // 4}),
    "pairs": lambda: noted_photos(pair_id=np.arange(40) // 2, camera_type=np.array(["phone", "camera"] * 20)),
    "scenes": lambda: scene_photos(6, 3, 2),
    "generated": lambda: detection_photos(0, count=20),
    "generated, of few": lambda: detection_photos(0, count=3, generators=1),
}


def tasks_of(photos):
    """Why tasks cannot be run on photos, how much work they are, and the views that they need, each with its tasks."""
    made = {"unfit": {}, "effort": {}, "views": {}}
    tasks = [all_tasks()[name] for name in all_tasks()]
    for task in [*tasks, *(all_tasks()[f"{head}/scanner"] for head in ("probe", "knn", "robustness"))]:
        reason = task.unfit(photos)
        made["unfit"].setdefault(reason, []).append(task.name)
        if task.effort is not None:
            made["effort"][task.name] = task.effort(photos)
        for given in (RunOptions(), RunOptions(mask_ratio=0.0, orientation="stored", seed=5)) if not reason else ():
            recipe = task.recipe(photos, given)
            made["views"].setdefault(str([recipe.kind, recipe.names, recipe.settings()]), []).append(task.name)
    return made


def test_tasks__refuse_weigh_and_view_photos_as_they_did():
    check_recorded("tasks-of-photos", {name: tasks_of(make()) for name, make in PHOTOS.items()})
