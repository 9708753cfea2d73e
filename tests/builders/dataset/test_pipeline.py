"""From jobs to shards: what is measured, how many items a shard has, what is printed, checked and refused."""

from pathlib import Path

import pytest

from builders.dataset import (
    estimate_space,
    gather_shards,
    hand_over_folder,
    require_space,
    scratch_folder,
)
from builders.errors import DiskError, PhotoError
from builders.files import scratch_prefix
from tests.builders.dataset.test_shards import IDS, job


@pytest.mark.parametrize(
    ("n", "sample", "items"),
    [
        (0, 5, []), (1, 5, [0]), (3, 1, [0]), (3, 2, [0, 2]), (10, 4, [0, 3, 6, 9]), (5, 5, [0, 1, 2, 3, 4]),
        (4, 9, [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_estimate__of_items_spread_over_all_first_and_last_included(tmp_path, n, sample, items):
    made = []

    def rows(item):
        made.append(item)
        return [{"image": {"bytes": b"x" * 1000, "path": "a"}, "photo_id": IDS[item], "jpeg": 0}]

    space = estimate_space(job(tmp_path, ids=IDS[:n], make_rows=rows), sample, keep_bytes=1)
    assert made == items
    assert space.sampled == len(items)
    assert space.total_bytes == int(space.bytes_per_item * n)
    assert (space.bytes_per_item > 500) == (space.seconds_per_item > 0) == bool(items)


def test_estimate__rows_of_the_sample_up_to_the_limit_are_given_again(tmp_path):
    made = []

    def rows(item):
        made.append(item)
        if item == 1:
            raise PhotoError("broken")
        size = 100 if item != 2 else 0
        return [{"image": {"bytes": b"x" * size, "path": None}, "photo_id": IDS[item], "jpeg": 0}]

    def again(limit):
        space = estimate_space(job(tmp_path, ids=IDS[:5], make_rows=rows), 5, keep_bytes=limit)
        made.clear()
        for item in (0, 2, 3, 4):
            assert len(next(iter(space.job.make_rows(item)))["image"]["bytes"]) == (0 if item == 2 else 100)
        return list(made)

    every = [0, 2, 3, 4]
    assert again(0) == every
    first = again(100_000)
    assert 0 not in first
    assert 3 not in first


@pytest.mark.parametrize(
    ("needed", "text"),
    [
        (10**18, "about 1000000000.0 GB are needed and"), (10**14 + 5 * 10**12, "about 105000.0 GB are needed and"),
    ],
)  # fmt: skip
def test_space__the_refusal_names_the_folder_the_sizes_and_the_options(tmp_path, needed, text):
    with pytest.raises(DiskError) as caught:
        require_space(tmp_path / "new", needed)
    assert str(caught.value).startswith(f"{tmp_path}/new: {text} ")
    assert "--ignore-space" in str(caught.value)


def test_shard_work__shards_come_from_a_store_and_the_last_files_go_to_it(tmp_path):
    moved = []

    class Store:
        def get(self, name, path):
            moved.append(("get", name, path))

        def put(self, path, name):
            moved.append(("put", name, path))

    jobs = [job(tmp_path / "scratch", ids=IDS[:8]), job(tmp_path / "scratch", split="test", ids=())]
    gather_shards(jobs, Store(), tmp_path / "here")
    stems = ["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"]
    names = [name for stem in stems for name in (f"data/jpeg/{stem}.parquet", f".build/jpeg/{stem}.json")]
    assert moved == [("get", name, tmp_path / "here" / name) for name in names]
    moved.clear()
    (tmp_path / "here" / "data").mkdir(parents=True)
    for name in ("b.json", "README.md", ".lock"):
        (tmp_path / "here" / name).write_text("x")
    hand_over_folder(tmp_path / "here", Store())
    assert moved == [("put", name, tmp_path / "here" / name) for name in ("README.md", "b.json")]
    with scratch_folder() as folder:
        assert Path(folder).name.startswith(scratch_prefix())
