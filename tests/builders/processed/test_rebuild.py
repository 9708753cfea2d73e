"""Builds from recipes: twins that were moved, given groups and clusters, own processings."""

import pytest

from builders.__main__ import main
from builders.dataset import read_build
from builders.processed import write_recipe
from tests.conftest import photo_bytes

DATA = "?label=folder:2"
GROUPS = "&group=site=folder:1&cluster=re:([0-9])[.]"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """48 photos at three sites in two classes; each eighth is the same file as the one after it."""
    root = tmp_path_factory.mktemp("rebuild") / "photos"
    for i in range(48):
        path = root / f"site{i % 3}" / f"c{i % 2}" / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo_bytes(i // 8 if i % 8 < 2 else i, (48, 64)))
    return root


def rebuilt(photos, tmp_path, columns, *options, without="", more=""):
    """Build, write the recipe, build from the recipe: the status, and whether every shard has the same bytes."""
    data = f"folder:{photos}{DATA}{columns}"
    out, again = tmp_path / "out", tmp_path / "again"
    assert main(["folder", "--data", data, "-o", str(out), "--workers", "1", *options]) == 0
    write_recipe(out, tmp_path / "recipe")
    words = ["--data", f"{data.replace(without, '')}{more}", "-o", str(again), "--recipe", str(tmp_path / "recipe")]
    status = main(["folder", *words, "--workers", "1"])
    shards = sorted(path.relative_to(out) for path in out.rglob("*.parquet"))
    return status, shards and all(
        (again / p).is_file() and (again / p).read_bytes() == (out / p).read_bytes() for p in shards
    )


@pytest.mark.parametrize(
    ("columns", "options"),
    [("", ()), (GROUPS, ()), ("", ("--processings", "web", "--parameter", "web-format-384"))],
    ids=["moved twins", "groups and clusters", "own processings"],
)
def test_rebuild__has_the_bytes_of_the_build(photos, tmp_path, columns, options):
    assert rebuilt(photos, tmp_path, columns, *options) == (0, True)
    original, again = (read_build(tmp_path / name) for name in ("out", "again"))
    assert "were moved to the split of their group" in original.recipe["source_evidence"]["duplicates"]
    assert again.recipe["source_evidence"]["duplicates"] == original.recipe["source_evidence"]["duplicates"]


@pytest.mark.parametrize("of", ["the build", "the rebuild"])
def test_rebuild__groups_of_one_of_both_are_named(photos, tmp_path, capsys, of):
    of_build, more = (GROUPS, {"without": GROUPS}) if of == "the build" else ("", {"more": GROUPS})
    status, _ = rebuilt(photos, tmp_path, of_build, **more)
    assert status != 0
    assert "--data" in capsys.readouterr().err
