"""Untrusted built folders: names are checked, paths are derived, and changed files are not used."""

import dataclasses
import json

import pytest

from builders.dataset import parse_build
from builders.errors import DataError

SHARD = {
    "file": "data/jpeg/train-00000-of-00001.parquet", "recipe_hash": "a", "rows": 1, "file_bytes": 1, "data_bytes": 1,
    "sha256": "b", "failures": [],
}  # fmt: skip
BUILD = {
    "format": 1, "kind": "processed", "default": "jpeg", "recipe": {}, "pixels": {"allowed": True, "reason": ""},
    "codec": {}, "splits": [{"config": "jpeg", "split": "train", "shards": [SHARD]}],
}  # fmt: skip


def changed(**of_shard):
    of_split = {name: of_shard.pop(name) for name in ("config", "split") if name in of_shard}
    shard = {**SHARD, **of_shard}
    return json.dumps({**BUILD, "splits": [{"config": "jpeg", "split": "train", **of_split, "shards": [shard]}]})


def test_parse_build__what_a_build_writes():
    (split,) = parse_build(json.dumps(BUILD), "build.json").splits
    assert dataclasses.asdict(split.shards[0])["file"] == SHARD["file"]


@pytest.mark.parametrize(
    "text",
    [
        changed(config="../../.."),
        changed(config="..", file="data/../train-00000-of-00001.parquet"),
        changed(split="a/b", file="data/jpeg/a/b-00000-of-00001.parquet"),
        changed(config=""),
        changed(config="x\n"),
        changed(config=5),
        changed(file="/etc/passwd"),
        changed(file="data/jpeg/train-00001-of-00001.parquet"),
        changed(file=5),
        changed(rows=-1),
        changed(rows="1"),
        changed(file_bytes=True),
        changed(sha256=None),
        changed(failures=[{"id": 1, "reason": "x"}]),
        changed(failures=5),
        json.dumps({**BUILD, "splits": 5}),
        json.dumps({**BUILD, "splits": [{"config": "a", "split": "b", "shards": 7}]}),
        json.dumps({**BUILD, "recipe": 5}),
        json.dumps({**BUILD, "pixels": [1]}),
        "[" * 1000,
    ],
)
def test_parse_build__refuses_in_one_sentence(text):
    with pytest.raises(DataError, match=r"build\.json") as refused:
        parse_build(text, "build.json")
    assert "\n" not in str(refused.value)
