"""Whole sentences about untrusted files, arrays, cards, cells and addresses, with both sides of every bound."""

from __future__ import annotations

import asyncio
import io
import os
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.errors import DataError, PhotoError
from builders.untrusted import (
    UntrustedInputError,
    checked_footer,
    data_sets,
    documents,
    files,
    parquet,
)
from builders.untrusted.addresses import AddressRefused, GuardedBackend, address_allowed
from builders.untrusted.archives import open_archive
from builders.untrusted.arrays import map_array, parse_array, read_array_header
from builders.untrusted.data_sets import check_card, check_data_set, read_image_cell, roots_of
from builders.untrusted.documents import parse_csv_header, parse_json, parse_yaml
from builders.untrusted.files import parse_arrays, read_untrusted, read_untrusted_arrays, read_untrusted_text
from builders.untrusted.listing import files_below, files_matching, list_folder, walk_folders
from builders.untrusted.parquet import read_columns, read_table, table_schema, unpacked_bytes


def refused(error, sentence, call, *given, **named):
    with pytest.raises(error) as caught:
        call(*given, **named)
    assert (type(caught.value), str(caught.value)) == (error, sentence)


def saved(array, version=None):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version)
    return stream.getvalue()


def test_arrays__that_are_none(tmp_path):
    three = saved(np.zeros(3), (3, 0))
    refused(ValueError, "an array of format (3, 0)", parse_array, three)
    data = saved(np.zeros((2, 3), np.float32))
    refused(ValueError, "shape (2, 3) of float32 in 23 bytes", parse_array, data[:-1])
    refused(ValueError, "shape (2, 3) of float32 in 25 bytes", parse_array, data + b"x")
    pickled = saved(np.array([{}], dtype=object))
    refused(ValueError, "an array of object, which is no number and no text", parse_array, pickled)
    records = saved(np.zeros(2, dtype=[("a", "i4")]))
    refused(ValueError, "an array of [('a', '<i4')], which is no number and no text", parse_array, records)
    with pytest.raises(ValueError, match=r"^not the header of an array \(.*\)$"):
        read_array_header(io.BytesIO(data.replace(b"'shape'", b"'shope'")))
    path = tmp_path / "a.npy"
    path.write_bytes(data + b"more")
    assert map_array(path).tolist() == [[0, 0, 0]] * 2  # a file may go on
    path.write_bytes(data[:-1])
    refused(ValueError, "shape (2, 3) of float32 in 23 bytes", map_array, path)
    order = np.asfortranarray(np.arange(6).reshape(2, 3))
    for version in ((1, 0), (2, 0)):
        header = read_array_header(io.BytesIO(saved(order, version)))
        assert (header.shape, header.fortran, header.dtype) == ((2, 3), True, np.dtype("int64"))
        assert parse_array(saved(order, version)).tolist() == order.tolist()
    assert parse_array(saved(np.zeros((0, 4), "U3"))).shape == (0, 4)


def zipped(members, method=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return io.BytesIO(content.getvalue())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_of_arrays__that_are_none(tmp_path, monkeypatch):
    one = saved(np.arange(2))
    twice = "names of arrays that are there twice or are no text"
    refused(ValueError, twice, parse_arrays, zipped([("a.npy", one), ("a", one)]))
    refused(ValueError, twice, parse_arrays, zipped([("a\x1b.npy", one)]))
    text = "a.npy: compressed in a way that numpy does not use"
    refused(ValueError, text, parse_arrays, zipped([("a.npy", one)], zipfile.ZIP_BZIP2))
    refused(
        ValueError, "a.npy: an array of complex numbers", parse_arrays, zipped([("a.npy", saved(np.zeros(2, complex)))])
    )
    both = [("a.npy", one), ("b.npy", saved(np.arange(3)))]
    assert {name: array.tolist() for name, array in parse_arrays(zipped(both)).items()} == {"a": [0, 1], "b": [0, 1, 2]}
    assert list(parse_arrays(zipped(both), lambda name: name == "b")) == ["b"]
    size = sum(len(data) for _, data in both)
    monkeypatch.setattr(files, "MAX_ARCHIVE_BYTES", size)
    assert len(parse_arrays(zipped(both))) == 2
    monkeypatch.setattr(files, "MAX_ARCHIVE_BYTES", size - 1)
    refused(ValueError, "2 arrays of 0.0 GB unpacked, more than 0.0", parse_arrays, zipped(both))
    monkeypatch.setattr(files, "MAX_ARCHIVE_BYTES", 2_340_000_000)
    for count, fits in ((2, True), (1, False)):
        monkeypatch.setattr(files, "MAX_MEMBERS", count)
        if fits:
            assert len(parse_arrays(zipped(both))) == 2
        else:
            refused(ValueError, "2 arrays of 0.0 GB unpacked, more than 2.3", parse_arrays, zipped(both))
    (tmp_path / "a.npz").write_bytes(b"x")
    text = f"{tmp_path}/a.npz: cannot be read (BadZipFile: File is not a zip file)"
    refused(UntrustedInputError, text, read_untrusted_arrays, tmp_path / "a.npz")


def test_files__that_are_not_read(tmp_path):
    (tmp_path / "a").write_bytes(b"123456\xff")
    (tmp_path / "out").symlink_to("/etc/hostname")
    place = f"{tmp_path}/a"
    assert read_untrusted(place, limit=7) == b"123456\xff"
    text = f"{place}: 7 bytes, more than the 6 bytes that such a file may have"
    refused(UntrustedInputError, text, read_untrusted, place, limit=6)
    refused(UntrustedInputError, f"{place}: not UTF-8 text (byte 6)", read_untrusted_text, place)
    refused(UntrustedInputError, f"{tmp_path}: not a regular file", read_untrusted, tmp_path, limit=6)
    refused(UntrustedInputError, f"{tmp_path}/no: cannot be read (No such file or directory)", read_untrusted,
            f"{tmp_path}/no", limit=6)  # fmt: skip
    text = f"{tmp_path}/out: a path or link that leaves the folder"
    refused(UntrustedInputError, text, read_untrusted, tmp_path / "out", limit=99, inside=tmp_path)
    assert read_untrusted(place, limit=7, inside=tmp_path) == b"123456\xff"
    with pytest.raises(UntrustedInputError) as caught:
        read_untrusted(f"{tmp_path}/n\no", limit=6)
    assert (str(caught.value), caught.value.reason) == (
        f"{tmp_path}/n\\x0ao: cannot be read (No such file or directory)", "cannot be read (No such file or directory)",
    )  # fmt: skip
    sizes = {
        0: "0 bytes",
        1023: "1023 bytes",
        1024: "1 KiB",
        1 << 20: "1 MiB",
        (1 << 30) - 1: "1024 MiB",
        1 << 30: "1 GiB",
    }
    for size, words in sizes.items():
        assert files.too_large(size, 1536) == f"{words}, more than the 2 KiB that such a file may have"


JSON, YAML = "not JSON that is read here", "not YAML that is read here"


@pytest.mark.parametrize(
    ("parse", "text", "sentence"),
    [
        (parse_json, '{"a": 1, "a": 2}', f"w: {JSON} (a key is there twice)"),
        (parse_json, "NaN", f"w: {JSON} (NaN is not JSON)"),
        (parse_json, "-Infinity", f"w: {JSON} (-Infinity is not JSON)"),
        (parse_json, "1e999", f"w: {JSON} (the number 1e999 is not finite)"),
        (parse_json, str(2**63), f"w: {JSON} (an integer of 19 digits)"),
        (parse_json, "-" + str(2**63 + 1), f"w: {JSON} (an integer of 20 digits)"),
        (parse_json, '"\\ud800"', f"w: {JSON} (half a character pair, which is no text)"),
        (parse_json, '{"\\ud800": 1}', f"w: {JSON} (half a character pair, which is no text)"),
        (parse_json, "[" * 65 + "]" * 65, f"w: {JSON} (nested more than 64 deep)"),
        (parse_json, "[" * 99_999, f"w: {JSON} (nested too deeply)"),
        (parse_yaml, "a: &x [1]\nb: *x", f"w: {YAML} (an alias (*name), which is not followed)"),
        (parse_yaml, "a: " + "1" * 401, f"w: {YAML} (a number of 401 characters)"),
        (parse_yaml, "[" * 65 + "]" * 65, f"w: {YAML} (nested more than 64 deep)"),
        (parse_yaml, " " * 2_000_001, f"w: {YAML} (2,000,001 characters, more than 2,000,000)"),
    ],
)  # fmt: skip
def test_documents__that_are_none(parse, text, sentence):
    refused(UntrustedInputError, sentence, parse, text, "w")


def test_documents__at_their_bounds():
    assert parse_json(f"[{2**63 - 1}, {-(2**63)}]", "w") == [2**63 - 1, -(2**63)]
    deep = parse_json("[" * 64 + "]" * 64, "w")
    for _ in range(63):
        (deep,) = deep
    assert deep == []
    assert np.isnan(parse_json("[NaN, Infinity]", "w", not_finite=True)).all()
    assert parse_yaml("a: " + "1" * 400, "w") == {"a": int("1" * 400)}
    assert documents.MAX_DEPTH == 64
    with pytest.raises(UntrustedInputError, match=r"^a.csv: not a CSV file that can be read \(.*\)$"):
        parse_csv_header("x" * 200_000, "a.csv")
    assert (parse_csv_header("", "a.csv"), parse_csv_header('"a,b",c', "a.csv")) == ([], ["a,b", "c"])


def test_cells__that_hold_no_image(tmp_path, monkeypatch):
    for cell, sentence in (
        (None, "the row holds no image"), ({"bytes": 5}, "the cell is no image"),
        ({"bytes": None, "path": ""}, "the row holds neither bytes nor a path"),
        ({"bytes": None, "path": "/etc/x\n"}, "the row names a file outside the data set (/etc/x\\x0a)"),
        ({"bytes": None, "path": f"{tmp_path}/no"}, "the file of the row: cannot be read (No such file or directory)"),
    ):  # fmt: skip
        refused(PhotoError, sentence, read_image_cell, cell, (str(tmp_path / "other"), str(tmp_path)))
    long = "/x" * 200
    refused(PhotoError, f"the row names a file outside the data set ({long[:200]})", read_image_cell,
            {"bytes": None, "path": long}, ())  # fmt: skip
    assert read_image_cell({"bytes": b"", "path": "x"}, ()) == b""
    assert roots_of(str(tmp_path)) == (os.path.realpath(tmp_path),)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "/cache")
    assert roots_of("org/name")[0] == "/cache/datasets--org--name"
    assert len(roots_of("org/name")) == 3


def test_data_sets__folders_with_other_files(tmp_path):
    folder = tmp_path / "set"
    (folder / "data").mkdir(parents=True)
    (folder / "inside").symlink_to(folder / "data")
    check_data_set(str(folder))
    for make, name, what in (
        (lambda path: path.symlink_to("/etc"), "out", "is a link that leaves the folder"),
        (
            lambda path: path.symlink_to(folder / "none"),
            "to\nnothing",
            "is a link to nothing (No such file or directory)",
        ),
        (os.mkfifo, "data/pipe", "is neither a file nor a folder"),
    ):
        make(folder / name)
        refused(DataError, f"{folder}: {name.replace(chr(10), chr(92) + 'x0a')} {what}", check_data_set, str(folder))
        (folder / name).unlink()
    card = "---\nconfigs:\n- config_name: a\n  data_files: /x\n---\n"
    for name, text in (("README.md", card), (".huggingface.yaml", card.replace("---\n", ""))):
        (folder / name).write_text(text)
        text = f"{folder}: {name}: its data are at '/x', which is not inside the data set"
        refused(DataError, text, check_data_set, str(folder))
        (folder / name).unlink()
    text = "w: its data are at 'a/../b\\\\x0a', which is not inside the data set"
    refused(DataError, text, check_card, {"configs": [{"data_dir": "a/../b\n"}]}, "w")
    assert [data_sets._inside(p) for p in ("a/b", "a..b", "..", "a:b", "c:/x", "~a", "a~", "x://y", "a::b", "\\a")] == [
        True, True, False, False, False, False, True, False, False, False,
    ]  # fmt: skip


def table(tmp_path, rows=6, group=2):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": list(range(rows)), "b": [str(i) for i in range(rows)]}), path, row_group_size=group)
    return path


def test_parquet__columns_groups_and_sentences(tmp_path, monkeypatch):
    path = table(tmp_path)
    file = pq.ParquetFile(path)
    assert read_columns(file, ["b", "a"], limit=1 << 20, groups=[2, 0]).to_pydict() == {
        "b": ["4", "5", "0", "1"], "a": [4, 5, 0, 1],
    }  # fmt: skip
    size = read_columns(file, ["a"], limit=1 << 20).nbytes
    assert read_columns(file, ["a"], limit=size)["a"].to_pylist() == list(range(6))
    refused(ValueError, "it unfolds to more than 0.0 GB", read_columns, file, ["a"], limit=size - 1)
    refused(DataError, f"{path}: there is no column 'c\\\\x0a'", read_table, path, ["a", "c\n"])
    assert read_table(path, ["b"]).column_names == ["b"]
    assert read_table(path).column_names == table_schema(path).names == ["a", "b"]
    (tmp_path / "x").write_bytes(b"x")
    for call in (read_table, table_schema):
        with pytest.raises(DataError, match=rf"^{tmp_path}/x: not a Parquet file that can be read \(.*\)$"):
            call(tmp_path / "x")
    every, one = unpacked_bytes(file, None), unpacked_bytes(file, ["a"])
    groups = [file.metadata.row_group(i) for i in range(3)]
    assert one == sum(max(g.column(0).total_uncompressed_size, 2) for g in groups)
    assert every == one + sum(max(g.column(1).total_uncompressed_size, 2) for g in groups)
    monkeypatch.setattr(parquet, "MAX_TABLE_BYTES", every)
    read_table(path)
    monkeypatch.setattr(parquet, "MAX_TABLE_BYTES", every - 1)
    refused(DataError, f"{path}: 0 GB unpacked, more than 0", read_table, path)


class Footer:
    def __init__(self, total, *rows):
        self.num_rows, self.num_row_groups, self.rows = total, len(rows), rows

    def row_group(self, number):
        return Footer(self.rows[number])


@pytest.mark.parametrize(
    ("footer", "sentence"),
    [
        (Footer(3, 1, 2), ""), (Footer(0), ""), (Footer(1 << 26, 1 << 26), ""),
        (Footer(3, 4, -1), "it says that its row group 1 has -1 rows"),
        (Footer((1 << 26) + 1, (1 << 26) + 1), "it says that its row group 0 has 67,108,865 rows"),
        (Footer(4000, 1000, 2000), "it says that it has 4,000 rows, and its row groups have 3,000"),
    ],
)  # fmt: skip
def test_footer__whose_rows_add_up(footer, sentence):
    if sentence:
        refused(ValueError, sentence, checked_footer, footer)
    else:
        assert checked_footer(footer) is footer


def test_archives__members_and_sentences(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped([("b", b"123"), ("a", b"12345")], zipfile.ZIP_DEFLATED).getvalue())
    with open_archive(path, limit=1000) as archive:
        assert (archive.names, archive.unpacked_bytes, archive.read("a", limit=5)) == (["b", "a"], 8, b"12345")
        text = f"{path}: a: 5 bytes, more than the 4 bytes that such a file may have"
        refused(UntrustedInputError, text, archive.read, "a", limit=4)
    path.write_bytes(b"x" * 30)
    text = f"{path}: not an archive that can be read (BadZipFile: File is not a zip file)"
    refused(UntrustedInputError, text, open_archive(path, limit=30).__enter__)
    text = f"{path}: 30 bytes, more than the 29 bytes that such a file may have"
    refused(UntrustedInputError, text, open_archive(path, limit=29).__enter__)


def test_backend__refuses_sockets_and_names_that_lead_nowhere(monkeypatch):
    backend = GuardedBackend()
    refused(AddressRefused, "a photo is not fetched from a socket of this machine",
            lambda: asyncio.run(backend.connect_unix_socket("/x")))  # fmt: skip
    refused(AddressRefused, "127.0.0.1 leads to no address on the open internet",
            lambda: asyncio.run(backend.connect_tcp("127.0.0.1", 80)))  # fmt: skip
    assert not address_allowed("127.0.0.1")
    assert address_allowed("127.0.0.1", allow_loopback=True)


def test_listings__in_order_with_and_without_hidden_names(tmp_path):
    for name in ("b/z.jpg", "b/a.jpg", "a/x/y.jpg", ".h/k.jpg", "b/.i.jpg", "t.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "b")
    every = ["t.txt", ".h/k.jpg", "a/x/y.jpg", "b/.i.jpg", "b/a.jpg", "b/z.jpg"]
    assert files_below(tmp_path) == every
    assert files_below(tmp_path, hidden=False) == ["t.txt", "a/x/y.jpg", "b/a.jpg", "b/z.jpg"]
    linked = ["t.txt", "a/again/a.jpg", "a/again/z.jpg", "a/x/y.jpg"]
    assert files_below(tmp_path, links=True, hidden=False) == linked  # each real folder once
    assert files_below(tmp_path / "no", may_be_absent=True) == []
    text = f"{tmp_path}/no: the folder cannot be listed (No such file or directory)"
    refused(UntrustedInputError, text, list_folder, tmp_path / "no")
    refused(UntrustedInputError, text, lambda: list(walk_folders(tmp_path / "no")))
    folder = list_folder(tmp_path / "b")
    assert (folder.path, folder.folders, folder.files, folder.is_empty) == (
        f"{tmp_path}/b", [], [".i.jpg", "a.jpg", "z.jpg"], False,
    )  # fmt: skip
    assert list_folder(tmp_path / "t.txt", may_be_absent=True).is_empty
    assert files_matching(tmp_path / "b", "[az]*") == [tmp_path / "b" / "a.jpg", tmp_path / "b" / "z.jpg"]
    assert files_matching(tmp_path / "b", "A*") == files_matching(tmp_path / "no", "*") == []
