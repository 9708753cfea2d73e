"""Stratified splits and balanced sets, compared with plain loops over drawn collections."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from builders.photos import UNLABELLED, Labels
from builders.splits import LEFT_OUT, Choice, Sizes, balance, class_limits
from builders.splits.make import stratified

SHARES = [(0.5, 0.25, 0.25), (0.5, 0, 0.5), (1, 0, 0), (2, 1, 1), (0, 0.25, 0.75)]


def plainly_stratified(groups, labels, priority, shares):
    """Sechidis et al. (2011) with groups for examples: dictionaries and loops."""
    members = {g: [i for i in range(len(groups)) if groups[i] == g] for g in range(max(groups, default=-1) + 1)}
    first = {g: min(priority[i] for i in of) for g, of in members.items()}
    classes = [(name, value) for name in sorted(labels) for value in range(max(labels[name], default=-1) + 1)]
    photos = {c: Counter(groups[i] for i in range(len(groups)) if labels[c[0]][i] == c[1]) for c in classes}
    share = [s / sum(shares) for s in shares]
    lacking = {(s, c): share[s] * photos[c].total() for s in range(3) for c in classes}
    in_all = {s: share[s] * len(groups) for s in range(3)}
    split_of = {}

    def assign(group, wanted):
        best = max((s for s in range(3) if share[s]), key=lambda s: (*wanted(s), in_all[s], -s))
        split_of[group] = best
        in_all[best] -= len(members[group])
        for c in classes:
            lacking[best, c] -= photos[c][group]

    for c in sorted(classes, key=lambda c: photos[c].total()):
        for group in sorted(photos[c], key=lambda g: (-photos[c][g], first[g])):
            if group not in split_of:
                assign(group, lambda s, c=c: (lacking[s, c],))
    for group in sorted(members, key=first.__getitem__):
        if group not in split_of:
            assign(group, lambda s: ())
    return [split_of[g] for g in sorted(members)]


def collection(rng, n):
    _, groups = np.unique(rng.integers(0, max(1, n // 2), n), return_inverse=True)
    labels = {
        "make": rng.choice([-1, 0, 0, 0, 1, 1, 2], n).astype(np.int32),
        "iso": rng.choice([-1, 0, 3], n, p=[0.7, 0.15, 0.15]).astype(np.int32),
        "none": np.full(n, UNLABELLED, dtype=np.int32),
    }
    return groups, labels, rng.permutation(n)


@pytest.mark.parametrize("shares", SHARES)
@pytest.mark.parametrize("n", [0, 3, 60])
def test_stratified__equals_plain_loops(n, shares):
    for seed in range(4):
        groups, labels, priority = collection(np.random.default_rng(100 * n + seed), n)
        expected = plainly_stratified(groups.tolist(), {k: v.tolist() for k, v in labels.items()}, priority, shares)
        assert stratified(groups, labels, priority, shares).tolist() == expected


def plainly_balanced(values, splits, groups, priority, sizes, in_use):
    """Photo after photo of each class and split, one of each group before a second of any."""
    count = Counter(zip(splits, values, strict=True))
    classes = [c for c in range(max(values) + 1) if all(count[s, c] >= max(1, sizes.least) for s in in_use)]
    chosen = [LEFT_OUT] * len(values)
    for split, most in enumerate((sizes.train, sizes.val, sizes.test)):
        fewest = min((count[split, c] for c in classes), default=0)
        for c in classes:
            turns, queue = Counter(), []
            for i in sorted(range(len(values)), key=lambda i: priority[i]):
                if (splits[i], values[i]) == (split, c):
                    queue.append((turns[groups[i]], priority[i], i))
                    turns[groups[i]] += 1
            for _, _, i in sorted(queue)[: fewest if most is None else min(most, fewest)]:
                chosen[i] = split
    return chosen, classes


@pytest.mark.parametrize("n", [1, 4, 20, 90])
def test_balance__equals_plain_loops(n):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        groups, labels, priority = collection(rng, n)
        groups = rng.permutation(groups)
        in_use = [[0], [0, 2], [0, 1, 2]][seed % 3]
        splits = rng.choice(np.array(in_use, dtype=np.int8), n)
        sizes = Sizes(*([None, 0, 1, 3][int(i)] for i in rng.integers(0, 4, 3)), least=int(rng.integers(0, 4)))
        for values in labels.values():
            result = balance(values, splits, groups, priority, sizes, in_use)
            expected = plainly_balanced(*map(np.ndarray.tolist, (values, splits, groups, priority)), sizes, in_use)
            assert (result.splits.tolist(), result.classes.tolist()) == expected


def plain_limits(column, splits, sizes):
    """What ``class_limits`` says, by trying every value of ``least``."""
    count = {
        (s, c): sum(splits[i] == s and column.values[i] == c for i in range(len(splits)))
        for s in range(3)
        for c in range(len(column.names))
    }

    def choice(least):
        classes = [c for c in range(len(column.names)) if all(count[s, c] >= least for s in range(3))]
        if not classes:
            return Choice(least, 0, (0, 0, 0))
        most = (sizes.train, sizes.val, sizes.test)
        each = [min([count[s, c] for c in classes] + [most[s]] * (most[s] is not None)) for s in range(3)]
        return Choice(least, len(classes), tuple(each))

    now = choice(max(1, sizes.least))
    worst = {c: min(count[s, c] for s in range(3)) for c in range(len(column.names))}
    values = sorted({w for w in worst.values() if w})
    usable = [v for v in values if choice(v).classes >= 2]
    below = [v for v in usable if v < now.least][-1:]
    enough = [worst[c] for c in worst if worst[c] >= now.least]
    above = [v for v in values if enough and v > min(enough)][:1]
    most = sorted(usable, key=lambda v: -choice(v).photos)[:1]
    others = sorted({*below, *above, *most})
    usable_others = tuple(c for c in map(choice, others) if c.classes >= 2 and c.classes != now.classes)
    if now.classes < 2:
        return now, ("", "", ""), usable_others
    rarest = (min((c for c in worst if worst[c] >= now.least), key=lambda c: (count[s, c], c)) for s in range(3))
    return now, tuple(column.names[c] for c in rarest), usable_others


def test_class_limits__equals_trying_every_least_number():
    for seed in range(150):
        rng = np.random.default_rng(seed)
        n, classes = int(rng.choice([0, 6, 30, 100])), int(rng.integers(1, 6))
        column = Labels(tuple("vwxyz"[:classes]), rng.integers(-1, classes, n).astype(np.int32))
        splits = rng.choice(np.array([0, 0, 1, 2], dtype=np.int8), n)
        sizes = Sizes(*([None, 1, 2, 40][int(i)] for i in rng.integers(0, 4, 3)), least=int(rng.integers(0, 9)))
        limits = class_limits("make", column, splits, sizes)
        assert (limits.now, limits.fewest, limits.others) == plain_limits(column, splits.tolist(), sizes)
