"""Recipes: what they hold of a build, and every way in which a rebuild differs from them."""

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.__main__ import main
from builders.dataset import read_build
from builders.errors import DataError
from builders.photos import Labels, PhotoSet
from builders.pixels import codec_versions
from builders.processed import write_recipe
from builders.processed.build import build_processed
from builders.processed.recipe import rebuild
from tests.conftest import photo_bytes

OPTIONS = {
    "parameters": ("interpolation", "jpeg"),
    "assignment": "study",
    "seed": 2,
    "assignment_seed": 3,
    "lossless": True,
    "progress": False,
}


def photo_set(labels="xyxyxyxy", count=8):
    """Six photos of train, the last of which is broken, and two of val, of which one is that of train again."""
    files = {f"p{i}": photo_bytes(i, size=(24, 16)) for i in range(8)} | {
        "p5": b"broken",
        "p6": photo_bytes(0, (24, 16)),
    }
    splits = ["train"] * 6 + ["val"] * 2
    some = list(files)[:count]
    photos = PhotoSet.of_bytes("folder:some", {n: files[n] for n in some}, list(labels)[:count], splits[:count])
    return replace(photos, groups={"site": Labels(("n", "s"), np.arange(count, dtype=np.int32) % 2)}, drawn_splits=True)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """(folder of the build, folder of its recipe)"""
    root = tmp_path_factory.mktemp("original")
    build_processed(photo_set(), root / "out", **OPTIONS)
    write_recipe(root / "out", root / "recipe")
    return root / "out", root / "recipe"


@pytest.fixture
def recipe(original, tmp_path):
    return shutil.copytree(original[1], tmp_path / "recipe")


def changed(recipe, change):
    """The recipe with its record changed in place by a function."""
    record = json.loads((recipe / "build.json").read_text())
    change(record["recipe"])
    (recipe / "build.json").write_text(json.dumps(record))
    return str(recipe)


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.parquet")}


def test_write_recipe__has_the_rows_without_images_and_the_record(original, tmp_path):
    out, recipe = original
    build, described = read_build(out), read_build(recipe)
    assert (described.kind, described.default, described.configs) == ("recipe", "interpolation", build.configs)
    assert described.pixels.allowed
    assert set(described.recipe) == {*build.recipe, "codec", "build"}
    assert described.recipe["codec"] == dict(build.codec)
    assert [s["shards"][0]["file"] for s in described.recipe["build"]] == [s.shards[0].file for s in build.splits]
    rows = [pq.read_table(folder / "data/jpeg/validation-00000-of-00001.parquet") for folder in original]
    assert rows[1].column_names == [*(n for n in rows[0].column_names if n != "image"), "image_sha256"]
    hashes = [hashlib.sha256(cell["bytes"]).hexdigest() for cell in rows[0]["image"].to_pylist()]
    assert rows[1]["image_sha256"].to_pylist() == hashes
    for name in rows[0].column_names[1:]:
        assert rows[1][name].to_pylist() == rows[0][name].to_pylist()
    card = (recipe / "README.md").read_text()
    for text in (
        "some: processing traces (recipe, no pixels)",
        "license: cc-by-4.0",
        "- image-forensics\n- jpeg\n- processing-traces\n- recipe\n",
        "| `interpolation` | study | 2 | 3 |",
        f"canary `{build.codec['canary']}`",
    ):
        assert text in card
    assert "folder:some: processing traces" not in card
    with pytest.raises(DataError, match="'recipe'"):
        write_recipe(recipe, tmp_path / "again")
    with pytest.raises(DataError, match="'processed'"):
        rebuild(str(out), photo_set(), tmp_path / "again")


def test_write_recipe__states_the_codecs_of_the_build_not_of_this_machine(original, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(original[0], elsewhere)
    record = json.loads((elsewhere / "build.json").read_text())
    codec = {**record["codec"], "pillow": "1.0", "canary": "another"}
    (elsewhere / "build.json").write_text(json.dumps({**record, "codec": codec}))
    write_recipe(elsewhere, tmp_path / "recipe")
    assert read_build(tmp_path / "recipe").recipe["codec"] == codec


def test_rebuild__in_shards_of_the_recipe(recipe, original, tmp_path):
    """The rows are compared where the files are others."""

    def two(record):
        record["items_per_shard"] = dict.fromkeys(record["items_per_shard"], 2)

    rebuild(changed(recipe, two), photo_set(), tmp_path / "again")
    assert len(files(tmp_path / "again")) > len(files(original[0]))
    rows = [
        sorted((r["photo_id"], r["jpeg"]) for p in f.glob("data/jpeg/*") for r in pq.read_table(p).to_pylist())
        for f in (tmp_path / "again", original[0])
    ]
    assert rows[0] == rows[1]


def other_files(record):
    for split in record["build"]:
        for shard in split["shards"]:
            shard["sha256"] = "0" * 64


def edited(recipe, config, column, value, at=0):
    """The recipe with one cell of the rows of train changed, or its last row removed."""
    [path] = recipe.glob(f"data/{config}/train-*.parquet")
    table = pq.read_table(path)
    if column is None:
        table = table.slice(0, len(table) - 1)
    else:
        values = table[column].to_pylist()
        values[at] = value
        place = table.column_names.index(column)
        table = table.set_column(place, table.schema.field(place), pa.array(values, table.schema.field(place).type))
    pq.write_table(table, path)


@pytest.mark.parametrize("any_codec", [False, True])
@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("image_sha256", r"jpeg/train: p0 is not as in the recipe: the image differs"),
        ("source_sha256", r"jpeg/train: p0 is not as in the recipe: the source file differs"),
        ("source_subsampling", r"jpeg/train: p0 is not as in the recipe: the image differs"),
        (None, r"jpeg/train: \d rows, the recipe has \d; see failures\.jsonl"),
    ],
)
def test_rebuild__rows_that_differ(column, message, any_codec, recipe, tmp_path):
    edited(recipe, "jpeg", column, "other")
    if column is None:  # whose photo is then in no row, and is asked for by its failure
        record = json.loads((recipe / "build.json").read_text())
        names = {f["id"] for s in record["recipe"]["build"] for t in s["shards"] for f in t["failures"]}
        assert names == {"p5"}
    what = changed(recipe, other_files)
    if any_codec:
        rebuild(what, photo_set(), tmp_path / "again", any_codec=True)
        assert files(tmp_path / "again")
    else:
        with pytest.raises(DataError, match=f"^{message}$"):
            rebuild(what, photo_set(), tmp_path / "again")


def test_rebuild__equal_files_are_not_opened(recipe, tmp_path):
    edited(recipe, "jpeg", "image_sha256", "other")  # the rows of a recipe are used where files differ
    rebuild(str(recipe), photo_set(), tmp_path / "again")


def test_rebuild__with_other_codecs_only_on_request(recipe, tmp_path, capsys):
    what = changed(recipe, lambda r: r["codec"].update(canary="0" * 16, pillow="9.9", libjpeg_turbo="8.8"))
    codec_versions()
    with pytest.raises(DataError) as caught:
        rebuild(what, photo_set(), tmp_path / "again")
    assert str(what) in str(caught.value)
    assert not (tmp_path / "again").exists()
    rebuild(what, photo_set(), tmp_path / "again", any_codec=True)


def test_rebuild__other_photos(recipe, tmp_path):
    with pytest.raises(DataError) as caught:
        rebuild(str(recipe), photo_set(count=5), tmp_path / "again")
    assert str(caught.value)
    with pytest.raises(DataError):
        rebuild(str(recipe), photo_set("yxyxyxyx"), tmp_path / "again")
    extra = photo_set()
    known = dict(zip(extra.ids, extra.source.photos, strict=True))
    more = PhotoSet.of_bytes("folder:some", {"new": photo_bytes(99), **known}, list("xxyxyxyxy"))
    more = replace(more, groups={"site": Labels(("n", "s"), np.array([0, *extra.groups["site"].values], np.int32))})
    rebuild(str(recipe), more, tmp_path / "again")  # what is there besides is left out


def test_rebuild__of_a_recipe_that_says_nothing_of_duplicates(recipe, original, tmp_path):
    def older(record):
        del record["duplicates"]
        record["source_evidence"].pop("duplicates")

    build = rebuild(changed(recipe, older), photo_set(), tmp_path / "again")
    assert build.recipe["duplicates"] == {"policy": "ignore", "groups_in_several_splits": 0}
    assert "duplicates" not in build.recipe["source_evidence"]


@pytest.mark.parametrize("stated", [{"policy": "keep", "groups_in_several_splits": 3}, {"policy": "refuse"}, {}])
def test_rebuild__states_the_duplicates_of_the_build(recipe, tmp_path, stated):
    build = rebuild(changed(recipe, lambda record: record.update(duplicates=stated)), photo_set(), tmp_path / "again")
    assert build.recipe["duplicates"] == {"policy": "ignore", "groups_in_several_splits": 0, **stated}


@pytest.mark.parametrize("note", ["2 groups were moved", None])
def test_rebuild__facts_of_the_photos_are_those_of_the_copy_and_of_duplicates_those_of_the_build(
    recipe, tmp_path, note
):
    def noted(record):
        record["source_evidence"] = {"licence": "of the build", **({"duplicates": note} if note else {})}

    copy = replace(photo_set(), evidence={"licence": "of the copy", "duplicates": "5 groups were kept", "x": "y"})
    build = rebuild(changed(recipe, noted), copy, tmp_path / "again")
    assert build.recipe["source_evidence"] == {
        "licence": "of the copy", "duplicates": note or "5 groups were kept", "x": "y",
    }  # fmt: skip


def test_command__says_whether_images_were_compared(photo_folder, tmp_path, capsys):
    command = ["folder", "--data", str(photo_folder), "--parameter", "sharpening", "--limit", "4", "--workers", "1"]
    assert main([*command, "-o", str(tmp_path / "out"), "--duplicates", "ignore"]) == 0
    assert "duplicates:" not in capsys.readouterr().out
    write_recipe(tmp_path / "out", tmp_path / "recipe")
    for option, line in (([], "recipe"), (["--any-codec"], "compared")):
        again = tmp_path / f"again{len(option)}"
        assert main([*command, "-o", str(again), "--recipe", str(tmp_path / "recipe"), *option]) == 0
        assert line in capsys.readouterr().out
