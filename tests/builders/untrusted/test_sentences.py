"""Whole sentences about untrusted files, arrays, cards, cells and addresses, with both sides of every bound."""

from __future__ import annotations

import asyncio
import io
import os
import zipfile

import numpy as np
import pytest

from builders.errors import PhotoError
from builders.untrusted import (
    AddressRefused,
    UntrustedInputError,
    checked_footer,
    documents,
    files,
    files_below,
    files_matching,
    list_folder,
    map_array,
    open_archive,
    parse_array,
    parse_csv_header,
    parse_json,
    parse_yaml,
    read_image_cell,
    read_untrusted,
    read_untrusted_text,
    roots_of,
    walk_folders,
)
from builders.untrusted.addresses import GuardedBackend, address_allowed
from builders.untrusted.arrays import read_array_header


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
    with pytest.raises(ValueError):
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
    with pytest.raises(UntrustedInputError, match="a.csv"):
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
