"""Shards of a WebDataset on disk, over HTTP and in a store of fsspec: the same photos, labels and bytes."""

import gzip
import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import fsspec
import pytest

from builders.data_specs import KINDS, open_photos, parse_data_spec
from builders.errors import DataError, PhotoError, UsageError
from builders.photos import SPLITS
from builders.sources import webdataset
from builders.untrusted import Pace, ranges
from tests.support.camera_sets import tarred
from tests.support.layouts import picture


def shard(first, count=4, **more):
    """A shard with a picture, a class and facts for each sample."""
    files = {}
    for i in range(first, first + count):
        files[f"{i:04}.jpg"] = picture(i) + bytes([i])
        files[f"{i:04}.cls"] = str(i % 3).encode()
        files[f"{i:04}.json"] = json.dumps(
            {"camera": {"make": f"make {i % 2}"}, "side": ["train", "val"][i % 2]}
        ).encode()
    return tarred({**files, **more})


SHARDS = {f"photos-{number:03}.tar": shard(4 * number) for number in (8, 9, 10)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "shards"
    root.mkdir()
    for name, data in SHARDS.items():
        (root / name).write_bytes(data)
    return root


class Server(BaseHTTPRequestHandler):
    """Serves the shards, in parts unless ``whole``."""

    whole = False
    lie: ClassVar = None
    """Changes (status, headers, body) of an answer, given the shard and the first byte that was asked for."""
    requests: ClassVar[list] = []

    def do_GET(self):
        data = SHARDS.get(self.path.removeprefix("/"))
        type(self).requests.append((self.path, self.headers.get("Range")))
        if data is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        part = data if self.whole else data[first : last + 1]
        headers = {"ETag": f'"{len(data)}"', "Content-Length": str(len(part))}
        if not self.whole:
            headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
        status = 200 if self.whole else 206
        if type(self).lie is not None:
            status, headers, part = type(self).lie((status, headers, part), data, first)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(part)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(ranges, "ALLOW_LOOPBACK", True)
    monkeypatch.setattr(Server, "whole", False)
    monkeypatch.setattr(Server, "lie", None)
    Server.requests.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
    ranges._client.cache_clear()


def assert_whole(photos):
    assert photos.ids == tuple(f"photos-{i // 4:03}/{i:04}" for i in range(32, 44))
    assert [photos.labels.names[v] for v in photos.labels.values] == [str(i % 3) for i in range(32, 44)]
    assert [photos.read(i) for i in range(12)] == [picture(i) + bytes([i]) for i in range(32, 44)]
    assert {SPLITS[s] for s in photos.splits} == {"train", "val"}


@pytest.mark.parametrize(
    ("span", "numbers"),
    [("0..10", range(11)), ("8..10", (8, 9, 10)), ("08..10", ("08", "09", "10")), ("099..100", ("099", "100"))],
)
def test_expanded_shards__have_as_many_digits_as_the_first_of_a_range(span, numbers):
    shards = webdataset.expanded_shards(f"s3://b/{{{span}}}.tar")
    assert shards == [f"s3://b/{number}.tar" for number in numbers]


def test_webdataset__on_disk(folder):
    photos = open_photos(f"webdataset:{folder}/photos-{{008..010}}.tar")
    assert_whole(photos)
    assert photos.name == "webdataset:photos-008 and 2 more"
    assert len(set(photos.stamps())) == 12


def test_webdataset__over_http_reads_parts(server):
    photos = open_photos(f"webdataset:{server}/photos-{{008..010}}.tar")
    assert_whole(photos)
    assert len(set(photos.stamps())) == 12
    assert all(part for _, part in Server.requests)


def test_webdataset__in_a_store_of_fsspec():
    store = fsspec.filesystem("memory")
    for name, data in SHARDS.items():
        store.pipe(f"/bucket/{name}", data)
    assert_whole(open_photos("webdataset:memory://bucket/photos-{008..010}.tar"))


def test_columns__are_fields_of_json_and_files_of_text(folder):
    spec = f"webdataset:{folder}/photos-{{008,009}}.tar?label=json.camera.make&group=number=cls&split=json.side"
    photos = open_photos(spec)
    assert [photos.labels.names[v] for v in photos.labels.values] == [f"make {i % 2}" for i in range(32, 40)]
    assert [photos.groups["number"].names[v] for v in photos.groups["number"].values] == [
        str(i % 3) for i in range(32, 40)
    ]
    assert [SPLITS[s] for s in photos.splits] == [["train", "val"][i % 2] for i in range(32, 40)]
    with pytest.raises(UsageError, match=r"json\.lens"):
        open_photos(f"webdataset:{folder}/photos-008.tar?group=lens=json.lens")


def test_index__follows_changes(folder):
    spec = f"webdataset:{folder}/photos-{{008..010}}.tar"
    assert_whole(open_photos(spec))
    (folder / "photos-009.tar").write_bytes(shard(36, 2))
    assert len(open_photos(spec)) == 10


def test_index__over_http_is_stored_too(server):
    spec = f"webdataset:{server}/photos-008.tar"
    open_photos(spec)
    before = len(Server.requests)
    open_photos(spec)
    assert len(Server.requests) == before + 1  # the size and ETag of the shard


@pytest.mark.parametrize(
    ("files", "image", "content"),
    [
        ({"a.seg.png": b"mask", "a.jpg": b"photo"}, "", b"photo"),
        ({"a.seg.png": b"mask", "a.jpg": b"photo"}, "seg.png", b"mask"),
        ({"./x/a.JPG": b"photo", "x/a.txt": b"words"}, "", b"photo"),
    ],
)
def test_samples__have_one_picture(files, image, content, tmp_path):
    (tmp_path / "one.tar").write_bytes(tarred({**files, "b.jpg": b"other", "b.seg.png": b"other mask"}))
    photos = open_photos(f"webdataset:{tmp_path}/one.tar" + (f"?image={image}" if image else ""))
    assert photos.read(0) == content


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("photos-{008..010.tar", "write a range"),
        ("photos-{008}.tar", "write a range"),
        ("photos-{9..8}.tar", "is no range"),
        ("photos-{0..100000000}.tar", "is no range"),
        ("photos-011.tar", "No such file"),
        ("broken.tar", "damaged"),
        ("page.tar", "damaged"),
        ("texts.tar", "file"),
        ("json.tar", "json.tar: 0"),
        ("{a,b}/photos-008.tar", "photos-008/0032"),
        ("ftp://h/a.tar", "read"),
    ],
)
def test_webdataset__is_refused_in_a_sentence(pattern, sentence, folder):
    (folder / "broken.tar").write_bytes(SHARDS["photos-008.tar"][:3000])
    (folder / "page.tar").write_bytes(b"<html>" * 200)
    (folder / "texts.tar").write_bytes(tarred({"a.txt": b"x"}))
    (folder / "json.tar").write_bytes(tarred({"0.jpg": b"x", "0.json": b"{"}))
    for name in "ab":
        (folder / name).mkdir()
        (folder / name / "photos-008.tar").write_bytes(SHARDS["photos-008.tar"])
    place = pattern if "://" in pattern else f"{folder}/{pattern}"
    label = "?label=json.x" if pattern == "json.tar" else ""
    with pytest.raises((DataError, UsageError)) as refused:
        open_photos(f"webdataset:{place}{label}")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_http__is_guarded_and_needs_parts_of_files(server, monkeypatch):
    with pytest.raises(DataError, match="the server answers 404"):
        open_photos(f"webdataset:{server}/photos-011.tar")
    monkeypatch.setattr(Server, "whole", True)
    with pytest.raises(DataError):
        open_photos(f"webdataset:{server}/photos-008.tar")
    monkeypatch.setattr(ranges, "ALLOW_LOOPBACK", False)
    ranges._client.cache_clear()
    with pytest.raises(DataError):
        open_photos(f"webdataset:{server}/photos-008.tar")


def stated(name, value):
    return lambda answer, data, first: (answer[0], {**answer[1], name: value}, answer[2])


def with_body(change):
    """The answer with another body, whose length is stated."""

    def lie(answer, data, first):
        body = change(answer[2], data, first)
        return answer[0], {**answer[1], "Content-Length": str(len(body))}, body

    return lie


def named_shifted(answer, data, first):
    """The part from 512 bytes on, as the answer says."""
    part = data[first + 512 : first + 512 + len(answer[2])]
    span = f"bytes {first + 512}-{first + 511 + len(part)}/{len(data)}"
    return answer[0], {**answer[1], "Content-Range": span, "Content-Length": str(len(part))}, part


BOMB = gzip.compress(bytes(1 << 20))

LIES = {
    "fewer bytes": (with_body(lambda part, data, first: part[: len(part) - 512]), "broke off within a part"),
    "no bytes": (with_body(lambda part, data, first: b""), "broke off within a part"),
    "another part": (named_shifted, "another part of the file than was requested"),
    "the whole file": (with_body(lambda part, data, first: data + bytes(1 << 21)), "another part of the file"),
    "packed": (
        lambda answer, data, first: (
            206, {**answer[1], "Content-Encoding": "gzip", "Content-Length": str(len(BOMB))}, BOMB,
        ),
        "packed as 'gzip', which was not requested",
    ),
    "no place": (stated("Content-Range", "bytes */5"), "another part of the file"),
    "no size": (stated("Content-Range", "bytes 0-0/*"), "does not say how large the file is"),
    "a size of 5,000 digits": (stated("Content-Range", f"bytes 0-0/{'9' * 5000}"), "does not say how large the file"),
    "breaks off": (stated("Content-Length", "99999999"), "cannot be read"),
    "several parts": (stated("Content-Range", ""), "does not say how large the file is"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("begun", [False, True], ids=["from the first", "once it is open"])
def test_http__an_answer_that_is_not_the_requested_part_is_refused(server, monkeypatch, lie, begun):
    """Else photos vanish: a reader of tar files takes missing bytes for the end of the archive."""
    change, sentence = LIES[lie]
    if begun:
        honest = 1  # the size and ETag
        monkeypatch.setattr(Server, "lie", lambda *given: change(*given) if len(Server.requests) > honest else given[0])
    else:
        monkeypatch.setattr(Server, "lie", change)
    with pytest.raises(DataError, match=sentence):
        open_photos(f"webdataset:{server}/photos-008.tar")


def test_http__a_shard_that_changes_after_it_was_opened_is_not_read_on(server, monkeypatch):
    photos = open_photos(f"webdataset:{server}/photos-008.tar")
    assert photos.read(0) == picture(32) + bytes([32])
    monkeypatch.setattr(Server, "lie", stated("ETag", '"other"'))
    with pytest.raises(PhotoError):
        photos.read(0)


def test_http__a_server_that_sends_a_byte_now_and_then_is_given_up(server, monkeypatch):
    monkeypatch.setattr(ranges, "PHOTO_PACE", Pace(grace_s=0.05, least_bytes_per_s=1e9))

    def slowly(answer, data, first):
        time.sleep(0.3)
        return answer

    open_photos(f"webdataset:{server}/photos-008.tar")
    monkeypatch.setattr(ranges, "PHOTO_PACE", Pace(headers_s=0.05))
    monkeypatch.setattr(Server, "lie", slowly)
    with pytest.raises(DataError):
        open_photos(f"webdataset:{server}/photos-009.tar")


def test_photo__of_a_shard_that_was_cut_is_a_failure(folder):
    photos = open_photos(f"webdataset:{folder}/photos-008.tar")
    (folder / "photos-008.tar").write_bytes(SHARDS["photos-008.tar"][:100])
    with pytest.raises(PhotoError, match=r"photos-008\.tar"):
        photos.read(3)


def test_folder__names_tars_and_takes_none_for_a_photo(folder):
    with pytest.raises(DataError, match=r"'webdataset:.*/photos-\{008\.\.010\}\.tar'"):
        open_photos(f"folder:{folder}")
    for name in ("cat", "dog"):
        (folder / name).mkdir()
        for i in range(4):
            (folder / name / f"{i}.png").write_bytes(picture(i))
    photos = open_photos(f"folder:{folder}")
    assert photos.labels.names == ("cat", "dog")
    assert len(photos) == 8
    assert photos.evidence["left out"] == "3 files that are no photos (the first: photos-008.tar)"


def test_location__is_local_unless_it_is_an_address():
    kind = KINDS["webdataset"]
    assert [kind.is_local(parse_data_spec(f"webdataset:{place}")) for place in ("/d/a.tar", "s3://b/a.tar")] == [
        True,
        False,
    ]


def test_stream__reads_as_a_file():
    data = bytes(range(256)) * 40
    fsspec.filesystem("memory").pipe("/s/x", data)
    stream = ranges.RemoteStream("memory://s/x", len(data))
    reference = io.BytesIO(data)
    for offset, size in ((0, 10), (5, 5), (9000, 2000), (10230, 100), (20, -1), (99999, 4)):
        assert stream.seek(offset) == reference.seek(offset)
        assert stream.read(size) == reference.read(size)
