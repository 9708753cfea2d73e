"""Paths that are taken seldom, each by a direct call."""

import os
import stat
from types import SimpleNamespace

from builders import files


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
