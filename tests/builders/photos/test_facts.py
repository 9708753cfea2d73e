"""Facts of files under their stamps: what changes a stamp, and when facts are taken, stored and read again."""

import gzip
import json
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest

from builders.files import JUST_CHANGED_NS, SAVED_EVERY_S
from builders.photos import FactCache, Stamp, Stamps, stamps
from builders.photos.stamps import file_stamp

STATUS = {"st_size": 1, "st_mtime_ns": 2, "st_ino": 3, "st_ctime_ns": 4}


def test_file_stamp__size_times_and_inode_each_change_it(monkeypatch, tmp_path):
    def stamp(part="", **changes):
        monkeypatch.setattr(os, "stat", lambda path: SimpleNamespace(**{**STATUS, **changes}))
        made = file_stamp("/a", part)
        monkeypatch.undo()
        return made

    assert stamp() == Stamp("/a 1 2 3 4", 2)
    assert stamp(" 7+8") == Stamp("/a 1 2 3 4 7+8", 2)
    for at, name in enumerate(STATUS):
        text = [1, 2, 3, 4]
        text[at] = 9
        assert stamp(**{name: 9}).text == "/a " + " ".join(map(str, text))
    assert stamp(st_mtime_ns=9).changed_ns == 9
    for path in (str(tmp_path / "gone"), "/a\0b"):
        assert file_stamp(path) == Stamp(f"{path} gone", 0)


@pytest.fixture
def clock(monkeypatch, tmp_path):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    now = SimpleNamespace(monotonic=1000.0, ns=10**18)
    monkeypatch.setattr(stamps.time, "monotonic", lambda: now.monotonic)
    monkeypatch.setattr(stamps.time, "time_ns", lambda: now.ns)
    return now


def stamps_of(*texts, changed=0):
    files = [Stamp(text, changed) for text in texts]
    return Stamps(files, np.arange(len(files)))


def opened(folder, *texts, kind="facts", version="1", changed=0):
    return FactCache(kind, folder, stamps_of(*texts, changed=changed), version)


def facts(cache, count):
    return [cache.get(index) for index in range(count)]


def test_fact_cache__facts_of_equal_stamps_kinds_folders_and_versions(tmp_path, clock):
    first = opened(tmp_path, "a 1", "b 1", "c 1")
    assert facts(first, 3) == [None, None, None]
    first.put(0, {"x": 1})
    first.put(2, [None])
    assert facts(first, 3) == [{"x": 1}, None, [None]]
    assert facts(opened(tmp_path, "a 1"), 1) == [None]  # not yet saved
    first.save()
    assert facts(opened(tmp_path, "c 1", "a 2", "a 1"), 3) == [[None], None, {"x": 1}]
    assert facts(opened(tmp_path / ".." / tmp_path.name, "a 1"), 1) == [{"x": 1}]
    assert facts(opened(tmp_path, "a 1", version="2"), 1) == [None]
    assert facts(opened(tmp_path, "a 1", kind="other"), 1) == [None]
    assert facts(opened(tmp_path / "b", "a 1"), 1) == [None]
    # what is saved later holds the facts of the files that are there, and no others
    second = opened(tmp_path, "a 1", "d 1")
    second.put(1, "new")
    second.save()
    assert facts(opened(tmp_path, "a 1", "c 1", "d 1"), 3) == [{"x": 1}, None, "new"]


@pytest.mark.parametrize(("age", "stored"), [(0, False), (JUST_CHANGED_NS, False), (JUST_CHANGED_NS + 1, True)])
def test_fact_cache__files_that_changed_a_moment_ago_have_no_facts(tmp_path, clock, age, stored):
    cache = opened(tmp_path, "a 1", changed=clock.ns - age)
    cache.put(0, "fact")
    cache.save()
    assert facts(cache, 1) == facts(opened(tmp_path, "a 1"), 1) == ["fact" if stored else None]


def test_fact_cache__is_saved_now_and_then_and_only_if_there_is_something_new(tmp_path, clock, monkeypatch):
    writes = []
    monkeypatch.setattr(stamps, "write_bytes_atomically", lambda path, data: writes.append(data))
    cache = opened(tmp_path, "a 1", "b 1")
    cache.save()
    cache.put(0, 1)
    assert writes == []
    clock.monotonic += SAVED_EVERY_S
    cache.put(1, 2)
    assert writes == []
    clock.monotonic += 0.5
    cache.put(1, 3)
    assert len(writes) == 1
    assert json.loads(gzip.decompress(writes[0]))["version"] == "1"
    cache.save()
    clock.monotonic += SAVED_EVERY_S
    cache.put(0, 5)
    assert len(writes) == 1
    cache.save()
    assert len(writes) == 2

    def full(path, data):
        raise OSError("no space")

    monkeypatch.setattr(stamps, "write_bytes_atomically", full)
    cache.put(0, 6)
    cache.save()
    assert cache.get(0) == 6
    monkeypatch.setattr(stamps, "write_bytes_atomically", lambda path, data: writes.append(data))
    cache.save()  # what could not be written is written at the next call
    assert len(writes) == 3


@pytest.mark.parametrize(
    "data",
    [b"", b"no gzip", gzip.compress(b"{", mtime=0), gzip.compress(b"[]", mtime=0),
     gzip.compress(b'{"version": "1"}', mtime=0),
     gzip.compress(b'{"version": "1", "facts": 5}', mtime=0), gzip.compress(b'{"facts": {}}', mtime=0),
     gzip.compress(b'{"version": "1", "facts": {}}', mtime=0)[:-9], gzip.compress(b"\xff\xfe", mtime=0)],
)  # fmt: skip
def test_fact_cache__a_damaged_file_has_no_facts(tmp_path, clock, data):
    cache = opened(tmp_path, "a 1")
    cache.put(0, "fact")
    cache.save()
    (file,) = (tmp_path / "cache" / "facts").iterdir()
    assert file.name.endswith(".json.gz")
    file.write_bytes(data)
    assert facts(opened(tmp_path, "a 1"), 1) == [None]


def test_fact_cache__an_earlier_stamp_does_not_replace_what_is_there(tmp_path, clock):
    earlier = opened(tmp_path, "old", "new")
    earlier.put(0, "of the earlier form")
    earlier.put(1, "of this form")
    earlier.save()
    now = Stamps([Stamp("new", 0)], np.array([0]), earlier=stamps_of("old"))
    assert FactCache("facts", tmp_path, now, "1").get(0) == "of this form"
    now = Stamps([Stamp("newer", 0)], np.array([0]), earlier=stamps_of("old"))
    assert FactCache("facts", tmp_path, now, "1").get(0) == "of the earlier form"
    assert time.monotonic() == 1000.0
