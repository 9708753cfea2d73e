"""Properties of splits, on random collections."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.errors import DataError, UsageError
from builders.photos import UNLABELLED, Labels
from builders.splits import LEFT_OUT, Sizes, make_splits, photo_groups, tables_of, validate


def collection(seed: int, n: int = 600, owners: int = 80) -> dict:
    """Photos of owners of very different zeal, two attributes of which one follows the owner, some duplicates."""
    rng = np.random.default_rng(seed)
    owner = (rng.pareto(1.0, n) * 8).astype(int) % owners
    hashes = rng.integers(1, 2**63, n, dtype=np.uint64)
    copies = rng.integers(0, n, 15)
    hashes[copies] = hashes[rng.integers(0, n, 15)] ^ np.uint64(0b101)
    return {
        "ids": [f"p{i:04d}" for i in range(n)],
        "labels": {
            "make": np.where(rng.random(n) < 0.1, UNLABELLED, (owner * 7 + (rng.random(n) < 0.3)) % 4).astype(np.int32),
            "iso": rng.integers(-1, 5, n).astype(np.int32),
        },
        "owners": [f"o{o}" if o else "" for o in owner],
        "hashes": hashes,
    }


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from(["hash", "stratified"]))
def test_make_splits__laws(seed, assign):
    photos = collection(seed)
    result = make_splits(**photos, assign=assign, seed=seed)
    for name in ("groups", "splits"):
        assert len(getattr(result, name)) == len(photos["ids"])
    # a group, and so an owner, has one split
    assert len(set(zip(result.groups.tolist(), result.splits.tolist(), strict=True))) == result.groups.max() + 1
    by_owner: dict[str, set[int]] = {}
    for owner, split in zip(photos["owners"], result.splits.tolist(), strict=True):
        by_owner.setdefault(owner, set()).add(split)
    assert all(len(splits) == 1 for owner, splits in by_owner.items() if owner)
    for name, selected in result.selected.items():
        values = photos["labels"][name]
        taken = selected != LEFT_OUT
        assert (selected[taken] == result.splits[taken]).all()  # never another split for another attribute
        assert not (taken & (values == UNLABELLED)).any()
        for split in range(3):
            counts = Counter(values[selected == split].tolist())
            assert set(counts) == set(result.classes[name].tolist())
            assert len(set(counts.values())) <= 1  # balanced
    tables = tables_of(
        photos["ids"],
        {n: Labels(tuple("abcdefgh"[: v.max() + 1]), v) for n, v in photos["labels"].items()},
        result,
        owners=photos["owners"],
        hashes=photos["hashes"],
    )
    assert list(validate(tables).problems) == []


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32), st.sampled_from(["hash", "stratified"]))
def test_make_splits__order_of_the_photos_does_not_matter(seed, assign):
    photos = collection(seed, n=200, owners=30)
    order = np.random.default_rng(seed).permutation(200)
    shuffled = {
        "ids": [photos["ids"][i] for i in order],
        "labels": {name: values[order] for name, values in photos["labels"].items()},
        "owners": [photos["owners"][i] for i in order],
        "hashes": photos["hashes"][order],
    }
    one, two = make_splits(**photos, assign=assign), make_splits(**shuffled, assign=assign)
    assert (one.splits[order] == two.splits).all()
    for name in one.selected:
        assert (one.selected[name][order] == two.selected[name]).all()


def test_make_splits__a_take_down_moves_no_other_owner():
    photos = collection(5)
    before = make_splits(**photos)
    gone = "o3"
    stored = [i for i, owner in enumerate(photos["owners"]) if owner != gone]
    after = make_splits(
        [photos["ids"][i] for i in stored],
        {name: values[stored] for name, values in photos["labels"].items()},
        owners=[photos["owners"][i] for i in stored],
        hashes=photos["hashes"][stored],
    )
    joined_with_gone = before.groups[[i for i, owner in enumerate(photos["owners"]) if owner == gone]]
    others = [i for i in range(len(stored)) if before.groups[stored[i]] not in joined_with_gone]
    assert len(others) > 300
    assert (after.splits[others] == before.splits[stored][others]).all()


def test_make_splits__seed_and_shares():
    n = 4000
    ids = [f"p{i}" for i in range(n)]
    labels = {"a": np.zeros(n, dtype=np.int32)}
    one, two = (make_splits(ids, labels, seed=seed) for seed in (0, 1))
    assert (one.splits != two.splits).mean() > 0.3
    share = np.bincount(one.splits) / n
    assert np.abs(share - [0.7, 0.1, 0.2]).max() < 0.03  # four standard deviations of a share
    assert set(make_splits(ids, labels, shares=(0.5, 0, 0.5)).splits.tolist()) == {0, 2}
    exact = make_splits(ids, labels, assign="stratified").splits
    assert np.bincount(exact).tolist() == [2800, 400, 800]


@pytest.mark.parametrize("assign", ["hash", "stratified"])
def test_make_splits__seed_draws_other_photos_of_a_class(assign):
    """50 of 200 photos of one class, all in train: which ones is drawn by the seed too."""
    ids = [f"p{i}" for i in range(200)]
    given = {"labels": {"a": np.zeros(200, dtype=np.int32)}, "shares": (1, 0, 0), "sizes": Sizes(train=50)}
    taken = [set(np.flatnonzero(make_splits(ids, **given, assign=assign, seed=s).selected["a"] == 0)) for s in range(3)]
    assert [len(chosen) for chosen in taken] == [50] * 3
    assert len(taken[0] | taken[1] | taken[2]) > 80


def drawn(name: str, seed: int) -> int:
    """The split of a group: where BLAKE2b of seed and name falls among shares of 0.7, 0.1 and 0.2."""
    head = hashlib.blake2b(f"group\0{seed}\0{name}".encode(), digest_size=8).digest()
    place = int.from_bytes(head, "big") / 2**64
    return 0 if place < 0.7 else 1 if place < 0.8 else 2


@pytest.mark.parametrize("seed", range(6))
def test_make_splits__a_group_goes_where_its_smallest_owner_or_id_goes(seed):
    """30 families of four photos: named by the first of several owners, by the first id, or by the only owner."""
    ids, owners, digests, names = [], [], [], []
    for family in range(30):
        ids += [f"p{family:02d}{letter}" for letter in "dbca"]
        digests += [f"file {family}"] * 4
        of_family = {0: ["zoe", "ann", "", "ben"], 1: [""] * 4, 2: ["", "", "cid", ""]}[family % 3]
        owners += [owner and f"{owner}{family:02d}" for owner in of_family]
        names.append({0: f"0ann{family:02d}", 1: f"1p{family:02d}a", 2: f"0cid{family:02d}"}[family % 3])
    result = make_splits(ids, {}, owners=owners, digests=digests, seed=seed)
    assert result.groups.tolist() == [i // 4 for i in range(120)]
    assert result.splits.tolist() == [drawn(name, seed) for name in names for _ in range(4)]


@pytest.mark.parametrize(("requested", "taken"), [(None, 30), (50, 30), (30, 30), (20, 20), (0, 0)])
def test_make_splits__no_class_has_more_photos_than_another(requested, taken):
    """60 and 30 photos: whatever is asked for, both classes give the same number."""
    values = np.array([0] * 60 + [1] * 30, dtype=np.int32)
    sizes = {"a": Sizes(train=requested)}
    result = make_splits([f"p{i}" for i in range(90)], {"a": values}, shares=(1, 0, 0), sizes=sizes)
    assert [int((values[result.selected["a"] == 0] == c).sum()) for c in (0, 1)] == [taken, taken]


@pytest.mark.parametrize(("distance", "groups"), [(0, 3), (3, 3), (4, 2), (5, 2), (6, 1)])
def test_make_splits__max_distance(distance, groups):
    """Two hashes 4 bits apart, a third 6 bits from the first."""
    base = 0x0123456789ABCDEF
    hashes = np.array([base, base ^ 0b1111, base ^ 0b111111 << 20], dtype=np.uint64)
    result = make_splits(list("abc"), {}, hashes=hashes, max_distance=distance)
    assert result.groups.max() + 1 == groups
    assert result.evidence["near-duplicate distance"] == str(distance)


def test_make_splits__stratified_gives_every_class_a_test_where_chance_would_not():
    # 5 classes with 4 owners each: hashing leaves some class without a test in most seeds
    owners = [f"o{i // 3}" for i in range(60)]
    labels = {"model": (np.arange(60) // 12).astype(np.int32)}
    ids = [f"p{i}" for i in range(60)]
    for seed in range(10):
        result = make_splits(
            ids, labels, owners=owners, shares=(0.5, 0.25, 0.25), assign="stratified", sizes=Sizes(), seed=seed
        )
        counts = [np.bincount(labels["model"][result.splits == s], minlength=5).tolist() for s in range(3)]
        assert counts == [[6] * 5, [3] * 5, [3] * 5]
    by_hash = [make_splits(ids, labels, owners=owners, shares=(0.5, 0.25, 0.25), seed=s) for s in range(10)]
    assert any(len(result.classes["model"]) < 5 for result in by_hash)


def test_make_splits__sizes_of_the_study():
    n = 6000
    labels = {"a": np.random.default_rng(0).choice(3, n, p=[0.5, 0.3, 0.2]).astype(np.int32)}
    result = make_splits([f"p{i}" for i in range(n)], labels, sizes={"a": Sizes(train=None, val=50, test=100)})
    counts = [np.bincount(labels["a"][result.selected["a"] == s], minlength=3) for s in range(3)]
    rarest = int((labels["a"][result.splits == 0] == 2).sum())
    assert [c.tolist() for c in counts] == [[rarest] * 3, [50] * 3, [100] * 3]


def test_make_splits__classes_with_too_few_photos_are_left_out():
    values = np.array([0] * 300 + [1] * 300 + [2] * 4, dtype=np.int32)
    result = make_splits([f"p{i}" for i in range(604)], {"a": values}, sizes=Sizes(least=10))
    assert result.classes["a"].tolist() == [0, 1]
    assert (result.selected["a"][600:] == LEFT_OUT).all()


@pytest.mark.parametrize(("least", "classes"), [(1, [0, 1]), (4, [0, 1]), (5, [0]), (40, [0]), (41, [])])
def test_make_splits__least_photos_of_a_class_in_every_split(least, classes):
    """400 and 40 photos in shares of 0.7, 0.1 and 0.2: of the second class 28, 4 and 8, of the first 280, 40 and 80."""
    values = np.array([0] * 400 + [1] * 40, dtype=np.int32)
    ids = [f"p{i}" for i in range(440)]
    result = make_splits(ids, {"a": values}, assign="stratified", sizes=Sizes(least=least))
    assert [np.bincount(values[result.splits == s]).tolist() for s in range(3)] == [[280, 28], [40, 4], [80, 8]]
    assert result.classes["a"].tolist() == classes
    taken = [np.bincount(values[result.selected["a"] == s], minlength=2).tolist() for s in range(3)]
    both, first = [[28, 28], [4, 4], [8, 8]], [[280, 0], [40, 0], [80, 0]]
    assert taken == {2: both, 1: first, 0: [[0, 0]] * 3}[len(classes)]


def test_make_splits__the_least_size_holds_for_splits_that_exist():
    """Without val, that it has no photo of a class is nothing against the class."""
    values = np.array([0, 1] * 30, dtype=np.int32)
    ids = [f"p{i}" for i in range(60)]
    result = make_splits(ids, {"a": values}, assign="stratified", shares=(0.5, 0, 0.5), sizes=Sizes(least=15))
    assert result.classes["a"].tolist() == [0, 1]
    assert (
        make_splits(ids, {"a": values}, assign="stratified", shares=(0.5, 0, 0.5), sizes=Sizes(least=16))
        .classes["a"]
        .tolist()
        == []
    )


def test_make_splits__no_owner_dominates_a_class():
    # one owner has 500 photos of the class, fifty owners have one each
    owners = ["zealot"] * 500 + [f"o{i}" for i in range(50)]
    values = np.zeros(550, dtype=np.int32)
    result = make_splits(
        [f"p{i}" for i in range(550)], {"a": values}, owners=owners, shares=(1, 0, 0), sizes=Sizes(train=51)
    )
    assert np.flatnonzero(result.selected["a"] == 0).tolist()[-50:] == list(range(500, 550))
    assert (result.selected["a"][:500] == 0).sum() == 1


def test_make_splits__wrong_arguments():
    one = {"a": np.zeros(2, dtype=np.int32)}
    with pytest.raises(DataError, match="ids repeat"):
        make_splits(["x", "x"], one)
    with pytest.raises(DataError, match="owners"):
        make_splits(["x", "y"], one, owners=["o"])
    with pytest.raises(UsageError, match="shares"):
        make_splits(["x", "y"], one, shares=(0, 0, 0))
    with pytest.raises(UsageError, match="'hash' or 'stratified'"):
        make_splits(["x", "y"], one, assign="random")


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32))
def test_photo_groups__equals_a_union_find_loop(seed):
    rng = np.random.default_rng(seed)
    owners = [str(o) if o else "" for o in rng.integers(0, 12, 30)]
    digests = [f"d{d}" if d < 15 else "" for d in rng.integers(0, 25, 30)]
    parent = list(range(30))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i in range(30):
        for j in range(i):
            if (owners[i] and owners[i] == owners[j]) or (digests[i] and digests[i] == digests[j]):
                parent[root(i)] = root(j)
    expected = [root(i) for i in range(30)]
    result = photo_groups(30, owners=owners, digests=digests).tolist()
    assert len(set(zip(expected, result, strict=True))) == len(set(expected)) == len(set(result))
    assert sorted(set(result)) == list(range(len(set(result))))
