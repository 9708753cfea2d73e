"""Data sets that are read where they are: rows and bytes of the whole set, for a share of what is sent."""

import io
import json
import os
import pickle
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from builders.data_specs import open_photos
from builders.errors import UsageError
from builders.sources import Streaming
from builders.sources.remote.drawing import drawn
from builders.sources.remote.window import GroupWindow
from tests.conftest import photo_bytes
from tests.support.hub import HubDouble
from tests.support.processes import run_python, start_python

FEATURES = datasets.Features({"image": datasets.Image(), "kind": datasets.ClassLabel(names=["a", "b", "c", "d", "e"])})
ROWS, GROUP = 40, 10


def shard(first, *, noise=4000, features=FEATURES, group=GROUP):
    """A Parquet file of photos that do not compress."""
    rows = [
        {"image": {"bytes": photo_bytes(i, (9, 8)) + os.urandom(noise), "path": f"{i}.jpg"}, "kind": i % 5}
        for i in range(first, first + ROWS)
    ]
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=features.arrow_schema), content, row_group_size=group)
    return content.getvalue()


@pytest.fixture
def shards(hub: HubDouble):
    """Ten shards, two of them of the split test; 400 photos."""
    repo = hub.create("me/big")
    names = [f"data/{'train' if i < 8 else 'test'}-{i:05d}-of-00010.parquet" for i in range(10)]
    files = {name: shard(ROWS * i) for i, name in enumerate(names)}
    repo.commit({"README.md": b"# big\n", **files}, "data")
    return files


def client(hub: HubDouble, tmp_path: Path, code: str, **environment: str):
    """What a process prints as JSON, whose caches are new unless the test made them."""
    variables = {**hub.environment(tmp_path / "home"), "CAMTRACE_CACHE": str(tmp_path / "cache"), **environment}
    done = run_python("-c", PROLOGUE + code, env=variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


PROLOGUE = """
import hashlib, json
from builders.data_specs import open_photos
from builders.sources import Streaming
def facts(photos):
    return {i: [hashlib.sha256(photos.read(n)).hexdigest(), int(photos.labels.values[n]), int(photos.splits[n])]
            for n, i in enumerate(photos.ids)}
"""


def test_drawn__whole_parts_until_there_are_enough():
    names, sizes = [f"part {i}" for i in range(20)], [10] * 20
    some, more = drawn(names, sizes, 41, seed=3), drawn(names, sizes, 100, seed=3)
    assert len(some) == 5
    assert some == sorted(some)
    assert len(more) == 10
    assert set(some) < set(more)
    assert drawn(names, sizes, 41, seed=4) != some
    assert drawn(names, sizes, 10**6, seed=3) == list(range(20))
    assert drawn(["empty", "full"], [0, 7], 1, seed=0) in ([1], [0, 1])
    assert [Streaming(100).wanted_of(count, 1000) for count in (900, 99, 1)] == [90, 10, 1]


@pytest.mark.slow
def test_stream__has_rows_and_bytes_of_the_whole_set_for_a_share_of_them(hub, shards, tmp_path):
    streamed = client(
        hub,
        tmp_path,
        """
photos = open_photos("hub:me/big", streaming=Streaming(100, 0))
print(json.dumps([photos.evidence["read"], facts(photos), photos.source.shared_work(photos.rows)]))
""",
    )
    read, some, groups = streamed
    assert read == "10 of 40 row groups, drawn by seed: 100 of 400 rows"
    assert [list(some.values())[i][2] for i in (0, -1)] == [0, 1]
    assert sum(split for *_, split in some.values()) == 20  # the share of the split test, two of ten shards
    assert groups == [i // GROUP for i in range(100)]
    pictures = sum(len(content) for content in shards.values())
    sent = sum(count for path, count in hub.sent.items() if path.endswith(".parquet"))
    footers = 10 * (64 << 10)  # what pyarrow reads of the end of a file, whatever its footer has
    assert 0.25 * pictures < sent < 0.26 * pictures + footers
    assert not list((tmp_path / "home").rglob("*.parquet")) + list((tmp_path / "home").rglob("*.arrow"))
    whole = client(hub, tmp_path, 'print(json.dumps(facts(open_photos("hub:me/big"))))')
    assert len(whole) == 400
    assert some.items() <= whole.items()


@pytest.mark.slow
def test_stream__without_a_limit_is_the_whole_set(hub, shards, tmp_path):
    streamed, whole = client(
        hub,
        tmp_path,
        'print(json.dumps([facts(open_photos("hub:me/big", streaming=s)) for s in (Streaming(), None)]))',
    )
    assert streamed == whole
    assert list(streamed) == list(whole)


@pytest.mark.slow
def test_stream__goes_on_where_it_was_stopped(hub, shards, tmp_path):
    """The footer of the seventh file is refused; the second opening reads the four that are missing."""
    hub.fail("GET", r"train-00006", times=1, status=404)
    code = """
from builders.errors import DataError
from builders.sources.remote import hub_shards
hub_shards.THREADS = 1
try:
    photos = open_photos("hub:me/big", streaming=Streaming(100, 0))
    print(json.dumps(photos.ids))
except DataError as error:
    print(json.dumps(str(error)))
"""
    assert "train-00006-of-00010.parquet: cannot be read" in client(hub, tmp_path, code)
    first = [path for method, path in hub.requests if method == "GET" and path.endswith(".parquet")]
    hub.requests.clear()
    assert len(client(hub, tmp_path, code)) == 100
    again = [path for method, path in hub.requests if method == "GET" and path.endswith(".parquet")]
    read_before = set(first) - {path for path in first if "00006" in path}
    assert len(read_before) >= 6
    of_labels = 10  # row groups
    assert len(again) == 10 - len(read_before) + of_labels
    assert len(client(hub, tmp_path, code)) == 100


@pytest.mark.slow
def test_stamps__are_those_of_contents_and_rows(hub, shards, tmp_path):
    code = """
photos = open_photos("hub:me/big", streaming=Streaming(100, 0))
print(json.dumps([[i, s.text, s.changed_ns] for i, s in zip(photos.ids, photos.stamps())]))
"""
    before = client(hub, tmp_path, code)
    assert len({text for _, text, _ in before}) == 100
    assert all(text.endswith(f" image {name.partition('/')[2]}") for name, text, _ in before)
    files = dict(hub.repo("me/big").files)
    changed = next(name for name in files if "train-00001" in name)
    files[changed] = shard(ROWS)  # the same photos with other noise
    hub.repo("me/big").commit(files, "another")
    after = client(hub, tmp_path, code)
    of_changed = {
        text for name, text, _ in before if ROWS <= int(name.partition("/")[2]) < 2 * ROWS and name[:5] == "train"
    }
    assert {text for _, text, _ in before} - {text for _, text, _ in after} == of_changed


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"data/train/a/1.png": b"x", "data/train/b/2.png": b"x"}, "--stream"),
        ({"data/train-0.parquet": b"PAR1 nothing PAR1"}, "Parquet"),
        ({"data/train-0.parquet": shard(0, noise=0) + b"x"}, "Parquet"),
        (
            {"README.md": b"---\nconfigs:\n- config_name: a\n  data_files: ../x.parquet\n---\n"},
            "inside",
        ),
    ],
)
def test_stream__is_refused_in_a_sentence(files, sentence, hub, tmp_path):
    hub.create("me/big").commit(files, "data")
    code = """
from builders.errors import DataError, UsageError
try:
    open_photos("hub:me/big", streaming=Streaming(10, 0))
except (DataError, UsageError) as error:
    print(json.dumps(str(error)))
"""
    message = client(hub, tmp_path, code)
    assert sentence in message
    assert "\n" not in message


@pytest.mark.slow
def test_stream__too_large_a_row_group_and_other_columns_are_refused(hub, shards, tmp_path):
    code = """
from builders.errors import DataError
from builders.sources.remote import hub_shards
hub_shards.LARGEST_GROUP = LARGEST
try:
    open_photos("hub:me/big", streaming=Streaming(400, 0))
except DataError as error:
    print(json.dumps(str(error)))
"""
    assert "train: a row group has 0 MB, more than the 0 MB" in client(
        hub, tmp_path, code.replace("LARGEST\n", "100\n")
    )
    other = datasets.Features(
        {"image": datasets.Image(), "kind": datasets.Value("int64"), "more": datasets.Value("int64")}
    )
    files = dict(hub.repo("me/big").files) | {"data/train-00002-of-00010.parquet": shard(80, features=other)}
    hub.repo("me/big").commit(files, "other columns")
    message = client(hub, tmp_path, code.replace("LARGEST\n", "1 << 30\n"))
    assert "--stream" in message


@pytest.mark.slow
def test_photo__that_cannot_be_fetched_is_a_failure_of_this_photo(hub, shards, tmp_path):
    reasons = client(
        hub,
        tmp_path,
        """
from builders.errors import PhotoError
photos = open_photos("hub:me/big", streaming=Streaming(20, 0))
from builders.untrusted import ranges
ranges.read_range = lambda *rest: (_ for _ in ()).throw(__import__("builders.errors").errors.DataError("gone"))
reasons = []
for i in range(2):
    try:
        photos.read(i)
    except PhotoError as error:
        reasons.append(str(error))
print(json.dumps(reasons))
""",
    )
    assert reasons == ["its part of the Parquet file cannot be read (gone)"] * 2


def test_stream__is_refused_where_photos_are_no_shards(tmp_path):
    with pytest.raises(UsageError, match="--stream"):
        open_photos(f"folder:{tmp_path}", streaming=Streaming(10, 0))


def test_window__two_processes_at_a_time_fetch_once(tmp_path):
    """The second one waits for the lock of the first."""
    window, log = GroupWindow(), tmp_path / "log"
    code = """
import pathlib, pickle, sys, time
import pyarrow as pa
def fetch():
    with open(sys.argv[2], "a") as file:
        file.write("fetched\\n")
    time.sleep(0.5)
    return pa.table({"x": [1]})
window = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())
assert window.table("a", fetch).num_rows == 1
"""
    (tmp_path / "window").write_bytes(pickle.dumps(window))
    both = [start_python("-c", code, tmp_path / "window", log) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert log.read_text() == "fetched\n"
