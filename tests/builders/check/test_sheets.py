"""Contact sheets of tables that are written here, compared with plain loops; pictures are decoded in this process."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Image, Value
from PIL import Image as Pictures

from builders.check.report import sheets
from builders.check.report.sheets import MAX_CLASSES, MAX_SHEETS, PHOTOS_OF_CLASS, contact_sheets
from builders.photos import hash64

WORDS = Value("string")


def encoded(number: int, kind: str = "PNG", size: tuple[int, int] = (8, 8)) -> bytes:
    stream = io.BytesIO()
    Pictures.new("RGB", size, (number, 255 - number, 128)).save(stream, kind)
    return stream.getvalue()


def write(folder, name, columns, features, group_rows=None):
    table = pa.table(columns, schema=Features(features).arrow_schema)
    pq.write_table(table, folder / name, row_group_size=group_rows)
    return SimpleNamespace(file=name)


def build_of(shards: dict, default: str = "jpeg"):
    """A build with the shards of each (config, split)."""
    splits = [SimpleNamespace(config=c, split=s, shards=files) for (c, s), files in shards.items()]
    return SimpleNamespace(configs=list(dict.fromkeys(c for c, _ in shards)), default=default, splits=splits)


def images(numbers) -> list:
    return [{"bytes": encoded(n), "path": None} for n in numbers]


def colour(thumbnail) -> int:
    picture = Pictures.open(io.BytesIO(base64.b64decode(thumbnail.jpeg)))
    return int(np.asarray(picture, dtype=float)[..., 0].mean().round())


FEATURES = {"photo_id": WORDS, "image": Image(), "jpeg": ClassLabel(names=["low", "mid", "high"]), "attribution": WORDS}


@pytest.mark.slow
def test_sheets__rows_classes_and_pictures_are_those_of_a_plain_loop(tmp_path):
    """Rows without a class, of an id in two rows and without an id; two shards with row groups of four."""
    rng = np.random.default_rng(0)
    ids = [f"p{i}" for i in range(38)]
    ids[7] = ids[30] = ids[3]
    ids[11] = ids[12] = None
    classes = rng.choice([-1, 0, 1, 1, 2, 3], 38).tolist()
    classes[3] = classes[7] = classes[30] = classes[11] = classes[12] = 1
    credits = [None if i % 3 else f"by {i}" for i in range(38)]
    columns = [ids, images(6 * i for i in range(38)), classes, credits]
    shards = [
        write(tmp_path, name, dict(zip(FEATURES, (c[a:b] for c in columns), strict=True)), FEATURES, 4)
        for name, a, b in (("a.parquet", 0, 23), ("b.parquet", 23, 38))
    ]
    build = build_of({("jpeg", "train"): shards[:1], ("jpeg", "test"): shards[1:]})
    (sheet,) = contact_sheets(tmp_path, build, progress=False)
    assert (sheet.config, sheet.column, sheet.count) == ("jpeg", "jpeg", 3)
    members = {name: [i for i in range(38) if classes[i] == code] for code, name in enumerate(("low", "mid", "high"))}
    assert [(c.name, c.rows) for c in sheet.classes] == sorted(
        ((name, len(rows)) for name, rows in members.items()),
        key=lambda pair: (-pair[1], pair[0]),
    )
    for part in sheet.classes:
        first = {}  # the first row of each id; rows without an id are photos of their own
        for i in members[part.name]:
            first.setdefault(ids[i] or i, i)
        drawn = sorted(first.values(), key=lambda i: (hash64(ids[i] or ""), i))[:PHOTOS_OF_CLASS]
        assert [(p.photo_id, p.split, p.credit) for p in part.photos] == [
            (ids[i] or "", "train" if i < 23 else "test", credits[i] or "") for i in drawn
        ]
        assert [colour(p) for p in part.photos] == pytest.approx([6 * i for i in drawn], abs=3)


@pytest.mark.slow
def test_sheets__of_many_row_groups_those_evenly_spread_are_read_and_other_classes_from_theirs(tmp_path):
    features = {"photo_id": WORDS, "image": Image(), "jpeg": ClassLabel(names=["usual", "rare"])}
    columns = {
        "photo_id": [f"p{i}" for i in range(40)],
        "image": images(range(40)),
        "jpeg": [int(i in (1, 3, 4, 6, 8, 9, 11)) for i in range(40)],
    }
    build = build_of({("jpeg", "train"): [write(tmp_path, "a.parquet", columns, features, 1)]})
    (sheet,) = contact_sheets(tmp_path, build, progress=False)
    read = {39 * k // 15 for k in range(16)}
    usual, rare = sheet.classes
    drawn = sorted((f"p{i}" for i in read - {1, 3, 4, 6, 8, 9, 11}), key=hash64)[:PHOTOS_OF_CLASS]
    assert [p.photo_id for p in usual.photos] == drawn
    spread = read & {1, 3, 4, 6, 8, 9, 11}
    without = [f"p{i}" for i in (1, 3, 4, 6, 8, 9)]  # none of them read: the first six
    expected = [f"p{i}" for i in spread] if spread else without
    assert [p.photo_id for p in rare.photos] == sorted(expected, key=hash64)
    assert (usual.rows, rare.rows) == (33, 7)


@pytest.mark.slow
def test_sheets__the_most_frequent_classes_equal_ones_by_name_and_long_texts_are_cut(tmp_path):
    names = [f"c{i:02d}" for i in range(20)] + ["x" * 300]
    words = [*names, "c17", "c17", "c03", "", None, *["x" * 300] * 5]
    columns = {
        "photo_id": ["i" * 250 + str(i) for i in range(len(words))],
        "image": images(range(len(words))),
        "camera": words,
        "attribution": ["<a>\n" + "y" * 400] * len(words),
    }
    features = {"photo_id": WORDS, "image": Image(), "camera": WORDS, "attribution": WORDS}
    build = build_of({("jpeg", "train"): [write(tmp_path, "a.parquet", columns, features)]})
    (sheet,) = contact_sheets(tmp_path, build, progress=False)
    listed = ["x" * 200, "c17", "c03", *[f"c{i:02d}" for i in (0, 1, 2, 4, 5, 6, 7, 8, 9)]]
    assert [c.name for c in sheet.classes] == listed[:MAX_CLASSES]
    assert (sheet.column, sheet.count, [c.rows for c in sheet.classes[:4]]) == ("camera", 21, [6, 3, 2, 1])
    photo = sheet.classes[1].photos[0]
    assert len(photo.photo_id) == 200
    assert (len(photo.credit), "\n" in photo.credit) == (300, False)


def columns_of(tmp_path, configs: dict, default: str) -> list:
    """(config, column) of each sheet where all tables have one row."""
    shards = {}
    for config, names in configs.items():
        features = {name: Image() if name == "image" else WORDS for name in ("photo_id", *names)}
        row = {name: images([1]) if name == "image" else ["one"] for name in features}
        shards[config, "train"] = [write(tmp_path, f"{config}.parquet", row, features)]
    return [(s.config, s.column) for s in contact_sheets(tmp_path, build_of(shards, default), progress=False)]


@pytest.mark.slow
def test_sheets__one_for_each_config_then_label_and_device_of_the_default_one(tmp_path):
    every = ("image", "label", "camera_model", "camera", "camera_type")
    assert columns_of(tmp_path, {"a": ("image", "a", "label"), "b": ("image", "b", "camera")}, "b") == [
        ("a", "a"), ("b", "b"), ("b", "camera"),
    ]  # fmt: skip
    # no pictures, no column of its name, and the config that has all photos
    assert columns_of(tmp_path, {"a": ("a", "label"), "b": ("image",), "photos": ("image", "photos")}, "a") == []
    many = {name: ("image", name, *every[1:]) for name in "abcdefg"}
    assert columns_of(tmp_path, many, "c") == [("a", "a"), ("b", "b"), *[("c", name) for name in every[1:]]]
    plain = {name: ("image", name) for name in "abcdefg"}
    assert columns_of(tmp_path, plain, "c") == [(name, name) for name in "abcdef"][:MAX_SHEETS]


def test_sheets__of_a_build_whose_photos_have_no_class_there_is_none(tmp_path):
    features = {"photo_id": WORDS, "image": Image(), "jpeg": ClassLabel(names=["low"]), "camera": WORDS}
    columns = {"photo_id": ["a"], "image": images([1]), "jpeg": [-1], "camera": [None]}
    build = build_of({("jpeg", "train"): [write(tmp_path, "a.parquet", columns, features)]})
    assert contact_sheets(tmp_path, build, progress=False) == ()


def jpeg(mode: str, tables=None, **options) -> bytes:
    stream = io.BytesIO()
    Pictures.new(mode, (300, 200)).save(stream, "JPEG", **options, **({"qtables": tables} if tables else {}))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "codec", "size"),
    [
        (jpeg("RGB", quality=90, subsampling="4:2:0"), "JPEG, quality 90, 4:2:0", (112, 75)),
        (jpeg("RGB", quality=40, subsampling="4:4:4"), "JPEG, quality 40, 4:4:4", (112, 75)),
        (jpeg("L", quality=70), "JPEG, quality 70, grey", (112, 75)),
        (
            jpeg("RGB", [[3] * 64, [7] * 64], subsampling="4:2:2"), "JPEG, quality of other tables, 4:2:2",
            (112, 75),
        ),
        (encoded(1, "WEBP", (20, 60)), "WEBP", (20, 60)),
        (encoded(1, "PNG", (50, 600)), "PNG", (9, 112)),
    ],
)  # fmt: skip
def test_thumbnail__codec_and_size(data, codec, size):
    made = sheets.thumbnail_in_worker(data)
    assert (made["codec"], made["width"], made["height"]) == (codec, *size)
    assert Pictures.open(io.BytesIO(base64.b64decode(made["jpeg"]))).size == size
