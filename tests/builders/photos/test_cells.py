"""Cells of label x group: counts compared with plain loops, faults and table by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders.photos import UNLABELLED, Labels, PhotoSet, group_cells


@pytest.mark.parametrize("seed", range(8))
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
