"""Passes: recipes merge by kind and settings, a task reads the views of its own recipe, whatever others call theirs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from benchmark.bank import PassCost
from benchmark.bank.fill.fill import PassOutcome
from benchmark.options import RunOptions
from benchmark.results import Score
from benchmark.scoring import planned_passes, score_encoders
from benchmark.tasks import Task, TaskInput, TaskOutcome, all_tasks
from benchmark.views import MaskedViews, PlainViews, ProcessingViews, iterate_views
from builders.kernels import background
from builders.photos import PhotoSet
from builders.pixels import PROCESSINGS
from tests.support.scoring import CountingEncoder

pytestmark = pytest.mark.usefixtures("unpainted", "brief")


@dataclasses.dataclass(frozen=True)
class Brighter:
    """A recipe of another kind that calls its view as ``PlainViews`` does."""

    by: int
    kind: ClassVar[str] = "brighter"
    names: ClassVar[tuple[str, ...]] = ("original",)

    def settings(self) -> dict[str, Any]:
        return {"by": self.by}

    def view_keys(self) -> dict[str, dict[str, Any]]:
        return {"original": {"kind": self.kind, "by": self.by}}

    def only(self, names: Sequence[str]) -> Brighter:
        return self

    def merged(self, other: Brighter) -> Brighter:
        return self

    def make(self, data: bytes, photo_id: str, preprocesses: Sequence[Any]) -> list[list[np.ndarray]]:
        return [[view + self.by for view in views] for views in PlainViews().make(data, photo_id, preprocesses)]


def constant(image) -> np.ndarray:
    """One number: the grey of the first pixel."""
    return np.asarray(image)[0, 0, :1]


TRIED = 3 + 3 + 1
"""Views that an encoder is asked for before it is scored: twice those of three photos, and one without the others."""


def counting(name: str, weights: str | None) -> CountingEncoder:
    return CountingEncoder(name, constant, 1, weights=weights)


def grey_photos() -> PhotoSet:
    """Photo i is grey of value 10 i."""
    return PhotoSet.of_bytes("grey", {f"{i}": b"P6 2 2 255\n" + bytes([10 * i] * 12) for i in range(5)})


def mean_task(name: str, recipe: Any, view: str) -> Task:
    """The mean of one view's numbers."""

    def run(given: TaskInput) -> TaskOutcome:
        value = float(given.view(view, np.flatnonzero(given.usable))[:].mean())
        return TaskOutcome((Score(name, "grey", "mean", value, value, value, 5, 0.0),))

    changed = {"name": name, "recipe": lambda photos, options: recipe, "unfit": lambda photos: "", "run": run}
    return replace(all_tasks()["probe/jpeg"], **changed)


def means(scored: Any) -> dict[str, float]:
    return {score.task: score.value for score in scored.result.scores}


def options(tmp_path, **changes: Any) -> RunOptions:
    return RunOptions(cache=tmp_path / "cache", workers=0, **changes)


def test_planned_passes__one_for_each_kind_and_settings_in_order_of_the_tasks():
    recipes = {
        "b": PlainViews(), "a": Brighter(5), "d": MaskedViews(0.5), "c": Brighter(5), "e": MaskedViews(0.9),
        "g": Brighter(6), "f": MaskedViews(0.5), "h": PlainViews(),
    }  # fmt: skip
    tasks = [mean_task(name, recipe, "original") for name, recipe in recipes.items()]
    planned = planned_passes(tasks, grey_photos(), RunOptions())
    assert [[task.name for task in one.tasks] for one in planned] == [["b", "h"], ["a", "c"], ["d", "f"], ["e"], ["g"]]
    assert [one.recipe for one in planned] == [recipes[name] for name in "badeg"]


def test_planned_passes__names_are_merged_in_the_order_of_the_recipe():
    names = tuple(PROCESSINGS)
    parts = [(names[5], names[2]), (names[9],), (names[0], names[5])]
    tasks = [mean_task(str(i), ProcessingViews(part), part[0]) for i, part in enumerate(parts)]
    [one] = planned_passes(tasks, grey_photos(), RunOptions())
    assert one.recipe.names == (names[0], names[2], names[5], names[9])
    assert len(one.tasks) == 3
    seeds = [mean_task(str(seed), ProcessingViews(names[:2], seed), names[0]) for seed in (0, 1)]
    assert len(planned_passes(seeds, grey_photos(), RunOptions())) == 2


def test_planned_passes__every_task_is_in_one():
    tasks = list(all_tasks().values())
    planned = planned_passes(tasks, grey_photos(), RunOptions())
    assert sorted(task.name for one in planned for task in one.tasks) == sorted(all_tasks())
    assert [one.recipe.kind for one in planned] == ["processing", "masked", "plain", "edited"]


@pytest.mark.parametrize("weights", ["0" * 64, None])
def test_score__views_of_one_name_are_separate(tmp_path, weights):
    """Photos are 0, 10, ... 40: 20 on average."""
    toy = counting("toy", weights)
    recipes = {"plain": PlainViews(), "5": Brighter(5), "7": Brighter(7), "plain too": PlainViews()}
    tasks = [mean_task(name, recipe, "original") for name, recipe in recipes.items()]
    [scored] = score_encoders([toy.encoder], grey_photos(), tasks, options(tmp_path))
    assert means(scored) == {"plain": 20, "5": 25, "7": 27, "plain too": 20}
    assert toy.views == 3 * 5 + TRIED
    assert scored.result.cost["views"] == 15


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("weights", ["0" * 64, None])
def test_score__two_ratios_of_a_mask_share_the_whole(tmp_path, weights, fresh):
    """All of a 2 x 2 photo is hidden at 1, nothing of its corner at 0.1; the whole is embedded once, by the first."""
    toy = counting("toy", weights)
    tasks = [
        mean_task(f"{name} {ratio}", MaskedViews(ratio), name) for ratio in (1.0, 0.1) for name in ("whole", "masked")
    ]
    [scored] = score_encoders([toy.encoder], grey_photos(), tasks, options(tmp_path, fresh=fresh))
    assert means(scored) == {"whole 1.0": 20, "masked 1.0": 0, "whole 0.1": 20, "masked 0.1": 20}
    assert toy.views == (3 + 2) * 5 + TRIED
    [again] = score_encoders([toy.encoder], grey_photos(), tasks, options(tmp_path, fresh=fresh))
    assert means(again) == means(scored)
    assert toy.views == ((3 + 2) * 5 + TRIED) * (2 if fresh or not weights else 1)  # banks and trials are kept


def test_score__each_encoder_counts_its_own_views(tmp_path):
    first, second = counting("first", "1" * 64), counting("second", "2" * 64)
    some, more = mean_task("some", PlainViews(), "original"), mean_task("more", Brighter(5), "original")
    score_encoders([first.encoder], grey_photos(), [some], options(tmp_path))
    one, other = score_encoders([first.encoder, second.encoder], grey_photos(), [some, more], options(tmp_path))
    assert (one.result.cost["views"], other.result.cost["views"]) == (5, 10)
    assert means(one) == means(other) == {"some": 20, "more": 25}


def test_score__costs_of_a_shared_pass_are_each_encoders_own(tmp_path):
    """One encoder sleeps 0.05 s over each of its batches: that time is its own, and together they are the pass."""
    quick, slow = counting("quick", "1" * 64), counting("slow", "2" * 64)

    def sleepy(views):
        time.sleep(0.05)
        return embed(views)

    embed = slow.encoder.embed
    encoders = [quick.encoder, dataclasses.replace(slow.encoder, embed=sleepy)]
    tasks = [mean_task("some", PlainViews(), "photo"), mean_task("more", Brighter(5), "photo")]
    costs = [one.result.cost for one in score_encoders(encoders, grey_photos(), tasks, options(tmp_path))]
    forward = [cost["seconds"]["of which forward"] for cost in costs]
    assert forward[1] >= 2 * 0.05 > 2 * forward[0]
    shared = [cost["seconds"]["embedding"] - changed for cost, changed in zip(costs, forward, strict=True)]
    assert shared[0] == pytest.approx(shared[1], abs=2e-3)  # they embed equally many views
    assert [cost["encoders_in_pass"] for cost in costs] == [2, 2]
    [again, _] = score_encoders(encoders, grey_photos(), tasks, options(tmp_path))
    assert (again.result.cost["views"], again.result.cost["encoders_in_pass"]) == (0, 1)


@pytest.mark.parametrize(("maker", "changed"), [("scoring.trial", "asking twice"), ("views.stream", "embedding")])
def test_score__compiling_is_counted_separately(tmp_path, monkeypatch, maker, changed):
    """A compiler that takes a million seconds in no time, in either stage that makes views here."""
    compiled = []

    def compile_first(*requested, **how):
        if not compiled:
            compiled.append(monkeypatch.setattr(background, "_compiling_s", background.compiling_s() + 1e6))
        return iterate_views(*requested, **how)

    monkeypatch.setattr(f"benchmark.{maker}.iterate_views", compile_first)
    encoders = [counting("one", "1" * 64).encoder, counting("two", "2" * 64).encoder]
    tasks = [mean_task("some", PlainViews(), "photo")]
    scored = score_encoders(encoders, grey_photos(), tasks, options(tmp_path))
    seconds = [one.result.cost["seconds"] for one in scored]
    assert [s["compiling kernels"] for s in seconds] == [5e5, 5e5]
    assert all(s[changed] < 0 for s in seconds)  # without it
    assert changed == "asking twice" or all(s["of which waiting for views"] == 0 for s in seconds)
    assert all(value >= 0 for s in seconds for stage, value in s.items() if stage != changed)
    [again, _] = score_encoders(encoders, grey_photos(), tasks, options(tmp_path))
    assert "compiling kernels" not in again.result.cost["seconds"]


def test_pass_outcome__what_is_shared_is_divided_by_views():
    cost = PassCost(photos=5, views=40, wall_s=20.0, waiting_s=4.0, forward_s=12.0, making_s=8.0)
    cost = replace(cost, compiling_s=2.0)
    outcome = PassOutcome(cost, {}, (10, 30), (9.0, 3.0))
    first, second = outcome.cost_of(0), outcome.cost_of(1)
    assert first == PassCost(
        photos=5, views=10, wall_s=9 + 0.25 * 8, waiting_s=1.0, forward_s=9.0, making_s=2.0, compiling_s=0.5
    )
    assert first.wall_s + second.wall_s == 20
    assert second.making_s == 6
    nothing = PassOutcome(PassCost(0, 0, 1.0, 0.0, 0.0, 0.0), {}, (0, 0), (0.0, 0.0))
    assert nothing.cost_of(1).wall_s == 0.5


def test_planned_passes__equal_settings_of_two_kinds_are_two():
    class Other(PlainViews):
        kind: ClassVar[str] = "other"

    tasks = [mean_task("plain", PlainViews(), "original"), mean_task("other", Other(), "original")]
    assert [one.recipe.kind for one in planned_passes(tasks, grey_photos(), RunOptions())] == ["plain", "other"]


def test_planned_passes__settings_in_another_order_are_the_same():
    one, other = (
        SimpleNamespace(kind="k", settings=lambda s=settings: s, merged=lambda recipe: "merged")
        for settings in ({"a": 1, "b": 2}, {"b": 2, "a": 1})
    )
    tasks = [mean_task("one", one, "original"), mean_task("other", other, "original")]
    [only] = planned_passes(tasks, grey_photos(), RunOptions())
    assert (only.recipe, only.tasks) == ("merged", tuple(tasks))
