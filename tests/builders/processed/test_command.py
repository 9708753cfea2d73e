"""``camtrace build folder`` without a build: what is called, what is printed and recorded, and what a rank plans."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest

from builders.__main__ import main
from builders.data_specs import open_photos
from builders.dataset import Build, BuildOptions, PixelRights
from builders.dataset.shards import ItemFailure, Shard
from builders.dataset.write import SplitShards
from builders.errors import UsageError
from builders.processed import ProcessingSettings, cli
from builders.splits import with_duplicates_on_one_side

LOST = (ItemFailure("p7", "broken"),)
SHARDS = (Shard("data/jpeg/train-00000-of-00001.parquet", "r", 1200, 2_340_000, 1, "s", LOST),)
BUILD = Build(
    "processed", "jpeg", {"source_evidence": {}}, PixelRights(True), {}, (SplitShards("jpeg", "train", SHARDS),)
)


@pytest.fixture
def calls(monkeypatch):
    made = []
    monkeypatch.setattr(cli, "build_processed", lambda *given, **named: made.append((given, named)) or BUILD)
    monkeypatch.setattr(
        "builders.processed.recipe.rebuild", lambda *given, **named: made.append((given, named)) or BUILD
    )
    return made


def test_command__prints_and_records_the_build(calls, photo_folder, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["folder", "--data", str(photo_folder), "-o", str(out), "--workers", "2"]
    lines = [
        f"{out}:", "  jpeg/train: 1,200 rows, 2.3 MB, 1 files",
        f"  1 could not be used and are left out (the first, p7: broken); all are in {out}/failures.jsonl",
        f'  load_dataset("{out}", "jpeg", split="train")',
    ]  # fmt: skip
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == lines
    assert calls[0][1]["workers"] == 2
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "output": str(out), "kind": "processed", "default": "jpeg",
        "splits": [{"config": "jpeg", "split": "train", "rows": 1200, "bytes": 2_340_000, "files": 1,
                    "failures": [{"id": "p7", "reason": "broken"}]}],
    }  # fmt: skip


def test_command__says_what_the_guard_did(calls, photo_folder, tmp_path, capsys, monkeypatch):
    noted = dataclasses.replace(BUILD, recipe={"source_evidence": {"duplicates": "4 were moved", "other": "x"}})
    monkeypatch.setattr(cli, "build_processed", lambda *given, **named: noted)
    assert main(["folder", "--data", str(photo_folder), "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "duplicates: 4 were moved"


@pytest.mark.parametrize("any_codec", [False, True])
def test_command__rebuilds_a_recipe(calls, photo_folder, tmp_path, capsys, any_codec):
    words = [
        "folder",
        "--data",
        str(photo_folder),
        "-o",
        str(tmp_path / "out"),
        "--recipe",
        "me/recipe",
        "--workers",
        "3",
    ]
    assert main([*words, *(["--any-codec"] if any_codec else [])]) == 0
    [((recipe, photos, output), named)] = calls
    assert (recipe, photos.ids, output) == ("me/recipe", open_photos(f"folder:{photo_folder}").ids, tmp_path / "out")
    assert named == {"workers": 3, "any_codec": any_codec}
    first = capsys.readouterr().out.splitlines()[0]
    assert first == ("images were not compared" if any_codec else "every image is as the recipe says")


def test_jobs__of_a_rank_whole(photo_folder, tmp_path, monkeypatch):
    photos, planned, guards = open_photos(f"folder:{photo_folder}"), [], []
    guarded = with_duplicates_on_one_side(photos, "ignore")
    monkeypatch.setattr(cli, "plan_shards", lambda *given, **named: planned.append((given, named)) or ["jobs"])
    monkeypatch.setattr(cli, "processed_jobs", lambda *given: given)
    monkeypatch.setattr(
        cli, "with_duplicates_on_one_side", lambda *given, **named: guards.append((given[1:], named)) or guarded
    )
    arguments = cli.folder().parse_args(
        ["--data", str(photo_folder), "-o", str(tmp_path / "out"), "--parameter", "jpeg,sharpening", "--seed", "2",
         "--assignment", "every", "--assignment-seed", "3", "--lossless", "--duplicates", "move"]
    )  # fmt: skip
    assert arguments.jobs(arguments, {"jpeg/train": 5}) == ["jobs"]
    assert guards == [(("move",), {"cached_for": tmp_path / "out"})]
    [((made, options), named)] = planned
    assert (made[0], made[1]) == (guarded.photos, tmp_path / "out")
    assert made[2] == [ProcessingSettings(name, "every", 2, 3, True) for name in ("jpeg", "sharpening")]
    assert options == BuildOptions(tmp_path / "out", ignore_space=True, progress=False)
    assert named == {"sizes": {"jpeg/train": 5}}
    assert arguments.guarded == guarded.record()
    arguments.jobs(arguments, None)
    assert len(guards) == 1  # with its record no photo is compared


def test_jobs__what_cannot_be_cut_into_ranks(photo_folder, tmp_path):
    for words, sentence in (
        (["--recipe", "r"], "--recipe: a rebuild verifies as it goes and is not cut into ranks"),
        (["--update"], "--update: an update runs on one machine and is not cut into ranks"),
    ):
        arguments = cli.folder().parse_args(["--data", str(photo_folder), "-o", str(tmp_path / "out"), *words])
        with pytest.raises(UsageError) as refused:
            arguments.jobs(arguments, None)
        assert str(refused.value) == sentence


@pytest.mark.parametrize("kind", ["folder", "imagenet", "inat2018"])
def test_source__a_path_is_of_the_kind_of_the_command(monkeypatch, tmp_path, kind):
    opened = []
    monkeypatch.setattr("builders.data_specs.open_photos", lambda *given: opened.append(given) or SimpleNamespace())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder:here").mkdir()
    for source in ("p", "hub:o/n", "folder:here", "folder:there", "c:p"):
        cli._open(kind, source, 4)
    assert opened == [
        (f"{kind}:p", 4), ("hub:o/n", 4), (f"{kind}:folder:here", 4), ("folder:there", 4), (f"{kind}:c:p", 4),
    ]  # fmt: skip
