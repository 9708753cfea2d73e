"""Paths that are taken seldom, each by a direct call."""

import io
import tarfile
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from builders.errors import DataError, UsageError
from builders.photos import UNLABELLED
from builders.photos.stamps import file_stamp
from builders.sources.cameras.archives import ArchiveSource, _archive_entries
from builders.sources.columns.layouts import _header
from builders.sources.columns.tables import _parquet_table
from builders.sources.hub_data_sets import _labels, _only
from builders.sources.imagenet import DEVKIT_FOLDER, DEVKIT_TAR, VAL_TAR, _devkit_file
from builders.sources.inaturalist import OFFICIAL_FOLDER, inaturalist_photos


def test_header__of_a_table_and_none_where_there_is_none(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbf id , la\x1bbel\n1,2\n")
    assert _header(tmp_path / "a.csv") == ["id", r"la\x1bbel"]
    assert _header(tmp_path / "none.csv") == []
    assert _header(tmp_path) == []


def test_parquet_table__the_columns_that_are_wanted_and_the_names_of_all(tmp_path):
    import pyarrow.parquet

    table = pa.table({"id": ["a", None], "label": [1, 2], "more": [0.5, 0.25]})
    pyarrow.parquet.write_table(table, tmp_path / "t.parquet")
    made = _parquet_table(tmp_path / "t.parquet", ["label", "id", "label", "absent"])
    assert (made.name, made.columns) == ("t.parquet", {"label": ["1", "2"], "id": ["a", None]})
    assert (made.names, made.rows) == (("id", "label", "more"), 2)
    pyarrow.parquet.write_table(pa.table({"image": [b"x"]}), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"the column image holds binary, not text or numbers: a table with pictures"):
        _parquet_table(tmp_path / "p.parquet", ["image"])


def test_only__the_column_of_a_kind():
    features = {"a": SimpleNamespace(), "b": SimpleNamespace(), "c": datetime(2026, 1, 1)}
    assert _only(features, "datetime", "x/y", "image") == "c"
    assert _only(features, "Image", "x/y", "image", required=False) is None
    with pytest.raises(UsageError, match=r"^hub:x/y has no Image column among a, b, c: say which one \(\?image=...\)$"):
        _only(features, "Image", "x/y", "image")
    for required in (True, False):
        with pytest.raises(UsageError, match=r"^hub:x/y has columns a, b: say which one \(\?label=...\)$"):
            _only(features, "SimpleNamespace", "x/y", "label", required=required)


def test_labels__of_no_column_of_classes_and_of_texts():
    none = _labels([1, 2], None)
    assert (none.names, none.values.dtype, none.values.tolist()) == ((), np.int32, [UNLABELLED] * 2)
    classes = _labels([1, -1, 0], SimpleNamespace(names=["cat", "dog"]))
    assert (classes.names, classes.values.tolist()) == (("cat", "dog"), [1, UNLABELLED, 0])
    texts = _labels(["b", None, 3, "b"], SimpleNamespace())
    assert (texts.names, texts.values.tolist()) == (("3", "b"), [1, UNLABELLED, 0, 1])


def test_devkit__a_file_unpacked_packed_or_not_there(tmp_path):
    with pytest.raises(DataError, match=rf"{VAL_TAR} needs {DEVKIT_TAR} next to it, with the classes"):
        _devkit_file(tmp_path, "data/meta.mat")
    with tarfile.open(tmp_path / DEVKIT_TAR, "w:gz") as tar:
        for name, data in (("data/meta.mat", b"packed"),):
            info = tarfile.TarInfo(f"{DEVKIT_FOLDER}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        folder = tarfile.TarInfo(f"{DEVKIT_FOLDER}/folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    assert _devkit_file(tmp_path, "data/meta.mat") == b"packed"
    with pytest.raises(DataError, match=r"folder is not in it$"):
        _devkit_file(tmp_path, "folder")
    with pytest.raises(DataError, match=r"cannot be read \("):
        _devkit_file(tmp_path, "absent")
    (tmp_path / DEVKIT_FOLDER / "data").mkdir(parents=True)
    (tmp_path / DEVKIT_FOLDER / "data" / "meta.mat").write_bytes(b"unpacked")
    assert _devkit_file(tmp_path, "data/meta.mat") == b"unpacked"


def test_archives__files_of_a_tar_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "a.tar"
    with tarfile.open(file, "w") as tar:
        for name in ("D02/b.jpg", "D01/c.jpg", "D01/a.jpg"):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    entries = _archive_entries(file, "a.tar", "vision")
    assert [entry.path for entry in entries] == ["D01/a.jpg", "D01/c.jpg", "D02/b.jpg"]
    assert [file.read_bytes()[entry.offset :][: entry.size].decode() for entry in entries] == [
        "D01/a.jpg", "D01/c.jpg", "D02/b.jpg",
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"^vision:b.tar.gz: a photo in such an archive is found only by unpacking it"):
        _archive_entries(file, "b.tar.gz", "vision")


def test_inaturalist__photos_of_a_folder_by_the_whole_of_their_names(tmp_path):
    """Also where that is not the order of the folders: a hyphen comes before a slash."""
    names = ["Birds/2/a.jpg", "Birds-of-prey/1/b.jpg", "Birds/10/c.jpg", "Ants/zz/d.jpg"]
    for name in names:
        file = tmp_path / OFFICIAL_FOLDER / name
        file.parent.mkdir(parents=True)
        file.write_bytes(b"")
    photos = inaturalist_photos(str(tmp_path))
    assert photos.ids == tuple(f"{OFFICIAL_FOLDER}/{name}" for name in sorted(names))
    assert [photos.labels.names[value] for value in photos.labels.values] == ["zz", "0001", "0010", "0002"]


def test_archives__stamps_of_a_selection_are_those_of_its_photos(tmp_path):
    for name in ("a.tar", "b.zip"):
        (tmp_path / name).write_bytes(name.encode())
    paths = tuple(str(tmp_path / name) for name in ("a.tar", "b.zip"))
    numbers = [np.array(part) for part in ([0, 1, 1, 0], [512, 0, 99, 2048], [7, 8, 9, 10], [7, 8, 90, 10])]
    source = ArchiveSource(paths, *numbers, np.zeros(4, np.int16), np.zeros(4, np.int64))
    (a, b) = (file_stamp(path).text for path in paths)
    every = [f"{a} 512+7", f"{b} 0+8", f"{b} 99+9", f"{a} 2048+10"]
    for rows in ([0, 1, 2, 3], [3, 1], [2]):
        assert [stamp.text for stamp in source.stamps(np.array(rows))] == [every[row] for row in rows]
