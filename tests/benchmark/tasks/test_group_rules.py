"""Tasks of given groups and the registry at the edges of their rules: refusals, notes, details, selection."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.tasks import TaskInput, all_tasks, fitting_tasks, select_tasks, trace_of, traces
from benchmark.tasks.groups.data import group_data
from builders.errors import DataError, UsageError
from builders.photos import Labels, PhotoSet, labels_of

KNN, PROBE, ROBUSTNESS = (all_tasks()[f"{head}/g"] for head in ("knn", "probe", "robustness"))


def photos_of(classes: str, groups: str, clusters: str = "", splits: str = "") -> PhotoSet:
    """One photo for each letter; ``-`` is unknown. Splits are t, v, e (train, val, test)."""
    names = {"t": "train", "v": "val", "e": "test"}
    listed = [names[s] for s in splits] if splits else None
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(len(groups))}, None, listed)
    known = sorted(set(classes) - {"-"})
    codes = np.array([known.index(c) if c != "-" else -1 for c in classes], np.int32)
    return dataclasses.replace(
        photos,
        labels=Labels(tuple(known), codes) if classes else photos.labels,
        groups={"g": labels_of(None if g == "-" else g for g in groups)},
        columns={"cluster": np.array(list(clusters))} if clusters else {},
        neighbours=3,
    )


def input_of(photos: PhotoSet, rows: np.ndarray | None = None, *, brief: bool = True, **options) -> TaskInput:
    rows = np.random.default_rng(0).normal(size=(len(photos), 5)).astype(np.float32) if rows is None else rows
    bank = SimpleNamespace(view=lambda name, at: rows[at], dim=5)
    given = RunOptions(resamples=200, **options)
    return TaskInput(photos, np.ones(len(photos), bool), bank, given, "cpu", brief=brief)


@pytest.fixture(scope="module")
def planted():
    """Two labels, two groups and 16 clusters of two photos; cells of equal size; the group moves rows."""
    photos = photos_of(
        "aabb" * 8, "xxxx" * 4 + "yyyy" * 4, "aabbccddeeffgghhiijjkkllmmnnoopp", ("tttttttt" + "vvvvvvvv") * 2
    )
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(32, 5)).astype(np.float32)
    rows[:, 0] += 2 * photos.labels.values
    rows[:, 1] += 1.5 * photos.groups["g"].values
    return photos, rows


def test_probe__details_chance_and_controls(planted):
    photos, rows = planted
    outcome = PROBE.run(input_of(photos, rows, brief=False))
    (score,) = outcome.scores
    details = score.details
    assert (score.metric, score.chance, score.n) == ("accuracy", 0.5, 16)
    assert {
        n: details[n] for n in ("classes", "class_names", "resampled", "units", "split", "most_frequent_class")
    } == {
        "classes": 2,
        "class_names": ["x", "y"],
        "resampled": "cluster",
        "units": 8,
        "split": "as given",
        "most_frequent_class": 0.5,
    }
    assert details["units"] != group_data("g", input_of(photos)).details()["units"] == 16
    right = outcome.answers["predicted"] == outcome.answers["expected"]
    assert score.value == pytest.approx(right.mean())
    controls = details["controls"]
    assert controls["balanced"]["accuracy"] == pytest.approx(score.value)  # cells are equal: nothing is left out
    assert controls["balanced"]["low"] <= controls["balanced"]["accuracy"] <= controls["balanced"]["high"]
    assert controls["shuffled"]["permutations"] > 10
    assert 0 < details["p_chance"] <= 1
    assert outcome.answers["photos"].tolist() == [*range(8, 16), *range(24, 32)]
    brief = PROBE.run(input_of(photos, rows)).scores[0]
    assert ("controls" in brief.details, brief.value) == (False, score.value)


def test_neighbours__details_of_every_score_and_what_cannot_be_measured(planted):
    photos, rows = planted
    outcome = KNN.run(input_of(photos, rows))
    scores = {s.metric: s for s in outcome.scores}
    assert list(scores) == [
        "all-same",
        "all-diff",
        "pos-same",
        "neg-same",
        "uniform",
        "uniform-test",
        "spd",
        "spd-beyond-chance",
    ]
    assert scores["spd"].value == pytest.approx(scores["pos-same"].value - scores["neg-same"].value)
    for name, score in scores.items():
        details = score.details
        assert (details["k"], details["train_photos"], details["units"], details["short_lists"]) == (3, 32, 16, 0.0)
        assert ("tied_votes" in details) is (not name.startswith("spd"))
        assert "jackknife" in details["covers"]
        assert score.n == 32
    assert 0 <= scores["all-same"].details["tied_votes"] < 1
    wide = {s.metric: s for s in KNN.run(input_of(photos, rows, neighbours=5)).scores}
    assert wide["spd"].details["k"] == 5
    sampled = {s.metric: s for s in KNN.run(input_of(photos, rows, queries=12)).scores}
    assert (sampled["spd"].n, sampled["spd"].details["train_photos"], sampled["spd"].details["units"] <= 12) == (
        12,
        32,
        True,
    )
    read, facts = KNN.read_answers(outcome.answers), KNN.read_facts(outcome.answers)
    assert set(read) == set(facts) == set(scores)
    assert {name: fact.chance for name, fact in facts.items()} == pytest.approx(
        {n: s.chance for n, s in scores.items()}
    )
    assert read["spd"].limits == (-1.0, 1.0)
    assert read["all-same"].limits == (0.0, 1.0)


def test_robustness__curve_older_form_and_notes(planted):
    photos, rows = planted
    outcome = ROBUSTNESS.run(input_of(photos, rows))
    scores = {s.metric: s for s in outcome.scores}
    assert list(scores) == ["index", "balanced", "decides", "pull"]
    details = scores["index"].details
    points = {point["k"]: point for point in details["curve"]}
    assert list(points) == list(range(1, 62))
    last = points[3]
    for name in ("index", "balanced", "decides"):
        assert last[name] == pytest.approx(scores[name].value, abs=1e-6)
    assert scores["pull"].value == pytest.approx(1 - 2 * scores["balanced"].value)
    assert ("simulated_chance" in details, "older_form" in details, "curve" in scores["pull"].details) == (
        False,
        True,
        False,
    )
    assert "notes" not in details
    # one cluster in a cell: no performance drop, which all scores say after the notes of the cells
    few = photos.select(np.arange(24))
    full = {s.metric: s for s in ROBUSTNESS.run(input_of(few, rows, brief=False)).scores}
    assert "drop" not in full
    for score in full.values():
        assert score.details["notes"] == [
            "Cells have 4 to 8 photos: chance follows from these sizes.",
            "Performance drop: no two labels have three clusters in each of two groups.",
        ]
    chance = full["index"].details["simulated_chance"]
    assert abs(chance["mean"] - full["index"].chance) < 0.15
    assert 0 < chance["deviation"] < 0.2


ALL = list(all_tasks().values())


def names_of(photos: PhotoSet, tasks=ALL, *, named: bool = False, **more) -> list[str]:
    return [task.name for task in fitting_tasks(tasks, photos, named=named, **more)]


def test_fitting_tasks__by_what_the_photos_have():
    plain = dataclasses.replace(photos_of("abab", "xyyx", splits="ttvv"), groups={})
    processing = names_of(plain)
    assert {"probe/jpeg", "knn/jpeg", "knn/original", "knn/adversary"} <= set(processing)
    assert not {n for n in processing if n.startswith(("answers/", "copies/", "linear/", "forensics/", "retrieval/"))}
    assert not {n for n in processing if n in ("probe/jpeg-fine", "knn/jpeg-fine")}
    assert "answers/jpeg" in names_of(plain, answering=True)
    assert names_of(plain, answering=True)[-len(processing) :] == processing
    assert "answers/jpeg-fine" not in names_of(plain, answering=True)
    made = dataclasses.replace(plain, attributes={"make": labels_of("mnmn")})
    assert names_of(made) == ["probe/make"]
    assert set(names_of(made, named=True)) > {"probe/make", "probe/jpeg", "linear/original", "probe/jpeg-fine"}
    grouped = photos_of("abab", "xyyx", splits="ttvv")
    assert names_of(grouped) == ["knn/original", "probe/g", "knn/g", "robustness/g"]
    assert names_of(dataclasses.replace(grouped, attributes=made.attributes))[0] == "probe/make"
    with pytest.raises(DataError) as refused:
        fitting_tasks(
            [all_tasks()[n] for n in ("retrieval/pairs", "probe/make", "forensics/floor", "probe/iso")],
            plain,
            named=True,
        )
    text = str(refused.value)
    assert text.startswith(
        "toy cannot answer any of the tasks (retrieval/pairs: its photos do not come in pairs; probe/make: "
    )
    assert ("forensics/floor: " in text, "probe/iso" in text, text.endswith(")")) == (True, False, True)
    stored = dataclasses.replace(plain, stored_views=all_tasks()["probe/jpeg-fine"].recipe(plain, RunOptions()).names)
    of_parameters = [n for n in names_of(stored) if n.startswith(("probe/", "knn/"))]
    assert of_parameters == ["probe/jpeg", "probe/jpeg-fine", "knn/jpeg", "knn/jpeg-fine"]


@pytest.mark.parametrize(
    ("group", "why"),
    [
        ("jpeg", "probe/jpeg is another task"),
        ("original", "knn/original is another task"),
        ("make", "probe/make is another task"),
        ("a/b", "it cannot be a part of a task's name"),
        (" a", "it cannot be a part of a task's name"),
        ("a" * 101, "it cannot be a part of a task's name"),
    ],
)
def test_groups__whose_names_are_taken_or_no_part_of_a_name(group, why):
    photos = dataclasses.replace(
        photos_of("abab", "xyyx"), groups={"fine": labels_of("xyyx"), group: labels_of("xyyx")}
    )
    with pytest.raises(UsageError) as refused:
        fitting_tasks(ALL, photos, named=False)
    assert f"{group}" in str(refused.value)
    longest = dataclasses.replace(photos, groups={"a" * 100: labels_of("xyyx")})
    assert names_of(longest, [all_tasks()["probe/<group>"]], named=True) == ["probe/" + "a" * 100]


def test_select_tasks__groups_by_name_and_pattern():
    def names(*patterns, groups=("g", "h")):
        return [task.name for task in select_tasks(patterns, all_tasks(), groups)]

    assert names("knn/g", "*/h", "knn/?") == ["knn/g", "probe/h", "knn/h", "robustness/h"]
    assert names("probe/jpeg", "probe/g", "probe/g") == ["probe/jpeg", "probe/g"]
    assert names("copies/*") == ["copies/processed", "copies/edited"]
    assert names("*/original") == ["knn/original", "linear/original"]
    assert names("*/jpeg-fine") == ["probe/jpeg-fine", "knn/jpeg-fine"]
    assert names("*/unknown", groups=None) == names("robustness/unknown", groups=None) == []
    for pattern, groups in (
        ("*/unknown", ("g",)),
        ("retrieval/g", None),
        ("knn/a/b", None),
        ("knn", None),
        ("g", ("g",)),
    ):
        with pytest.raises(UsageError, match="unknown task"):
            names(pattern, groups=groups)


def test_traces__of_processings_attributes_and_groups():
    photos = dataclasses.replace(
        photos_of("aabb", "xy-y", splits="ttvv"), attributes={"make": labels_of(["m", None, "n", "m"])}
    )
    assert list(traces(photos))[:2] == ["g", "jpeg"]
    assert not {"original", "adversary", "pairs"} & set(traces(photos))
    jpeg = trace_of("jpeg", photos, RunOptions())
    assert (jpeg.task.name, jpeg.column, jpeg.labels.tolist()) == (
        "probe/jpeg",
        "",
        [[c] * 4 for c in range(len(jpeg.classes))],
    )
    assert len(jpeg.views) == len(jpeg.classes) > 1
    group = trace_of("g", photos, RunOptions())
    assert (group.views, group.classes, group.labels.tolist(), group.column) == (
        ("original",),
        ("x", "y"),
        [[0, 1, -1, 1]],
        "g",
    )
    for ratio, view in ((0.9, "masked"), (0.0, "whole")):
        make = trace_of("make", photos, RunOptions(mask_ratio=ratio))
        assert (make.views, make.classes, make.labels.tolist(), make.column) == (
            (view,),
            ("m", "n"),
            [[0, -1, 1, 0]],
            "make",
        )
    with pytest.raises(UsageError, match="unknown trace 'jpg'"):
        trace_of("jpg", photos, RunOptions())
    with pytest.raises(DataError) as refused:
        trace_of("iso", photos, RunOptions())
    assert "cannot" in str(refused.value)


def test_all_tasks__iteration_and_names_by_form():
    tasks = all_tasks()
    assert len(tasks) == len(list(tasks)) == len(set(tasks))
    assert {"probe/<group>", "knn/<group>", "robustness/<group>"} < {*tasks}
    assert "knn/anything at all" in tasks
    assert all(name not in tasks for name in ("retrieval/x", "knn/a*b", "knn/", "knn/a b ", "answers/x", "probe"))
    assert tasks["probe/x"] is tasks["probe/x"]
