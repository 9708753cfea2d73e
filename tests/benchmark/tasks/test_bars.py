"""Progress bars of tasks: what they are named after, in which unit, and over how many steps."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from benchmark.options import RunOptions
from benchmark.tasks import TaskInput, all_tasks
from benchmark.tasks.forensics import detector, floor
from benchmark.tasks.groups import neighbours
from builders.photos import PhotoSet, labels_of
from builders.processes import step_bar


@pytest.fixture
def bars(monkeypatch):
    """Options of every bar, with the number of its steps."""
    listed = []

    def spy(iterable=None, **options):
        steps = None if iterable is None else list(iterable)
        listed.append((options.pop("desc"), options.pop("unit"), None if steps is None else len(steps)))
        assert options == {}
        return step_bar(steps, silent=True)

    for module in (detector, floor, neighbours):
        monkeypatch.setattr(module, "step_bar", spy)
    return listed


def run(task: str, photos: PhotoSet, **more) -> None:
    rows = np.random.default_rng(0).normal(size=(len(photos), 4)).astype(np.float32)
    bank = SimpleNamespace(view=lambda name, at: rows[at], dim=4, names=())
    all_tasks()[task].run(TaskInput(photos, np.ones(len(photos), bool), bank, RunOptions(resamples=200), "cpu", **more))


def pictures() -> PhotoSet:
    """Real photos of three sources and photos of two generators, twelve of each in training and test."""
    rows = [(kind, split, which) for kind, values in (("real", "stu"), ("fake", "gh")) for which in values
            for split in ("train", "val") for _ in range(12)]  # fmt: skip
    photos = PhotoSet.of_bytes(
        "toy", {f"p{i}": b"" for i in range(len(rows))}, [kind for kind, _, _ in rows], [split for _, split, _ in rows]
    )
    which = [which for _, _, which in rows]
    return dataclasses.replace(photos, groups={"generator": labels_of(which)}, columns={"source": np.array(which)})


def test_forensics__a_bar_of_each_kind_of_fit(bars):
    photos = pictures()
    run("forensics/floor", photos)
    run("forensics/leave-one-out", photos)
    run("forensics/crossing", photos)
    run("forensics/crossing", photos, brief=True)
    assert bars == [
        ("forensics/floor", "pair", 3),
        ("forensics/leave-one-out", "generator", 2),
        ("forensics/floor", "pair", 3),
        ("forensics/crossing", "view", 14),
    ]


def test_robustness__a_bar_of_fits_unless_brief(bars, monkeypatch):
    for name in ("performance_drop", "clustering_score"):
        monkeypatch.setattr(f"benchmark.robustness.{name}", lambda rows, cells, **more: more["progress"]())
    n = 24
    photos = PhotoSet.of_bytes("toy", {f"p{i}": b"" for i in range(n)}, ["a", "b"] * 12)
    groups = {"site": labels_of("xxyy" * 6)}
    photos = dataclasses.replace(photos, groups=groups, columns={"cluster": np.arange(n) // 4}, neighbours=3)
    run("robustness/site", photos, brief=True)
    assert bars == []
    run("robustness/site", photos)
    assert bars == [("robustness/site", "fit", None)]
