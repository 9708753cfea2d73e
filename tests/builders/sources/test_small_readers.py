"""iNaturalist, the sample and remote folders: whole sets, and every sentence that refuses one."""

from __future__ import annotations

import json

import pytest

from builders.errors import DataError
from builders.photos import hash64
from builders.sources import inaturalist, inaturalist_photos
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


@pytest.mark.parametrize("name", ["/etc/passwd", "train_val2018/../../x.jpg", ".."])
def test_inaturalist__paths_outside_the_folder(tmp_path, name):
    official(tmp_path)
    annotated(tmp_path, "train", [(1, name, 1)])
    with pytest.raises(DataError) as refused:
        inaturalist_photos(str(tmp_path))
    assert str(tmp_path) in str(refused.value)


def test_inaturalist__folders_alone_are_split_by_seed(tmp_path):
    names = [f"{group}/{species}/{i}.jpg" for group, species in (("B", "7"), ("A", "x1")) for i in range(40)]
    for name in (*names, "A/x1/.hidden", "A/loose.jpg", "loose.jpg"):
        (tmp_path / "2018" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "2018" / name).write_bytes(name.encode())
    photos = inaturalist_photos(str(tmp_path), seed=3)
    assert photos.ids == tuple(f"train_val2018/{name}" for name in sorted(names))
    assert photos.labels.names == ("0007", "x1")
    assert photos.evidence["splits"] == (
        "no annotation files: seeded split of each species, seed 3, 0.05 of the photos for val"
    )
    val = {photos.ids[i] for i in photos.indices("val")}
    expected = set()
    for part in ("/A/", "/B/"):
        members = sorted((i for i in photos.ids if part in i), key=lambda i: hash64(f"split\x003\x00{i}"))
        expected |= set(members[:2])  # 0.05 of 40
    assert val == expected
    assert (photos.drawn_splits, photos.name, photos.neighbours) == (True, "inat2018", 1)
    assert photos.read(0) == sorted(names)[0].encode()


def test_inaturalist__places_without_photos(tmp_path):
    for place, sentence in (
        (tmp_path / "no", "{0}: no such folder"),
        (tmp_path, "{0}: expected the folder train_val2018 or 2018 with the photos in it"),
    ):
        with pytest.raises(DataError) as refused:
            inaturalist_photos(str(place))
        assert str(refused.value) == sentence.format(place)
    (tmp_path / "train_val2018" / "A").mkdir(parents=True)
    (tmp_path / "train_val2018" / "A" / "x.jpg").write_bytes(b"x")
    with pytest.raises(DataError) as refused:
        inaturalist_photos(str(tmp_path))
    assert str(tmp_path) in str(refused.value)
    assert inaturalist.VAL_SHARE == 0.05
