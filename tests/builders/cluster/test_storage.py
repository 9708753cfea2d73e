"""Storage folders on a disk: regular files are read and copied, anything else is refused at once."""

import os
from pathlib import Path

import pytest

from builders.cluster import StorageFolder
from builders.errors import DataError


def place(path: Path, what: str) -> None:
    """Something that is no file, under the name of one."""
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "sparse":
        with open(path, "wb") as stream:
            stream.truncate(5 << 30)
    else:
        path.symlink_to({"device": "/dev/zero", "dangling": "nowhere", "loop": path.name}[what])


@pytest.mark.parametrize("what", ["pipe", "device", "folder", "dangling", "loop", "sparse"])
def test_read__what_is_no_file_of_a_plan_is_refused(tmp_path, what):
    place(tmp_path / "plan.json", what)
    with pytest.raises(DataError, match=r"not a regular file|cannot be read|more than the 1 GiB"):
        StorageFolder.of(tmp_path).read("plan.json")


@pytest.mark.parametrize("what", ["pipe", "device", "dangling"])
def test_get__what_is_no_file_is_refused(tmp_path, what):
    place(tmp_path / "shard", what)
    with pytest.raises(DataError, match=r"not a regular file|cannot be read"):
        StorageFolder.of(tmp_path).get("shard", tmp_path / "copy" / "shard")
    assert not list((tmp_path / "copy").iterdir())


def test_read_and_get__a_file_and_an_absent_one(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100)
    folder = StorageFolder.of(tmp_path)
    assert folder.read("a") == b"x" * 100
    assert folder.read("b") is None
    folder.get("a", tmp_path / "copy" / "a")
    assert (tmp_path / "copy" / "a").read_bytes() == b"x" * 100
    with pytest.raises(DataError, match="is not there"):
        folder.get("b", tmp_path / "copy" / "b")
