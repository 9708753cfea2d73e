"""Photo sets: which photos a limit takes, by hand and by an independent ranking; what names a set."""

import dataclasses
import hashlib

import numpy as np
import pytest

from builders.photos import Labels, PhotoSet, rank_within


def place(photo_id: str, seed: int) -> bytes:
    """Where a photo stands among those of its class and split: bytes sort as big-endian numbers do."""
    return hashlib.blake2b(f"limit\0{seed}\0{photo_id}".encode(), digest_size=8).digest()


@pytest.mark.parametrize("seed", [0, 1, 7])
@pytest.mark.parametrize("limit", [1, 5, 29])
def test_limited__takes_the_first_by_seed_and_id(seed, limit):
    ids = [f"photo-{i}" for i in range(30)]
    full = PhotoSet.of_bytes("one class", {i: i.encode() for i in ids})
    part = full.limited(limit, seed)
    assert set(part.ids) == set(sorted(ids, key=lambda i: place(i, seed))[:limit])
    assert part.ids == tuple(i for i in ids if i in part.ids)  # in the order of the set
    assert [part.read(i) for i in range(limit)] == [i.encode() for i in part.ids]


def test_limited__another_seed_takes_other_photos():
    full = PhotoSet.of_bytes("p", {f"{i}": b"" for i in range(100)})
    assert full.limited(10).ids == full.limited(10, 0).ids
    taken = [set(full.limited(10, seed).ids) for seed in range(5)]
    assert len(set.union(*taken)) > 30


def test_limited__classes_and_splits_keep_their_shares():
    """30 train photos and 15 of val, each two thirds a and one third b; of 9 train has 6, and classes are even."""
    rows = [(split, label, i) for split, n in (("train", 10), ("val", 5)) for label in "aab" for i in range(n)]
    files = {f"{split}/{label}/{j}": b"" for j, (split, label, _) in enumerate(rows)}
    full = PhotoSet.of_bytes("p", files, [label for _, label, _ in rows], [split for split, *_ in rows])
    for seed in range(4):
        part = full.limited(9, seed)
        cells = [tuple(i.split("/")[:2]) for i in part.ids]
        assert {cell: cells.count(cell) for cell in set(cells)} in (
            {("train", "a"): 3, ("train", "b"): 3, ("val", "a"): 1, ("val", "b"): 2},
            {("train", "a"): 3, ("train", "b"): 3, ("val", "a"): 2, ("val", "b"): 1},
        )


def test_limited__a_limit_of_the_whole_set_is_the_set():
    full = PhotoSet.of_bytes("p", {"a": b"1", "b": b"2"})
    assert full.limited(2) is full
    assert full.limited(3) is full
    assert len(full.limited(1)) == 1


def test_select__takes_every_column_along():
    full = dataclasses.replace(
        PhotoSet.of_bytes("p", {"a": b"1", "b": b"2", "c": b"3"}, ["x", "y", "x"], ["train", "val", "test"]),
        attributes={"make": Labels(("m", "n"), np.array([0, 1, -1], dtype=np.int32))},
        groups={"site": Labels(("s", "t"), np.array([1, 0, 1], dtype=np.int32))},
        columns={"owner": np.array(["ann", "ben", "cid"])},
        neighbours=1,
    )
    part = full.select([2, 0])
    assert (part.ids, part.splits.tolist(), part.labels.values.tolist()) == (("c", "a"), [2, 0], [0, 0])
    assert part.attributes["make"].values.tolist() == [-1, 0]
    assert (part.groups["site"].names, part.groups["site"].values.tolist()) == (("s", "t"), [1, 1])
    assert part.columns["owner"].tolist() == ["cid", "ann"]
    assert [part.read(i) for i in range(2)] == [b"3", b"1"]
    assert part.neighbours == 1


def test_ids_hash__tells_ids_order_splits_labels_and_their_names():
    def of(ids="ab", labels=("x", "y"), splits=("train", "val")):
        return PhotoSet.of_bytes("p", dict.fromkeys(ids, b""), list(labels), list(splits)).ids_hash()

    others = [of("ba"), of("ac"), of(labels=("y", "x")), of(labels=("x", "z")), of(splits=("val", "train"))]
    assert len({of(), *others}) == 6
    assert of() == of()


def test_rank_within():
    assert rank_within(np.array([5, 3, 5, 5, 3])).tolist() == [0, 0, 1, 2, 1]
    assert rank_within(np.array([], dtype=int)).tolist() == []
