"""Parts of remote files from stores and web servers that answer as they should, and from those that do not."""

import re

import pytest

from builders.errors import DataError, UsageError
from builders.untrusted import RemoteFacts, RemoteStream, files_of_store, read_range, remote_facts

DATA = bytes(range(100))


class Store:
    """A store of fsspec that holds what it is given."""

    def __init__(self, listed=None, info=None, data=DATA):
        self.listed, self.stated, self.data, self.calls = listed or {}, info or {}, data, []

    def invalidate_cache(self):
        self.calls.append("invalidated")

    def find(self, root, detail):
        self.calls.append((root, detail))
        if isinstance(self.listed, Exception):
            raise self.listed
        return self.listed

    def info(self, path):
        return {**self.stated, "name": path}

    def cat_file(self, path, start, end):
        return self.data[start:end] if self.data is DATA else self.data


@pytest.fixture
def store(monkeypatch):
    def use(root="bucket/folder", **more):
        made = Store(**more)
        monkeypatch.setattr("fsspec.core.url_to_fs", lambda address, **options: (made, root))
        return made

    return use


def file(size=3, **more):
    return {"type": "file", "size": size, **more}


def test_files_of_store__files_below_the_folder_sorted_with_size_and_identity(store):
    listed = {
        "bucket/folder/b": file(0, ETag="x"),
        "bucket/folder/a/c": file(7, created="then", mtime=5),
        "bucket/folder/d": {"type": "directory", "size": 0},
        "bucket/folderlike/e": file(),
        "bucket/folder/f": file(1 << 60),
    }
    for root in ("bucket/folder", "bucket/folder/"):
        made = store(root, listed=listed)
        assert list(files_of_store("gs://bucket/folder").items()) == [
            ("a/c", RemoteFacts(7, "modified 5")), ("b", RemoteFacts(0, "x")), ("f", RemoteFacts(1 << 60, "")),
        ]  # fmt: skip
        assert made.calls == ["invalidated", (root, True)]
    store()
    assert files_of_store("gs://bucket/folder") == {}


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        ({"bucket/folder/a": file(None, name="odd")}, "cannot be listed (the store says that odd has no size)"),
        ({"bucket/folder/a": file(-1)}, "cannot be listed (the store says that a file has no size)"),
        ({"bucket/folder/a": file((1 << 60) + 1)}, "cannot be listed (the store says that a file has no size)"),
        ({"bucket/folder/a": file("3")}, "cannot be listed (the store says that a file has no size)"),
        (OSError("no access"), "cannot be listed (no access)"),
        (KeyError("odd"), "cannot be listed (KeyError: 'odd')"),
    ],
)
def test_files_of_store__what_cannot_be_listed_is_one_sentence(store, listed, sentence):
    store(listed=listed)
    with pytest.raises(DataError) as caught:
        files_of_store("gs://bucket/folder")
    assert str(caught.value) == f"gs://bucket/folder: {sentence}"


@pytest.mark.parametrize(
    ("info", "identity"),
    [
        ({}, ""), ({"created": 1}, "modified 1"), ({"created": 1, "LastModified": "t"}, "modified t"),
        ({"blob_id": "b", "mtime": 2}, "b"),
        ({"etag": "e", "blob_id": "b"}, "e"), ({"ETag": "E", "etag": "e"}, "E"),
    ],
)  # fmt: skip
def test_remote_facts__of_a_store(store, info, identity):
    store(info={"size": 5, **info})
    assert remote_facts("gs://bucket/folder/a") == RemoteFacts(5, identity)
    store(info=info)
    with pytest.raises(DataError, match="bucket/folder"):
        remote_facts("gs://b/a")


def test_read_range__of_a_store(store):
    store()
    assert read_range("gs://b/a", 10, 5) == DATA[10:15]
    assert read_range("gs://b/a", 10, 1) == DATA[10:11]
    assert read_range("gs://b/a", 95, 20) == DATA[95:]
    assert read_range("gs://b/a", 10, 0) == read_range("gs://b/a", 10, -1) == b""
    store(data=b"123456")
    assert read_range("gs://b/a", 0, 6) == b"123456"
    with pytest.raises(DataError, match="//b/a"):
        read_range("gs://b/a", 0, 5)


@pytest.mark.parametrize("protocol", ["ftp", "file", "sftp"])
def test_store__only_known_protocols(protocol):
    with pytest.raises(UsageError) as caught:
        remote_facts(f"{protocol}://x/a")
    assert str(protocol) in str(caught.value)


@pytest.mark.parametrize(
    ("protocol", "package"),
    [("gs", "gcsfs"), ("gcs", "gcsfs"), ("abfs", "adlfs"), ("az", "adlfs"),
     ("memory", r"fsspec\[memory\]"), ("hf", r"fsspec\[hf\]")],
)  # fmt: skip
def test_store__a_missing_package_is_named_and_a_wrong_address_is_an_error(monkeypatch, protocol, package):
    errors = [ImportError("none"), OSError("no such option\nat all")]
    monkeypatch.setattr("fsspec.core.url_to_fs", lambda address, **options: (_ for _ in ()).throw(errors.pop(0)))
    with pytest.raises(UsageError, match=re.escape(str(protocol))):
        remote_facts(f"{protocol}://b/a")
    with pytest.raises(DataError, match=re.escape(str(protocol))):
        remote_facts(f"{protocol}://b/a")


@pytest.fixture
def parts(store):
    """The parts that a stream requests of DATA, by offset and size; ``short`` bytes are missing at the end of each."""

    def use(short=0):
        made, files = [], store()

        def cat_file(path, start, end):
            made.append((start, end - start))
            return DATA[start : end - short]

        files.cat_file = cat_file
        return made

    return use


def test_stream__reads_ahead_once_for_neighbours(parts):
    made = parts()
    stream = RemoteStream("gs://b/a", 100, "id", ahead=20)
    assert (stream.read(5), stream.read(15)) == (DATA[:5], DATA[5:20])
    assert made == [(0, 20)]
    assert stream.read(1) == DATA[20:21]
    assert made[1:] == [(20, 20)]
    stream.seek(0)
    assert stream.read(30) == DATA[:30]
    stream.seek(-10, 2)
    assert stream.read() == DATA[90:]
    assert made[2:] == [(0, 30), (90, 10)]
    stream.seek(-15, 1)
    assert (stream.read(3), stream.read(-1)) == (DATA[85:88], DATA[88:])
    assert made[4:] == [(85, 15)]
    stream.seek(150)
    assert (stream.read(4), stream.tell(), len(made)) == (b"", 150, 5)
    exact = RemoteStream("gs://b/a", 100, ahead=0)
    exact.seek(40)
    assert exact.read(2) == DATA[40:42]
    assert made[-1] == (40, 2)
    assert (exact.readable(), exact.seekable(), exact.tell()) == (True, True, 42)


def test_stream__refuses_large_parts_and_parts_with_too_few_bytes(parts):
    parts()
    stream = RemoteStream("gs://b/a", 100, most=30, ahead=0)
    assert stream.read(30) == DATA[:30]
    with pytest.raises(DataError, match="//b/a"):
        stream.read(31)
    parts(short=1)
    stream = RemoteStream("gs://b/a", 2000, ahead=0)
    stream.seek(50)
    with pytest.raises(DataError) as caught:
        stream.read(10)
    assert "//b/a" in str(caught.value)
