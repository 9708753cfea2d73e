"""Limits of an attribute, by hand and compared with the results of ``make_splits``."""

import numpy as np
import pytest

from builders.photos import UNLABELLED, Labels
from builders.splits import LEFT_OUT, Choice, Sizes, class_limits, make_splits

# photos of four classes in train, val and test
COUNTS = np.array([[400, 300, 90, 9], [60, 20, 30, 3], [100, 90, 25, 4]])
NAMES = ("Canon", "NIKON", "Kodak", "Leica")


def collection():
    values = np.concatenate([np.repeat(np.arange(4), row) for row in COUNTS]).astype(np.int32)
    splits = np.repeat(np.arange(3), COUNTS.sum(axis=1)).astype(np.int8)
    return (
        Labels(NAMES, np.append(values, UNLABELLED).astype(np.int32)),
        np.append(splits, 0).astype(np.int8),
    )


def test_limits__by_hand():
    result = class_limits("make", *collection(), Sizes(least=20))
    assert result.now == Choice(20, 3, (90, 20, 25))
    assert result.fewest == ("Kodak", "NIKON", "Kodak")
    # 3: Leica comes in; 25: NIKON (20 in val) goes, and 2 x (90 + 30 + 25) are fewer than 3 x (90 + 20 + 25)
    assert result.others == (Choice(3, 4, (9, 3, 4)), Choice(25, 2, (90, 30, 25)))
    assert result.to_text() == (
        "make: 3 classes of 90 + 20 + 25 photos; fewest photos: Kodak (train, test), NIKON (val)"
        "; --least 3: 4 classes of 9 + 3 + 4 photos; --least 25: 2 classes of 90 + 30 + 25 photos"
    )


@pytest.mark.parametrize("least", [1, 5, 20, 60])
def test_limits__are_what_make_splits_does_and_each_other_choice_too(least):
    rng = np.random.default_rng(least)
    values = rng.choice(6, 3000, p=[0.4, 0.3, 0.15, 0.1, 0.04, 0.01]).astype(np.int32)
    column = Labels(tuple("abcdef"), values)
    ids = [f"p{i}" for i in range(len(values))]
    first = make_splits(ids, {"a": values}, sizes=Sizes(least=least))
    result = class_limits("a", column, first.splits, Sizes(least=least))
    assert result.others
    for choice in (result.now, *result.others):
        made = make_splits(ids, {"a": values}, sizes=Sizes(least=choice.least))
        assert len(made.classes["a"]) == choice.classes
        taken = made.selected["a"]
        each = [int((taken == split).sum()) // choice.classes for split in range(3)]
        assert tuple(each) == choice.each
        assert int((taken != LEFT_OUT).sum()) == choice.photos
