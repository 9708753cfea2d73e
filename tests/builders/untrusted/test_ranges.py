"""Parts of remote files from stores and web servers that answer as they should, and from those that do not."""

import re

import httpx
import pytest

from builders.errors import DataError, RemoteError, UsageError
from builders.processes import DeadlineExceeded
from builders.untrusted import RemoteFacts, RemoteStream, files_of_store, ranges, read_range, remote_facts

DATA = bytes(range(100))
WEB = "https://data.example/a.tar"


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
        monkeypatch.setattr(ranges, "open_store", lambda address: (made, root))
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
        assert list(files_of_store("s3://bucket/folder").items()) == [
            ("a/c", RemoteFacts(7, "5")), ("b", RemoteFacts(0, "x")), ("f", RemoteFacts(1 << 60, "")),
        ]  # fmt: skip
        assert made.calls == ["invalidated", (root, True)]
    store()
    assert files_of_store("s3://bucket/folder") == {}


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
        files_of_store("s3://bucket/folder")
    assert str(caught.value) == f"s3://bucket/folder: {sentence}"


def test_files_of_store__without_an_end_or_on_a_web_server(store, monkeypatch):
    store()

    def late(seconds, work):
        raise DeadlineExceeded

    monkeypatch.setattr(ranges, "run_with_deadline", late)
    with pytest.raises(DataError, match="900"):
        files_of_store("s3://bucket/folder")
    for address in ("http://x/a", "https://x/a"):
        with pytest.raises(UsageError):
            files_of_store(address)


@pytest.mark.parametrize(
    ("info", "identity"),
    [
        ({}, ""), ({"created": 1}, "1"), ({"created": 1, "LastModified": "t"}, "t"),
        ({"mtime": 0, "LastModified": "t"}, "0"), ({"blob_id": "b", "mtime": 2}, "b"),
        ({"etag": "e", "blob_id": "b"}, "e"), ({"ETag": "E", "etag": "e"}, "E"),
    ],
)  # fmt: skip
def test_remote_facts__of_a_store(store, info, identity):
    store(info={"size": 5, **info})
    assert remote_facts("s3://bucket/folder/a") == RemoteFacts(5, identity)
    store(info=info)
    with pytest.raises(DataError, match="bucket/folder"):
        remote_facts("s3://b/a")


def test_read_range__of_a_store(store):
    store()
    assert read_range("s3://b/a", 10, 5) == DATA[10:15]
    assert read_range("s3://b/a", 10, 1) == DATA[10:11]
    assert read_range("s3://b/a", 95, 20) == DATA[95:]
    assert read_range("s3://b/a", 10, 0) == read_range("s3://b/a", 10, -1) == b""
    store(data=b"123456")
    assert read_range("s3://b/a", 0, 6) == b"123456"
    with pytest.raises(DataError, match="//b/a"):
        read_range("s3://b/a", 0, 5)


@pytest.mark.parametrize("protocol", ["ftp", "file", "sftp"])
def test_store__only_known_protocols(protocol):
    with pytest.raises(UsageError) as caught:
        remote_facts(f"{protocol}://x/a")
    assert str(protocol) in str(caught.value)


@pytest.mark.parametrize(
    ("protocol", "package"),
    [("s3", "s3fs"), ("s3a", "s3fs"), ("gs", "gcsfs"), ("gcs", "gcsfs"), ("abfs", "adlfs"), ("az", "adlfs"),
     ("memory", r"fsspec\[memory\]"), ("hf", r"fsspec\[hf\]")],
)  # fmt: skip
def test_store__a_missing_package_is_named_and_a_wrong_address_is_an_error(monkeypatch, protocol, package):
    errors = [ImportError("none"), OSError("no such option\nat all")]
    monkeypatch.setattr(ranges, "open_store", lambda address: (_ for _ in ()).throw(errors.pop(0)))
    with pytest.raises(UsageError, match=re.escape(str(protocol))):
        remote_facts(f"{protocol}://b/a")
    with pytest.raises(DataError, match=re.escape(str(protocol))):
        remote_facts(f"{protocol}://b/a")


@pytest.fixture
def web(monkeypatch):
    """A web server that answers every request with one response; returns the requested ranges."""

    def serve(status=206, content=DATA[10:15], stated="bytes 10-14/100", error=None, **headers):
        requested = []

        class Client:
            def get(self, address, headers):
                requested.append((address, headers))
                if error:
                    raise error
                return response

        given = {name.replace("_", "-"): value for name, value in headers.items()}
        response = httpx.Response(status, content=content, headers={"Content-Range": stated, **given})
        monkeypatch.setattr(ranges, "_client", lambda process: Client())
        return requested

    return serve


def test_read_range__of_a_web_server(web):
    requested = web(ETag="e", Last_Modified="t")
    assert read_range(WEB, 10, 5) == read_range(WEB, 10, 5, "e") == DATA[10:15]
    assert requested == [(WEB, {"Range": "bytes=10-14"})] * 2
    with pytest.raises(DataError, match=re.escape(str(WEB))):
        read_range(WEB, 10, 5, "t")
    web()
    assert read_range(WEB, 10, 5, "e") == DATA[10:15]  # a server that names no identity
    web(content=DATA[98:], stated="bytes 98-99/100")
    assert read_range(WEB, 98, 10) == DATA[98:]
    for identity, headers in (("e", {"ETag": "e", "Last_Modified": "t"}), ("t", {"Last_Modified": "t"}), ("", {})):
        requested = web(content=b"\0", stated="bytes 0-0/100", **headers)
        assert remote_facts(WEB) == RemoteFacts(100, identity)
        assert requested == [(WEB, {"Range": "bytes=0-0"})]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"status": 200}, "the server gives no parts of files: download it first"),
        ({"status": 404}, "the server answers 404"),
        ({"status": 302}, "the server answers 302"),
        ({"stated": "bytes 10-14/*"}, "the server does not say how large the file is"),
        ({"stated": "bytes 10-14/" + "9" * 19}, "the server does not say how large the file is"),
        ({"stated": ""}, "the server does not say how large the file is"),
        ({"stated": "bytes 0-4/100"}, "the server gives another part of the file than was requested"),
        ({"content": DATA[10:16]}, "the server gives another part of the file than was requested"),
        ({"content": DATA[10:14]}, "cannot be read (the server broke off within a part of it)"),
        ({"error": httpx.ConnectError("no\nroute")}, "cannot be read (no)"),
        ({"error": RemoteError("too slow: x")}, "cannot be read (too slow: x)"),
        ({"error": OSError("gone")}, "cannot be read (gone)"),
    ],
)  # fmt: skip
def test_read_range__of_a_web_server_that_answers_otherwise_is_one_sentence(web, answer, sentence):
    web(**answer)
    with pytest.raises(DataError) as caught:
        read_range(WEB, 10, 5)
    assert str(caught.value) == f"{WEB}: {sentence}"


@pytest.fixture
def parts(monkeypatch):
    """The parts that a stream requests of DATA; ``short`` bytes are missing at the end of each."""

    def use(short=0):
        made = []

        def read(address, offset, size, identity):
            made.append((address, offset, size, identity))
            return DATA[offset : offset + size - short]

        monkeypatch.setattr(ranges, "read_range", read)
        return made

    return use


def test_stream__reads_ahead_once_for_neighbours(parts):
    made = parts()
    stream = RemoteStream("s3://b/a", 100, "id", ahead=20)
    assert (stream.read(5), stream.read(15)) == (DATA[:5], DATA[5:20])
    assert made == [("s3://b/a", 0, 20, "id")]
    assert stream.read(1) == DATA[20:21]
    assert made[1:] == [("s3://b/a", 20, 20, "id")]
    stream.seek(0)
    assert stream.read(30) == DATA[:30]
    stream.seek(-10, 2)
    assert stream.read() == DATA[90:]
    assert made[2:] == [("s3://b/a", 0, 30, "id"), ("s3://b/a", 90, 10, "id")]
    stream.seek(-15, 1)
    assert (stream.read(3), stream.read(-1)) == (DATA[85:88], DATA[88:])
    assert made[4:] == [("s3://b/a", 85, 15, "id")]
    stream.seek(150)
    assert (stream.read(4), stream.tell(), len(made)) == (b"", 150, 6)
    exact = RemoteStream("s3://b/a", 100, ahead=0)
    exact.seek(40)
    assert exact.read(2) == DATA[40:42]
    assert made[-1] == ("s3://b/a", 40, 2, "")
    assert (exact.readable(), exact.seekable(), exact.tell()) == (True, True, 42)


def test_stream__refuses_large_parts_and_parts_with_too_few_bytes(parts):
    parts()
    stream = RemoteStream("s3://b/a", 100, most=30, ahead=0)
    assert stream.read(30) == DATA[:30]
    with pytest.raises(DataError, match="//b/a"):
        stream.read(31)
    parts(short=1)
    stream = RemoteStream("s3://b/a", 2000, ahead=0)
    stream.seek(50)
    with pytest.raises(DataError) as caught:
        stream.read(10)
    assert "//b/a" in str(caught.value)


HUB = f"hf://datasets/org/set@{'a' * 40}/data/x y.parquet"


@pytest.fixture
def hub(monkeypatch):
    """The Hub's client, with one response; returns the requests."""
    from huggingface_hub import utils

    monkeypatch.setattr(ranges, "open_store", lambda address: (FileUrls(), address.removeprefix("hf://")))
    ranges._hub_url.cache_clear()

    def serve(status=206, content=DATA[10:15], stated="bytes 10-14/100", error=None):
        requests = []

        def request(method, address, **options):
            requests.append((method, address, options["headers"]["Range"]))
            if error:
                raise error
            response = httpx.Response(status, content=content, headers={"Content-Range": stated})
            response.request = httpx.Request(method, address)
            return response

        monkeypatch.setattr(utils, "http_backoff", request)
        return requests

    yield serve
    ranges._hub_url.cache_clear()


class FileUrls:
    def url(self, path):
        return f"https://hub.example/{path}"


def test_read_range__of_the_hub(hub):
    requests = hub()
    assert read_range(HUB, 10, 5) == DATA[10:15]
    (request,) = requests
    assert request[0] == "GET"
    assert request[1].endswith(f"/datasets/org/set/resolve/{'a' * 40}/data/x%20y.parquet")
    assert request[2] == "bytes=10-14"
    requests = hub()
    assert read_range("hf://datasets/org/set@main/a", 10, 5) == DATA[10:15]  # a branch: its client knows the commit
    assert requests == [("GET", "https://hub.example/datasets/org/set@main/a", "bytes=10-14")]
    hub(status=200, content=DATA, stated="")  # a server that gives the whole file
    assert read_range(HUB, 10, 5) == DATA[10:15]
    assert read_range(HUB, 98, 5) == DATA[98:]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"stated": "bytes 0-4/100"}, "the server gives another part of the file than was requested"),
        ({"stated": ""}, "the server gives another part of the file than was requested"),
        ({"content": DATA[10:16]}, "the server gives another part of the file than was requested"),
        ({"error": OSError("gone")}, "cannot be read (gone)"),
        ({"error": ValueError("odd")}, "cannot be read (odd)"),
        ({"error": RemoteError("too slow")}, "cannot be read (too slow)"),
    ],
)
def test_read_range__of_a_hub_that_answers_otherwise_is_one_sentence(hub, answer, sentence):
    hub(**answer)
    with pytest.raises(DataError) as caught:
        read_range(HUB, 10, 5)
    assert str(caught.value) == f"{HUB}: {sentence}"
    hub(status=404)
    with pytest.raises(DataError, match=r"cannot be read \("):
        read_range(HUB, 10, 5)


@pytest.mark.parametrize(
    ("stated", "offset", "right"),
    [
        ("bytes 5-9/10", 5, True), ("bytes 50-90/100", 5, False), ("bytes 5-9/10", 50, False),
        ("bytes 05-9/10", 5, False),
        ("bytes 0-9/10", 0, True), ("bytes */10", 0, False), ("x bytes 5-9/10", 5, False), ("", 0, False),
    ],
)  # fmt: skip
def test_begins_at__the_offset_as_a_whole_number(stated, offset, right):
    assert ranges._begins_at(stated, offset) is right
