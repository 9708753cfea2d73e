"""How the photo sets of a request are opened, by hand: specifications, limits, tasks, sets that cannot answer."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import benchmark.tasks
from benchmark.options import RunOptions
from benchmark.scoring import EncoderSource, Request, open_limited, request
from benchmark.scoring.request import OpenedSet, open_sets
from benchmark.tasks import all_tasks
from builders.errors import DataError, UsageError
from builders.photos import Labels, PhotoSet
from builders.sources import Streaming


def photo_set(name, count=8, **more):
    ids = dict.fromkeys(map(str, range(count)), b"x")
    splits = ["train"] * (count // 2) + ["val"] * (count // 2)
    return replace(PhotoSet.of_bytes(name, ids, [f"c{i % 2}" for i in range(count)], splits), **more)


@pytest.fixture
def world(monkeypatch):
    """Calls of what opens a specification and chooses tasks; a set whose name begins with "un" answers nothing."""
    w = SimpleNamespace(opened=[], fitted=[])

    def open_photos(spec, *, seed, streaming):
        w.opened.append((spec, seed, streaming))
        return photo_set(spec.partition(":")[2])

    def fitting(tasks, photos, *, named, answering):
        w.fitted.append(([task.name for task in tasks], photos.name, len(photos), named, answering))
        if photos.name.startswith("un"):
            raise DataError(f"{photos.name}: no task")
        return [all_tasks()["probe/jpeg"]]

    monkeypatch.setattr("builders.data_specs.open_photos", open_photos)
    monkeypatch.setattr(benchmark.tasks, "fitting_tasks", fitting)
    return w


def test_open_sets__specifications_with_seed_limit_and_stream(world):
    given = photo_set("mine")
    one, two = open_sets(["folder:a", given], ["probe/jpeg"], RunOptions(seed=5, limit=4))
    assert world.opened == [("folder:a", 5, None)]
    assert (one.spec, one.photos.name, len(one.photos)) == ("folder:a", "a", 4)
    assert (two.spec, list(two.photos.ids)) == (None, list(given.limited(4, 5).ids))
    assert one.tasks == two.tasks == (all_tasks()["probe/jpeg"],)
    assert world.fitted == [(["probe/jpeg"], "a", 4, True, False), (["probe/jpeg"], "mine", 4, True, False)]
    open_sets(["hub:b"], [], RunOptions(seed=6, limit=3, stream=True), answering=True)
    assert world.opened[1] == ("hub:b", 6, Streaming(3, 6))
    names, *rest = world.fitted[2]
    assert (set(names) <= set(all_tasks()), rest) == (True, ["b", 3, False, True])
    assert len(open_sets([given], [], RunOptions())[0].photos) == 8
    photos = open_limited("folder:c", RunOptions(seed=2, limit=2))
    assert (world.opened[-1], len(photos)) == (("folder:c", 2, None), 2)


def test_open_sets__groups_of_any_set_have_tasks(world):
    scanner = Labels(("a", "b"), np.arange(8, dtype=np.int32) % 2)
    sets = [photo_set("plain"), photo_set("scanned", groups={"scanner": scanner})]
    open_sets(sets, ["probe/scanner"], RunOptions())
    assert [names for names, *_ in world.fitted] == [["probe/scanner"]] * 2
    with pytest.raises(UsageError, match="probe/scanner"):
        open_sets(sets[:1], ["probe/scanner"], RunOptions())


def test_open_sets__what_is_wrong_whatever_the_photos_comes_first(world):
    with pytest.raises(UsageError, match="prob/jpeg"):
        open_sets(["folder:a"], ["prob/jpeg"], RunOptions())
    assert world.opened == []
    with pytest.raises(UsageError) as refused:
        open_sets(["folder:a", photo_set("a")], [], RunOptions())
    assert "results" in str(refused.value)
    assert world.fitted == []


def test_open_sets__sources_that_prepare_do_so_before_any_set_is_scored(world):
    prepared = []

    def preparing(name):
        source = SimpleNamespace(prepare=lambda: prepared.append((name, len(world.fitted))))
        return replace(photo_set(name), source=source)

    sets = [preparing("a"), preparing("b")]
    open_sets(sets, [], RunOptions())
    assert prepared == [("a", 0), ("b", 0)]


def test_open_sets__those_that_cannot_answer(world):
    unfit = []
    sets = [photo_set(name) for name in ("una", "b", "unc")]
    [only] = open_sets(sets, [], RunOptions(), unfit=lambda *given: unfit.append(given))
    assert only.photos is sets[1]
    assert [(name, str(error)) for name, error in unfit] == [("una", "una: no task"), ("unc", "unc: no task")]
    with pytest.raises(DataError, match=r"^una: no task$"):
        open_sets(sets, [], RunOptions())
    unfit.clear()
    with pytest.raises(DataError, match=r"^una: no task$"):
        open_sets([sets[0], sets[2]], [], RunOptions(), unfit=lambda *given: unfit.append(given))
    assert unfit == []


@pytest.mark.parametrize(("together", "specs", "answering"), [(None, ["a", None], False), (3, ["a", "vlm:x"], True)])
def test_request__opens_its_sets(monkeypatch, together, specs, answering):
    calls = []
    monkeypatch.setattr(request, "open_sets", lambda *given, **how: calls.append((given, how)) or ["sets"])
    options, unfit = RunOptions(), print
    encoders = {str(i): EncoderSource(None, spec) for i, spec in enumerate(specs)}
    made = Request(encoders, ["folder:a"], ("knn/*",), options, together=together)
    assert made.open(unfit) == ["sets"]
    expected = {"unfit": None if together else unfit, "answering": answering}
    assert calls == [((["folder:a"], ("knn/*",), options), expected)]


def test_opened_set__of_outputs_brings_plain_knn(world):
    [opened] = open_sets([photo_set("a")], ["probe/jpeg"], RunOptions(outputs=("layers",)))
    assert opened == OpenedSet(opened.photos, (all_tasks()["probe/jpeg"], all_tasks()["knn/original"]), None)
