"""``retrieval/pairs`` of any number of groups: its scores, its answers, and sets that it refuses."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from benchmark.results import PhotoValues
from benchmark.tasks import TaskOutcome, all_tasks
from benchmark.tasks.scenes.group_retrieval import pairs_by_difference
from benchmark.tasks.scenes.scene_table import scene_table
from builders.errors import DataError
from builders.photos import Labels, PhotoSet, labels_of
from tests.support.scenes import exact_embeddings, float32_recall, input_of, scene_photos

SHAPE = (20, 3, 4)
"""Scenes, scanners and stainings."""

TASK = all_tasks()["retrieval/pairs"]


def outcome(photos: PhotoSet, rows: np.ndarray, **options: object) -> TaskOutcome:
    assert TASK.unfit(photos) == ""
    return TASK.run(input_of(photos, rows, **options))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return exact_embeddings(*SHAPE, flips=(0.15, 0.3, 0.2))


def test_run__medians_are_those_of_plism(rows: np.ndarray) -> None:
    """A query tile among all tiles of both slides but itself; median over pairs by what differs."""
    scores = {s.metric: s for s in outcome(scene_photos(*SHAPE), rows).scores}
    table = np.arange(len(rows)).reshape(12, 20)
    pairs = list(itertools.combinations(range(12), 2))
    differ = {(a, b): (a // 4 != b // 4, a % 4 != b % 4) for a, b in pairs}
    names = {"other-scanner-": (True, False), "other-staining-": (False, True), "other-scanner-staining-": (True, True)}
    for k in (1, 3, 5, 10):
        value = {
            (a, b): np.mean([float32_recall(rows, table, a, b, k), float32_recall(rows, table, b, a, k)])
            for a, b in pairs
        }
        assert scores[f"at-{k}"].value == pytest.approx(np.median(list(value.values())), abs=1e-12)
        for name, what in names.items():
            among = [value[pair] for pair in pairs if differ[pair] == what]
            assert scores[f"{name}at-{k}"].value == pytest.approx(np.median(among), abs=1e-12)
            assert scores[f"{name}at-{k}"].details["pairs"] == len(among)
            assert scores[f"{name}at-{k}"].chance == pytest.approx(k / 39)
    assert 0 < scores["other-scanner-staining-at-1"].value < scores["other-scanner-at-1"].value < 1
    assert all(s.low <= s.value <= s.high and s.n == 20 for s in scores.values())
    matrix = scores["at-1"].details["group_matrix"]
    cell = matrix["recall"]["1"][2][6], matrix["low"][2][6], matrix["high"][2][6], matrix["n"][2][6]
    assert cell[0] == pytest.approx(np.mean(float32_recall(rows, table, 2, 6, 1)), abs=5e-5)
    assert cell[1] < cell[0] < cell[2]
    assert cell[3] == 20
    assert (matrix["groups"][6], matrix["attributes"]["staining"][6]) == ("scanner 1, staining 2", "staining 2")


@pytest.mark.slow
def test_run__the_option_decides_who_distracts() -> None:
    rows = exact_embeddings(*SHAPE, seed=3, flips=(0.1, 0.1, 0.22))
    photos, table = scene_photos(*SHAPE), np.arange(len(rows)).reshape(12, 20)
    medians = {}
    for distractors in ("target", "own", "both", "all"):
        of_pairs = [
            np.mean([float32_recall(rows, table, *ends, 1, distractors) for ends in ((a, b), (b, a))])
            for a, b in itertools.combinations(range(12), 2)
        ]
        medians[distractors] = np.median(of_pairs)
        scores = {s.metric: s for s in outcome(photos, rows, distractors=distractors).scores}
        assert scores["at-1"].value == pytest.approx(medians[distractors], abs=1e-12)
        assert ("all" in scores) == (distractors == "all")
    assert medians["all"] < medians["both"] <= medians["own"] < medians["target"]


@pytest.mark.parametrize("clustered", [False, True])
def test_read_answers__give_every_score_its_interval_and_its_chance(rows: np.ndarray, clustered: bool) -> None:
    photos = scene_photos(*SHAPE)
    if clustered:
        cluster = np.array([f"tissue {int(name[-4:]) // 4}" for name in photos.columns["scene"]])
        photos = dataclasses.replace(photos, columns={**photos.columns, "cluster": cluster})
    made = outcome(photos, rows)
    read, facts = TASK.read_answers(made.answers), TASK.read_facts(made.answers)
    assert set(read) == {s.metric for s in made.scores} == set(facts)
    for score in made.scores:
        answers: PhotoValues = read[score.metric]
        assert answers.values.mean() == pytest.approx(score.value)
        assert facts[score.metric].chance == score.chance
        if clustered:
            assert len(np.unique(answers.clusters)) == 5 == score.details["units"]


def without(photos: PhotoSet, **columns: np.ndarray) -> PhotoSet:
    return dataclasses.replace(photos, columns=columns)


def test_scene_table__groups_of_scenes_and_names_of_groups_are_no_attributes() -> None:
    """A scene has one tissue, and a slide is a scanner and a staining; a unit has a model, which it does not name."""
    photos = scene_photos(*SHAPE)
    names = {name: np.array(g.names)[g.values] for name, g in photos.groups.items()}
    more = {
        "slide": [f"{a}/{b}" for a, b in zip(names["scanner"], names["staining"], strict=True)],
        "tissue": [name[-1] for name in photos.columns["scene"]],
    }
    groups = {**photos.groups, **{name: labels_of(values) for name, values in more.items()}}
    table = scene_table(dataclasses.replace(photos, groups=groups), np.ones(240, bool))
    assert list(table.attributes) == ["scanner", "staining"]
    assert table.photos.tolist() == scene_table(photos, np.ones(240, bool)).photos.tolist()
    apart = without(photos, scene=np.array([f"{s} {i // 80}" for i, s in enumerate(photos.columns["scene"])]))
    assert list(scene_table(apart, np.ones(240, bool)).attributes) == ["staining"]
    assert scene_table(apart, np.ones(240, bool)).photos.shape == (4, 60)
    units = {"unit": labels_of(more["slide"]), "model": labels_of(names["scanner"])}
    table = scene_table(dataclasses.replace(photos, groups=units), np.ones(240, bool))
    assert list(table.attributes) == ["unit", "model"]
    assert [int(pairs.sum()) // 2 for pairs in pairs_by_difference(table).values()] == [66, 18, 48]


def test_scene_table__leaves_out_and_counts_what_has_no_partner() -> None:
    photos = scene_photos(*SHAPE)
    scene = photos.columns["scene"].copy()
    scene[:5], scene[30] = "", "seen once"
    values = photos.groups["scanner"].values.copy()
    values[100] = -1
    groups = {**photos.groups, "scanner": Labels(photos.groups["scanner"].names, values)}
    table = scene_table(dataclasses.replace(photos, columns={"scene": scene}, groups=groups), np.arange(240) != 7)
    assert table.left_out == 7
    assert table.photos.shape == (12, 20)
    assert sorted(set(range(240)) - set(table.used.tolist())) == [0, 1, 2, 3, 4, 7, 30, 100]
    assert (table.used[table.rows[3]] == table.photos[3]).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: without(p), "nothing says which of its photos show one scene"),
        (lambda p: dataclasses.replace(p, groups={}), "its photos do not come in pairs"),
        (lambda p: without(p, scene=np.array(p.ids)), "no two of its photos show one scene"),
        (lambda p: dataclasses.replace(p, groups={"x": labels_of(["a"] * len(p))}), "one value of x"),
    ],
)
def test_unfit__says_what_is_missing(change, reason: str) -> None:
    assert reason in TASK.unfit(change(scene_photos(*SHAPE)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda p: dataclasses.replace(p, groups={"scanner": p.groups["scanner"]}),
            r"scene tile 00\d\d has 4 of scanner",
        ),
        (lambda p: dataclasses.replace(p, groups={"tissue": labels_of(p.columns["scene"])}), "two values of tissue"),
        (
            lambda p: without(p, scene=np.array([f"{s} {i // 20}" for i, s in enumerate(p.columns["scene"])])),
            "no scene",
        ),
        (lambda p: dataclasses.replace(p, groups={"x": labels_of(map(str, range(480)))}), "at most 400 are compared"),
    ],
)
def test_scene_table__refuses_in_a_sentence(change, reason: str) -> None:
    photos = scene_photos(40, 3, 4) if "400" in reason else scene_photos(*SHAPE)
    changed = change(photos)
    with pytest.raises(DataError, match=reason):
        scene_table(changed, np.ones(len(changed), bool))
