"""Hashes of photos: stored by stamp, never used after the stamp changes, and always those of the bytes."""

import hashlib
import os
import tarfile
import time

import numpy as np
import pytest

from benchmark.bank import PhotoHashes, photo_hashes
from builders.photos import SPLITS, UNLABELLED, Labels, PhotoSet, Stamps, file_stamp, photo_digest
from builders.sources import FolderSource, labelled_folder
from builders.sources.imagenet import TarSource

LONG_AGO = 1_700_000_000


TICK_S = 0.03
"""More than the clock of a file system needs to go on: before, another change might have the same time."""


def write(root, name, data, at=LONG_AGO, pause_s=TICK_S):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
    os.utime(root / name, (at, at))
    time.sleep(pause_s)


@pytest.fixture
def folder(tmp_path):
    for i in range(9):
        write(tmp_path / "photos", f"{i}.jpg", b"photo %d" % i, pause_s=TICK_S * (i == 8))
    return tmp_path / "photos"


@pytest.fixture
def read(monkeypatch):
    """The rows that are read from folders, in order."""
    rows, real = [], FolderSource.read
    monkeypatch.setattr(FolderSource, "read", lambda self, row: rows.append(row) or real(self, row))
    return rows


def by_hand(folder):
    names = sorted(path.name for path in folder.iterdir())
    return hashlib.sha256(b"".join(hashlib.sha256((folder / n).read_bytes()).digest() for n in names)).hexdigest()[:32]


def test_bytes_hash__reads_once_and_then_only_changed_files(tmp_path, folder, read):
    first = PhotoHashes(labelled_folder(str(folder)), tmp_path)
    assert (first.unknown, first.bytes_hash()) == (9, by_hand(folder))
    assert sorted(read) == list(range(9))
    read.clear()
    again = PhotoHashes(labelled_folder(str(folder)), tmp_path)
    assert (again.unknown, again.bytes_hash(), read) == (0, by_hand(folder), [])
    write(folder, "4.jpg", b"Photo 4", LONG_AGO + 1)  # as long as before
    write(folder, "6.jpg", b"longer than before")
    changed = PhotoHashes(labelled_folder(str(folder)), tmp_path)
    assert (changed.bytes_hash(), sorted(read)) == (by_hand(folder), [4, 6])


def test_bytes_hash__other_bytes_under_the_same_size_and_time_of_modification(tmp_path, folder):
    first = PhotoHashes(labelled_folder(str(folder)), tmp_path).bytes_hash()
    changed = folder / "4.jpg"
    before = changed.stat()
    while changed.stat().st_ctime_ns == before.st_ctime_ns:  # clocks of file systems tick every few milliseconds
        write(folder, "4.jpg", b"Photo 4")
    after = changed.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    again = PhotoHashes(labelled_folder(str(folder)), tmp_path)
    assert again.unknown == 1
    assert first != again.bytes_hash() == by_hand(folder)


def test_verify__reads_what_a_stamp_cannot_show(tmp_path, folder, read, monkeypatch):
    """A file system that gives another file the same inode and times: only the bytes tell."""
    known = PhotoHashes(labelled_folder(str(folder)), tmp_path)
    first = known.bytes_hash()
    assert known.read_now == 9
    listed = list(PhotoSet.stamps(labelled_folder(str(folder))))
    stamps = Stamps(listed, np.arange(len(listed)))
    monkeypatch.setattr(PhotoSet, "stamps", lambda self: stamps)
    write(folder, "4.jpg", b"Photo 4")
    trusting = PhotoHashes(labelled_folder(str(folder)), tmp_path)
    assert (trusting.bytes_hash(), trusting.read_now) == (first, 0)
    read.clear()
    verified = PhotoHashes(labelled_folder(str(folder)), tmp_path, verify=True)
    assert not verified.hashed_in_pass
    assert first != verified.bytes_hash() == by_hand(folder)
    assert (sorted(read), verified.read_now) == (list(range(9)), 9)
    assert PhotoHashes(labelled_folder(str(folder)), tmp_path).bytes_hash() == by_hand(folder)


def test_bytes_hash__a_subset_uses_the_hashes_of_the_whole_set_and_keeps_them_all(tmp_path, folder, read):
    whole = labelled_folder(str(folder))
    PhotoHashes(whole, tmp_path).bytes_hash()
    some = whole.select([7, 2])
    write(folder, "2.jpg", b"photo two", LONG_AGO + 5)
    assert PhotoHashes(some, tmp_path).bytes_hash() == PhotoHashes(some).bytes_hash()
    read.clear()
    PhotoHashes(whole, tmp_path).bytes_hash()
    assert read == []


def test_bytes_hash__a_file_that_has_just_changed_is_not_stored(tmp_path, folder, read):
    os.utime(folder / "3.jpg")
    PhotoHashes(labelled_folder(str(folder)), tmp_path).bytes_hash()
    read.clear()
    PhotoHashes(labelled_folder(str(folder)), tmp_path).bytes_hash()
    assert read == [3]


def test_bytes_hash__an_unreadable_file_is_read_again_by_the_next_run(tmp_path, folder, read, monkeypatch):
    write(folder, "5.jpg", b"x" * 100)
    monkeypatch.setattr("builders.sources.folders.MAX_PHOTO_BYTES", 50)
    photos = labelled_folder(str(folder))
    failing = PhotoHashes(photos, tmp_path).bytes_hash()
    assert failing == PhotoHashes(photos).bytes_hash()
    monkeypatch.setattr("builders.sources.folders.MAX_PHOTO_BYTES", 500)
    read.clear()
    assert PhotoHashes(photos, tmp_path).bytes_hash() == by_hand(folder) != failing
    assert read == [5]


def test_block_hashes__of_the_photos_in_order_and_zeros_for_what_cannot_be_read(folder, monkeypatch):
    write(folder, "5.jpg", b"x" * 100)
    monkeypatch.setattr("builders.sources.folders.MAX_PHOTO_BYTES", 50)
    digests = [hashlib.sha256(b"photo %d" % i).digest() if i != 5 else bytes(32) for i in range(9)]
    expected = [hashlib.sha256(b"".join(digests[at : at + 4])).hexdigest()[:16] for at in (0, 4, 8)]
    assert PhotoHashes(labelled_folder(str(folder))).block_hashes(4) == expected


def test_bytes_hash__a_damaged_table_is_ignored(tmp_path, folder):
    PhotoHashes(labelled_folder(str(folder)), tmp_path).bytes_hash()
    [table] = (tmp_path / photo_hashes.FOLDER).iterdir()
    for data in (b"", table.read_bytes()[:300]):
        table.write_bytes(data)
        assert PhotoHashes(labelled_folder(str(folder)), tmp_path).unknown == 9


def test_stamps__change_with_an_archive(tmp_path, read):
    photos = [b"one", b"photo two", b"3"]
    for i, data in enumerate(photos):
        write(tmp_path, f"{i}.jpg", data)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for i in range(3):
            tar.add(tmp_path / f"{i}.jpg", f"{i}.jpg")
    with tarfile.open(tmp_path / "a.tar") as tar:
        members = tar.getmembers()
    os.utime(tmp_path / "a.tar", (LONG_AGO, LONG_AGO))
    time.sleep(TICK_S)
    offsets, sizes = (np.array([getattr(m, name) for m in members]) for name in ("offset_data", "size"))
    path = str(tmp_path / "a.tar")
    source = TarSource((path,), np.zeros(3, np.int8), offsets, sizes, (file_stamp(path).text,))
    none = Labels((), np.full(3, UNLABELLED, np.int32))
    given = PhotoSet("t", ("0", "1", "2"), np.full(3, SPLITS.index("train"), np.int8), none, source, np.arange(3))
    hashes = PhotoHashes(given, tmp_path / "cache")
    assert hashes.bytes_hash() == hashlib.sha256(b"".join(map(photo_digest, photos))).hexdigest()[:32]
    assert PhotoHashes(given, tmp_path / "cache").unknown == 0
    assert PhotoHashes(given.select([2, 0]), tmp_path / "cache").unknown == 0
    os.utime(tmp_path / "a.tar", (LONG_AGO + 9, LONG_AGO + 9))
    assert PhotoHashes(given, tmp_path / "cache").unknown == 3


def test_stand_in__follows_from_stamps_and_is_no_hash_of_bytes(tmp_path, folder):
    photos = labelled_folder(str(folder))
    hashes = PhotoHashes(photos, tmp_path)
    name = hashes.stand_in()
    assert (name[:7], len(name)) == ("unread ", 39)
    assert hashes.earlier_name == name == PhotoHashes(photos, tmp_path).earlier_name
    write(folder, "4.jpg", b"photo 4", LONG_AGO + 1)
    changed = PhotoHashes(labelled_folder(str(folder)), tmp_path)
    assert changed.stand_in() != name
    (folder / "4.jpg").write_bytes(b"photo 4")  # just now: another change might have the same stamp
    assert PhotoHashes(labelled_folder(str(folder)), tmp_path).earlier_name is None


def test_store__nothing_is_written_on_request_and_a_full_disk_is_no_error(tmp_path, folder, read, monkeypatch):
    photos = labelled_folder(str(folder))
    assert PhotoHashes(photos, tmp_path, store=False).bytes_hash() == by_hand(folder)
    assert not (tmp_path / photo_hashes.FOLDER).exists()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(photo_hashes, "write_bytes_atomically", full)
        assert PhotoHashes(photos, tmp_path).bytes_hash() == by_hand(folder)
    assert len(read) == 18
    assert PhotoHashes(photos, tmp_path).unknown == 9
    first = PhotoHashes(photos, tmp_path)
    first.learn(3, photo_digest(b"photo 3"))
    first.learn(5, b"")  # the pass could not read it
    first.close()
    again = PhotoHashes(photos, tmp_path)
    assert (first.read_now, again.unknown, again.read_now) == (1, 8, 0)
