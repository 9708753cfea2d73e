"""Tables to validate, of tables that are written here: from a built folder and from split files."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Value

from builders.errors import DataError
from builders.flickrexif.assemble import check_splits as module
from builders.flickrexif.assemble.check_splits import folder_tables, tables_to_check

WORDS = Value("string")
OF_CONFIG = Features(
    {"photo_id": WORDS, "make": ClassLabel(names=["Canon", "NIKON"]), "owner": WORDS, "sha256": WORDS, "url": WORDS}
)
OF_METADATA = Features(
    {
        "photo_id": WORDS, "perceptual_hash": Value("int64"), "near_duplicates": WORDS, "year": Value("int32"),
        "label_make": WORDS, "label_iso": WORDS, "label_device_type": WORDS, "software": WORDS,
    }
)  # fmt: skip


@pytest.fixture
def building(tmp_path, monkeypatch):
    """A folder with these rows by config and split, as ``read_build`` reads it."""

    def build(parts, kind="flickrexif", features=None):
        splits = []
        for config, split, rows in parts:
            name, form = f"{config}-{split}-{len(splits)}.parquet", (features or {}).get(config)
            form = form or (OF_METADATA if config == "metadata" else OF_CONFIG)
            columns = {key: [row[at] for row in rows] for at, key in enumerate(form)}
            pq.write_table(pa.table(columns, schema=form.arrow_schema), tmp_path / name)
            splits.append(SimpleNamespace(config=config, split=split, shards=[SimpleNamespace(file=name)]))
        configs = list(dict.fromkeys(config for config, *_ in parts))
        made = SimpleNamespace(kind=kind, configs=configs, splits=splits)
        monkeypatch.setattr(module, "read_build", lambda folder: made)
        return tmp_path

    return build


MAKE = [
    ("make", "train", [("1", 1, "a", "s1", "u"), ("2", 0, "b", "s2", "u")]),
    ("make", "validation", [("3", 0, "a", "", "u")]),
    ("make", "test", [("4", 1, None, None, "u"), ("9", 0, "c", "s9", "u")]),
]
METADATA = [
    ("4", -1, "n4", 2012, "NIKON", "200", "camera", "s"),
    ("3", None, None, None, "Canon", "unknown", "phone", "s"),
    ("1", 5, "", 2010, "NIKON", "other", "camera", "s"),
    ("2", 6, "n4", 2011, "Canon", "100", None, "s"),
]


def test_folder_tables__whole(building):
    folder = building([*MAKE, ("metadata", "train", METADATA), ("photos", "train", [])])
    (table,) = folder_tables(folder)
    assert (table.name, table.ids.tolist(), table.splits.tolist()) == (
        "make",
        ["1", "2", "3", "4", "9"],
        [0, 0, 1, 2, 2],
    )
    assert table.splits.dtype == np.int8
    assert table.labels.tolist() == ["NIKON", "Canon", "Canon", "NIKON", "Canon"]
    assert table.owners.tolist() == ["a", "b", "a", "", "c"]
    assert table.digests.tolist() == [b"s1", b"s2", b"", b"", b"s9"]
    assert (table.hashes.tolist(), table.hashes.dtype) == ([5, 6, 0, 2**64 - 1, 0], np.uint64)
    assert table.near.tolist() == ["", "n4", "", "n4", ""]
    assert table.years.tolist() == [2010, 2011, 0, 2012, 0]
    assert {name: words.tolist() for name, words in table.metadata.items()} == {
        "device_type": ["camera", "", "phone", "camera", ""], "iso": ["", "100", "", "200", ""],
    }  # fmt: skip
    assert list(table.metadata) == ["device_type", "iso"]


def test_folder_tables__without_the_config_of_all_photos_or_some_of_its_columns(building):
    (table,) = folder_tables(building(MAKE))
    assert (table.hashes, table.near, table.years, table.metadata) == (None, None, None, {})
    (table,) = folder_tables(building([*MAKE, ("metadata", "train", [])]))
    assert (table.hashes, table.near, table.years, table.metadata) == (None, None, None, {})
    few = Features({"photo_id": WORDS, "label_iso": WORDS})
    folder = building([*MAKE, ("metadata", "train", [("1", "100")])], features={"metadata": few})
    (table,) = folder_tables(folder)
    assert (table.hashes.tolist(), table.near, table.years.tolist()) == ([0] * 5, None, [0] * 5)
    assert table.metadata["iso"].tolist() == ["100", "", "", "", ""]


def test_folder_tables__of_several_configs_each_with_its_rows(building):
    other = Features({**OF_CONFIG, "iso": ClassLabel(names=["100", "200"])})
    del other["make"]
    rows = [("2", "b", "s2", "u", 1)]
    folder = building([*MAKE, ("iso", "test", rows), ("metadata", "train", METADATA[:2]),
                       ("metadata", "train", METADATA[2:])], features={"iso": other})  # fmt: skip
    make, iso = folder_tables(folder)
    assert (make.name, len(make.ids), iso.name, iso.ids.tolist()) == ("make", 5, "iso", ["2"])
    assert (iso.labels.tolist(), iso.splits.tolist(), list(iso.metadata)) == (["200"], [2], ["device_type", "make"])
    assert (iso.hashes.tolist(), iso.near.tolist()) == ([6], ["n4"])


def test_folder_tables__refusals(building):
    with pytest.raises(DataError) as error:
        folder_tables(building(MAKE, kind="simcams"))
    assert str(error.value) == f"{building(MAKE)}: is a build of kind 'simcams', not flickrexif"
    plain = Features({**OF_CONFIG, "make": WORDS})
    rows = [("1", "Canon", "a", "s1", "u")]
    folder = building([("make", "train", rows)], features={"make": plain})
    with pytest.raises(DataError) as error:
        folder_tables(folder)
    assert str(error.value).startswith(f"{folder}: its columns are not those of FlickrExif (")


def test_tables_to_check__folders_and_files_in_their_order(building, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "folder_tables", lambda folder: [f"{folder.name} 1", f"{folder.name} 2"])
    monkeypatch.setattr(module, "read_split_file", lambda path: path.name)
    built, given = tmp_path / "built", tmp_path / "given"
    for folder in (built, given):
        folder.mkdir()
    (built / "build.json").write_text(json.dumps({}))
    for name in ("b.csv", "a.json", "c.parquet", "notes.txt", "d.CSV"):
        (given / name).write_text("")
    assert tables_to_check([given / "notes.txt", built, given]) == [
        "notes.txt", "built 1", "built 2", "a.json", "b.csv", "c.parquet",
    ]  # fmt: skip
    assert module.SPLIT_FILE_SUFFIXES == (".json", ".csv", ".parquet")
