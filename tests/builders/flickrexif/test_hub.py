"""FlickrExif with photos on the Hub: each photo once, each config fetches its own files, a copy can be pushed."""

import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from builders.dataset import read_build
from builders.flickrexif.assemble.build import BuildPlan, build
from builders.flickrexif.fetch.fetch import fetch
from builders.flickrexif.fetch.transfer import FetchPlan
from builders.flickrexif.store.store import State
from builders.splits import Sizes
from tests.builders.publish.test_publish import client
from tests.support.flickr import PLAN, add, serving
from tests.support.flickr_world import World
from tests.support.hub import HubDouble

REPO, COPY = "camtrace/flickrexif", "camtrace/copy"
ATTRIBUTES = ("make", "iso", "focal_length", "is_smartphone")


class Heavy(World):
    """Photos of 30 kB, with bytes after the end of the picture."""

    def file(self, at: int, size: str) -> bytes:
        return super().file(at, size) + np.random.default_rng(at).bytes(30_000)


WORLD = Heavy(count=320, burst=0, owners=120)

LOAD_ALL = """
import json, sys
import datasets, huggingface_hub
api, found = huggingface_hub.HfApi(), {}
sha = api.dataset_info(sys.argv[1]).sha
for config in sys.argv[2].split(","):
    api.repo_exists("camtrace/before-" + config, repo_type="dataset")  # a mark among the double's requests
    data = datasets.load_dataset(sys.argv[1], config, revision=sha)
    column = config if config in data["test"].features else "make"
    found[config] = {split: [[r["photo_id"], r[column], len(r["image"]["bytes"])]
                             for r in part.cast_column("image", datasets.Image(decode=False))]
                     for split, part in data.items()}
print(json.dumps(found))
"""

PUSH = """
import json, sys
import datasets
one = datasets.load_dataset(sys.argv[1], "make", split="test")
one.push_to_hub(sys.argv[2], "make", split="test", private=True)
again = datasets.load_dataset(sys.argv[2], "make", split="test")
assert again.features["make"] == one.features["make"], again.features
print(json.dumps([[r["photo_id"], r["make"], r["image"].size] for r in again]))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flickrexif")
    with serving(WORLD) as flickr, State(folder / "state", create=True) as state:
        add(state, flickr, [at for at in range(WORLD.count) if WORLD.kind[at] > 0.25])
        with state.transaction() as db:
            db.execute("UPDATE photos SET licence = 4, licence_checked = 1.6e9, owner_name = 'A', title = 'T'")
        fetch(state, FetchPlan(**{**PLAN.__dict__, "sizes": ("o", "l")}))
        plan = BuildPlan(folder / "out", pixels=True, attributes=ATTRIBUTES, contact="a@b.org", sizes=Sizes(least=1))
        build(state, plan)
    return folder / "out"


@pytest.fixture(scope="module")
def published(built):
    with HubDouble() as double:
        done = client(double, built.parent / "home", "-m", "builders", "publish", built, "--repo", REPO, "--push")
        assert done.returncode == 0, done.stderr
        yield double


def configs_of(folder):
    return [c for c in read_build(folder).configs if c != "metadata"]


def files_of(folder, config):
    return {shard.file for s in read_build(folder).splits if s.config == config for shard in s.shards}


@pytest.mark.slow
def test_hub__every_photo_is_stored_once_and_the_space_is_that_of_one_copy(published, built):
    photos = files_of(built, "photos")
    rows = [row for name in photos for row in pq.read_table(built / name, columns=["photo_id", "image"]).to_pylist()]
    assert len({row["photo_id"] for row in rows}) == len(rows)
    each = {row["photo_id"]: len(row["image"]["bytes"]) for row in rows}
    uploaded = {name: len(data) for name, data in published.repo(REPO).files.items() if name in photos}
    assert set(uploaded) == photos
    as_often_as_requested = sum(
        each[photo]
        for config in configs_of(built)
        if config != "photos"
        for name in files_of(built, config)
        for photo in pq.read_table(built / name, columns=["photo_id"])["photo_id"].to_pylist()
    )
    counts = f"{len(rows)} photos of {sum(each.values()):,} bytes: {sum(uploaded.values()):,} in {len(photos)} files"
    print(f"{counts}; a copy for each config: {as_often_as_requested:,}")
    assert sum(each.values()) < sum(uploaded.values()) < 0.75 * as_often_as_requested


@pytest.mark.slow
def test_hub__load_dataset_of_each_config_fetches_its_own_files_and_no_others(published, built, tmp_path):
    configs = configs_of(built)
    assert set(configs) == {*ATTRIBUTES, "photos"}
    before = len(published.requests)
    done = client(published, tmp_path / "reader", "-c", LOAD_ALL, REPO, ",".join(configs))
    assert done.returncode == 0, done.stderr[-2000:]
    fetched, config = {c: [] for c in configs}, None
    for method, path in published.requests[before:]:
        if mark := re.search(r"camtrace/before-(\w+)", path):
            config = mark[1]
        elif method == "GET" and (file := re.search(r"/resolve/[^/]+/(data/[^?]+\.parquet)", path)):
            fetched[config].append(file[1])
    already = set()  # the client caches the files of earlier configs
    for config in configs:
        assert set(fetched[config]) == files_of(built, config) - already
        assert len(fetched[config]) == len(set(fetched[config]))
        already |= set(fetched[config])
    assert len(fetched[configs[0]]) < len(files_of(built, "photos"))
    loaded = json.loads(done.stdout)
    for config in configs:
        for split in read_build(built).splits:
            if split.config == config:
                rows = loaded[config][split.split]
                assert len(rows) == split.rows
                assert len({photo for photo, *_ in rows}) == len(rows)
                assert config == "photos" or all(label >= 0 for _, label, _ in rows)


@pytest.mark.slow
def test_hub__a_config_that_was_loaded_can_be_pushed_and_loaded_again(published, built, tmp_path):
    done = client(published, tmp_path / "home", "-c", PUSH, REPO, COPY)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = json.loads(done.stdout)
    expected = sum(s.rows for s in read_build(built).splits if (s.config, s.split) == ("make", "test"))
    assert len(rows) == expected > 0
    assert {tuple(size) for *_, size in rows} <= {(64, 48), (48, 36)}
