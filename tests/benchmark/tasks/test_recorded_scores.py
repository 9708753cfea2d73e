"""Scores of two versions stand on one leaderboard: those of planted embeddings are what earlier versions computed."""

import dataclasses
import functools
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.results import AnswerFacts
from benchmark.results.proof import contradicted
from benchmark.stats import METHODS
from benchmark.tasks import TaskInput, all_tasks, fitting_tasks
from builders.photos import CLUSTER, Labels, PhotoSet
from tests.support.detection_photos import detection_photos
from tests.support.planted_groups import planted_table
from tests.support.recorded import check_recorded
from tests.support.scenes import exact_embeddings, input_of, scene_photos

DIMENSION = 10
OF_THE_MACHINE = ("fit_s", "seconds", "search_s", "iterations", "gradient_norm", "loss", "final_loss")
"""Details that depend on the speed of the machine, or on the order in which it adds numbers."""


class Planted:
    """Embeddings of any view: a direction of the photo, one of its labels, and one of the view."""

    dim = DIMENSION

    def __init__(self, photos: PhotoSet):
        rng = np.random.default_rng(3)
        self.rows = rng.normal(size=(len(photos), DIMENSION))
        for labels in (photos.labels, *photos.attributes.values(), *photos.groups.values()):
            if labels is not None:
                self.rows += 0.7 * rng.normal(size=(len(labels.names) + 1, DIMENSION))[labels.values]

    def view(self, name, at):
        shift = np.random.default_rng([*name.encode()]).normal(size=DIMENSION)
        return (self.rows[at] + 0.8 * shift).astype(np.float32)


def camera_photos() -> PhotoSet:
    """72 photos of four classes with every attribute and scenes by two types of camera; some have no label."""
    n = 72
    splits = np.array(["train", "train", "val"])[np.arange(n) // 2 % 3].tolist()
    photos = PhotoSet.of_bytes(
        "cameras", {f"{i}.jpg": b"" for i in range(n)}, [f"class {i % 4}" for i in range(n)], splits
    )
    rng = np.random.default_rng(1)
    attributes = {
        name: Labels(("a", "b", "c"), rng.choice([0, 0, 1, 2, 2, -1], n).astype(np.int32)) for name in ("make", "iso")
    }
    columns = {"pair_id": np.arange(n) // 2, "camera_type": np.array(["phone", "camera"])[np.arange(n) % 2]}
    return dataclasses.replace(photos, attributes=attributes, columns=columns, neighbours=5)


def group_photos() -> PhotoSet:
    """160 photos of two labels by two scanners, four of each of 40 slides."""
    _, label, scanner, slide = planted_table(np.random.default_rng(0), clusters=10, photos=4, dimension=DIMENSION)
    files = {f"{i}.png": b"" for i in range(len(label))}
    splits = ["val" if s % 10 >= 7 else "train" for s in slide]
    photos = PhotoSet.of_bytes("tissue", files, [f"class {name}" for name in label], splits)
    return dataclasses.replace(
        photos,
        groups={"scanner": Labels(("one", "two"), scanner.astype(np.int32))},
        columns={CLUSTER: np.array([f"slide {s}" for s in slide], dtype=object)},
        neighbours=5,
    )


def details_of(value):
    """Details without what depends on the machine."""
    if isinstance(value, dict):
        return {key: details_of(each) for key, each in value.items() if key not in OF_THE_MACHINE}
    return [details_of(each) for each in value] if isinstance(value, (list, tuple)) else value


def outcomes(photos, bank, **options):
    """Scores and answers of the tasks that the photos can answer."""
    made = {}
    chosen = [all_tasks()[name] for name in all_tasks() if not all_tasks()[name].reads_answers]
    for task in fitting_tasks(chosen, photos, named=True):
        outcome = task.run(TaskInput(photos, np.ones(len(photos), bool), bank, RunOptions(**options), "cpu"))
        for score in outcome.scores:
            made[f"{task.name}: {score.metric}"] = dataclasses.replace(score, details=details_of(score.details))
        made[f"{task.name}: answers"] = outcome.answers
        made[f"{task.name}: proven"] = proven(task, outcome, RunOptions(**options))
    return made


def proven(task, outcome, options):
    """By metric, what answers prove of a score, all right: the range of values, and names of facts."""
    values, facts = task.read_answers(outcome.answers), task.read_facts(outcome.answers)
    stated = SimpleNamespace(environment={"statistics": METHODS, "options": dataclasses.asdict(options)})
    made = {}
    for score in outcome.scores:
        if score.metric in values:
            of_metric = facts.get(score.metric, AnswerFacts(None, None, {}))
            assert contradicted(score, values[score.metric], of_metric, stated) == ""
            guesses = [name for name in ("chance", "guess") if getattr(of_metric, name) is not None]
            made[score.metric] = [values[score.metric].bounds, *guesses, *sorted(names_of(of_metric.details))]
    return made


def names_of(details, depth=2):
    """Names of details, of those in a mapping too."""
    for name, value in details.items():
        inner = isinstance(value, dict) and depth > 1
        yield from (f"{name}.{each}" for each in names_of(value, depth - 1)) if inner else (name,)


CASES = {
    "scores-of-cameras": (camera_photos, {"assignment_seeds": 2}),
    "scores-of-groups": (group_photos, {"assignment_seeds": 2}),
    "scores-of-generated": (functools.partial(detection_photos, 0, count=30), {"readers": "linear,knn"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_scores__of_planted_embeddings_are_as_recorded(name):
    photos, options = CASES[name]
    made = outcomes(photos(), Planted(photos()), resamples=200, **options)
    assert len(made) > 10
    check_recorded(name, made)


def test_scores__of_scenes_are_as_recorded():
    photos, rows = scene_photos(12, 3, 2), exact_embeddings(12, 3, 2)
    made = {}
    for name in ("retrieval/pairs", "variance/components"):
        outcome = all_tasks()[name].run(input_of(photos, rows, resamples=200))
        made |= {f"{name}: {s.metric}": s for s in outcome.scores} | {f"{name}: answers": outcome.answers}
        made[f"{name}: proven"] = proven(all_tasks()[name], outcome, RunOptions(resamples=200))
    check_recorded("scores-of-scenes", made)
