"""``question_hash``: equal for equal sets, and changed by everything that affects a score."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders.errors import DataError, PhotoError
from builders.photos import QUESTION_COLUMNS, Labels, NoPictures, PhotoSet


def photos() -> PhotoSet:
    base = PhotoSet.of_bytes(
        "toy",
        {"a": b"1", "b": b"2", "c": b"3", "d": b"4"},
        labels=["cat", "dog", "cat", "dog"],
        splits=["train", "train", "test", "test"],
    )
    return dataclasses.replace(
        base,
        attributes={
            "make": Labels(("canon", "nikon"), np.array([0, 1, 0, 1])),
            "iso": Labels(("100", "200"), np.array([0, 0, 1, -1])),
        },
        columns={
            "owner": np.array(["x", "x", "y", "y"]),
            "pair_id": np.array([7, 7, 8, 8]),
            "camera_type": np.array(["phone", "camera"] * 2),
            "scene": np.array(["s", "t", "s", "t"]),
            "f_number": np.array([2.8, np.nan, 4.0, 5.6]),
        },
        stored_views=("jpeg-q75-420", "jpeg-q95-420"),
    )


def attribute(name: str, names: tuple[str, ...], values: list[int]) -> dict:
    return {**photos().attributes, name: Labels(names, np.array(values))}


def column(name: str, values: list) -> dict:
    return {**photos().columns, name: np.array(values)}


CHANGES = {
    "an id": {"ids": ("a", "b", "c", "e")},
    "ids in another order": {"ids": ("b", "a", "c", "d")},
    "ids cut elsewhere": {"ids": ("ab", "", "c", "d")},
    "a split": {"splits": np.array([0, 0, 1, 2], dtype=np.int8)},
    "a label": {"labels": Labels(("cat", "dog"), np.array([0, 1, 0, 0]))},
    "label names": {"labels": Labels(("cat", "cow"), np.array([0, 1, 0, 1]))},
    "label names swapped": {"labels": Labels(("dog", "cat"), np.array([0, 1, 0, 1]))},
    "a make": {"attributes": attribute("make", ("canon", "nikon"), [1, 1, 0, 1])},
    "makes swapped": {"attributes": attribute("make", ("nikon", "canon"), [0, 1, 0, 1])},
    "an unlabelled iso": {"attributes": attribute("iso", ("100", "200"), [0, 0, -1, -1])},
    "one more attribute": {"attributes": attribute("aperture", ("2.8",), [0, 0, 0, 0])},
    "no attribute": {"attributes": {}},
    "attributes that change names": {
        "attributes": {"iso": photos().attributes["make"], "make": photos().attributes["iso"]}
    },
    "an owner": {"columns": column("owner", ["x", "y", "y", "y"])},
    "a scene": {"columns": column("scene", ["s", "s", "s", "t"])},
    "a pair": {"columns": column("pair_id", [7, 8, 7, 8])},
    "a camera type": {"columns": column("camera_type", ["camera", "phone"] * 2)},
    "no owner": {"columns": {k: v for k, v in photos().columns.items() if k != "owner"}},
    "columns that change names": {
        "columns": {**photos().columns, "owner": photos().columns["scene"], "scene": photos().columns["owner"]}
    },
    "stored views": {"stored_views": ("jpeg-q75-420",)},
    "a cluster": {"columns": column("cluster", ["p", "p", "q", ""])},
    "a group": {"groups": {"site": Labels(("north", "south"), np.array([0, 1, 0, 1]))}},
    "a group in place of an attribute": {
        "attributes": {"iso": photos().attributes["iso"]},
        "groups": {"make": photos().attributes["make"]},
    },
}


@pytest.mark.parametrize("change", CHANGES)
def test_question_hash__moves_with(change):
    one = photos()
    assert dataclasses.replace(one, **CHANGES[change]).question_hash() != one.question_hash()


def test_question_hash__stays_where_no_score_can_change():
    one = photos()
    same = dataclasses.replace(
        one,
        name="called otherwise",
        attributes=dict(reversed(one.attributes.items())),
        columns={**dict(reversed(one.columns.items())), "f_number": np.zeros(4)},
        evidence={"revision": "abc"},
        splits=one.splits.astype(np.int64),
        rows=one.rows[::-1],
    )
    assert same.question_hash() == one.question_hash()
    # A change of the encoding makes all older results incomparable: it must be meant.
    assert one.question_hash() == "0c44468c247ffc4b5f1c73699e436372"


def test_question_hash__every_file_name_has_one():
    names = ["\udcc3\udca9", "é", "\ud800", "a\0b"]
    hashes = {PhotoSet.of_bytes("toy", {name: b"1"}).question_hash() for name in names}
    assert len(hashes) == len(names)


TEXTS = st.lists(st.text(alphabet="ab\0", max_size=3), max_size=3)
"""Few letters and short texts, so that two lists often are the same once joined."""


@st.composite
def questions(draw: st.DrawFn) -> tuple:
    """What decides a question, in plain values: ids, splits, (names, values) by attribute, columns, stored views,
    (names, values) by group."""
    n = draw(st.integers(0, 2))
    ids = draw(st.lists(st.text(alphabet="ab\0", max_size=3), min_size=n, max_size=n, unique=True))
    whole = st.lists(st.integers(-1, 2), min_size=n, max_size=n)
    labels = (tuple(draw(TEXTS)), draw(whole))
    named_labels = st.dictionaries(st.sampled_from(["a", "b", "ab"]), st.tuples(TEXTS.map(tuple), whole))
    attributes, groups = draw(named_labels), draw(named_labels)
    cells = st.lists(st.sampled_from(["", "a", "ab", "b"]), min_size=n, max_size=n)
    columns = draw(st.dictionaries(st.sampled_from(QUESTION_COLUMNS), cells))
    splits = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return tuple(ids), splits, labels, attributes, columns, tuple(draw(TEXTS)), groups


def photo_set(question: tuple) -> PhotoSet:
    ids, splits, (names, values), attributes, columns, views, groups = question
    return PhotoSet(
        name="drawn",
        ids=ids,
        splits=np.array(splits, dtype=np.int8),
        labels=Labels(names, np.array(values, dtype=np.int32)),
        source=PhotoSet.of_bytes("none", {}).source,
        rows=np.arange(len(ids)),
        attributes={k: Labels(n, np.array(v, dtype=np.int32)) for k, (n, v) in attributes.items()},
        columns={k: np.array(v, dtype=str) for k, v in columns.items()},
        stored_views=views,
        groups={k: Labels(n, np.array(v, dtype=np.int32)) for k, (n, v) in groups.items()},
    )


@given(questions(), questions())
def test_question_hash__is_equal_exactly_for_equal_questions(one, other):
    assert (photo_set(one).question_hash() == photo_set(other).question_hash()) == (one == other)


@given(TEXTS, TEXTS)
def test_question_hash__texts_never_run_together(one, other):
    first, second = (PhotoSet.of_bytes("none", {}) for _ in range(2))
    a = dataclasses.replace(first, labels=Labels(tuple(one), first.labels.values)).question_hash()
    b = dataclasses.replace(second, labels=Labels(tuple(other), second.labels.values)).question_hash()
    assert (a == b) == (one == other)


def test_photo_set__names_that_would_be_written_alike_are_one_sentence():
    with pytest.raises(DataError, match=r"a\\x1b"):
        PhotoSet.of_bytes("x", {"a\x1b": b"1", r"a\x1b": b"2"})


def test_photo_set__class_names_are_text():
    with pytest.raises(DataError):
        dataclasses.replace(photos(), labels=Labels(("1", None), np.zeros(4, dtype=np.int32)))


def test_photo_set__groups_are_selected_checked_and_readable_as_labels_are():
    groups = {"si\x1bte": Labels(("north", "so\x1buth"), np.array([0, 1, 0, -1]))}
    chosen = dataclasses.replace(photos(), groups=groups).select([3, 1])
    assert chosen.groups[r"si\x1bte"].names == ("north", r"so\x1buth")
    assert chosen.groups[r"si\x1bte"].values.tolist() == [-1, 1]
    with pytest.raises(ValueError, match="different"):
        dataclasses.replace(photos(), groups={"site": Labels(("north",), np.zeros(3, dtype=np.int32))})


def test_photo_set__every_name_is_readable():
    labels = Labels(("a\x1b", "b"), np.array([0, 1, 0, -1], dtype=np.int32))
    columns = {"owner": np.array(["o\x1b", "", "o", "p"])}
    made = dataclasses.replace(
        photos(), name="t\x1boy", ids=tuple("ab\x1bcd"[i : i + 2] for i in range(4)), labels=labels,
        attributes={"make": labels}, groups={"site": labels}, columns=columns,
    )  # fmt: skip
    assert (made.name, made.ids) == (r"t\x1boy", ("ab", r"b\x1b", r"\x1bc", "cd"))
    for column in (made.labels, made.attributes["make"], made.groups["site"]):
        assert (column.names, column.values.tolist()) == ((r"a\x1b", "b"), [0, 1, 0, -1])
    assert made.columns["owner"].tolist() == columns["owner"].tolist()  # read by its owner alone, as it is


def test_repr__is_short():
    assert repr(photos()) == "<PhotoSet toy: 4 photos (train 2, test 2); 2 classes; attributes: make, iso>"
    many = PhotoSet.of_bytes("many", {f"{i}": b"" for i in range(1000)})
    assert len(repr(many)) < 80


def test_photo_set__says_its_name_and_numbers_and_what_it_cannot_do():
    one = photos()
    assert repr(one) == "<PhotoSet toy: 4 photos (train 2, test 2); 2 classes; attributes: make, iso>"
    plain = PhotoSet.of_bytes("plain", {"a": b"12345"})
    assert repr(plain) == "<PhotoSet plain: 1 photos (train 1)>"
    assert [one.indices(split).tolist() for split in ("train", "val", "test")] == [[0, 1], [], [2, 3]]
    assert (plain.head(0, 2), plain.head(0, 9)) == ((b"12", 5), (b"12345", 5))
    assert (plain.shared_work(), plain.stamps(), plain.is_remote, plain.has_pictures) == (None, None, False, True)
    plain.require_pictures("a probe")
    blind = dataclasses.replace(plain, source=NoPictures())
    with pytest.raises(DataError):
        blind.require_pictures("a probe")
    with pytest.raises(PhotoError):
        blind.read(0)
