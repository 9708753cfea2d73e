"""Parts of Parquet files by hand: rows of each file and group, bounds, stamps, and what makes a part none."""

from __future__ import annotations

import hashlib
import pickle

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.errors import DataError, PhotoError
from builders.photos import Stamp, file_stamp
from builders.sources import hub_data_sets, parquet_splits
from builders.sources.hub_data_sets import HubSource, table_stamps, undecoded
from builders.sources.parquet_splits import parquet_part

PICTURES = datasets.Features({"image": datasets.Image(decode=False), "n": datasets.Value("int64")})


def written(path, first, rows, group=2, absent=(), features=PICTURES):
    cells = [
        {"image": {"bytes": None if i in absent else str(i).encode(), "path": f"{i}"}, "n": i}
        for i in range(first, first + rows)
    ]
    pq.write_table(pa.Table.from_pylist(cells, schema=features.arrow_schema), path, row_group_size=group)
    return str(path)


@pytest.fixture
def files(tmp_path):
    """Files of 3, 0 and 4 rows in groups of two; that of no rows has a group of none."""
    return [written(tmp_path / f"{n}.parquet", *of) for n, of in (("a", (0, 3)), ("b", (3, 0)), ("c", (3, 4)))]


def test_part__rows_of_each_file_and_group(files):
    part = parquet_part(files)
    assert (part.files, part.ends.tolist(), part.ends.dtype) == (tuple(files), [2, 3, 3, 5, 7], np.int64)
    assert part.groups == ((0, 0), (0, 1), (1, 0), (2, 0), (2, 1))
    assert (len(part), part.file_ends.tolist(), part.row_numbers().tolist()) == (7, [3, 3, 7], list(range(7)))
    assert (part["n"], part.column_names, part.image_columns()) == (list(range(7)), ["image", "n"], ["image"])
    assert [part[i]["n"] for i in (6, 0, 3, 2)] == [6, 0, 3, 2]
    assert [row["image"]["bytes"] for row in part] == [str(i).encode() for i in range(7)]
    for outside in (-1, 7):
        with pytest.raises(IndexError):
            part[outside]
    only = part.only(["n"])
    assert (only[4], only.column_names, only.files, len(only)) == ({"n": 4}, ["n"], part.files, 7)
    assert type(only.features) is datasets.Features
    again = pickle.loads(pickle.dumps(part))
    assert (again["n"], again[5]["n"], again.files) == (part["n"], 5, part.files)
    assert part.stamps_of_files() == [file_stamp(file) for file in files]
    assert part.cache_files == [{"filename": file} for file in files]
    assert part._fingerprint == hashlib.sha256("\n".join(files).encode()).hexdigest()[:16]
    empty = parquet_part(files[1:2])
    assert (len(empty), empty["n"], list(empty), empty.file_ends.tolist()) == (0, [], [], [0])


def test_part__that_is_none(files, tmp_path, monkeypatch):
    assert parquet_part([]) is None
    other = written(
        tmp_path / "d.parquet", 0, 1, features=datasets.Features({**PICTURES, "n": datasets.Value("int32")})
    )
    assert parquet_part([files[0], other]) is None
    largest = max(pq.ParquetFile(files[0]).metadata.row_group(i).total_byte_size for i in range(2))
    monkeypatch.setattr(parquet_splits, "LARGEST_GROUP", largest)
    assert len(parquet_part(files[:1])) == 3
    monkeypatch.setattr(parquet_splits, "LARGEST_GROUP", largest - 1)
    assert parquet_part(files[:1]) is None
    monkeypatch.undo()
    monkeypatch.setattr(parquet_splits, "MAX_ROWS", 7)
    assert len(parquet_part(files)) == 7
    monkeypatch.setattr(parquet_splits, "MAX_ROWS", 6)
    with pytest.raises(ValueError, match=r"^more than 6 rows$"):
        parquet_part(files)


def test_part__faults_name_the_file_and_the_column(files, monkeypatch):
    part = parquet_part(files)

    def refuse(*given, **named):
        raise ValueError("no pages\nat all")

    monkeypatch.setattr(parquet_splits, "read_columns", refuse)
    with pytest.raises(PhotoError) as failed:
        part[3]
    assert str(failed.value) == "its part of the Parquet file cannot be read (no pages)"
    with pytest.raises(DataError) as refused:
        part["n"]
    assert str(refused.value) == f"{files[0]}: column n cannot be read (no pages)"
    with pytest.raises(DataError) as refused:
        list(part)
    assert str(refused.value) == f"{files[0]}: cannot be read (no pages)"


def test_part__what_is_read_of_a_file(files, monkeypatch):
    calls, read = [], parquet_splits.read_columns
    monkeypatch.setattr(
        parquet_splits,
        "read_columns",
        lambda file, columns, **named: calls.append((columns, named)) or read(file, columns, **named),
    )
    part = parquet_part(files).only(["n"])
    assert part["n"] == list(range(7))
    assert calls == [(["n"], {"limit": 1 << 30, "groups": groups}) for groups in ([0, 1], [0], [0, 1])]
    calls.clear()
    assert [part[i]["n"] for i in (0, 1, 2, 4, 1)] == [0, 1, 2, 4, 1]
    groups = [named["groups"] for _, named in calls]
    assert groups == [[0], [1], [0], [0]]  # the third row group took the place of the first
    assert {named["limit"] for _, named in calls} == {1 << 30}


def test_stamps__of_a_file_with_two_columns_of_images_name_the_column(tmp_path):
    image = datasets.Image()
    features = datasets.Features({"image": image, "mask": image, "n": datasets.Value("int64")})
    cells = [{name: {"bytes": b"x", "path": None} for name in ("image", "mask")} | {"n": i} for i in range(3)]
    pq.write_table(pa.Table.from_pylist(cells, schema=features.arrow_schema), tmp_path / "a.parquet")
    part = parquet_part([str(tmp_path / "a.parquet")])
    assert part.image_columns() == ["image", "mask"]
    file = file_stamp(part.files[0])
    for column in ("image", "mask"):
        only = undecoded(part, column)
        assert only.column_names == [column]
        assert only.image_columns() == ["image", "mask"]  # of the file
        assert table_stamps([only], column) == [Stamp(f"{file.text} {part._fingerprint} {column}", file.changed_ns)]
        assert [stamp.text for stamp in HubSource((only,), column).stamps(np.array([2, 0]))] == [
            f"{file.text} {part._fingerprint} {column} {row}" for row in (2, 0)
        ]


@pytest.mark.parametrize(("absent", "whole"), [((), True), ((0,), False), ((6,), False), ((3,), False)])
def test_bytes__of_every_image_are_in_the_table(tmp_path, absent, whole):
    files = [written(tmp_path / "a.parquet", 0, 3, absent=absent), written(tmp_path / "b.parquet", 3, 4, absent=absent)]
    part = parquet_part(files)
    assert part.holds_all_bytes("image") is whole
    assert part.holds_all_bytes("n") is False
    assert (table_stamps([part], "image") is not None) is whole


def test_stamps__of_two_parts_and_their_earlier_form(tmp_path):
    many = parquet_part([written(tmp_path / "a.parquet", 0, 3), written(tmp_path / "b.parquet", 3, 2)])
    one = parquet_part([written(tmp_path / "c.parquet", 5, 2)])
    parts = tuple(undecoded(part, "image") for part in (many, one))
    rows = np.array([6, 0, 4, 3])
    stamps = HubSource(parts, "image").stamps(rows)
    texts = [file_stamp(file) for file in (*many.files, *one.files)]
    whole = f"{texts[2].text} {one._fingerprint}"
    assert list(stamps) == [
        Stamp(f"{whole} 6", texts[2].changed_ns), Stamp(f"{texts[0].text} image 0", texts[0].changed_ns),
        Stamp(f"{texts[1].text} image 1", texts[1].changed_ns), Stamp(f"{texts[1].text} image 0", texts[1].changed_ns),
    ]  # fmt: skip
    both = f"{texts[0].text}|{texts[1].text} {many._fingerprint}"
    assert [stamp.text for stamp in stamps.earlier] == [f"{whole} 6", f"{both} 0", f"{both} 4", f"{both} 3"]
    newest = max(texts[0].changed_ns, texts[1].changed_ns)
    assert table_stamps(parts, "image") == [Stamp(both, newest), Stamp(whole, texts[2].changed_ns)]
    alone = HubSource(parts[1:], "image").stamps(np.array([1, 0]))
    assert [stamp.text for stamp in alone] == [f"{whole} 1", f"{whole} 0"]
    assert alone.earlier is None
    assert (HubSource(parts, "image").is_remote, HubSource(parts, "image").shared_work(rows)) == (False, None)
    assert [HubSource(parts, "image").read(row) for row in (0, 4, 5, 6)] == [b"0", b"4", b"5", b"6"]
    with pytest.raises(PhotoError, match=r"^the row is past the end of the data$"):
        HubSource(parts, "image").read(7)
    assert hub_data_sets.split_named("dev") == "val"
