"""What is on disk after a shard, a split and a folder: markers, hashes, row groups, cards and refusals, each whole."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Image, Value
from datasets.config import DEFAULT_CDC_OPTIONS

from builders.dataset import (
    write_groups,
    write_shards,
)
from builders.dataset.parquet_writer import rows_table, write_parquet
from builders.dataset.shards import finished_shard, write_shard
from builders.errors import DataError, UsageError
from tests.builders.dataset.test_shards import IDS, job


@pytest.mark.parametrize(
    ("change", "whole"),
    [
        ({}, True), ({"rows_recipe_hash": None}, True), ({"file_bytes": 1}, False),
        ({"file": "data/jpeg/train-00000-of-00007.parquet"}, False), ({"more": 1}, False), ({"sha256": "x"}, False),
        ({"failures": [{"id": "a", "reason": "truncated"}]}, True), ({"failures": [{"id": "a"}]}, False),
        ({"failures": [{"id": "a", "reason": "the file cannot be read (Input/output error)"}]}, False),
    ],
)  # fmt: skip
def test_finished__a_marker_that_agrees_with_the_job(tmp_path, capsys, change, whole):
    one = job(tmp_path)
    write_shard(one, 2)
    marker = one.marker(2)
    marker.write_text(json.dumps({**json.loads(marker.read_text()), **change}))
    assert (finished_shard(one, 2) is not None) is whole
    file = tmp_path / one.file(2)
    warning = f"camtrace: warning: {file}: does not match its checksum; made again\n"
    assert capsys.readouterr().err == (warning if "sha256" in change else "")
    assert marker.exists() is ("sha256" not in change)
    if marker.exists():
        marker.write_text(json.dumps({**json.loads(marker.read_text()), "recipe_hash": "x"}))
        if "more" not in change and change.get("failures") != [{"id": "a"}]:
            with pytest.raises(UsageError) as refused:
                finished_shard(one, 2)
            assert str(tmp_path) in str(refused.value)
    marker.write_text("[]")
    assert finished_shard(one, 2) is None
    assert finished_shard(one, 3) is None


def test_write__another_cut_or_other_splits_are_refused(tmp_path):
    write_shards(job(tmp_path))
    with pytest.raises(UsageError) as refused:
        write_shards(job(tmp_path, items_per_shard=7))
    assert str(tmp_path) in str(refused.value)
    with pytest.raises(UsageError) as refused:
        write_groups([job(tmp_path, split="test"), job(tmp_path, split="val")])
    assert str(tmp_path) in str(refused.value)
    (tmp_path / "data" / "jpeg" / "extra.parquet").write_bytes(b"x")
    write_groups([job(tmp_path), job(tmp_path, split="test", ids=IDS[:1])])
    assert sorted(path.name for path in (tmp_path / "data" / "jpeg").iterdir()) == [
        "test-00000-of-00001.parquet", *(f"train-{n:05d}-of-00007.parquet" for n in range(7)),
    ]  # fmt: skip
    (tmp_path / "a-file").write_bytes(b"x")
    with pytest.raises(DataError):
        write_shards(job(tmp_path / "a-file"))


def parquet(rows, features):
    stream = io.BytesIO()
    written = write_parquet(stream, features, rows)
    return written, pq.ParquetFile(io.BytesIO(stream.getvalue()))


def test_parquet__columns_are_stored_as_readers_need_them():
    features = Features({"image": Image(), "label": ClassLabel(names=["a", "b"]), "n": Value("int32")})
    rows = [{"image": {"bytes": b"x" * 10, "path": "p"}, "label": "b", "n": i} for i in range(5)]
    written, file = parquet(rows, features)
    group = file.metadata.row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    dictionaries = {"PLAIN_DICTIONARY", "RLE_DICTIONARY"}
    assert {name: (c.compression, not dictionaries.isdisjoint(c.encodings)) for name, c in columns.items()} == {
        "image.bytes": ("UNCOMPRESSED", False), "image.path": ("SNAPPY", True), "label": ("SNAPPY", True),
        "n": ("SNAPPY", True),
    }  # fmt: skip
    assert all(column.has_column_index and column.has_offset_index for column in columns.values())
    assert json.loads(file.metadata.metadata[b"content_defined_chunking"]) == DEFAULT_CDC_OPTIONS
    table = file.read()
    assert table.column("label").to_pylist() == [1] * 5
    assert written == (5, rows_table(rows, features).nbytes)
    assert Features.from_arrow_schema(table.schema) == features
    assert parquet([], features)[0] == (0, 0)
