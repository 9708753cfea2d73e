"""What an audit is of: columns of photo sets, frames and data sets, blocks, keys of scans, and streams."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from benchmark.audit import audit, subjects
from benchmark.audit.open import dataset_photos, open_subject
from benchmark.audit.scan import shown
from benchmark.audit.subjects import PhotoSubject, Row, StreamedSubject, describe, photo_subject
from builders.errors import PhotoError, UsageError
from builders.photos import Head, Labels, PhotoSet
from builders.sources import FolderSource
from tests.support.images import image_bytes

PICTURE = image_bytes(np.zeros((8, 8, 3), np.uint8))


def photo_set(labels=("a", "b", None, "a"), splits=("train", "val", "test", "val"), **columns):
    photos = PhotoSet.of_bytes("toy", {f"{i}.png": PICTURE for i in range(4)}, None, list(splits))
    names = tuple(sorted(set(labels) - {None}))
    values = np.array([-1 if label is None else names.index(label) for label in labels], np.int32)
    photos = replace(photos, labels=Labels(names, values))
    return replace(photos, columns={name: np.array(values, dtype=object) for name, values in columns.items()})


def folder_set(tmp_path, names=("a.png", "b.png"), **columns):
    for name in names:
        (tmp_path / name).write_bytes(PICTURE)
    photos = PhotoSet.of_bytes("toy", dict.fromkeys(names, b""), ["x", "y"], ["train", "val"])
    columns = {name: np.array(values, dtype=object) for name, values in columns.items()}
    return replace(photos, source=FolderSource(str(tmp_path), tuple(names)), columns=columns)


def test_key__follows_from_everything_that_decides_the_rows(tmp_path):
    (tmp_path / "other").mkdir()
    photos = folder_set(tmp_path)
    subject = photo_subject(photos)
    subjects_ = [
        subject,
        photo_subject(folder_set(tmp_path / "other")),
        photo_subject(replace(photos, splits=photos.splits[::-1])),
        replace(subject, label=Labels(("x", "z"), subject.label.values)),
        replace(subject, label=Labels(("x", "y"), subject.label.values[::-1])),
        photo_subject(folder_set(tmp_path, source=["s", "t"])),
        photo_subject(folder_set(tmp_path, source=["t", "s"])),
        photo_subject(folder_set(tmp_path, owner=["s", "s"])),
    ]
    keys = [each.key() for each in subjects_]
    assert len(set(keys)) == len(keys)
    assert {len(key) for key in keys} == {20}
    assert photo_subject(folder_set(tmp_path)).key() == keys[0]
    (tmp_path / "link").symlink_to(tmp_path)
    linked = replace(photos, source=FolderSource(str(tmp_path / "link"), photos.ids))
    assert replace(subject, photos=linked).key() == keys[0]


def test_key__of_a_folder_by_its_place_not_by_the_words_for_it(tmp_path, monkeypatch):
    subject = photo_subject(folder_set(tmp_path))

    def key_in(folder, root):
        monkeypatch.chdir(folder)
        return replace(subject, photos=replace(subject.photos, source=FolderSource(root, subject.photos.ids))).key()

    for name in ("one", "two"):
        (tmp_path / name / "photos").mkdir(parents=True)
    one = key_in(tmp_path, "one/photos")
    assert one == key_in(tmp_path, str(tmp_path / "one" / "photos")) == key_in(tmp_path / "one", "photos")
    assert key_in(tmp_path / "two", "photos") != one


@pytest.mark.parametrize(
    ("revision", "known"), [("0a1b2c", True), ("local", False), ("", False), ("a/b", False), (None, False)]
)
def test_key__of_photos_without_files_is_known_by_their_revision(revision, known):
    photos = replace(photo_set(), evidence={} if revision is None else {"revision": revision})
    key = photo_subject(photos).key()
    assert bool(key) == known
    assert photo_subject(photos).stamp(0) == ""
    if known:
        assert photo_subject(replace(photos, evidence={"revision": "0a1b2d"})).key() not in (key, "")
        assert photo_subject(replace(photos, name="other")).key() not in (key, "")


def pairs(count):
    for i in range(count):
        yield Row(f"{i}", "a", "", "", ""), None if i == 1 else f"data {i}".encode()


@pytest.mark.parametrize(("limit", "blocks"), [(None, [3, 2]), (5, [3, 2]), (4, [3, 1]), (3, [3]), (0, [])])
def test_streamed_subject__block_by_block(monkeypatch, limit, blocks):
    monkeypatch.setattr(subjects, "BLOCK", 3)
    subject, sizes, index = StreamedSubject("hub:x", pairs(5), limit), [], 0
    while rows := subject.next_block():
        sizes.append(len(rows))
        for row in rows:
            assert row.id == str(index)
            if index == 1:
                with pytest.raises(PhotoError, match="holds"):
                    subject.read(index)
            else:
                assert subject.head(index, 4) == Head(b"data", 6)
            index += 1
    assert sizes == blocks
    assert describe(subject) == {"splits": "as given by the data set", "read": "streamed"}
    assert (subject.source, subject.owner, subject.unit) == (None, None, "near_duplicates")


@pytest.mark.parametrize(("pixels", "limit"), [(-1, None), (0, 0), (0, -1)])
def test_audit__numbers_of_photos_that_are_none(pixels, limit):
    with pytest.raises(UsageError, match=r"(pixels|limit) (-1|0): at least [01] is needed"):
        audit(photo_set(), pixels=pixels, limit=limit)


def test_shown__what_cannot_be_printed_is_escaped():
    shown_as = {"plain": "plain", "": "", "grün": "grün", "a\tb": "a\\tb", "\udcff": "\\xff", "\u200b": "\\u200b"}
    assert {text: shown(text) for text in shown_as} == shown_as


def frame(tmp_path, name="path", **columns):
    paths = []
    for i, folder in enumerate(("x", "x/deep", "y")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        path = tmp_path / folder / f"{i}.png"
        path.write_bytes(PICTURE)
        paths.append(str(path))
    return pd.DataFrame({name: paths, "label": ["a", None, "b"], **columns})


def test_frame__named_columns_and_columns_that_are_absent(tmp_path):
    table = frame(tmp_path, kind=["k", "l", "k"], site=["s", "t", "s"], who=["w", "x", "y"])
    subject = open_subject(table, label="kind", source="site", owner="who", limit=None)
    assert [(row.label, row.source, row.owner) for row in subject.rows(0)] == [
        ("k", "s", "w"), ("l", "t", "x"), ("k", "s", "y"),
    ]  # fmt: skip
    assert isinstance(subject, PhotoSubject)
    assert len(open_subject(table, label="kind", source="", owner="", limit=2).photos) == 2
    for names in ({"label": "none"}, {"source": "none"}, {"owner": "none"}):
        with pytest.raises(UsageError, match="unknown column 'none'"):
            open_subject(table, **{"label": "", "source": "", "owner": "", **names}, limit=None)
    with pytest.raises(UsageError, match="PhotoSet"):
        open_subject(3, label="", source="", owner="", limit=None)


def test_dataset_photos__splits_names_and_rows_of_several_parts():
    import datasets

    names = datasets.ClassLabel(names=["fake", "real"])
    features = datasets.Features({"photo": datasets.Image(), "label": names, "source": datasets.Value("string")})

    def part(count, first):
        cells = [{"bytes": PICTURE + bytes([first + i]), "path": None} for i in range(count)]
        rows = {"photo": cells, "label": [i % 2 for i in range(count)], "source": ["s"] * count}
        return datasets.Dataset.from_dict(rows, features=features)

    both = datasets.DatasetDict({"train": part(2, 1), "validation": part(3, 5)})
    photos = dataset_photos(both)
    assert photos.ids == ("train/0", "train/1", "validation/0", "validation/1", "validation/2")
    assert photos.splits.tolist() == [0, 0, 1, 1, 1]
    assert [photos.read(i)[-1] for i in range(5)] == [1, 2, 5, 6, 7]
    assert photos.head(4, 3) == Head(PICTURE[:3], len(PICTURE) + 1)
    assert (photos.labels.names, photos.labels.values.tolist()) == (("fake", "real"), [0, 1, 0, 1, 0])
    assert photos.columns["source"].tolist() == ["s"] * 5
    assert photos.evidence == {"splits": "as given by the data set"}
    one = dataset_photos(part(2, 1), label="source")
    assert (one.ids, one.labels.names) == (("row/0", "row/1"), ("s",))
    assert one.evidence["splits"].startswith("seeded")
    with pytest.raises(PhotoError, match="no such row"):
        one.source.read(2)
    with pytest.raises(UsageError, match="column"):
        dataset_photos(part(1, 1).remove_columns("photo"))
