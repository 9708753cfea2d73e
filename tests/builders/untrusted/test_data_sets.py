"""Untrusted data sets: nothing outside them is read, no read waits, and errors name what is wrong."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Image, Value

from builders.errors import DataError, PhotoError
from builders.sources import read_hub_photos
from builders.untrusted import check_data_set, read_image_cell
from builders.untrusted.data_sets import check_card
from tests.conftest import photo_bytes

PHOTO = photo_bytes(1)


def data_set(folder, rows, *, names=("cat", "dog"), card="", ids=False):
    """A local data set of one Parquet file with the columns image and label."""
    features = {"image": Image(), "label": ClassLabel(names=list(names))}
    features |= {"photo_id": Value("string")} if ids else {}
    schema = Features(features).arrow_schema
    (folder / "data").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "data" / "train-00000-of-00001.parquet")
    if card:
        (folder / "README.md").write_text(f"---\n{card}\n---\n\ntext\n")
    return str(folder)


def row(label=0, **more):
    return {"image": {"bytes": PHOTO, "path": "a.jpg"}, "label": label, **more}


def test_hub_photos__a_path_in_a_row_is_read_inside_the_data_set_only(tmp_path):
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(PHOTO)
    changed = tmp_path / "set" / "own.jpg"
    paths = [
        str(changed),
        str(secret),
        "/dev/zero",
        "https://example.org/a.jpg",
        "set/own.jpg",
        f"{tmp_path}/set/../secret.jpg",
    ]
    rows = [{"image": {"bytes": None, "path": path}, "label": 0} for path in paths] + [row()]
    photos = read_hub_photos(data_set(tmp_path / "set", rows))
    changed.write_bytes(PHOTO)
    read = {}
    for i, name in enumerate((*paths, "bytes")):
        try:
            read[name] = photos.read(i)
        except PhotoError as error:
            read[name] = str(error)
    assert read.pop(str(changed)) == PHOTO
    assert read.pop("bytes") == PHOTO
    assert len(read) == 5
    assert all(reason.startswith("the row names a file outside the data set") for reason in read.values())


def test_read_image_cell__other_cells_are_refused(tmp_path):
    root = (str(tmp_path),)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/hostname")
    assert read_image_cell({"bytes": b"x", "path": "/etc/hostname"}, root) == b"x"
    for cell, why in (
        (None, "no image"),
        ("/etc/passwd", "image"),
        ({"bytes": "text", "path": None}, "image"),
        ({"bytes": None, "path": None}, "neither"),
        ({"bytes": None, "path": 5}, "neither"),
        ({"bytes": None, "path": str(tmp_path / "pipe")}, "not a regular file"),
        ({"bytes": None, "path": str(tmp_path / "link")}, "outside"),
        ({"bytes": None, "path": f"{tmp_path}-beside/x"}, "outside"),
        ({"bytes": None, "path": "a\0b"}, "outside"),
    ):
        with pytest.raises(PhotoError, match=why):
            read_image_cell(cell, root)


@pytest.mark.parametrize(
    "data_files",
    [
        "../other.parquet",
        "/etc/passwd",
        "https://example.org/a.parquet",
        "hf://datasets/a/b/c.parquet",
        "zip://a.csv::https://example.org/a.zip",
        "a/../../b.csv",
        "C:\\secret.csv",
        "~/secret.csv",
        ["data/a.parquet", "/b"],
        [{"split": "train", "path": ["data/*.parquet", "..\\b"]}],
        {"train": "../a"},
    ],
)
def test_check_card__data_outside_are_refused(data_files):
    with pytest.raises(DataError):
        check_card({"configs": [{"config_name": "a"}, {"config_name": "b", "data_files": data_files}]}, "README.md")


def test_check_card__data_inside(tmp_path):
    check_card(
        {"configs": [{"data_files": [{"split": "https://x", "path": "data/train-*.parquet"}], "data_dir": "a"}]}, ""
    )
    check_card(None, "")
    check_card({"configs": "none"}, "")


def test_data_set__a_card_that_points_elsewhere_is_refused_before_data_are_loaded(tmp_path):
    (tmp_path / "other.parquet").write_bytes(b"")
    card = "configs:\n- config_name: default\n  data_files: ../other.parquet"
    with pytest.raises(DataError, match=r"'\.\./other\.parquet'"):
        read_hub_photos(data_set(tmp_path / "set", [row()], card=card))


@pytest.mark.parametrize("end", ["---", "--- ", "---\t\n", "--- \r\n# text"])
@pytest.mark.parametrize("begin", ["---\n", "\n\n---\r\n", "---\r"])
def test_data_set__a_card_is_recognised_as_the_library_does(tmp_path, begin, end):
    """With a space after its end a pattern of this project saw no card, and the library followed the paths in it."""
    folder = data_set(tmp_path / "set", [row()])
    (tmp_path / "other.parquet").write_bytes(b"")
    card = f"{begin}configs: [{{config_name: default, data_files: ../other.parquet}}]\n{end}"
    (tmp_path / "set" / "README.md").write_bytes(card.encode())
    with pytest.raises(DataError):
        read_hub_photos(folder)


def test_data_set__an_alias_bomb_in_the_card_is_one_sentence(tmp_path):
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    with pytest.raises(DataError, match="an alias"):
        read_hub_photos(data_set(tmp_path / "set", [row()], card="\n".join(lines)))


def test_data_set__pipes_and_links_that_leave_it_are_refused(tmp_path):
    for name, make, why in (
        ("pipe", os.mkfifo, "neither"),
        ("zero", lambda p: p.symlink_to("/dev/zero"), "leaves"),
        ("gone", lambda p: p.symlink_to("nothing"), "a link to nothing"),
    ):
        folder = tmp_path / name
        data_set(folder, [row()])
        make(folder / "data" / "x.parquet")
        with pytest.raises(DataError, match=why):
            check_data_set(str(folder))


def test_hub_photos__null_ids_double_ids_and_labels_out_of_range_are_named(tmp_path):
    ids = [row(photo_id="a"), row(photo_id="b")]
    assert read_hub_photos(data_set(tmp_path / "good", ids, ids=True)).ids == ("train/a", "train/b")
    with pytest.raises(DataError, match="photo_id"):
        read_hub_photos(data_set(tmp_path / "null", [ids[0], row(photo_id=None)], ids=True))
    with pytest.raises(DataError, match="'train/a'"):
        read_hub_photos(data_set(tmp_path / "double", [ids[0], ids[0]], ids=True))
    assert read_hub_photos(data_set(tmp_path / "labels", [row(1), row(-1), row(None)])).labels.values.tolist() == [
        1,
        -1,
        -1,
    ]


def test_hub_photos__a_label_beyond_the_classes_is_refused(tmp_path):
    folder = tmp_path / "set"
    data_set(folder, [row(0), row(0)])
    file = folder / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(file)
    pq.write_table(table.set_column(1, table.schema.field("label"), pa.array([0, 7])), file)
    with pytest.raises(DataError):
        read_hub_photos(str(folder))


def test_hub_photos__names_with_terminal_commands_are_escaped(tmp_path):
    photos = read_hub_photos(
        data_set(tmp_path / "set", [row(photo_id="\x1b[31m")], names=["c\u202eat", "dog"], ids=True)
    )
    assert photos.ids == ("train/\\x1b[31m",)
    assert photos.labels.names == ("c\\u202eat", "dog")
    assert json.dumps(photos.ids).isascii()
