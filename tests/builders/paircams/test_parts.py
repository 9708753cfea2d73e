"""Pairs part by part: what a build is called with, tables and folders of pairs, and every sentence that refuses one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from types import SimpleNamespace

import datasets
import numpy as np
import pytest

from builders.dataset import BuildOptions
from builders.errors import DataError, PhotoError, UsageError
from builders.exif import Reading, acquisition_from_raw
from builders.paircams import build as pair_builds
from builders.paircams import cli
from builders.paircams.build import PAIR_FEATURES, build_paircams, cameras_hash, pair_rows
from builders.photos import PhotoSet
from builders.sources import pair_proposals, pairs
from builders.sources.pair_proposals import Proposal, ProposedPair, propose_pairs
from builders.sources.pairs import PairRow, _type_by_exif, contradicted_types, read_pair_photos
from builders.sources.repository import DatasetRepo
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


class Part(dict):
    """A split of a data set: columns of values."""

    def __init__(self, features=None, **columns):
        super().__init__(columns)
        self.column_names = list(columns)
        self.features = {name: SimpleNamespace() for name in columns} | (features or {})

    def __len__(self):
        return len(next(iter(self.values())))


@pytest.fixture
def hub(monkeypatch):
    """What ``_from_hub`` makes of a part."""
    monkeypatch.setattr(pairs, "undecoded", lambda part, column: (part, column))

    def read(part):
        monkeypatch.setattr(DatasetRepo, "load", lambda self, where: {where: part, "other": None})
        rows, source, of_study = pairs._from_hub(DatasetRepo("me/set", "v1"))
        assert (source.parts, source.column) == (((part, "image"),), "image")
        return rows, of_study

    return read


def test_hub__columns_of_a_build_and_of_the_study(hub):
    kinds = datasets.ClassLabel(names=["phone", "camera"])
    part = Part({"camera_type": kinds}, image=[0, 0], pair_id=[7, "b"], camera=["left", "right"], camera_type=[1, 0])
    assert hub(part) == ([PairRow("00000", "7", "left", "camera"), PairRow("00001", "b", "right", "phone")], False)
    text = Part(image=[0, 0], pair_id=["a", "a"], camera=["x", "y"], camera_type=["phone", None])
    assert hub(text) == ([PairRow("00000", "a", "x", "phone"), PairRow("00001", "a", "y", "")], False)
    study = Part(image=[0, 0], subject_idx=[3, 4], model=["pixel 4", None])
    assert hub(study) == ([PairRow("00000", "3", "pixel 4", ""), PairRow("00001", "4", "", "")], True)


@pytest.mark.parametrize(
    ("part", "error", "sentence"),
    [
        (Part(image=[0], pair_id=["a"], camera=["x"]), DataError,
         "hub:me/set: expected the columns image, subject_idx and model, found image, pair_id, camera"),
        (Part(image=[0, 0], pair_id=["a", None], camera=["x", "y"], camera_type=["", ""]), DataError,
         "hub:me/set: row 1 has no pair"),
        (Part(image=[0], pair_id=["a"], camera=[""], camera_type=[""]), DataError, "hub:me/set: row 0 has no camera"),
        (Part(image=[0], pair_id=["a"], camera=["x"], camera_type=["tablet"]), UsageError,
         "hub:me/set: camera_type 'tablet' is neither phone nor camera"),
    ],
)  # fmt: skip
def test_hub__rows_that_cannot_be(hub, part, error, sentence):
    with pytest.raises(error) as refused:
        hub(part)
    assert str(refused.value) == sentence


def test_types__by_exif_where_all_photos_of_a_device_agree(monkeypatch):
    rows = [PairRow(str(i), "p", camera, "") for i, camera in enumerate("aabbcd")]
    kinds = ["phone", "phone", "phone", "camera", "scanner", "camera"]
    read, types = [], {"z": "phone"}

    def read_many(photos):
        for data in photos:
            read.append(data)
            yield SimpleNamespace(acquisition=kinds[int(data)])

    monkeypatch.setattr(pairs, "read_many", read_many)
    monkeypatch.setattr(pairs, "device_type", lambda acquisition: acquisition)
    source = SimpleNamespace(read=lambda row: str(row).encode())
    _type_by_exif(rows, [0, 1, 2, 3, 4, 5], source, types)
    assert (types, read) == ({"z": "phone", "a": "phone", "d": "camera"}, [b"0", b"1", b"2", b"3", b"4", b"5"])

    def unreadable(row):
        raise PhotoError("gone")

    assert pairs._bytes_if_readable(SimpleNamespace(read=unreadable), 3) == b""


def test_contradicted__photos_whose_exif_says_another_type(monkeypatch):
    photos = PhotoSet.of_bytes("set", {f"{i}.jpg": str(i).encode() for i in range(4)})
    stated = {"camera_type": np.array(["phone", "phone", "camera", "phone"])}
    exif_types = ["camera", "phone", "phone", "scanner"]
    monkeypatch.setattr(pairs, "read_many", lambda data: [SimpleNamespace(acquisition=int(one)) for one in data])
    monkeypatch.setattr(pairs, "device_type", lambda number: exif_types[number])
    assert contradicted_types(dataclasses.replace(photos, columns=stated).select([0, 1, 2, 3])) == ["0.jpg", "2.jpg"]
    backwards = dataclasses.replace(photos, columns=stated).select([3, 2, 1, 0])
    assert contradicted_types(backwards) == ["2.jpg", "0.jpg"]


def test_build__passes_on_every_option(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(pair_builds, "build_data_set", lambda *given, **named: calls.append((given, named)) or "built")
    monkeypatch.setattr(pair_builds, "finish_folder", lambda output, **named: (output, named))
    photos = read_pair_photos(listed(tmp_path / "set", *PAIRS))
    options = {"workers": 3, "license": "mit", "fresh": True, "ignore_space": True, "progress": False}
    assert build_paircams(photos, tmp_path / "out", **options) == "built"
    build_paircams(photos, tmp_path / "out", update=True)
    ((jobs, given, finish), named), (_, update) = calls[0], (None, calls[1][0][1])
    assert given == BuildOptions(tmp_path / "out", 3, True, True, False, False)
    assert update == BuildOptions(tmp_path / "out", 1, False, False, True, True)
    assert named == {"name": "paircams", "item": "pair could be used", "sample": 8, "estimate": False}
    (job,) = jobs
    assert (job.output, job.config, job.split, job.features) == (tmp_path / "out", "pairs", "test", PAIR_FEATURES)
    assert (job.ids, job.make_rows) == (("p", "q"), pair_rows(photos))
    assert job.recipe == {"photos": photos.ids_hash(), "cameras": cameras_hash(photos)}
    assert job.rows_recipe == {"camera_types": ("phone", "camera")}
    split = SimpleNamespace(rows=7)
    output, finished = finish([split], {"pairs/test": 5})
    card = finished.pop("card")
    assert (output, finished.pop("splits")) == (tmp_path / "out", [split])
    assert finished.pop("features") == {"pairs": PAIR_FEATURES}
    assert finished.pop("pixels").allowed
    assert finished == {
        "kind": "paircams",
        "default": "pairs",
        "recipe": {
            "source": "paircams", "source_evidence": dict(photos.evidence), "ids_hash": photos.ids_hash(),
            "items_per_shard": {"pairs/test": 5},
        },
    }  # fmt: skip
    assert (card.template, card.license, card.context) == ("paircams.md.jinja", "mit", {"photos": photos, "pairs": 3})
    assert card.tags == ("image-retrieval", "camera", "acquisition-traces")
    assert (card.task_categories, card.source_datasets) == (("image-feature-extraction",), ())
    assert card.pretty_name == "Pairs of photos by a phone and by an older camera"


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


def test_builder__ranges_of_pairs(monkeypatch):
    monkeypatch.setattr(cli, "read_pair_photos", lambda source, **named: (source, named))
    monkeypatch.setattr(cli, "pair_rows", lambda photos: SimpleNamespace(pairs=range(130), photos=photos))
    config = SimpleNamespace(source="s", phones=("a",), cameras=("b",))
    (split,) = cli.PairCams._split_generators(SimpleNamespace(config=config), None)
    assert split.name == "test"
    assert split.gen_kwargs["ranges"] == [(0, 64), (64, 128), (128, 130)]
    assert split.gen_kwargs["rows"].photos == ("s", {"phones": ("a",), "cameras": ("b",)})


def test_propose__photos_by_time(tmp_path, monkeypatch):
    """Times of the names; the camera's clock is 100 s ahead, and files are not in the order of time."""
    names = {"phone": ("b0", "a600", "c2000", "none"), "camera": ("x705", "y100", "z9999", ".hidden100")}
    for kind, files in names.items():
        (tmp_path / kind).mkdir()
        for name in files:
            (tmp_path / kind / f"{name}.jpg").write_bytes(b"x")

    def read(paths):
        for path in paths:
            digits = "".join(filter(str.isdigit, path.stem))
            seconds = int(digits or 0)
            time = f"2024:05:01 {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
            raw = {**({"DateTimeOriginal": time} if digits else {}), **({"Model": "M1"} if digits == "0" else {})}
            yield Reading(acquisition_from_raw(raw), None)

    monkeypatch.setattr(pair_proposals, "read_many", read)
    assert propose_pairs(tmp_path) == Proposal(
        (
            ProposedPair("phone/b0.jpg", "camera/y100.jpg", ("M1", "camera"), -2.5),
            ProposedPair("phone/a600.jpg", "camera/x705.jpg", ("phone", "camera"), 2.5),
        ),
        102.5, 2, 1,
    )  # fmt: skip
    (tmp_path / "camera").rename(tmp_path / "cameras")
    with pytest.raises(DataError) as refused:
        propose_pairs(tmp_path)
    assert str(refused.value) == f"{tmp_path}: --propose expects the folders phone/ and camera/, one for each card"
    (tmp_path / "camera").mkdir()
    with pytest.raises(DataError) as refused:
        propose_pairs(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}: no photo by the phone and photo by the camera have times in their Exif that fit"
    )
