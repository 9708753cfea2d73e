"""A data set of several attributes on the Hub: each photo is stored once, and each config fetches only its photos."""

import json
import re

import pytest

from builders.__main__ import main
from builders.dataset import read_build
from tests.builders.publish.test_publish import client
from tests.support.hub import HubDouble

REPO = "camtrace/cameras"

LOAD = """
import json, sys
import datasets, huggingface_hub
sha = huggingface_hub.HfApi().dataset_info(sys.argv[1]).sha
part = datasets.load_dataset(sys.argv[1], sys.argv[2], split="test", revision=sha)
print(json.dumps([[row["photo_id"], row[sys.argv[2]], len(row["image"]["bytes"])]
                  for row in part.cast_column("image", datasets.Image(decode=False))]))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    output = tmp_path_factory.mktemp("simcams") / "out"
    options = ["--scenes", "4", "--size", "32", "--configs", "make,iso,focal_length", "--workers", "1"]
    assert main(["simcams", *options, "--output", str(output)]) == 0
    return output


@pytest.fixture(scope="module")
def published(built):
    with HubDouble() as double:
        done = client(double, built.parent / "home", "-m", "builders", "publish", built, "--repo", REPO, "--push")
        assert done.returncode == 0, done.stderr
        yield double


@pytest.mark.slow
def test_publish__every_photo_is_uploaded_once(published, built):
    files = {name for name in published.repo(REPO).files if name.endswith(".parquet")}
    assert files == {shard.file for shard in read_build(built).shards}
    rows = {s.split: s.rows for s in read_build(built).splits if s.config == "photos"}
    assert sum(shard.rows for shard in read_build(built).shards) == sum(rows.values())


@pytest.mark.slow
@pytest.mark.parametrize("config", ["make", "iso", "focal_length", "photos"])
def test_load_dataset__fetches_the_files_of_its_config_and_no_others(published, built, tmp_path, config):
    changed = {s.split: {shard.file for shard in s.shards} for s in read_build(built).splits if s.config == config}
    wanted = set.union(*changed.values())
    others = {shard.file for shard in read_build(built).shards} - wanted
    assert bool(others) == (config not in ("make", "photos"))
    before = len(published.requests)
    column = "make" if config == "photos" else config
    done = client(
        published, tmp_path / "reader", "-c", LOAD.replace("row[sys.argv[2]]", f"row[{column!r}]"), REPO, config
    )
    assert done.returncode == 0, done.stderr[-2000:]
    requested = [path for method, path in published.requests[before:] if method == "GET"]
    fetched = [match[1] for path in requested if (match := re.search(r"/resolve/[^/]+/(data/[^?]+\.parquet)", path))]
    assert set(fetched) == wanted
    assert len(fetched) == len(wanted)
    rows = json.loads(done.stdout)
    assert len(rows) == sum(s.rows for s in read_build(built).splits if (s.config, s.split) == (config, "test"))
    assert len({photo for photo, _, _ in rows}) == len(rows)
    assert config == "photos" or all(label >= 0 for _, label, _ in rows)
    assert all(size > 100 for _, _, size in rows)
