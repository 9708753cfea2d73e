"""Splits of a data set on the Hub by ranges: which files are listed, which footers and row groups are read, by hand."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from types import SimpleNamespace

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets.packaged_modules.parquet.parquet import Parquet
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.hf_api import RepoFolder as Folder

from builders.errors import DataError, UsageError
from builders.photos import Stamp
from builders.sources.hub_data_sets import HubSource
from builders.sources.remote import hub_shards
from builders.sources.remote.drawing import Streaming, drawn
from builders.sources.remote.hub_shards import HubPart, HubSplit, RemoteFile, described, hub_parts, hub_splits
from builders.untrusted import UntrustedInputError

COMMIT = "a" * 40
BEGIN = f"hf://datasets/me/set@{COMMIT}/"


def parquet(first, rows, group, column="n"):
    content = io.BytesIO()
    pq.write_table(pa.table({column: list(range(first, first + rows))}), content, row_group_size=group)
    return content.getvalue()


class Store:
    """Files of the Hub by address, and every stream that was opened over one."""

    def __init__(self, files):
        self.files, self.opened = files, []

    def stream(self, address, size, **settings):
        self.opened.append((address, size, settings))
        return io.BytesIO(self.files[address])

    def remote(self, name):
        return RemoteFile(BEGIN + name, len(self.files[BEGIN + name]), f"blob of {name}")


@pytest.fixture
def store(monkeypatch, tmp_path):
    """Two files of train, of 10 and 6 rows in groups of 4, and one of test with 3 rows."""
    files = {"train-0": parquet(0, 10, 4), "train-1": parquet(10, 6, 4), "test-0": parquet(90, 3, 4)}
    made = Store({BEGIN + name: content for name, content in files.items()})
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("builders.untrusted.RemoteStream", made.stream)
    clear = hub_shards._footer.cache_clear
    clear()
    yield made
    clear()


def splits_of(store, features=None):
    return {
        "train": HubSplit((store.remote("train-0"), store.remote("train-1")), features),
        "test": HubSplit((store.remote("test-0"),), features),
    }


def test_footer__is_read_once_and_stored_under_content_and_size(store, tmp_path):
    file = store.remote("train-0")
    assert hub_shards._footer(file).num_rows == 10
    assert store.opened == [(file.address, file.size, {"ahead": 0, "most": 256 << 20})]
    name = hashlib.sha256(f"blob of train-0 {file.size}".encode()).hexdigest()[:32]
    stored = tmp_path / "cache" / "parquet-footers" / f"{name}.parquet"
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [stored]
    hub_shards._footer.cache_clear()
    elsewhere = file._replace(address=BEGIN + "gone")
    again = hub_shards._footer(elsewhere)  # the same content under another name is not fetched
    assert (again.num_rows, again.num_row_groups, len(store.opened)) == (10, 3, 1)
    hub_shards._footer.cache_clear()
    stored.write_bytes(b"half a file")
    assert hub_shards._footer(file).num_rows == 10
    assert len(store.opened) == 2
    hub_shards._footer.cache_clear()
    assert hub_shards._footer(elsewhere).num_rows == 10  # stored anew
    for other in (file._replace(identity="another"), file._replace(size=file.size - 1)):
        hub_shards._footer(other)
    assert len(store.opened) == 4


def test_footer__of_a_file_that_is_none_names_it_and_is_not_stored(store, tmp_path):
    store.files[BEGIN + "x\n.parquet"] = b"PAR1 nothing PAR1"
    with pytest.raises(DataError) as refused:
        hub_shards._footer(RemoteFile(BEGIN + "x\n.parquet", 17, "z"))
    text = str(refused.value)
    assert text.startswith(f"{BEGIN}x\\x0a.parquet: not a Parquet file that can be read (")
    assert "\n" not in text
    assert not list((tmp_path / "cache").rglob("*.parquet"))


def test_stored_footer__has_a_limit(store, monkeypatch):
    limits = []

    def open_file(path, *, limit):
        limits.append((path.parent.name, limit))
        raise UntrustedInputError(path, "cannot be read")

    monkeypatch.setattr(hub_shards, "open_untrusted", open_file)
    assert hub_shards._footer(store.remote("test-0")).num_rows == 3
    assert limits == [("parquet-footers", 256 << 20)]


def test_parts__without_a_limit_have_every_row_group_in_order(store):
    splits = splits_of(store)
    parts = hub_parts(splits, Streaming(), "hub:me/set")
    train, test = parts["train"], parts["test"]
    assert (train.files, train.groups) == (
        (BEGIN + "train-0", BEGIN + "train-1"), ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)),
    )  # fmt: skip
    assert (train.ends.tolist(), train.first_rows.tolist()) == ([4, 8, 10, 14, 16], [0, 4, 8, 10, 14])
    assert (train.ends.dtype, train.first_rows.dtype, train.remote) == (np.int64, np.int64, splits["train"].files)
    assert train.row_numbers().tolist() == list(range(16))
    assert train["n"] == list(range(16))
    assert [row["n"] for row in train] == list(range(16))
    assert (test["n"], len(test), test[2]) == ([90, 91, 92], 3, {"n": 92})
    assert train.stamps_of_files() == [Stamp("hub blob of train-0", 1), Stamp("hub blob of train-1", 1)]
    assert described(splits, parts) == "6 of 6 row groups, drawn by seed: 19 of 19 rows"
    assert {settings["most"] for _, _, settings in store.opened[3:]} == {2 * (256 << 20)}
    assert {settings["ahead"] for _, _, settings in store.opened} == {0}


TRAIN_GROUPS = ["train-0\x000", "train-0\x001", "train-0\x002", "train-1\x000", "train-1\x001"]
"""What the row groups of train are drawn by: the path in the repository and the number."""


def test_parts__of_a_limit_each_split_has_its_share(store):
    """Of 19 rows 8 are wanted: 7 of train (16 / 19 of them, rounded up), 2 of test."""
    for seed in (0, 1, 5):
        parts = hub_parts(splits_of(store), Streaming(8, seed), "hub:me/set")
        sizes = [4, 4, 2, 4, 2]
        chosen = drawn(TRAIN_GROUPS, sizes, 7, seed)
        train = parts["train"]
        assert train.groups == tuple(((0, 0), (0, 1), (0, 2), (1, 0), (1, 1))[i] for i in chosen)
        numbers = [n for i in chosen for n in range([0, 4, 8, 10, 14][i], [0, 4, 8, 10, 14][i] + sizes[i])]
        assert train.row_numbers().tolist() == train["n"] == numbers
        assert [train[i]["n"] for i in range(len(train))] == numbers
        assert len(parts["test"]) == 3
        text = f"{len(chosen) + 1} of 6 row groups, drawn by seed: {len(numbers) + 3} of 19 rows"
        assert described(splits_of(store), parts) == text
        one = {"train": train}
        assert (
            described(splits_of(store), one)
            == f"{len(chosen)} of 5 row groups, drawn by seed: {len(numbers)} of 16 rows"
        )


@pytest.mark.parametrize(
    ("limits", "refusal"),
    [
        ({"MAX_ROWS": 16}, None),
        ({"MAX_ROWS": 15}, "hub:me/set: train: 16 rows, more than the 15 that are read: give a --limit"),
        ({"LARGEST_GROUP": 100}, None),
        (
            {"LARGEST_GROUP": 99},
            "hub:me/set: train: a row group has 0 MB, more than the 0 MB that are read at once: leave out --stream",
        ),
    ],
)  # fmt: skip
def test_parts__too_large_ones_are_refused(store, monkeypatch, limits, refusal):
    for name, value in limits.items():
        monkeypatch.setattr(hub_shards, name, value)
    read = hub_shards._footer

    def footer(file):
        made = read(file)
        groups = [
            SimpleNamespace(num_rows=made.row_group(i).num_rows, total_byte_size=100)
            for i in range(made.num_row_groups)
        ]
        return SimpleNamespace(
            num_rows=made.num_rows,
            num_row_groups=made.num_row_groups,
            row_group=lambda i: groups[i],
            schema=made.schema,
        )

    monkeypatch.setattr(hub_shards, "_footer", footer)
    if refusal is None:
        assert len(hub_parts(splits_of(store), Streaming(), "hub:me/set")["train"]) == 16
    else:
        with pytest.raises(DataError) as refused:
            hub_parts(splits_of(store), Streaming(), "hub:me/set")
        assert str(refused.value) == refusal


def test_parts__sizes_of_a_refusal_are_in_megabytes(store, monkeypatch):
    monkeypatch.setattr(hub_shards, "LARGEST_GROUP", 12_600_000)
    group = SimpleNamespace(num_rows=1, total_byte_size=3_456_700_000)
    footer = SimpleNamespace(num_rows=1, num_row_groups=1, row_group=lambda i: group)
    with pytest.raises(DataError) as refused:
        hub_shards._part(splits_of(store)["test"], [footer], 1, 0, "w")
    assert str(refused.value) == (
        "w: a row group has 3,457 MB, more than the 13 MB that are read at once: leave out --stream"
    )


def test_parts__files_with_other_columns_are_refused_where_they_are_read(store):
    store.files[BEGIN + "train-1"] = parquet(10, 6, 4, column="other")
    with pytest.raises(DataError) as refused:
        hub_parts(splits_of(store), Streaming(), "hub:me/set")
    assert str(refused.value) == "hub:me/set: train: its files have different columns: leave out --stream"
    seed = next(seed for seed in range(99) if drawn(TRAIN_GROUPS, [4, 4, 2, 4, 2], 1, seed)[0] < 3)
    assert list(hub_parts(splits_of(store), Streaming(1, seed), "hub:me/set")["train"].features) == ["n"]


def test_features__are_those_of_the_card_where_it_names_the_same_columns(store):
    declared = datasets.Features({"n": datasets.ClassLabel(names=[str(i) for i in range(100)])})
    other = datasets.Features({"m": datasets.Value("int64")})
    of_files = datasets.Features({"n": datasets.Value("int64")})
    for features, expected in ((declared, declared), (other, of_files), (None, of_files)):
        assert hub_parts(splits_of(store, features), Streaming(), "w")["test"].features == expected
    store.files[BEGIN + "test-0"] = parquet(0, 0, 4)
    hub_shards._footer.cache_clear()
    empty = HubSplit((RemoteFile(BEGIN + "test-0", 1, "empty"),), declared)
    part = hub_parts({"test": empty}, Streaming(), "w")["test"]
    assert (len(part), part.features) == (0, declared)


def test_window__names_tables_by_their_columns(store):
    part = hub_parts(splits_of(store), Streaming(), "w")["test"]
    names = []
    window = SimpleNamespace(table=lambda name, fetch: names.append(name) or fetch())
    two = dataclasses.replace(part, window=window)
    assert two[0] == {"n": 90}
    assert names == [f"0-{hashlib.sha256(b'n').hexdigest()[:16]}"]
    assert isinstance(two, HubPart)


class Builder(Parquet):
    def __init__(self, files, columns=None, filters=None, features="declared"):
        self.config = SimpleNamespace(data_files=files, columns=columns, filters=filters)
        self.info = SimpleNamespace(features=features)


@pytest.fixture
def listed(monkeypatch):
    """Requests for paths, and the entries of the repository."""
    requests, entries = [], {}

    def paths(self, location, some, *, repo_type, revision):
        requests.append((location, list(some), repo_type, revision))
        return [entries[path] for path in some if path in entries]

    monkeypatch.setattr("huggingface_hub.HfApi.get_paths_info", paths)
    monkeypatch.setattr(hub_shards, "PATHS_PER_REQUEST", 2)
    return requests, entries


def entry(path, size):
    return RepoFile(path=path, size=size, oid=f"oid of {path}")


def test_splits__have_size_and_hash_of_each_file_in_the_order_of_the_data_set(listed):
    requests, entries = listed
    names = ["b/2", "b/1", "a", "c", "d"]
    entries |= {name: entry(name, 10 + i) for i, name in enumerate(names)}
    files = {"train": [BEGIN + name for name in names[:3]], "test": [BEGIN + name for name in names[3:]]}
    splits = hub_splits(Builder(files), "me/set", COMMIT)
    assert list(splits) == ["train", "test"]
    assert splits["train"] == HubSplit(
        tuple(RemoteFile(BEGIN + name, 10 + i, f"oid of {name}") for i, name in enumerate(names[:3])), "declared"
    )
    assert splits["test"].files == (RemoteFile(BEGIN + "c", 13, "oid of c"), RemoteFile(BEGIN + "d", 14, "oid of d"))
    assert requests == [("me/set", some, "dataset", COMMIT) for some in (["b/2", "b/1"], ["a", "c"], ["d"])]
    assert hub_splits(Builder(None), "me/set", COMMIT) == {}
    assert hub_shards.PATHS_PER_REQUEST == 2


NOT_PARQUET = (
    "hub:me/set: --stream reads Parquet files, and its data are others: leave out --stream, or name the Hub's own "
    "conversion, hub:me/set@refs/convert/parquet"
)


@pytest.mark.parametrize(
    ("builder", "error", "sentence"),
    [
        (SimpleNamespace(config=SimpleNamespace(data_files={})), UsageError, NOT_PARQUET),
        (Builder({}, columns=["a"]), UsageError, NOT_PARQUET),
        (Builder({}, columns=[]), UsageError, NOT_PARQUET),
        (Builder({}, filters=[("a", "=", 1)]), UsageError, NOT_PARQUET),
        (
            Builder({"train": [BEGIN + "there", "hf://datasets/you/set@x/b\n"]}),
            DataError,
            "hub:me/set: a data file is not in the repository (hf://datasets/you/set@x/b\\x0a)",
        ),
        (
            Builder({"train": [BEGIN + "there", BEGIN + "gone\n", BEGIN + "also"]}),
            DataError,
            "hub:me/set: the Hub does not list gone\\x0a",
        ),
        (Builder({"train": [BEGIN + "folder"]}), DataError, "hub:me/set: the Hub does not list folder"),
    ],
)
def test_splits__that_cannot_be_read_are_refused_in_a_sentence(listed, builder, error, sentence):
    listed[1].update(there=entry("there", 1), folder=Folder(path="folder", oid="x", tree_id="x"))
    with pytest.raises(error) as refused:
        hub_splits(builder, "me/set", COMMIT)
    assert str(refused.value) == sentence


def test_footers__of_a_split_are_read_in_order_with_a_bar(store, monkeypatch):
    bars = []

    class Bar:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self):
            bars.append("file")

    monkeypatch.setattr(hub_shards, "step_bar", lambda **settings: bars.append(settings) or Bar())
    assert [footer.num_rows for footer in splits_of(store)["train"].footers()] == [10, 6]
    assert bars == [{"total": 2, "desc": "reading footers", "unit": "file"}, "file", "file"]


def test_source__stamps_and_work_of_rows_of_two_splits(monkeypatch, tmp_path):
    """Files of 5 and 4 rows in groups of 2 and, of another split, 3 rows: a row is named by its place in its split."""
    features = datasets.Features({"image": datasets.Image(decode=False)})

    def pictures(first, rows):
        content = io.BytesIO()
        cells = [{"image": {"bytes": str(i).encode(), "path": None}} for i in range(first, first + rows)]
        pq.write_table(pa.Table.from_pylist(cells, schema=features.arrow_schema), content, row_group_size=2)
        return content.getvalue()

    made = Store({BEGIN + name: pictures(*of) for name, of in {"a": (0, 5), "b": (5, 4), "c": (9, 3)}.items()})
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("builders.untrusted.RemoteStream", made.stream)
    hub_shards._footer.cache_clear()
    whole = {"train": HubSplit((made.remote("a"), made.remote("b")), None), "test": HubSplit((made.remote("c"),), None)}
    parts = hub_parts(whole, Streaming(), "w")
    train, test = parts["train"], parts["test"]
    chosen = dataclasses.replace(  # the second and the fourth row group
        train, ends=np.array([2, 4]), groups=((0, 1), (1, 0)), first_rows=np.array([2, 5])
    )
    source = HubSource((chosen, test), "image")
    assert [source.read(i) for i in range(7)] == [b"2", b"3", b"5", b"6", b"9", b"10", b"11"]
    assert list(source.stamps(np.array([3, 0, 4, 6]))) == [
        Stamp("hub blob of b image 6", 1), Stamp("hub blob of a image 2", 1), Stamp("hub blob of c image 0", 1),
        Stamp("hub blob of c image 2", 1),
    ]  # fmt: skip
    assert source.shared_work(np.array([0, 1, 2, 3, 4, 5, 6])) == [0, 0, 1, 1, 2, 2, 3]
    assert source.is_remote
    hub_shards._footer.cache_clear()
