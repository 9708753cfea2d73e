"""Pairs part by part: what a build is called with, tables and folders of pairs, and every sentence that refuses one."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from builders.errors import DataError, UsageError
from builders.paircams.build import cameras_hash, pair_rows
from builders.sources import read_pair_photos
from tests.support.images import image_bytes

HEADER = "file,pair_id,camera,camera_type"


def listed(root, *lines, header=HEADER):
    root.mkdir(exist_ok=True)
    (root / "pairs.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return str(root)


PAIRS = "b.jpg,p,left,Phone", "a.jpg, p ,right,camera", "c.jpg,q,right,camera", "d.jpg,q,left,phone"


def test_photos__of_a_table_whole(tmp_path):
    source = listed(tmp_path / "set", *PAIRS, "e.jpg,r,left,phone")
    for name in "abcd":
        (tmp_path / "set" / f"{name}.jpg").write_bytes(name.encode())
    photos = read_pair_photos(f"folder:{source}")
    assert (photos.name, photos.ids) == ("paircams", ("b.jpg", "a.jpg", "d.jpg", "c.jpg"))
    assert {name: column.tolist() for name, column in photos.columns.items()} == {
        "pair_id": ["p", "p", "q", "q"], "camera": ["left", "right", "left", "right"],
        "camera_type": ["phone", "camera", "phone", "camera"],
    }  # fmt: skip
    assert (photos.splits.tolist(), photos.rows.tolist()) == ([2] * 4, [0, 1, 3, 2])
    assert (photos.labels.names, photos.labels.values.tolist()) == ((), [-1] * 4)
    assert dict(photos.evidence) == {
        "splits": "every pair is test data", "cameras": "left, right",
        "left out": "1 photos without their other half (for example e.jpg)",
    }  # fmt: skip
    assert [photos.read(i) for i in range(4)] == [b"b", b"a", b"d", b"c"]
    assert cameras_hash(photos) == hashlib.sha256(
        json.dumps([photos.columns[name].tolist() for name in ("pair_id", "camera", "camera_type")]).encode()
    ).hexdigest()[:16]  # fmt: skip


def test_photos__of_folders(tmp_path):
    for name in ("phone/x.jpg", "phone/.hidden", "phone/only.jpg", "camera/x.png", "other/y.jpg"):
        (tmp_path / "two" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "two" / name).write_bytes(name.encode())
    photos = read_pair_photos(str(tmp_path / "two"))
    assert photos.ids == ("phone/x.jpg", "camera/x.png")
    assert photos.columns["pair_id"].tolist() == ["x", "x"]
    assert photos.evidence["left out"] == "1 photos without their other half (for example phone/only.jpg)"
    for name in ("a/PHONE.jpg", "a/camera.heic", "a/notes.txt", "b/phone.jpg", "loose.jpg"):
        (tmp_path / "each" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "each" / name).write_bytes(name.encode())
    photos = read_pair_photos(str(tmp_path / "each"))
    assert photos.ids == ("a/PHONE.jpg", "a/camera.heic")
    assert photos.columns["camera"].tolist() == ["PHONE", "camera"]
    assert photos.columns["camera_type"].tolist() == ["phone", "camera"]


NO_PAIR = (
    "A pair is one photo by a phone and one by a camera of one pair_id; a folder holds pairs.csv with the columns "
    "file, pair_id, camera and camera_type; or phone/ and camera/ with files of the same name; or one folder per pair "
    "with a file phone.* and a file camera.*. For photos straight off two cards 'camtrace build paircams --propose' "
    "pairs them by time"
)


@pytest.mark.parametrize(
    ("lines", "error", "sentence"),
    [
        (("a.jpg,p,left,phone",), DataError,
         "{0}: no pair there (1 photos without their other half (for example a.jpg)). " + NO_PAIR),
        ((), DataError, "{0}: no pair there. " + NO_PAIR),
        ((*PAIRS, "b.jpg,z,left,phone"), DataError, "{0}/pairs.csv: a file stands there twice"),
        (("a.jpg,p,left,phone", "b.jpg,,x,"), DataError, "{0}/pairs.csv, line 3: file, pair_id and camera are needed"),
        ((",p,x,",), DataError, "{0}/pairs.csv, line 2: file, pair_id and camera are needed"),
        (("a.jpg,p, ,",), DataError, "{0}/pairs.csv, line 2: file, pair_id and camera are needed"),
        (("/a.jpg,p,x,",), DataError, "{0}/pairs.csv, line 2: '/a.jpg' points outside the folder"),
        (("b/../../a.jpg,p,x,",), DataError, "{0}/pairs.csv, line 2: 'b/../../a.jpg' points outside the folder"),
        (("a.jpg,p,x,phones",), UsageError, "{0}/pairs.csv, line 2: camera_type 'phones' is neither phone nor camera"),
    ],
)  # fmt: skip
def test_table__that_cannot_be(tmp_path, lines, error, sentence):
    source = listed(tmp_path / "set", *lines)
    with pytest.raises(error) as refused:
        read_pair_photos(source)
    assert str(refused.value) == sentence.format(source)
    with pytest.raises(DataError) as refused:
        read_pair_photos(f"{source}/none")
    assert str(refused.value) == f"{source}/none: no such folder"


def test_rows__both_photos_whole(tmp_path):
    photos = read_pair_photos(listed(tmp_path / "set", "d/b.png,p,left,phone", "a.png,p,right,camera"))
    (tmp_path / "set" / "d").mkdir()
    data = [image_bytes(np.full((3, 5 + i, 3), i, np.uint8)) for i in range(2)]
    for name, content in zip(("d/b.png", "a.png"), data, strict=True):
        (tmp_path / "set" / name).write_bytes(content)
    rows = pair_rows(photos)
    expected = [
        {
            "image": {"bytes": content, "path": name.rpartition("/")[2]}, "pair_id": "p", "camera": camera,
            "camera_type": code, "photo_id": name, "sha256": hashlib.sha256(content).hexdigest(),
            "source_quality": None, "source_subsampling": None, "width": 5 + code, "height": 3,
        }
        for code, (name, camera, content) in enumerate(zip(("d/b.png", "a.png"), ("left", "right"), data, strict=True))
    ]  # fmt: skip
    assert rows(0) == expected
    assert rows.again(0, expected) == expected
    assert (rows.name(0), rows.id_column, len(rows.pairs)) == ("pair p", "pair_id", 1)
