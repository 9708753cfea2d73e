"""Markers of ranks by state and time, and the folder of a plan by its addresses."""

from __future__ import annotations

import os
import re
from dataclasses import replace

import pytest

from builders.cluster import (
    Finished,
    Markers,
    Plan,
    RankPlan,
    StorageFolder,
    read_plan,
    refuse_other_versions,
    retire_plan,
    upload_files,
    write_plan,
)
from builders.errors import DataError
from builders.files import temporary_path

PLAN = Plan("count", ("count",), "out", tuple(RankPlan((str(n),), 10) for n in range(4)), {"the moon": "full"})
NAME = PLAN.name


@pytest.fixture
def place(tmp_path):
    place = StorageFolder.of(tmp_path / "plan")
    write_plan(PLAN, place)
    return place


def files_of(place):
    return (place / "ranks").names()


def test_markers__that_other_states_replace(place):
    markers = Markers(place, NAME)
    markers.beat(0, 0.0, 0.0, 1)
    markers.fail(0, "x")
    assert files_of(place) == ["00000.failed.json"]
    markers.beat(0, 0.0, 0.0, 1)
    markers.finish(0, Finished({}, 1, 0, 1.0))
    assert files_of(place) == ["00000.done.json"]
    markers.set_back(0, "lost", "n5")
    assert files_of(place) == ["00000.failed.json"]
    assert (markers.all().failed[0].host, markers.all().failed[0].reason) == ("n5", "lost")
    markers.beat(1, 0.0, 0.0, 1)
    markers.finish(2, Finished({}, 1, 0, 1.0))
    markers.sweep()
    assert files_of(place) == ["00002.done.json"]
    markers.beat(2, 0.0, 0.0, 1)
    markers.fail(2, "y")
    markers.beat(2, 0.0, 0.0, 1)
    markers.clear(2)
    assert files_of(place) == ["00002.done.json"]


def test_read_plan__by_folder_file_and_name(place, monkeypatch):
    folder = place.folder
    for address in (f"{folder}", f"{folder}/", f"{folder}/plan.json", f"file://{folder}"):
        assert read_plan(address)[0] == PLAN
    monkeypatch.chdir(folder)
    for address in ("plan.json", ".", "./plan.json"):
        plan, there = read_plan(address)
        assert (plan, there.folder.resolve()) == (PLAN, folder)
    for address in (f"{folder}/none", "other/plan.json"):
        with pytest.raises(DataError, match=re.escape(str(address))):
            read_plan(address)


def test_plan__its_name_follows_from_all_of_it_and_its_size_from_its_ranks():
    others = [
        replace(PLAN, kind="x"),
        replace(PLAN, argv=("x",)),
        replace(PLAN, output="x"),
        replace(PLAN, ranks=PLAN.ranks[1:]),
        replace(PLAN, facts={}),
        replace(PLAN, notes={"x": 1}),
        replace(PLAN, estimate={"x": 1}),
        replace(PLAN, ranks=(*PLAN.ranks[:3], replace(PLAN.ranks[3], needs="0"))),
    ]
    names = {plan.name for plan in (PLAN, *others)}
    assert len(names) == 9
    assert {len(name) for name in names} == {16}
    assert replace(PLAN, facts=dict(PLAN.facts)).name == NAME
    assert (PLAN.size, others[3].size) == (40, 30)


def test_retire_plan__leaves_the_output_alone(place):
    Markers(place, NAME).finish(0, Finished({}, 1, 0, 1.0))
    Markers(place, NAME).fail(1, "x")
    place.write("banks/a", b"1")
    retire_plan(place)
    assert place.all_names() == ["banks/a"]
    write_plan(replace(PLAN, kind="other"), place)


def test_storage__addresses_and_names(tmp_path):
    texts = {f"file://{tmp_path}/x/": f"{tmp_path}/x", "/": "/", "s3://b/run/": "s3://b/run", "a//": "a"}
    assert {address: str(StorageFolder.of(address)) for address in texts} == texts
    assert StorageFolder.of("s3://b/run").folder is None
    assert StorageFolder.of(tmp_path).folder == tmp_path
    assert StorageFolder.of("s3://b/run").path("x/y") == "s3://b/run/x/y"
    place = StorageFolder.of(tmp_path)
    for name in ("b", "a", "sub/c", "sub/deep/d"):
        place.write(name, name.encode())
    (tmp_path / "link").symlink_to(tmp_path / "sub")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert place.names() == ["a", "b"]
    assert place.all_names() == ["a", "b", "sub/c", "sub/deep/d"]
    assert (place / "none").names() == (place / "none").all_names() == []
    upload_files(tmp_path, StorageFolder.of(tmp_path / "copy"))
    assert StorageFolder.of(tmp_path / "copy").all_names() == ["a", "b", "sub/c", "sub/deep/d"]
    temporary_path(tmp_path / "sub" / "x").touch()  # also of a process that lives: none may write there
    place.sweep()
    assert not list(tmp_path.rglob("*.tmp"))


def test_refuse_other_versions__one_rank_and_machines_that_say_nothing(place):
    plan = replace(PLAN, facts={"the version of numpy": "2.1"})
    same = {0: Finished({}, 1, 0, 1.0, "n0"), 1: Finished({}, 1, 0, 1.0, "n1", {"numpy": "2.1"})}
    refuse_other_versions(plan, same, place)
    with pytest.raises(DataError, match=r"2\.2"):
        refuse_other_versions(plan, {2: Finished({}, 1, 0, 1.0, "n2", {"numpy": "2.2"})}, place)
