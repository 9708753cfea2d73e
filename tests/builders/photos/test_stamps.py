"""Stamps of photos: the text of a file stands once, keys are those of the whole texts, every file is looked at once."""

import hashlib
import os

import numpy as np
import pytest

from builders.photos import FactCache, Stamp, Stamps, stamps, stamps_of_files, stamps_within


def by_hand(all_stamps, size):
    """Keys of whole texts, one by one."""
    return [
        hashlib.blake2b(stamp.text.encode("utf-8", "surrogateescape"), digest_size=size).digest()
        for stamp in all_stamps
    ]


@pytest.mark.parametrize("chunk", [2, 10_000])
def test_table__is_that_of_the_whole_texts(chunk, monkeypatch):
    monkeypatch.setattr(stamps, "_CHUNK", chunk)
    files = [Stamp("a\udcff.tar 9000", 7), Stamp("b.tar 1", 9), Stamp("c.tar 2", 11)]
    file = np.array([0, 2, 1, 0, 2])
    within = stamps_within(files, file, np.array([512, 0, 5, 1024, 1]), np.array([3, 4, 5, 6, 7]))
    texts = ["a\udcff.tar 9000 512+3", "c.tar 2 0+4", "b.tar 1 5+5", "a\udcff.tar 9000 1024+6", "c.tar 2 1+7"]
    assert [stamp.text for stamp in within] == texts
    keys, changed = within.table(16)
    assert [key.tobytes() for key in keys] == by_hand(within, 16)
    assert changed.tolist() == [7, 11, 9, 7, 11]
    bundle = Stamps(files, np.array([1]), " [{}, {}]", np.array([[4, 8]]))
    assert list(bundle) == [Stamp("b.tar 1 [4, 8]", 9)]
    assert within[1:3] == [within[1], within[2]]


def test_table__looks_at_every_file_once(tmp_path, monkeypatch):
    for name in "abc":
        (tmp_path / name).write_text(name)
    looked, real = [], stamps.file_stamp
    monkeypatch.setattr(stamps, "file_stamp", lambda path: looked.append(path) or real(path))
    of_files = stamps_of_files(lambda row: str(tmp_path / "abc"[row]), np.array([2, 0, 1]))
    assert looked == []
    keys, changed = of_files.table(12)
    assert [os.path.basename(path) for path in looked] == ["c", "a", "b"]
    assert [key.tobytes() for key in keys] == by_hand(of_files, 12)
    assert changed.tolist() == [(tmp_path / name).stat().st_mtime_ns for name in "cab"]


def test_fact_cache__takes_facts_under_earlier_stamps(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    rows = np.arange(3)[:, None]
    of_part = Stamps([Stamp("a 1|b 2 names", 5)], np.zeros(3, dtype=int), " {}", rows)
    before = FactCache("facts", tmp_path, of_part, "1")
    for index in (0, 2):
        before.put(index, f"of row {index}")
    before.save()
    of_file = Stamps([Stamp("a 1", 5), Stamp("b 2", 5)], np.array([0, 0, 1]), " {}", np.array([[0], [1], [0]]), of_part)
    after = FactCache("facts", tmp_path, of_file, "1")
    assert [after.get(index) for index in range(3)] == ["of row 0", None, "of row 2"]
