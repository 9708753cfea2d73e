"""iNaturalist, the sample and remote folders: whole sets, and every sentence that refuses one."""

from __future__ import annotations

import json

import pytest

from builders.errors import DataError
from builders.sources import inaturalist_photos
from builders.sources.inaturalist import inaturalist_2018


def annotated(root, split, entries, **more):
    """An annotation file of (image id, file, category)."""
    contents = {
        "images": [{"id": i, "file_name": name} for i, name, _ in entries],
        "annotations": [{"image_id": i, "category_id": category} for i, _, category in reversed(entries)],
        **more,
    }
    (root / f"{split}2018.json").write_text(json.dumps(contents))


def official(root):
    annotated(root, "train", [(7, "train_val2018/A/1/b.jpg", 12), (3, "train_val2018/A/2/a.jpg", 4)])
    annotated(root, "val", [(7, "train_val2018/A/1/train_val2018/c.jpg", 12345)])


def test_inaturalist__official_files_whole(tmp_path):
    official(tmp_path)
    for name in ("b.jpg", "train_val2018/c.jpg"):
        (tmp_path / "2018" / "A" / "1" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "2018" / "A" / "1" / name).write_bytes(name.encode())
    photos = inaturalist_photos(str(tmp_path))
    assert photos.ids == (
        "train_val2018/A/1/b.jpg", "train_val2018/A/2/a.jpg", "train_val2018/A/1/train_val2018/c.jpg",
    )  # fmt: skip
    assert (photos.labels.names, photos.labels.values.tolist()) == (("0004", "0012", "12345"), [1, 0, 2])
    assert (photos.splits.tolist(), photos.name, photos.neighbours) == ([0, 0, 1], "inat2018", 1)
    assert (dict(photos.evidence), photos.drawn_splits) == ({"splits": "official"}, False)
    assert (photos.read(0), photos.read(2)) == (b"b.jpg", b"train_val2018/c.jpg")  # under the name of torchvision
    (tmp_path / "train_val2018").mkdir()
    assert inaturalist_photos(str(tmp_path)).source.paths == photos.ids
    assert inaturalist_2018(str(tmp_path)).source.root == str(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda root: (root / "val2018.json").write_text("{"), "(JSONDecodeError"),
        (lambda root: (root / "val2018.json").write_text("[]"), "TypeError"),
        (lambda root: annotated(root, "val", [(1, "a", 1)], annotations=[]), "KeyError: 1"),
        (lambda root: annotated(root, "val", [(1, "a", "x")]), "ValueError"),
    ],
)  # fmt: skip
def test_inaturalist__an_annotation_file_that_is_none(tmp_path, change, reason):
    official(tmp_path)
    change(tmp_path)
    with pytest.raises(DataError) as refused:
        inaturalist_photos(str(tmp_path))
    text = str(refused.value)
    assert text.startswith(f"{tmp_path}/val2018.json: not an iNaturalist 2018 annotation file (")
    assert any(part in text for part in reason.split("|"))
