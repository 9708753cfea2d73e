"""What a folder says about its data set, for people and for programs: each text of one build by hand, whole."""

from __future__ import annotations

import shutil
from typing import NamedTuple

import pytest

from builders.dataset import (
    items_per_shard,
    require_space,
    size_category,
    source_datasets,
)
from builders.errors import DiskError


def test_source_datasets__names_of_photo_sets():
    names = [
        "hub:a/b?split=x",
        "processed:built:c/d@main",
        "hub:a/b",
        "paircams:e/f",
        "folder:g/h",
        "hub:/i",
        "imagenet",
    ]
    assert source_datasets(*names) == ("a/b", "c/d", "e/f", "ILSVRC/imagenet-1k")


@pytest.mark.parametrize(
    ("rows", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (9999, "1K<n<10K"), (10_000, "10K<n<100K"),
     (100_000, "100K<n<1M"), (10**6, "1M<n<10M"), (10**7, "10M<n<100M"), (10**8, "100M<n<1B")],
)  # fmt: skip
def test_size_category__begins_with_its_first_number(rows, name):
    assert size_category(rows) == name


@pytest.mark.parametrize(
    ("size", "items", "each"),
    [
        (0, 0, 1),
        (0, 10, 10),  # one file
        (100, 5000, 5000),
        (2**15, 1000, 63),  # 2 MiB are 64 items: 16 files
        (2**15, 1024, 64),
        (2**15, 1025, 65),
        (2**21, 100, 50),  # 64 items at most by number, 200 by size
        (2**23, 100, 50),
        (2**25, 100, 12),  # 400 MiB are 12 items
        (2**30, 3, 1),
    ],
)
def test_items_per_shard__by_size_and_number(size, items, each):
    assert items_per_shard(size, items) == each


class Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(("free", "present", "enough"), [(1050, 0, True), (1049, 0, False), (50, 1000, True)])
def test_require_space__with_a_margin_and_what_is_there(tmp_path, monkeypatch, free, present, enough):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(free * 10**6))
    (tmp_path / "set" / "data" / "jpeg").mkdir(parents=True)
    with open(tmp_path / "set" / "data" / "jpeg" / "a.parquet", "wb") as stream:
        stream.truncate(present * 10**6)
    (tmp_path / "set" / "data" / "jpeg" / "note.txt").write_bytes(b"0" * 2_000_000)
    if enough:
        require_space(tmp_path / "set", 10**9)
    else:
        with pytest.raises(DiskError, match=r"1\.0"):
            require_space(tmp_path / "set", 10**9)
        with pytest.raises(DiskError, match=r"999\.1"):
            require_space(tmp_path / "new", 999_100_000_000)
