"""``camtrace build diff``: planted differences of two builds are the ones that it names."""

import json

import pytest

from builders.__main__ import main
from builders.check import diff_builds
from builders.errors import DataError
from builders.photos import PhotoSet, labels_of
from builders.processed.build import build_processed
from tests.conftest import photo_bytes


def photos_of(files, splits, labels):
    made = PhotoSet.of_bytes("diffed", files, splits=list(splits))
    return PhotoSet(made.name, made.ids, made.splits, labels_of(labels), made.source, made.rows)


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    """Of ten photos, b has lost 0, gained 10, has other bytes of 1, another split of 2 and another label of 3."""
    root = tmp_path_factory.mktemp("builds")
    files = {f"{i}": photo_bytes(i, size=(40, 32)) for i in range(10)}
    labels = ["cat", "dog"] * 5
    options = {"parameters": ["sharpening"], "progress": False, "assignment": "every"}
    build_processed(photos_of(files, ["train"] * 8 + ["val"] * 2, labels), root / "a", **options)
    second = {f"{i}": photo_bytes(i, size=(40, 32)) for i in range(1, 11)} | {"1": photo_bytes(77, size=(40, 32))}
    splits = ["val" if i in (2, 8, 9) else "train" for i in range(1, 11)]
    labels = ["dog" if i % 2 or i == 10 else "cat" for i in range(1, 11)]
    labels[2] = "ant"  # photo 3, and the numbers of the other classes move
    build_processed(photos_of(second, splits, labels), root / "b", **options)
    return root


def test_diff__names_what_was_planted(builds, capsys):
    diff = diff_builds(builds / "a", builds / "b")
    [config] = diff.configs
    assert (config.added, config.lost, config.changed_bytes, config.moved) == (("10",), ("0",), ("1",), ("2",))
    assert config.changed_columns == {"label": ("3",)}
    assert config.equal == 6
    assert not diff.is_equal
    assert main(["diff", str(builds / "a"), str(builds / "b"), "--exit-code"]) == 1
    out = capsys.readouterr().out
    assert "sharpening: 6 photos equal\n  added: 1 (10)\n  lost: 1 (0)\n  other bytes: 1 (1)\n" in out
    assert "  other split: 1 (2)\n  other label: 1 (3)" in out


def test_diff__equal_builds_and_other_settings(builds, capsys):
    assert diff_builds(builds / "a", builds / "a").is_equal
    assert main(["diff", str(builds / "a"), str(builds / "a"), "--json", "--exit-code"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "equal": True,
        "configs": {
            "sharpening": {
                "equal": 10,
                **{key: [] for key in ("added", "lost", "changed_bytes", "moved")},
                "changed_columns": {},
            }
        },
        "settings": {},
    }
    recipe = diff_builds(builds / "a", builds / "b").recipe
    assert recipe["photos"] == ({"train": 8, "val": 2, "test": 0}, {"train": 7, "val": 3, "test": 0})
    with pytest.raises(DataError, match="no finished build"):
        diff_builds(builds / "a", builds)
