"""Where files of this machine are: the cache, scratch files, remote addresses; and which processes run."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from builders.files import cache_folder, is_remote, is_running, private_scratch


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"CAMTRACE_CACHE": "/a/b", "XDG_CACHE_HOME": "/x"}, "/a/b"), ({"XDG_CACHE_HOME": "/x"}, "/x/camtrace"),
        ({"CAMTRACE_CACHE": "", "XDG_CACHE_HOME": ""}, "/home/me/.cache/camtrace"), ({}, "/home/me/.cache/camtrace"),
    ],
)  # fmt: skip
def test_cache_folder(monkeypatch, variables, folder):
    for name in ("CAMTRACE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)


@pytest.mark.parametrize(
    ("address", "remote"),
    [("s3://a/b", True), ("https://a", True), ("file:///a", False), ("/a/b", False), ("a:b", False), ("C:/a", False),
     ("a/file://b", True)],
)  # fmt: skip
def test_is_remote(address, remote):
    assert is_remote(address) is remote


@pytest.mark.skipif(sys.platform != "linux", reason="the start of a process is read from /proc")
def test_is_running__a_process_that_began_later_has_only_taken_the_number():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    began = time.time()
    try:
        assert is_running(process.pid)
        assert is_running(process.pid, began + 1)
        assert is_running(process.pid, began - 0.2)
        assert not is_running(process.pid, began - 60)
    finally:
        process.communicate(b"\n")
    assert not is_running(process.pid)
    assert not is_running(2**40)
    assert is_running(1)
    assert is_running(os.getpid(), time.time())


def test_private_scratch__is_made_if_wanted_and_is_a_folder_of_this_user(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert private_scratch(make=False) is None
    assert os.listdir(tmp_path) == []
    folder = private_scratch()
    assert folder == tmp_path / f"camtrace-views-{os.getuid()}"
    assert private_scratch(make=False) == private_scratch() == folder
    for mode, private in ((0o700, True), (0o710, False), (0o701, False), (0o740, False), (0o500, True)):
        folder.chmod(mode)
        assert (private_scratch() is not None) == private
    folder.chmod(0o700)
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    folder.rename(tmp_path / f"camtrace-views-{other}")
    assert private_scratch() is None  # of another user
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to("elsewhere")
    assert private_scratch() is None
    folder.unlink()
    folder.write_text("x")
    assert private_scratch() is None
