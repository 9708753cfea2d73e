"""Plans, banks, results and shards on an object store: the real client of S3 against moto's server on loopback."""

import json
import os
import time
import uuid
import warnings

import pytest

from builders.cluster import StorageFolder
from tests.benchmark.cluster.conftest import SWEEP, scores, tree
from tests.benchmark.cluster.test_builds import BUILD
from tests.support.processes import start_python

pytest.importorskip("s3fs")
pytest.importorskip("moto")

pytestmark = pytest.mark.usefixtures("unpainted")


@pytest.fixture(scope="module")
def server():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def bucket(server, monkeypatch, tmp_path):
    """The address of a new one, as this process and those that it starts see it."""
    import s3fs

    for name, value in (
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", server),
        ("AWS_CONFIG_FILE", str(tmp_path / "none")),
        ("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none")),
    ):
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"camtrace-{uuid.uuid4().hex[:8]}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"


def brought(address, folder):
    """Everything below an address, as a folder."""
    place = StorageFolder.of(address)
    for name in place.all_names():
        place.get(name, folder / name)
    return folder


@pytest.mark.slow
def test_s3__results_and_banks(bucket, run, plain, tmp_path, equal_costs):
    """Only the store is shared: the plan, the files of blocks and the results are there."""
    out = f"{bucket}/run"
    where = ("--cache", tmp_path / "cache", "--output", out)
    assert run("plan", "sweep", *SWEEP[:10], "--ranks", 2, *where)[0] == 0
    assert run("work", f"{out}.plan")[0] == 0
    assert run("finish", f"{out}.plan")[0] == 0
    name = "cluster_encoders-small/folder-photos"
    result = brought(out, tmp_path / "found")
    assert scores(result)[name] == scores(plain[0])[name]
    assert (result / "report.html").is_file()
    before = {name: data for name, data in tree(result).items() if name.endswith("result.json")}
    assert run("finish", f"{out}.plan")[0] == 0  # what was scored is not scored again
    again = brought(out, tmp_path / "again")
    assert {name: data for name, data in tree(again).items() if name.endswith("result.json")} == before


@pytest.mark.slow
def test_s3__shards_after_a_killed_rank(bucket, run, elsewhere, tmp_path):
    assert run(*BUILD, "--output", tmp_path / "plain", "--workers", 1)[0] == 0
    out = f"{bucket}/photos"
    assert run("plan", *BUILD, "--output", out, "--ranks", 2)[0] == 0
    environment = {**elsewhere, **{n: v for n, v in os.environ.items() if n.startswith("AWS_")}}
    rank = start_python("-m", "camtrace", "work", f"{out}.plan", "--rank", 0, env=environment)
    end = time.monotonic() + 600
    while not StorageFolder.of(f"{out}.plan/ranks").names():
        assert time.monotonic() < end
        time.sleep(0.05)
    rank.kill()
    rank.wait()
    status, _, error = run("work", f"{out}.plan")
    assert status == 0, error
    assert run("finish", f"{out}.plan", "--output", tmp_path / "here")[0] == 0
    expected = tree(tmp_path / "plain")
    assert tree(tmp_path / "here") == expected
    assert "README.md" not in StorageFolder.of(out).names()
    assert run("finish", f"{out}.plan")[0] == 0
    result = tree(brought(out, tmp_path / "found"))
    assert result == {name: data for name, data in expected.items() if name != ".build/lock"}


def test_s3__a_bucket_that_is_absent_is_one_sentence(bucket, run, tmp_path):
    status, _, printed = run("plan", *BUILD, "--output", f"{bucket}-elsewhere/photos", "--ranks", 2)
    assert status == 1
    assert printed.splitlines()[-1].startswith(f"camtrace: {bucket}-elsewhere/photos.plan/")
    assert "cannot be written" in printed
    assert "Traceback" not in printed
    status, _, printed = run("work", f"{bucket}/nothing.plan")
    assert status == 2
    assert "there" in printed


def test_place__on_s3_is_a_folder(bucket, tmp_path):
    place = StorageFolder.of(f"{bucket}/deep/er/")
    assert (place.names(), place.all_names(), place.read("a")) == ([], [], None)
    place.write("a", b"1")
    place.write("a", b"2")
    (tmp_path / "file").write_bytes(b"3" * 6_000_000)
    place.put(tmp_path / "file", "below/b")
    assert (place.read("a"), place.names(), place.all_names()) == (b"2", ["a"], ["a", "below/b"])
    place.get("below/b", tmp_path / "back")
    assert (tmp_path / "back").stat().st_size == 6_000_000
    place.remove("a")
    place.remove("a")
    assert place.names() == []
    assert json.dumps(place.all_names()) == '["below/b"]'
