"""Storage folders on a disk: regular files are read and copied, anything else is refused at once."""

import os
from pathlib import Path

import pytest

from builders.cluster import StorageFolder
from builders.errors import DataError, DiskError, UsageError
from builders.untrusted import read_range, remote_facts


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
    with pytest.raises(DataError):
        StorageFolder.of(tmp_path).read("plan.json")


@pytest.mark.parametrize("what", ["pipe", "device", "dangling"])
def test_get__what_is_no_file_is_refused(tmp_path, what):
    place(tmp_path / "shard", what)
    with pytest.raises(DataError):
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


class Unlike(Exception):
    """As botocore's errors: of a tree of its own, with a password in its text."""


class BrokenStore:
    """A file system of fsspec whose client fails in every call."""

    def __getattr__(self, name):
        def fail(*_, **__):
            raise Unlike("no answer of http://me:secret-word@store.invalid/b?sig=0123456789")

        return fail


@pytest.fixture
def broken(monkeypatch):
    monkeypatch.setattr("fsspec.core.url_to_fs", lambda address, **_: (BrokenStore(), "bucket/run"))
    return StorageFolder.of("s3://bucket/run")


CALLS = {
    "read": (lambda folder, here: folder.read("a"), DataError),
    "write": (lambda folder, here: folder.write("a", b"x"), DiskError),
    "put": (lambda folder, here: folder.put(here / "a", "a"), DiskError),
    "get": (lambda folder, here: folder.get("a", here / "b"), DataError),
    "names": (lambda folder, here: folder.names(), DataError),
    "all_names": (lambda folder, here: folder.all_names(), DataError),
    "remove": (lambda folder, here: folder.remove("a"), DiskError),
    "remote_facts": (lambda folder, here: remote_facts("s3://bucket/run/a"), DataError),
    "read_range": (lambda folder, here: read_range("s3://bucket/run/a", 0, 9), DataError),
}


@pytest.mark.parametrize("call", CALLS)
def test_stores__errors_of_their_clients_are_a_sentence_without_passwords(broken, tmp_path, call):
    (tmp_path / "a").write_bytes(b"x")
    function, kind = CALLS[call]
    with pytest.raises(kind, match=r"store\.invalid") as error:
        function(broken, tmp_path)
    assert "secret" not in str(error.value)
    assert "0123456789" not in str(error.value)
    assert os.listdir(tmp_path) == ["a"]


def test_stores__an_option_that_the_client_does_not_know_is_a_sentence(monkeypatch):
    def refuse(address, **_):
        raise TypeError("unexpected keyword argument 'bogus'")

    monkeypatch.setattr("fsspec.core.url_to_fs", refuse)
    with pytest.raises(DataError, match="'bogus'"):
        remote_facts("s3://b/a")
    with pytest.raises(UsageError, match="'bogus'"):
        StorageFolder.of("s3://b").read("a")
