"""Drawing a part of a photo set, and what its methods pass to its source; compared with plain loops."""

import dataclasses

import numpy as np
import pytest

from builders.errors import EncoderError
from builders.photos import UNLABELLED, Labels, PhotoSet, hash64


class Source:
    """Notes which rows it is given."""

    is_remote = True

    def __init__(self):
        self.calls = []

    def read(self, row):
        self.calls.append(("read", row))
        return b"12345"

    def warm_up(self, row):
        self.calls.append(("warm up", row))

    def shared_work(self, rows):
        return (row // 2 for row in rows.tolist())

    def stamps(self, rows):
        return ("stamps", rows.tolist())


def drawn(n: int, seed: int) -> PhotoSet:
    rng = np.random.default_rng(seed)
    photos = PhotoSet.of_bytes("drawn", {f"p{i}": b"" for i in range(n)})
    return dataclasses.replace(
        photos,
        splits=rng.choice(3, n, p=[0.7, 0.2, 0.1]).astype(np.int8),
        labels=Labels(("a", "b", "c"), rng.integers(-1, 3, n).astype(np.int32)),
        rows=rng.permutation(n) + 100,
        attributes={"make": Labels(("x", "y"), rng.integers(-1, 2, n).astype(np.int32))},
        groups={"site": Labels(("n", "s"), rng.integers(-1, 2, n).astype(np.int32))},
        columns={"owner": rng.choice(["", "o", "p"], n)},
    )


def expected_draw(photos: PhotoSet, limit: int, seed: int) -> list[int]:
    """Of each split, photos in turns over the classes; then all splits by the share that is taken."""
    hashes = [hash64(f"limit\0{seed}\0{name}") for name in photos.ids]
    order = []
    for split in sorted(set(photos.splits.tolist())):
        members = sorted(np.flatnonzero(photos.splits == split).tolist(), key=lambda i: hashes[i])
        rank = {}
        seen = dict.fromkeys(range(-1, 3), 0)
        for i in members:
            label = int(photos.labels.values[i])
            rank[i] = seen[label]
            seen[label] += 1
        members.sort(key=lambda i: rank[i])
        order += [((at + 0.5) / len(members) if at else -1, hashes[i], i) for at, i in enumerate(members)]
    return sorted(i for _, _, i in sorted(order)[:limit])


@pytest.mark.parametrize(("n", "limit", "seed"), [(40, 1, 0), (40, 3, 0), (40, 17, 1), (40, 39, 2), (90, 30, 5)])
def test_limited__equals_a_plain_loop(n, limit, seed):
    photos = drawn(n, seed)
    part = photos.limited(limit, seed)
    at = expected_draw(photos, limit, seed)
    assert part.ids == tuple(photos.ids[i] for i in at)
    assert part.rows.tolist() == photos.rows[at].tolist()
    assert photos.limited(n, seed) is photos
    assert photos.limited(n + 1, seed) is photos
    if limit > 3:
        assert part.ids != photos.limited(limit, seed + 1).ids
        assert set(photos.limited(limit - 1, seed).ids) < set(part.ids)
    if limit >= 3:
        assert set(part.splits.tolist()) == set(photos.splits.tolist())


def test_select__every_column_in_the_new_order():
    photos = drawn(10, 0)
    at = [7, 2, 0]
    part = photos.select(at)
    assert part.ids == ("p7", "p2", "p0")
    for column in ("splits", "rows"):
        assert getattr(part, column).tolist() == getattr(photos, column)[at].tolist()
    pairs = [(part.labels, photos.labels), (part.attributes["make"], photos.attributes["make"])]
    for now, before in [*pairs, (part.groups["site"], photos.groups["site"])]:
        assert (now.names, now.values.tolist()) == (before.names, before.values[at].tolist())
    assert part.columns["owner"].tolist() == photos.columns["owner"][at].tolist()
    assert photos.select([]).ids == ()


def test_source__gets_rows_not_positions():
    source = Source()
    photos = dataclasses.replace(
        PhotoSet.of_bytes("three", {"a": b"", "b": b"", "c": b""}), source=source, rows=np.array([5, 9, 4])
    )
    assert photos.read(1) == b"12345"
    photos.warm_up(2)
    assert source.calls == [("read", 9), ("warm up", 4)]
    assert photos.head(0, 3) == (b"123", 5)
    assert source.calls[2:] == [("read", 5)]
    assert photos.shared_work() == [2, 4, 2]
    assert photos.stamps() == ("stamps", [5, 9, 4])
    assert photos.is_remote
    source.head = lambda row, limit: (row, limit)
    assert photos.head(1, 7) == (9, 7)
    assert source.calls[3:] == []
    PhotoSet.of_bytes("plain", {"a": b""}).warm_up(0)


def test_ids_hash__of_ids_splits_and_labels_in_their_order():
    def hashed(ids="ab", labels=("x", "y"), splits=("train", "val"), **more):
        made = PhotoSet.of_bytes("n", dict.fromkeys(ids, b"1"), list(labels), list(splits))
        return dataclasses.replace(made, **more).ids_hash()

    plain = hashed()
    assert len(plain) == 16
    assert plain == hashed(name="other") == hashed(columns={"owner": np.array(["", "o"])})
    values = np.array([0, 1], dtype=np.int32)
    others = [
        hashed(ids="ba"), hashed(ids="ac"), hashed(splits=("train", "test")), hashed(splits=("val", "train")),
        hashed(labels=("y", "x")), hashed(labels=("x", "z")), hashed(labels=Labels(("x", "yz"), values).names),
    ]  # fmt: skip
    assert len({plain, *others}) == 8
    unlabelled = PhotoSet.of_bytes("n", {"a": b"", "b": b""}, None, ["train", "val"])
    assert unlabelled.labels.names == ()
    assert unlabelled.labels.values.tolist() == [UNLABELLED] * 2
    assert unlabelled.ids_hash() != plain


def test_ids_of_no_photo__each_once_or_an_error_where_none_is_of_the_set():
    photos = PhotoSet.of_bytes("set", {"a": b"", "b": b""})
    assert photos.ids_of_no_photo("f.csv", ["x", "a", "y", "x"]) == ["x", "y"]
    assert photos.ids_of_no_photo("f.csv", ["b", "b"]) == []
    assert photos.ids_of_no_photo("f.csv", []) == []
    with pytest.raises(EncoderError) as caught:
        photos.ids_of_no_photo("f.csv", ["x\n", "y"])
    assert "x\\\\x0a" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [{"splits": np.zeros(3, dtype=np.int8)}, {"rows": np.zeros(1)}, {"labels": Labels(("x",), np.zeros(3))},
     {"attributes": {"make": Labels(("x",), np.zeros(1))}}, {"columns": {"owner": np.array(["x"])}}],
)  # fmt: skip
def test_photo_set__columns_of_other_lengths_and_repeated_ids_are_refused(change):
    photos = PhotoSet.of_bytes("set", {"a": b"", "b": b""})
    with pytest.raises(ValueError, match="lengths"):
        dataclasses.replace(photos, **change)
    with pytest.raises(ValueError, match="unique"):
        dataclasses.replace(photos, ids=("a", "a"))
