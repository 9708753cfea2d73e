"""What is on disk after a shard, a split and a folder: markers, hashes, row groups, cards and refusals, each whole."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Features, Image, Value
from datasets.config import DEFAULT_CDC_OPTIONS

from builders.dataset import (
    SplitShards,
    parquet_writer,
    write,
    write_groups,
    write_shards,
    write_splits,
)
from builders.dataset.parquet_writer import bytes_of_row, rows_table, write_parquet
from builders.dataset.shards import ItemFailure, Shard, finished_shard, write_shard
from builders.errors import DataError, UsageError
from builders.processes import WorkerKilled
from tests.builders.dataset.test_shards import FEATURES, IDS, Rows, job


def digest(value) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def test_shard__its_marker_whole(tmp_path):
    one = job(tmp_path, rows_recipe={"q": 90})
    ticks = []
    shard = write_shard(one, 1, lambda: ticks.append(1))
    file = tmp_path / "data" / "jpeg" / "train-00001-of-00007.parquet"
    marker = tmp_path / ".build" / "jpeg" / "train-00001-of-00007.json"
    ids = hashlib.sha256(b"".join(name.encode() + b"\0" for name in IDS)).hexdigest()
    recipe = {
        "format": 1, "pyarrow": pa.__version__, "features": FEATURES.to_dict(), "ids": ids, "items_per_shard": 6,
        "recipe": {"seed": 0},
    }  # fmt: skip
    of_rows = {"format": 1, "columns": ["image", "photo_id", "jpeg"], "rows": {"q": 90}}
    assert json.loads(marker.read_text()) == {
        "file": "data/jpeg/train-00001-of-00007.parquet",
        "recipe_hash": digest(recipe),
        "rows": 8,
        "file_bytes": file.stat().st_size,
        "data_bytes": shard.data_bytes,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "failures": [
            {"id": "photo-007", "reason": "truncated"},
            {"id": "photo-011", "reason": "ValueError: bad Huffman table"},
        ],
        "rows_recipe_hash": digest(of_rows),
    }
    assert marker.read_text().startswith('{\n "file"')
    assert marker.read_text().endswith("}\n")
    assert shard.data_bytes == rows_table([row for i in (6, 8, 9, 10) for row in Rows()(i)], FEATURES).nbytes
    assert len(ticks) == 6
    assert write_shard(one, 1, lambda: ticks.append(1)) == shard == finished_shard(one, 1)
    assert len(ticks) == 6
    assert one.rows_recipe_hash == digest(of_rows)
    assert job(tmp_path).rows_recipe_hash is None
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == [marker.name, file.name]


@pytest.mark.parametrize(
    ("items", "each", "ranges"),
    [
        (0, 6, [(0, 0)]), (6, 6, [(0, 6)]), (7, 6, [(0, 6), (6, 7)]), (12, 6, [(0, 6), (6, 12)]),
        (3, 1, [(0, 1), (1, 2), (2, 3)]),
    ],
)  # fmt: skip
def test_job__items_of_each_shard(tmp_path, items, each, ranges):
    one = job(tmp_path, ids=IDS[:items], items_per_shard=each)
    assert [(one.items(n).start, one.items(n).stop) for n in range(one.count)] == ranges
    last = len(ranges) - 1
    assert one.file(last) == f"data/jpeg/train-{last:05d}-of-{len(ranges):05d}.parquet"
    assert one.marker(last) == tmp_path / ".build" / "jpeg" / f"train-{last:05d}-of-{len(ranges):05d}.json"


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


class Bar:
    """A bar that notes its settings and steps."""

    def __init__(self, made, **settings):
        self.made = made
        made.append(settings)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, count=1):
        self.made.append(count)


@pytest.fixture
def bars(monkeypatch):
    made = []
    monkeypatch.setattr(write, "progress_bar", lambda **settings: Bar(made, **settings))
    return made


def test_write__bars_count_the_items_that_are_missing(tmp_path, bars):
    one = job(tmp_path, ids=IDS[:10])
    write_shard(one, 0)
    write_shards(one)
    assert bars == [{"total": 4, "desc": "jpeg/train", "unit": "item", "silent": False}, *[1] * 4]
    bars.clear()
    write_shards(one, progress=False)
    assert bars == [{"total": 0, "desc": "jpeg/train", "unit": "item", "silent": True}]
    bars.clear()
    splits = [job(tmp_path, split=split, ids=IDS[:2], config=config) for config in ("b", "a") for split in ("x", "y")]
    written = write_splits(splits)
    assert bars[0] == {"total": 8, "desc": "b, a", "unit": "item", "silent": False}
    assert [(split.config, split.split) for split in written] == [("b", "x"), ("b", "y"), ("a", "x"), ("a", "y")]
    bars.clear()
    write_groups(splits[:2], progress=False)
    assert bars == [{"total": 0, "desc": "b", "unit": "item", "silent": True}]


def test_write__processes_for_what_is_missing(tmp_path, monkeypatch, bars):
    """The largest shards first; a single one is written here; leftovers of killed workers are removed."""
    calls = []

    def pool(work, keys, *, shared, workers, progress):
        calls.append((work, list(keys), shared, workers))
        return [work(shared, key, progress) for key in keys]

    monkeypatch.setattr(write, "run_in_pool", pool)
    small, large = job(tmp_path, split="test", ids=IDS[:2]), job(tmp_path, ids=IDS[:10])
    written = write_splits([small, large], workers=3)
    assert calls == [(write._write_in_worker, [(1, 0), (1, 1), (0, 0)], [small, large], 3)]
    assert [shard.rows for split in written for shard in split.shards] == [4, 12, 6]
    assert bars[1:] == [1] * 12
    (tmp_path / large.file(1)).unlink()
    write_splits([small, large], workers=3)
    assert len(calls) == 1  # one shard

    def killed(*given, **options):
        for name in (".more-x.tmp", ".train-x.tmp"):
            (tmp_path / "data" / "jpeg" / name).write_bytes(b"x")
        raise WorkerKilled("a worker process was killed")

    def leftovers():
        return {path.name for path in (tmp_path / "data" / "jpeg").glob(".*")}

    monkeypatch.setattr(write, "run_in_pool", killed)
    with pytest.raises(DataError) as refused:
        write_shards(job(tmp_path, split="more"), workers=2)
    assert str(tmp_path) in str(refused.value)
    assert leftovers() == {".train-x.tmp"}  # of another split, which another job may be writing
    (tmp_path / "data" / "jpeg" / ".more-y.tmp").write_bytes(b"x")
    write_shards(job(tmp_path, split="more"), workers=1)
    assert leftovers() == {".train-x.tmp"}


REMEDY = "choose another --output, say --update if the photos changed, or --fresh to replace it"


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


def test_split__sums_and_paths():
    failures = (ItemFailure("a", "x"), ItemFailure("b", "y"))
    parts = (Shard("f", "r", 3, 10, 100, "s", failures[:1]), Shard("g", "r", 4, 20, 200, "t", failures[1:]))
    split = SplitShards("jpeg", "test", parts)
    assert (split.rows, split.file_bytes, split.data_bytes, split.failures) == (7, 30, 300, failures)
    assert split.data_files == ("data/jpeg/test-*.parquet",)
    assert dataclasses.replace(split, paths=("a", "b")).data_files == ("a", "b")


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


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [([10] * 7, [3, 3, 1]), ([30, 1, 29, 0, 0, 0, 0], [1, 2, 3, 1]), ([29, 1, 31], [2, 1]), ([0] * 6, [3, 3])],
)
def test_parquet__row_groups_end_at_bytes_or_rows(monkeypatch, sizes, groups):
    monkeypatch.setattr(parquet_writer, "ROW_GROUP_BYTES", 30)
    monkeypatch.setattr(parquet_writer, "ROW_GROUP_ROWS", 3)
    features = Features({"image": Image(), "other": Image()})
    rows = [
        {"image": {"bytes": b"x" * (n // 2), "path": None}, "other": {"bytes": b"x" * (n - n // 2), "path": None}}
        for n in sizes
    ]
    written, file = parquet(rows, features)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == groups
    assert written.rows == len(sizes)
    assert written.data_bytes == sum(
        rows_table(rows[a:b], features).nbytes
        for a, b in zip(np.cumsum([0, *groups[:-1]]), np.cumsum(groups), strict=True)
    )
    assert [bytes_of_row(row) for row in rows] == sizes
    assert bytes_of_row({"a": {"bytes": None}, "b": {"x": b"123"}, "c": b"1", "d": {"bytes": b"12"}}) == 2
    assert parquet_writer.item_ranges(0, 2) == []


def test_rows__of_a_builder_of_datasets(monkeypatch, caplog):
    """Items without rows make no table; those that cannot be read are named."""

    class Rows:
        def __call__(self, item):
            if item == 2:
                raise parquet_writer.PhotoError("truncated")
            return [{"n": item}] * (item % 3)

        def name(self, item):
            return f"photo {item}"

    features = Features({"n": Value("int64")})
    builder = SimpleNamespace(info=SimpleNamespace(features=features))
    made = list(parquet_writer.RowsBuilder._generate_tables(builder, [(0, 3), (4, 6)], Rows()))
    assert [(item, table.column("n").to_pylist()) for item, table in made] == [(1, [1]), (4, [4]), (5, [5, 5])]
    assert [record.getMessage() for record in caplog.records] == ["photo 2 is left out: truncated"]
