"""A score depends on photos by their names and on clusters by theirs: not on the order of the rows of a table."""

import csv
import dataclasses

import numpy as np
import pytest

from benchmark.judgement import statements
from benchmark.results import read_answers
from benchmark.tasks import all_tasks
from builders.data_specs import open_photos
from builders.errors import DataError
from builders.photos import CLUSTER
from builders.pixels import BUILT_IN
from tests.support.grouped_photos import grouped_photos, pixel_rows
from tests.support.scoring import as_rows, score_tasks, toy_encoder

VOLATILE = ("search_s", "fit_s")


@pytest.fixture(scope="module")
def encoder():
    return toy_encoder(as_rows, pixel_rows, 12, name="pixels")


def table_of(folder, *, order=None, rename=str):
    """A table of photos on disk, its rows in an order, and its files renamed."""
    photos = grouped_photos(clusters=6, photos=3, effects=(2.0, 1.5, 0.5))
    rows = []
    for i, photo_id in enumerate(photos.ids):
        name = rename(photo_id.replace("/", "-"))
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(photos.read(i))
        values = (photos.labels.values[i], photos.groups["scanner"].values[i], photos.columns[CLUSTER][i])
        rows.append((name, *values))
    with (folder / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "class", "scanner", "slide"])
        writer.writerows(
            rows if order is None else [rows[i] for i in np.random.default_rng(order).permutation(len(rows))]
        )
    return open_photos(f"table:{folder / 'table.csv'}?image=file&label=class&group=scanner&cluster=slide")


def outcome_of(result):
    """Values, intervals, details and judgements."""
    scores = {}
    for score in result.scores:
        row = dataclasses.asdict(score)
        row["details"] = {name: value for name, value in row["details"].items() if name not in VOLATILE}
        scores[score.task, score.metric] = row
    return scores, statements(result, all_tasks())


@pytest.mark.slow
def test_every_task__of_a_table_in_another_order_is_equal_to_the_last_digit(encoder, tmp_path):
    """Splits are drawn, too. Tasks of one family differ in their parameter alone: one stands for all."""
    outcomes = []
    for order in (None, 5):
        folder = tmp_path / f"{order}"
        photos = table_of(folder, order=order)
        tasks = [
            task.name
            for task in all_tasks().values()
            if not task.unfit(photos)
            and not task.score_views
            and task.name.partition("/")[2] not in BUILT_IN.keys() - {"jpeg"}
        ]
        tasks += [f"{family}/scanner" for family in ("probe", "knn", "robustness")]
        few = {"resamples": 200, "assignment_seeds": 2}
        outcomes.append(outcome_of(score_tasks(encoder, photos, tasks, folder / "cache", **few).result))
    assert {task.split("/")[0] for task, _ in outcomes[0][0]} >= {"probe", "knn", "linear", "copies", "robustness"}
    assert outcomes[0] == outcomes[1]


@pytest.mark.slow
def test_tasks_of_a_group__of_renamed_photos_are_equal(encoder, tmp_path):
    """Splits are drawn between clusters, by the names of clusters."""
    outcomes = []
    for name, rename in (("a", str), ("b", lambda name: f"{hash(name) % 10**9:09d}-{name[::-1]}.png")):
        photos = table_of(tmp_path / name, rename=rename)
        tasks = ["probe/scanner", "knn/scanner"]
        result = score_tasks(encoder, photos, tasks, tmp_path / name / "cache").result
        outcomes.append({(s.task, s.metric): (s.value, s.low, s.high, s.chance) for s in result.scores})
    assert outcomes[0] == outcomes[1]


def test_probe__of_drawn_clusters_is_tested_on_every_photo_once(encoder, tmp_path):
    photos = table_of(tmp_path)
    scored = score_tasks(encoder, photos, ["probe/scanner"], tmp_path / "cache")
    score = scored.result.score("probe/scanner", "accuracy")
    assert score.n == len(photos)
    assert score.details["units"] == len(np.unique(photos.columns[CLUSTER]))
    tested = read_answers(scored.answers, all_tasks()).values["probe/scanner", "accuracy"].photos
    assert sorted(tested.tolist()) == list(range(len(photos)))


@pytest.mark.slow
def test_group__that_the_label_tells_is_refused(encoder, tmp_path):
    photos = table_of(tmp_path)
    same = dataclasses.replace(photos, groups={"scanner": photos.labels})
    for family in ("probe", "knn", "robustness"):
        with pytest.raises(DataError, match=f"{family}/scanner.*label"):
            score_tasks(encoder, same, [f"{family}/scanner"], tmp_path / "cache")
    tasks = {s.task for s in score_tasks(encoder, same, [], tmp_path / "cache").result.scores}
    assert tasks
    assert not any(task.endswith("/scanner") for task in tasks)  # they are left out where nobody named them
