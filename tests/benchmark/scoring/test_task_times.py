"""Estimates of tasks: the line through two measured runs, by what each task's time grows with."""

import re

import numpy as np
import pytest

from benchmark.cli.score import main
from benchmark.options import RunOptions
from benchmark.scoring import estimating
from benchmark.scoring.estimating import MadeUpBank, by_family
from benchmark.tasks import Seconds, all_tasks
from builders.photos import PhotoSet

TASKS = [all_tasks()[name] for name in ("probe/sharpening", "knn/sharpening")]


def photo_set(train, val):
    ids = {f"{i}": b"" for i in range(train + val)}
    labels = [f"class {i % 4}" for i in range(train + val)]
    return PhotoSet.of_bytes("p", ids, labels, ["train"] * train + ["val"] * val)


@pytest.fixture
def seconds(monkeypatch):
    """Tasks take 1 s, and 1 ms for each photo (probe) or each 1000 pairs of a train and a test photo (kNN)."""

    def of(task, photos, **_):
        train, val = (len(photos.indices(split)) for split in ("train", "val"))
        wall = 1 + 1e-3 * (train + val) if task.growth == "photos" else 1 + 1e-6 * train * val
        return Seconds(wall, wall)

    monkeypatch.setattr(estimating, "_clocked", of)


def test_task_times__grow_with_photos_and_with_pairs(seconds):
    times = estimating.task_times(TASKS, photo_set(80_000, 20_000), 8, RunOptions(), "cpu")
    assert times["probe/sharpening"].seconds == pytest.approx(101)
    assert times["knn/sharpening"].seconds == pytest.approx(1601)
    fewer = estimating.task_times(TASKS, photo_set(80_000, 20_000), 8, RunOptions(queries=1000), "cpu")
    assert fewer["knn/sharpening"].seconds == pytest.approx(81, abs=0.5)
    assert by_family(times, TASKS) == {
        "Processing probes": pytest.approx(101),
        "kNN set-ups": pytest.approx(1601),
    }


def test_task_times__few_photos_are_measured_as_they_are(seconds):
    times = estimating.task_times(TASKS, photo_set(80, 20), 8, RunOptions(), "cpu")
    assert times["probe/sharpening"].seconds == pytest.approx(1.1)


def test_task_times__really_run__and_a_task_that_fails_has_no_time():
    broken = photo_set(80, 0)
    times = estimating.task_times(TASKS, photo_set(80, 20), 8, RunOptions(resamples=100, assignment_seeds=1), "cpu")
    assert all(0 < cost.seconds < 60 for cost in times.values())
    failed = estimating.task_times(TASKS, broken, 8, RunOptions(), "cpu")
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


def test_score__dry_run_says_stages_and_writes_nothing(tmp_path, photo_folder, capsys):
    words = ["-m", "control:random-projection", "-d", f"folder:{photo_folder}", "-t", "*/sharpening", "--dry-run"]
    assert main([*words, "--cache", str(tmp_path / "c"), "-o", str(tmp_path / "out"), "--quiet"]) == 0
    printed = capsys.readouterr().out
    for stage in ("loading encoders", "views and forward passes", "Processing probes", "kNN set-ups", "disk: 0.2 MB"):
        assert stage in printed
    assert printed.count("views are made by the workers: no CUDA GPU waits for them") == 1
    assert not list(tmp_path.iterdir())
