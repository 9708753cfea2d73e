"""Cells of label x group: counts compared with plain loops, faults and table by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders.photos import UNLABELLED, GroupCells, Labels, PhotoSet, group_cells


def cells(photos, clusters=None, unknown=0, labels=None):
    photos = np.array(photos)
    names = labels or tuple("abcdefghijklmnop"[: photos.shape[0]])
    values = tuple(f"s{i}" for i in range(photos.shape[1]))
    return GroupCells("site", names, values, photos, None if clusters is None else np.array(clusters), unknown)


@pytest.mark.parametrize(
    ("given", "faults"),
    [
        (cells([[4, 4], [4, 4]]), []),
        (cells([[4, 4]], labels=("",)), []),
        (
            cells([[4, 4], [4, 5]], unknown=1200),
            [
                "1,200 photos have no site: they are left out of questions about it",
                "cells are unequal (4 to 5 photos): site is given, not assigned",
            ],
        ),
        (cells([[4], [4]], unknown=1), [
            "1 photos have no site: they are left out of questions about it",
            "site has one class (s0): there is nothing to compare",
        ]),
        (cells(np.zeros((0, 0), dtype=int)), ["site has one class (none): there is nothing to compare"]),
        (
            cells([[2000, 0], [0, 2000]]),
            ["each label has one site: effects of site and of the label cannot be separated"],
        ),
        (cells([[3, 0, 3], [3, 3, 3]]), ["no photo in a x s1: comparisons that need these cells leave them out"]),
        (
            cells([[3, 0, 0, 3], [0, 3, 3, 3]], clusters=[[1, 0, 0, 2], [0, 2, 2, 2]]),
            [
                "no photo in a x s1, a x s2, b x s0: comparisons that need these cells leave them out",
                "one cluster in a x s0: nothing there can be compared between clusters",
            ],
        ),
        (
            cells([[3, 0, 0], [0, 0, 3], [3, 3, 3]], clusters=[[1, 0, 0], [0, 0, 1], [1, 1, 2]]),
            [
                "no photo in 4 of 9 cells (the first: a x s1): comparisons that need these cells leave them out",
                "one cluster in 4 of 9 cells (the first: a x s0): nothing there can be compared between clusters",
            ],
        ),
        (cells([[3, 0, 3]], labels=("",)), ["no photo in s1: comparisons that need these cells leave them out"]),
    ],
)  # fmt: skip
def test_faults__by_hand(given, faults):
    assert list(given.faults) == faults


@pytest.mark.parametrize("seed", range(40))
def test_group_cells__equals_plain_loops(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.choice([0, 1, 8, 60]))
    photos = PhotoSet.of_bytes("drawn", {f"p{i}": b"" for i in range(n)})
    label, site = (rng.integers(-1, 4, n).astype(np.int32) for _ in range(2))
    cluster = rng.choice(["", "x", "y", "z"], n)
    if labelled := seed % 3 > 0:
        photos = replace(photos, labels=Labels(("a", "b", "c", "d"), label))
    if clustered := seed % 2 > 0:
        photos = replace(photos, columns={"cluster": cluster})
    photos = replace(photos, groups={"site": Labels(("n", "s", "e", "w"), site)})
    known = [i for i in range(n) if site[i] != UNLABELLED and (not labelled or label[i] != UNLABELLED)]
    name = {i: "abcd"[label[i]] if labelled else "" for i in known}
    labels, values = sorted(set(name.values())), sorted({int(site[i]) for i in known})
    where = {(a, b): [i for i in known if (name[i], site[i]) == (a, b)] for a in labels for b in values}
    result = group_cells(photos, "site")
    assert (result.group, result.labels) == ("site", tuple(labels))
    assert result.values == tuple("nsew"[b] for b in values)
    assert result.unknown == sum(site == UNLABELLED)
    assert result.photos.tolist() == [[len(where[a, b]) for b in values] for a in labels]
    if clustered:
        units = {i: str(cluster[i]) or i for i in known}
        assert result.clusters.tolist() == [[len({units[i] for i in where[a, b]}) for b in values] for a in labels]
    else:
        assert result.clusters is None
