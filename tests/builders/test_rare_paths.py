"""Paths that a build takes seldom, each by a direct call: other disks, other systems, files that change meanwhile."""

import errno
import fcntl
import io
import ipaddress
import os
import sqlite3
import stat
import sys
import tarfile
import zipfile
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from builders import files
from builders.dataset.disk_space import _CachedRows, _CachingRows
from builders.dataset.shards import file_sha256
from builders.errors import DataError, UsageError
from builders.exif import parser as exif_parser
from builders.flickrexif.assemble import inspect_files
from builders.flickrexif.assemble.collect import codes_and_words
from builders.flickrexif.assemble.inspect_files import InspectedPixels, inspect_pixels
from builders.flickrexif.fetch.import_files import _move
from builders.flickrexif.store.store import DATABASE, State
from builders.photos import UNLABELLED
from builders.photos.stamps import FileStamps, file_stamp
from builders.pixels.headers.jpeg_quality import nearest_quality, scaled_tables, zigzag_order
from builders.processes import memory
from builders.simcams.stages.optics import bayer_sites
from builders.sources.cameras.archives import ArchiveSource, _archive_entries
from builders.sources.columns.layouts import _header
from builders.sources.columns.tables import _parquet_table
from builders.sources.hub_data_sets import _labels, _only
from builders.sources.imagenet import DEVKIT_FOLDER, DEVKIT_TAR, VAL_TAR, _devkit_file
from builders.sources.inaturalist import OFFICIAL_FOLDER, inaturalist_photos
from builders.untrusted import UntrustedInputError
from builders.untrusted import files as untrusted_files
from builders.untrusted.addresses import _embedded


def test_move__between_disks_by_a_copy_and_nothing_of_it_stays(tmp_path, monkeypatch):
    file, target = tmp_path / "a.jpg", tmp_path / "far" / "b.jpg"
    file.write_bytes(b"photo")
    real, renames = os.replace, []

    def replace(source, to):
        renames.append((source, to))
        if source == file:
            raise OSError(errno.EXDEV, "cross-device link")
        real(source, to)

    monkeypatch.setattr(os, "replace", replace)
    _move(file, target)
    assert (target.read_bytes(), file.exists()) == (b"photo", False)
    assert [to for _, to in renames] == [target, target]
    assert os.listdir(tmp_path / "far") == ["b.jpg"]

    def full(source, to):
        raise OSError(errno.ENOSPC, "no space")

    file.write_bytes(b"again")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        _move(file, target)
    assert (target.read_bytes(), file.read_bytes()) == (b"photo", b"again")
    assert os.listdir(tmp_path / "far") == ["b.jpg"]


def test_sweep__folders_that_cannot_be_listed_and_files_of_others(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(files, "private_scratch", lambda make: tmp_path / "absent")
    monkeypatch.setattr(files, "is_running", lambda process: process == 5)
    names = {number: f"camtrace-{files._machine()}-{number}-x" for number in (5, 6, 7, 8)}
    for number in (5, 6, 7):
        (tmp_path / names[number]).write_text("")
    (tmp_path / names[8]).mkdir()
    (tmp_path / names[8] / "inner").write_text("")
    (tmp_path / "camtrace-elsewhere-6-x").write_text("")
    real = os.lstat
    other = SimpleNamespace(st_uid=os.geteuid() + 1, st_mode=stat.S_IFREG)
    monkeypatch.setattr(
        files.os, "lstat", lambda path, **more: other if str(path).endswith(names[7]) else real(path, **more)
    )
    monkeypatch.setattr(
        files.os, "listdir", lambda path, list=os.listdir: [] if str(path) == "/dev/shm" else list(path)
    )
    assert files.sweep_scratch() == 2
    assert {path.name for path in tmp_path.iterdir()} == {names[5], names[7], "camtrace-elsewhere-6-x"}


def test_rows__cached_up_to_the_bytes_that_are_free():
    made = []
    sizes = {0: 4, 1: 5, 2: 2, 3: 0}

    def make(item):
        made.append(item)
        return ({"image": {"bytes": bytes(sizes[item])}} for _ in range(1))

    caching = _CachingRows(make, 6)
    assert [len(caching(item)) for item in range(4)] == [1] * 4
    assert list(caching.rows) == [0, 2]  # 4 + 2 bytes; 5 more were too many, and no bytes need no cache
    made.clear()
    cached = _CachedRows(make, caching.rows)
    assert [list(cached(item)) for item in range(4)] == [[{"image": {"bytes": bytes(sizes[i])}}] for i in range(4)]
    assert made == [1, 3]


def test_exif__a_value_that_cannot_be_read_counts_as_absent(monkeypatch):
    class Directory(dict):
        def load(self, stream):
            self.update({1: "one", 2: "two", 3: ""})

        def __getitem__(self, tag):
            if tag == 1:
                raise ValueError("odd")
            return super().__getitem__(tag)

    monkeypatch.setattr(exif_parser, "ImageFileDirectory_v2", lambda header: Directory())
    names = {1: "Make", 2: "Model", 3: "Lens", 4: "ISO"}
    assert exif_parser._directory_values(bytearray(20), 8, names) == {"Model": "two"}


def test_codes_and_words__of_no_rows():
    column = pa.chunked_array([], type=pa.dictionary(pa.int32(), pa.string()))
    codes, words = codes_and_words(column)
    assert (codes.dtype, codes.shape, words) == (np.int64, (0,), [])
    codes, words = codes_and_words(pa.chunked_array([pa.array(["b", "a", "b"]).dictionary_encode()]))
    assert (codes.tolist(), words) == ([0, 1, 0], ["b", "a"])


def test_inspect__a_header_that_pillow_refuses_after_all(tmp_path, monkeypatch):
    file = tmp_path / "a.png"
    Image.new("RGB", (40, 30)).save(file)
    sha256 = file_sha256(file)
    whole = inspect_pixels(file, sha256)
    assert (whole.width, whole.height, whole.reason, whole.damaged) == (40, 30, None, False)
    assert inspect_pixels(file, "0" * 64) == InspectedPixels(
        reason="the file is not the one that was fetched", damaged=True
    )
    assert inspect_pixels(tmp_path / "none", sha256) == InspectedPixels(
        reason="the file cannot be read (No such file or directory)", damaged=True
    )
    monkeypatch.setattr(inspect_files, "photo_variants", lambda data: np.zeros(0, np.int64))
    file.write_bytes(b"no picture")
    assert inspect_pixels(file, file_sha256(file)) == InspectedPixels(
        reason="cannot be opened (UnidentifiedImageError)"
    )


def test_store__compact_says_whether_it_was_possible(tmp_path):
    with State(tmp_path, create=True) as store:
        assert store.compact() is True
        other = sqlite3.connect(tmp_path / DATABASE)
        try:
            other.execute("BEGIN IMMEDIATE")
            store._db.execute("PRAGMA busy_timeout = 10")
            assert store.compact() is False
        finally:
            other.close()
        assert store.compact() is True


def test_stamps__of_files_by_row(tmp_path):
    for i in range(3):
        (tmp_path / str(i)).write_bytes(b"x" * i)
    stamps = FileStamps(lambda row: str(tmp_path / str(row)), np.array([2, 0]))
    assert len(stamps) == 2
    assert list(stamps) == [file_stamp(str(tmp_path / "2")), file_stamp(str(tmp_path / "0"))]


def test_nearest_quality__of_both_widths_and_none_of_another_length():
    table = bytes(scaled_tables(64)[0][position] for position in zigzag_order())
    assert nearest_quality(table) == 64
    assert nearest_quality(b"".join(b"\0" + bytes([value]) for value in table)) == 64
    for cut in (table[:-1], table + b"\1", b"", table * 3):
        assert nearest_quality(cut) == 0


@pytest.mark.parametrize(
    ("taken", "wanted", "expected"), [((), 3, True), ((1,), 1, True), ((0, 2), 2, False), ((0, 1), 1, True)]
)
def test_locked__neighbouring_units_that_are_free(tmp_path, taken, wanted, expected):
    file = tmp_path / "locks"
    file.write_bytes(bytes(8))
    with open(file, "r+b") as first, open(file, "r+b") as second:
        for unit in taken:
            request = memory.struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, unit, 1, 0)
            fcntl.fcntl(first.fileno(), fcntl.F_OFD_SETLK, request)
        assert memory._locked(second.fileno(), wanted, 3) is expected


def test_locked__where_there_are_no_such_locks(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    assert memory._locked(0, 1, 1) is True
    monkeypatch.undo()

    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    assert memory._locked(0, 1, 1) is True


def test_bayer__sites_of_each_pattern_and_no_other():
    assert bayer_sites("RGGB") == ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2))
    assert bayer_sites("BGGR") == ((0, 0, 2), (0, 1, 1), (1, 0, 1), (1, 1, 0))
    with pytest.raises(ValueError, match=r"^no Bayer pattern 'RGB'$"):
        bayer_sites("RGB")


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


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", None),
        ("64:ff9b::a00:1", "10.0.0.1"),
        ("64:ff9b:1::8.8.8.8", "10.0.0.0"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45"),  # Teredo (RFC 4380): the client's, not the server's
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("2002:7f00:1::", "127.0.0.1"),
        ("2606:4700::1", None),
    ],
)
def test_embedded__the_address_inside_of_an_address(address, expected):
    made = _embedded(ipaddress.ip_address(address))
    assert (str(made) if made else None) == expected


def test_open__a_file_that_became_a_pipe(tmp_path, monkeypatch):
    """Between the look at its path and its opening."""
    file = tmp_path / "a"
    file.write_bytes(b"1234")
    with untrusted_files.open_untrusted(file, limit=4) as stream:
        assert stream.read() == b"1234"
    monkeypatch.setattr(
        untrusted_files.os, "fstat", lambda descriptor: SimpleNamespace(st_mode=stat.S_IFIFO, st_size=0)
    )
    with pytest.raises(UntrustedInputError, match="not a regular file"), untrusted_files.open_untrusted(file, limit=4):
        pass


def test_array__of_another_size_than_its_archive_says(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", buffer.getvalue())
        archive.writestr("y.npy", buffer.getvalue(), zipfile.ZIP_BZIP2)
    with zipfile.ZipFile(path) as archive:
        assert untrusted_files._array(archive, archive.getinfo("x.npy")).tolist() == [0, 1, 2]
        with pytest.raises(ValueError, match=r"^y.npy: compressed in a way that numpy does not use$"):
            untrusted_files._array(archive, archive.getinfo("y.npy"))
        for data in (buffer.getvalue()[:-1], buffer.getvalue() + b"1"):
            member = SimpleNamespace(
                compress_type=zipfile.ZIP_STORED, file_size=len(buffer.getvalue()), filename="x.npy"
            )
            fake = SimpleNamespace(open=lambda member, data=data: io.BytesIO(data))
            with pytest.raises(ValueError, match=r"^x.npy: not of the size that the archive says$"):
                untrusted_files._array(fake, member)


def test_store__makes_its_tables_alone(tmp_path, monkeypatch):
    """Two processes may begin at once: the second waits for the first."""
    locks = []
    monkeypatch.setattr("builders.flickrexif.store.store.fcntl.flock", lambda file, how: locks.append((file.name, how)))
    with State(tmp_path, create=True):
        pass
    assert (str(tmp_path / ".schema.lock"), fcntl.LOCK_EX) in locks
    assert [how for name, how in locks if name.endswith(".schema.lock")] == [fcntl.LOCK_EX]


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
