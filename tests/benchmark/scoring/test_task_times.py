"""Estimates of tasks: the line through two measured runs, by what each task's time grows with."""

import dataclasses
import functools
import re

import numpy as np
import pytest

from benchmark.cli.score import main
from benchmark.options import RunOptions
from benchmark.scoring import task_times
from benchmark.scoring.estimating.task_costs import MadeUpBank, by_family
from benchmark.tasks import all_tasks
from builders.photos import PhotoSet

TASKS = [all_tasks()[name] for name in ("probe/sharpening", "knn/sharpening")]


def photo_set(train, val):
    ids = {f"{i}": b"" for i in range(train + val)}
    labels = [f"class {i % 4}" for i in range(train + val)]
    return PhotoSet.of_bytes("p", ids, labels, ["train"] * train + ["val"] * val)


def test_task_times__what_tasks_share_is_measured_once():
    """Both tasks read what the first one makes, as in a run, but not what was made before to warm up."""
    made = []

    def run(task_input):
        task_input.shared.get("table", lambda: made.append(len(task_input.photos)))

    tasks = [dataclasses.replace(TASKS[0], name=name, run=run, growth="photos") for name in ("a", "b")]
    task_times(tasks, photo_set(80, 20), 8, RunOptions(), "cpu")
    assert made == [100, 100]
    made.clear()
    task_times(tasks, photo_set(5400, 600), 8, RunOptions(), "cpu")
    assert made == [750, 750, 3000]


def test_task_times__really_run__and_a_task_that_fails_has_no_time():
    broken = photo_set(80, 0)
    times = task_times(TASKS, photo_set(80, 20), 8, RunOptions(resamples=100, assignment_seeds=1), "cpu")
    assert all(0 < cost.seconds < 60 for cost in times.values())
    failed = task_times(TASKS, broken, 8, RunOptions(), "cpu")
    assert failed["probe/sharpening"].seconds is None
    assert re.fullmatch(r"not measured \(.+\)", failed["probe/sharpening"].text)
    assert by_family(failed, TASKS[:1]) == {}


def test_made_up_bank__views_of_a_photo_are_nearer_than_photos():
    bank, rows = MadeUpBank(50, 64), np.arange(50)
    one, other = bank.view("a", rows), bank.view("b", rows)
    np.testing.assert_array_equal(one, bank.view("a", rows))
    between_views = np.linalg.norm(one - other, axis=1).mean()
    between_photos = np.linalg.norm(one[:-1] - one[1:], axis=1).mean()
    assert 0.2 < between_views < 0.7 < between_photos < 2


@pytest.mark.slow
def test_score__dry_run_says_stages_and_writes_nothing(tmp_path, photo_folder, capsys):
    words = ["-m", "control:random-projection", "-d", f"folder:{photo_folder}", "-t", "*/sharpening", "--dry-run"]
    assert main([*words, "--cache", str(tmp_path / "c"), "-o", str(tmp_path / "out"), "--quiet"]) == 0
    printed = capsys.readouterr().out
    for stage in ("loading encoders", "views and forward passes", "Processing probes", "kNN set-ups", "disk: 0.2 MB"):
        assert stage in printed
    assert printed.count("views are made by the workers: no CUDA GPU waits for them") == 1
    assert not list(tmp_path.iterdir())


def test_task_times__on_the_embeddings_of_the_bank():
    """Rows by the ids of the sample, without photos that have none; a task without a bank has made-up ones."""
    photos, read = photo_set(5400, 600), {}

    class Full:
        dim = 2

        def view(self, name, rows):
            return np.stack([rows, rows], axis=1).astype(np.float32)

        def failures(self):
            return {"7": "broken"}

    def run(name, task_input):
        rows = task_input.view("original", np.arange(len(task_input.photos)))
        read[name, len(rows)] = (rows, task_input.usable, task_input.photos.ids)

    tasks = [
        dataclasses.replace(TASKS[0], name=name, run=functools.partial(run, name), growth="photos")
        for name in ("a", "b")
    ]
    task_times(tasks, photos, 2, RunOptions(), "cpu", banks={"a": Full()})
    assert sorted(read) == [("a", 750), ("a", 3000), ("b", 750), ("b", 3000)]
    rows, usable, ids = read["a", 3000]
    assert [int(row) for row in rows[:, 0]] == [int(photo_id) for photo_id in ids]
    assert [photo_id for photo_id, there in zip(ids, usable, strict=True) if not there] == ["7"]
    assert not np.array_equal(read["b", 3000][0], rows)
