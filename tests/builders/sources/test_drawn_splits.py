"""Splits that are drawn where a source has none: what is stratified, what stays together, and what is passed on."""

from __future__ import annotations

from builders.sources import FolderSource
from builders.sources.folders import photo_set, split_word


def test_words__of_splits():
    words = {
        "train": ("Train", "TRAINING"),
        "val": ("val", "valid", " Validation ", "dev"),
        "test": ("test", "Testing"),
    }
    assert all(split_word(word) == split for split, spellings in words.items() for word in spellings)
    assert [split_word(word) for word in ("", "trains", "id_val", "test2", "eval")] == [None] * 5


def test_photo_set__from_columns_of_names():
    source = FolderSource("/", ("a", "b"))
    photos = photo_set("set", ["a", "b"], ["x", None], ["test", "val"], source, {"k": "v"}, neighbours=3)
    assert (photos.name, photos.ids, photos.splits.tolist(), photos.rows.tolist()) == (
        "set",
        ("a", "b"),
        [2, 1],
        [0, 1],
    )
    assert (photos.labels.names, photos.labels.values.tolist()) == (("x",), [0, -1])
    assert (photos.source, photos.evidence, photos.neighbours, photos.drawn_splits) == (source, {"k": "v"}, 3, False)
    assert photo_set("set", [], [], [], source, {}).neighbours == 10
