"""Facts of files under their stamps: what changes a stamp, and when facts are taken, stored and read again."""

import os
from types import SimpleNamespace

from builders.photos import Stamp, file_stamp

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
