"""Files that ranks fetched come into the state once, whole, from a disk or an object store."""

import errno
import hashlib
import os
import shutil
from types import SimpleNamespace

import pytest

from builders.errors import DataError, DiskError
from builders.flickrexif.fetch.import_files import _move_into_state, _still_needed

DATA = b"the file of a photo"
SHA256 = hashlib.sha256(DATA).hexdigest()


class Storage:
    """A folder of ranks on a disk, or an object store that has the bytes."""

    def __init__(self, folder=None, data=DATA):
        self.folder, self.data, self.removed = folder, data, []

    def get(self, name, target):
        target.write_bytes(self.data)

    def path(self, name):
        return f"ranks/{name}"

    def remove(self, name):
        self.removed.append(name)


@pytest.fixture
def moved(tmp_path):
    """Moves a file of these bytes from ranks (on a disk, or in a store), beside what the state has."""
    (tmp_path / "state").mkdir()
    (tmp_path / "ranks").mkdir()
    source, target = tmp_path / "ranks" / "a.jpg", tmp_path / "state" / "a.jpg"

    def move(of_ranks=None, of_state=None, store=None):
        for file, data in ((source, of_ranks), (target, of_state)):
            if data is not None:
                file.write_bytes(data)
        state = SimpleNamespace(path_of=lambda name: tmp_path / "state" / name)
        storage = Storage(tmp_path / "ranks") if store is None else Storage(data=store)
        _move_into_state(state, storage, SimpleNamespace(path="a.jpg", sha256=SHA256))
        return target.read_bytes() == DATA and not source.exists()

    return move


@pytest.mark.parametrize(
    "files",
    [{"of_ranks": DATA}, {"of_ranks": DATA, "of_state": b"half"}, {"of_state": DATA}, {"store": DATA}],
    ids=["on-a-disk", "over-another", "moved-before", "in-a-store"],
)
def test_move_into_state__the_file_is_in_the_state_alone(moved, files):
    assert moved(**files)


def test_move__between_disks_is_a_copy_that_is_renamed(moved, monkeypatch, tmp_path):
    """A rename from one disk to another is refused; nothing but the file in the state is left."""
    rename, renamed = os.replace, []

    def within_a_disk(source, target):
        renamed.append((source.parent, target))
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "another disk")
        rename(source, target)

    monkeypatch.setattr(os, "replace", within_a_disk)
    assert moved(of_ranks=DATA, of_state=b"half")
    target = tmp_path / "state" / "a.jpg"
    assert renamed == [(tmp_path / "ranks", target), (tmp_path / "state", target)]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.jpg"]

    def full(source, target):
        target.write_bytes(b"ha")
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(DiskError, match="the disk is full"):
        moved(of_ranks=DATA)
    assert (tmp_path / "ranks" / "a.jpg").read_bytes() == DATA  # the next run moves it
    assert not [path for path in (tmp_path / "state").iterdir() if path != target]


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({}, "ranks/a.jpg: is not there"),
        ({"of_ranks": b"other"}, "ranks/a.jpg: is not what its rank fetched"),
        ({"of_state": b"other"}, "ranks/a.jpg: is not what its rank fetched"),
        ({"store": b"other"}, "ranks/a.jpg: is not what its rank fetched"),
    ],
)
def test_move_into_state__a_file_that_is_absent_or_another_is_refused(moved, files, what):
    with pytest.raises(DataError, match=what):
        moved(**files)


def test_move_into_state__a_photo_without_a_file_moves_nothing():
    _move_into_state(None, Storage(), SimpleNamespace(path=None, sha256=None))


def test_still_needed__files_of_photos_that_are_gone_or_fetched_by_another_are_removed():
    known, stored = {1, 2, 3, 5}, {2: "same", 3: "other"}
    answers = {"photos": lambda i: 1 if i in known else None, "files": stored.get}
    state = SimpleNamespace(value=lambda query, i: answers[query.split(" FROM ")[1].split()[0]](i))
    rows = [SimpleNamespace(photo_id=i, sha256="same", path=None if i == 5 else f"{i}.jpg") for i in (1, 2, 3, 4, 5)]
    storage = Storage()
    assert [row.photo_id for row in _still_needed(state, storage, rows)] == [1, 2, 5]
    assert storage.removed == ["3.jpg", "4.jpg"]
