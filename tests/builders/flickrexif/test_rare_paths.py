"""Paths that are taken seldom, each by a direct call."""

import errno
import fcntl
import os
import sqlite3

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from builders.dataset.shards import file_sha256
from builders.flickrexif.assemble import inspect_files
from builders.flickrexif.assemble.collect import codes_and_words
from builders.flickrexif.assemble.inspect_files import InspectedPixels, inspect_pixels
from builders.flickrexif.fetch.import_files import _move
from builders.flickrexif.store.store import DATABASE, State


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


def test_store__makes_its_tables_alone(tmp_path, monkeypatch):
    """Two processes may begin at once: the second waits for the first."""
    locks = []
    monkeypatch.setattr("builders.flickrexif.store.store.fcntl.flock", lambda file, how: locks.append((file.name, how)))
    with State(tmp_path, create=True):
        pass
    assert (str(tmp_path / ".schema.lock"), fcntl.LOCK_EX) in locks
    assert [how for name, how in locks if name.endswith(".schema.lock")] == [fcntl.LOCK_EX]
