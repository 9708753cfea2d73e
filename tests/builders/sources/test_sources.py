"""Photo sets from folders and the sample, limits, and errors for wrong specifications."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.data_specs import KINDS, Kind, open_photos
from builders.errors import DataError, PhotoError, UsageError
from builders.photos import SPLITS, PhotoSet
from builders.sources.folders import seeded_splits


def make_folder(root, files: dict[str, bytes]):
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_folder__with_train_and_val(tmp_path):
    make_folder(
        tmp_path / "pets",
        {"train/cat/a.jpg": b"1", "train/dog/b.jpg": b"2", "validation/cat/c.jpg": b"3", "train/.hidden": b"x"},
    )
    photos = open_photos(f"folder:{tmp_path / 'pets'}")
    assert photos.name == "folder:pets"
    assert photos.ids == ("train/cat/a.jpg", "train/dog/b.jpg", "validation/cat/c.jpg")
    assert photos.labels.names == ("cat", "dog")
    assert photos.labels.values.tolist() == [0, 1, 0]
    assert [SPLITS[s] for s in photos.splits] == ["train", "train", "val"]
    assert photos.read(2) == b"3"
    assert pickle.loads(pickle.dumps(photos)).read(1) == b"2"


def test_folder__without_splits_is_divided_by_class(tmp_path):
    make_folder(tmp_path, {f"{c}/{i}.jpg": b"x" for c in "ab" for i in range(8)})
    photos = open_photos(f"folder:{tmp_path}")
    for label in (0, 1):
        of_class = photos.splits[photos.labels.values == label]
        assert (of_class == SPLITS.index("val")).sum() == 2
    again = open_photos(f"folder:{tmp_path}", seed=1)
    assert not np.array_equal(photos.splits, again.splits)


def test_folder__of_loose_photos_is_unlabelled(tmp_path):
    make_folder(tmp_path, {f"{i}.jpg": b"x" for i in range(8)})
    photos = open_photos(f"folder:{tmp_path}?name=loose&val-share=0.5")
    assert photos.name == "loose"
    assert photos.labels.names == ()
    assert len(photos.indices("val")) == 4


def test_folder__missing_file_is_a_photo_error(tmp_path):
    make_folder(tmp_path, {"a/1.jpg": b"x", "a/2.jpg": b"y"})
    photos = open_photos(f"folder:{tmp_path}")
    (tmp_path / "a/1.jpg").unlink()
    with pytest.raises(PhotoError, match="cannot be read"):
        photos.read(0)


def test_folder__loop_of_links_ends(tmp_path):
    make_folder(tmp_path, {"a/1.jpg": b"x", "a/2.jpg": b"y"})
    (tmp_path / "a/again").symlink_to(tmp_path)
    assert len(open_photos(f"folder:{tmp_path}")) == 2


def test_inat2018__official_files(tmp_path):
    for split, ids in (("train", [1, 2]), ("val", [3])):
        (tmp_path / f"{split}2018.json").write_text(
            json.dumps(
                {
                    "images": [{"id": i, "file_name": f"train_val2018/Birds/{i}/{i}.jpg"} for i in ids],
                    "annotations": [{"image_id": i, "category_id": 7 * i} for i in ids],
                }
            )
        )
    photos = open_photos(f"inat2018:{tmp_path}")
    assert photos.neighbours == 1
    assert photos.labels.names == ("0007", "0014", "0021")
    assert [SPLITS[s] for s in photos.splits] == ["train", "train", "val"]


def test_inat2018__path_outside_the_folder_is_refused(tmp_path):
    evil = {"images": [{"id": 1, "file_name": "../../etc/passwd"}], "annotations": [{"image_id": 1, "category_id": 1}]}
    for split in ("train", "val"):
        (tmp_path / f"{split}2018.json").write_text(json.dumps(evil))
    with pytest.raises(DataError, match="outside the folder"):
        open_photos(f"inat2018:{tmp_path}")


def test_sample__train_and_val_tiles_do_not_overlap():
    photos = open_photos("sample")
    assert photos.smoke_test
    assert len(photos) == 330
    for scene in range(len(photos.labels.names)):
        of_scene = photos.labels.values == scene
        lefts = np.array([int(i.split("/")[1].split("-")[0]) for i in photos.ids])
        train = lefts[of_scene & (photos.splits == 0)]
        val = lefts[of_scene & (photos.splits == 1)]
        assert train.max() + 128 <= val.min()


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("sampel", "'sample'"),
        ("folder", "names no location"),
        ("sample:x", "takes no location"),
        ("folder:x?foo=1", "unknown option"),
        ("folder:x?val-share=2", "between 0 and 1"),
        ("folder:x?oops", r"\?name=value"),
    ],
)
def test_open_photos__wrong_specification(spec, sentence):
    with pytest.raises(UsageError, match=sentence):
        open_photos(spec)


def test_open_photos__a_kind_more_is_one_entry(photo_folder, monkeypatch):
    """Its options, its location and its revision are read as the entry says."""

    def shelf(spec, seed):
        assert (spec.revision, spec.options["order"], seed) == ("v2", "name", 3)
        return open_photos(f"folder:{photo_folder}").limited(5)

    entry = Kind(
        "shelf:PATH[@REVISION]", "photos on a shelf", shelf, ("order",), has_revision=True, is_local=lambda spec: True
    )
    monkeypatch.setattr("builders.data_specs.open.KINDS", {**KINDS, "shelf": entry})
    assert len(open_photos("shelf:somewhere@v2?order=name", seed=3)) == 5
    with pytest.raises(UsageError, match="unknown"):
        open_photos("shelf:somewhere?sort=name")
    with pytest.raises(UsageError, match="names no location"):
        open_photos("shelf")


@pytest.mark.parametrize("spec", ["folder:/nowhere/at/all", "imagenet:/nowhere", "inat2018:/nowhere"])
def test_open_photos__missing_place(spec):
    with pytest.raises(DataError, match="nowhere"):
        open_photos(spec)


def test_open_photos__empty_folder(tmp_path):
    with pytest.raises(DataError, match="no photo"):
        open_photos(f"folder:{tmp_path}")


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(SPLITS)), min_size=1, max_size=60), st.integers(1, 60)
)
def test_limited__is_balanced_nested_and_exact(photos, limit):
    full = PhotoSet.of_bytes(
        "p", {str(i): b"" for i in range(len(photos))}, [c for c, _ in photos], [s for _, s in photos]
    )
    part = full.limited(limit)
    assert len(part) == min(limit, len(full))
    larger = full.limited(limit + 5)
    for split in range(3):
        here, there = part.labels.values[part.splits == split], full.labels.values[full.splits == split]
        for label in set(here):
            missing = (there == label).sum() - (here == label).sum()
            if missing:  # a class with photos left over is never behind another by more than one
                assert (here == label).sum() >= max(np.bincount(here)) - 1
    assert set(part.ids) <= set(larger.ids)
    if limit >= 3:
        assert set(part.splits) == set(full.splits)


def test_seeded_splits__do_not_depend_on_order():
    ids = [f"{i}" for i in range(50)]
    classes = ["x" if i % 3 else "y" for i in range(50)]
    splits = dict(zip(ids, seeded_splits(ids, classes, seed=3, val_share=0.2), strict=True))
    backwards = dict(zip(ids[::-1], seeded_splits(ids[::-1], classes[::-1], seed=3, val_share=0.2), strict=True))
    assert splits == backwards
