"""Folders of a store: the photos, classes and splits of the same folder here, read by the store's client."""

import dataclasses
import os
import threading
import uuid
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pytest

from benchmark.bank import PhotoHashes
from builders.data_specs import KINDS, open_photos, parse_data_spec
from builders.errors import DataError, PhotoError, UsageError
from builders.sources.remote import folders
from builders.untrusted import ranges
from tests.conftest import photo_bytes
from tests.support.processes import run_python

TREES = {
    "split": {f"{side}/{kind}/{i}.jpg": i for side in ("train", "val") for kind in "ab" for i in range(2)},
    "classes": {f"{kind}/deep/{i}.jpg": i for kind in ("cat", "dog") for i in range(8)},
    "flat": {f"{i}.jpg": i for i in range(5)},
    "with archives": {
        "cat/1.jpg": 1,
        "cat/2.jpg": 2,
        "dog/3.jpg": 3,
        "shard-000.tar": 4,
        ".hidden/4.jpg": 5,
        "dog/.x": 6,
    },
}


def fill(files, tree):
    for path, number in tree.items():
        files(path, photo_bytes(number, (9, 8)) + path.encode())


def on_disk(tree, root: Path):
    def write(path, data):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)

    fill(write, tree)
    return open_photos(f"folder:{root}")


def facts(photos):
    named = [photos.labels.names[v] if v >= 0 else None for v in photos.labels.values]
    read = [photos.read(i) for i in range(len(photos))]
    return (
        dict(zip(photos.ids, zip(named, photos.splits.tolist(), read, strict=True), strict=True)),
        photos.name,
        photos.evidence,
    )


@pytest.fixture(params=["memory", "s3"])
def store(request, tmp_path, monkeypatch):
    """(address of a new folder, function that writes a file into it)"""
    name = f"camtrace-{uuid.uuid4().hex[:8]}"
    if request.param == "memory":
        files = fsspec.filesystem("memory")
        yield f"memory://{name}/photos", lambda path, data: files.pipe(f"/{name}/photos/{path}", data)
        return
    s3fs = pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
    settings = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}
    settings |= {
        "ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
        "CONFIG_FILE": str(tmp_path / "no"),
    }
    for variable, value in settings.items():
        monkeypatch.setenv(f"AWS_{variable}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.mkdir(name)
    yield f"s3://{name}/photos", lambda path, data: files.pipe_file(f"{name}/photos/{path}", data)
    server.stop()


@pytest.mark.slow
@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_folder__of_a_store_is_that_of_the_disk(tree, store, tmp_path):
    address, write = store
    fill(write, tree)
    here, there = on_disk(tree, tmp_path / "photos"), open_photos(f"folder:{address}")
    assert facts(there) == facts(here)
    assert there.name == "folder:photos"
    assert there.is_remote
    assert there.head(0, 10) == (there.read(0)[:10], len(there.read(0)))


@pytest.mark.slow
def test_stamps__follow_what_the_store_says(store, tmp_path):
    address, write = store
    fill(write, TREES["flat"])
    before = open_photos(f"folder:{address}")
    if address.startswith("memory:"):  # it says when a file was made, which other bytes may share
        assert before.stamps() is None
        return
    first = {stamp.text for stamp in before.stamps()}
    assert len(first) == 5
    known = PhotoHashes(before, tmp_path)
    assert known.hashed_in_pass  # however few: to read them twice would fetch them twice
    assert PhotoHashes(before, tmp_path).bytes_hash() == known.bytes_hash()
    again = PhotoHashes(open_photos(f"folder:{address}"), tmp_path)
    assert (again.unknown, again.read_now) == (0, 0)
    write("3.jpg", photo_bytes(33, (9, 8)))
    fsspec.filesystem(address.partition(":")[0]).invalidate_cache()
    changed = open_photos(f"folder:{address}")
    assert len(first & {stamp.text for stamp in changed.stamps()}) == 4
    assert PhotoHashes(changed, tmp_path).unknown == 1


@pytest.mark.slow
def test_stamps__one_file_without_identity_could_be_any(store):
    address, write = store
    fill(write, TREES["flat"])
    source = open_photos(f"folder:{address}").source
    rows = np.arange(len(source.files))
    if address.startswith("memory:"):
        assert source.stamps(rows) is None
        return
    assert len({stamp.text for stamp in source.stamps(rows)}) == len(rows)
    unknown = source.files[2]._replace(identity="")
    some = dataclasses.replace(source, files=(*source.files[:2], unknown, *source.files[3:]))
    assert some.stamps(rows) is None


@pytest.mark.slow
def test_photo__that_is_gone_cut_or_too_large_is_a_failure(store, monkeypatch):
    address, write = store
    fill(write, TREES["flat"])
    photos = open_photos(f"folder:{address}")
    write("1.jpg", b"short")
    with pytest.raises(PhotoError):
        photos.read(1)
    with pytest.raises(PhotoError):
        photos.head(1, 1 << 16)  # what there is may be a whole picture, but it is not the one that was listed
    files = fsspec.filesystem(address.partition(":")[0])
    files.rm_file(f"{address.partition('://')[2]}/2.jpg")
    with pytest.raises(PhotoError):
        photos.read(2)
    monkeypatch.setattr(folders, "MAX_PHOTO_BYTES", 20)
    with pytest.raises(PhotoError):
        photos.read(0)


@pytest.mark.parametrize(
    ("place", "error", "sentence"),
    [
        ("http://127.0.0.1/photos", UsageError, "server"),
        ("ftp://host/photos", UsageError, "read"),
        ("memory://nothing/there", DataError, "folder"),
    ],
)
def test_folder__of_a_store_is_refused_in_a_sentence(place, error, sentence):
    with pytest.raises(error, match=sentence):
        open_photos(f"folder:{place}")


def test_folder__a_store_that_lists_without_an_end(store, monkeypatch):
    address, write = store
    fill(write, TREES["flat"])
    ended = threading.Event()
    files = fsspec.filesystem(address.partition(":")[0])
    monkeypatch.setattr(type(files), "find", lambda *_, **__: ended.wait(60))
    monkeypatch.setattr(ranges, "LISTING_S", 0.1)
    with pytest.raises(DataError):
        open_photos(f"folder:{address}")
    ended.set()


@pytest.mark.slow
def test_folder__of_tars_in_a_store_is_named(store):
    address, write = store
    for number in range(3):
        write(f"part-{number:03}.tar", b"x")
    with pytest.raises(DataError) as refused:
        open_photos(f"folder:{address}")
    assert str(address) in str(refused.value)


def test_location__is_local_unless_it_is_an_address():
    local = [
        KINDS["folder"].is_local(parse_data_spec(f"folder:{place}")) for place in ("/d/a", "file:///d", "s3://b/a")
    ]
    assert local == [True, True, False]


@pytest.mark.slow
def test_s3__a_redirection_is_not_followed(tmp_path):
    """It could lead to a private address, such as that of a cloud's metadata."""
    pytest.importorskip("s3fs")
    requests = []

    class Leading(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_response(307)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    code = """
from builders.data_specs import open_photos
from builders.errors import DataError
for spec in ("folder:s3://bucket/photos", "webdataset:s3://bucket/a.tar"):
    try:
        open_photos(spec)
    except DataError as error:
        print(error)
"""
    with ThreadingHTTPServer(("127.0.0.1", 0), Leading) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")
        given = {**dict.fromkeys(names, "us-east-1"), "AWS_CONFIG_FILE": str(tmp_path / "none")}
        given["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.server_port}"
        done = run_python("-c", code, env={**os.environ, **given, "CAMTRACE_CACHE": str(tmp_path / "cache")})
        server.shutdown()
    assert done.returncode == 0, done.stderr
    listed, read = done.stdout.splitlines()
    assert "s3://bucket/photos: cannot be listed" in listed
    assert "s3://bucket/a.tar: cannot be read" in read
    assert requests
    assert not [path for path in requests if "elsewhere" in path]
