"""``with_processing``: names of photos, columns and splits that decide classes, and what is refused."""

import datasets
import fsspec
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value
from datasets.distributed import split_dataset_by_node

from builders import with_processing
from builders.errors import PhotoError, UsageError
from builders.pixels import PARAMETERS, assigned_class, decode_rgb, processed_file, random_scale
from builders.processed import view_files
from builders.processed.assignment import tied_classes
from builders.processed.view_files import AllowedFolders, ViewImage, cell_file
from tests.conftest import photo_bytes

JPEG, SCALED = PARAMETERS["jpeg"], PARAMETERS["interpolation"]
FILES = [photo_bytes(i, size=(20, 14)) for i in range(5)]


def plain(split="train", rows=5, **columns):
    """Photos in memory with labels, the last of which has none."""
    features = {"image": Image(), "label": ClassLabel(names=["a", "b"]), **{n: Value("string") for n in columns}}
    values = {"image": [{"bytes": d, "path": None} for d in FILES], "label": [0, 1, 0, 1, -1], **columns}
    return Dataset.from_dict({n: v[:rows] for n, v in values.items()}, Features(features), split=split)


def ids(views):
    return views["photo_id"][:]


def test_ids__of_columns_lists_and_splits():
    assert ids(with_processing(plain(), "jpeg")) == [f"train/{i}" for i in range(5)]
    assert ids(with_processing(plain("validation"), "jpeg")) == [f"val/{i}" for i in range(5)]
    assert ids(with_processing(plain("validation"), "jpeg", split="test")) == [f"test/{i}" for i in range(5)]
    named = plain(photo_id=list("vwxyz"), key=list("abcde"))
    assert ids(with_processing(named, "jpeg")) == [f"train/{c}" for c in "vwxyz"]
    assert ids(with_processing(named, "jpeg", photo_id="key")) == [f"train/{c}" for c in "abcde"]
    assert ids(with_processing(named, "jpeg", photo_id=range(5))) == list("01234")
    assert ids(with_processing(named.remove_columns("photo_id").select([4, 1]), "jpeg")) == ["train/4", "train/1"]
    codes = with_processing(named, "jpeg", photo_id="key", assignment_seed=6)["jpeg"][:]
    assert codes == [assigned_class(f"train/{c}", JPEG, 6) for c in "abcde"]


def test_ids__of_dictionaries_call_a_test_split_val_where_there_is_no_val():
    def names(*splits, **options):
        parts = DatasetDict({name: plain(name, 2) for name in splits})
        views = with_processing(parts, "jpeg", **options)
        assert type(views) is DatasetDict
        return {name: ids(part)[0] for name, part in views.items()}

    assert names("train", "test") == {"train": "train/0", "test": "val/0"}
    assert names("train", "validation", "test") == {"train": "train/0", "validation": "val/0", "test": "test/0"}
    assert names("train", "val", "test") == {"train": "train/0", "val": "val/0", "test": "test/0"}
    assert names("train", "validation") == {"train": "train/0", "validation": "val/0"}
    assert names("train", "test", split="train") == {"train": "train/0", "test": "train/0"}
    study = with_processing(DatasetDict({n: plain(n, 2) for n in ("train", "test")}), "jpeg", assignment="study")
    assert {name: len(part) for name, part in study.items()} == {"train": 2, "test": 12}
    by_name = with_processing({"train": plain(rows=1)}, "jpeg")
    assert type(by_name) is dict


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: plain(key=list("abcda")), {"photo_id": "key"}, "photo_id"),
        (plain, {"photo_id": ["a"] * 5}, "photo_id"),
        (plain, {"photo_id": list("abcdef")}, "photo_id"),
        (plain, {"photo_id": "labl"}, "'label'"),
        (lambda: plain("train[:2]"), {}, r"'train\[:2\]'"),
        (lambda: plain("train+test"), {}, r"'train\+test'"),
        (lambda: plain(scale=list("abcde")), {"parameter": "interpolation"}, "'scale'"),
        (lambda: plain(jpeg=list("abcde")), {}, "'jpeg'"),
        (plain, {"image": "img"}, "'image'"),
        (plain, {"assignment": "correlated:1", "label": "image"}, "'image'"),
        (plain, {"assignment": "correlatd:1"}, r"^unknown assignment 'correlatd:1'"),
        (lambda: plain().to_iterable_dataset(), {"photo_id": list("abcde")}, "photo_id"),
        (lambda: plain().to_iterable_dataset().batch(2), {}, "stream"),
    ],
)
def test_with_processing__what_is_refused(make, options, message):
    with pytest.raises(UsageError, match=message):
        with_processing(make(), **{"parameter": "jpeg", **options})


def test_with_processing__a_column_named_scale_stays_where_no_factor_is_drawn():
    views = with_processing(plain(scale=list("abcde")), "jpeg")
    assert views["scale"][:] == list("abcde")
    assert views.column_names == ["label", "scale", "photo_id", "jpeg", "image"]


def test_with_processing__a_stream_that_is_divided_between_nodes_needs_ids():
    part = split_dataset_by_node(plain(key=list("abcde")).to_iterable_dataset(), rank=1, world_size=2)
    with pytest.raises(UsageError):
        with_processing(part, "jpeg", split="train")
    rows = list(with_processing(part, "jpeg", photo_id="key", split="train"))
    assert [row["photo_id"] for row in rows] == ["train/b", "train/d"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("decode", [False, True])
def test_with_processing__rows_of_memory_and_of_streams(streamed, decode):
    """Scales of the seed, classes of the assignment's seed, and of the label where that decides."""
    given = plain(photo_id=list("vwxyz"))
    options = {"assignment": "correlated:1", "assignment_seed": 3, "seed": 4, "split": "val", "decode": decode}
    views = with_processing(given.to_iterable_dataset() if streamed else given, "interpolation", **options)
    assert views.features["interpolation"].names == list(SCALED.classes)
    assert (views.features["scale"].dtype, views.features["photo_id"].dtype) == ("float64", "string")
    assert views.features["image"].decode is decode
    tied = tied_classes(["a", "b"], SCALED, "correlated:1", 3)
    rows = list(views)
    assert len(rows) == 5
    for i, row in enumerate(rows):
        name = f"val/{'vwxyz'[i]}"
        code = tied[i % 2] if i < 4 else assigned_class(name, SCALED, 3)
        assert (row["photo_id"], row["interpolation"], row["scale"]) == (name, code, random_scale(name, 4))
        assert row["label"] == (i % 2 if i < 4 else -1)
        data = processed_file(decode_rgb(FILES[i]), SCALED.made_by[code], name, 4)
        if decode:
            np.testing.assert_array_equal(np.asarray(row["image"]), np.asarray(decode_rgb(data)))
        else:
            path = f"{name.replace('/', '_')}.{SCALED.classes[code]}.jpg"
            assert row["image"] == {"bytes": data, "path": path}


def test_views__are_read_and_not_written():
    views = with_processing(plain(), "jpeg").cast_column("image", Image(decode=False))
    path = views[0]["image"]["path"]
    assert cell_file({"bytes": None, "path": path}, AllowedFolders((), False)) == fsspec.open(path, "rb").open().read()
    assert cell_file({"bytes": b"mine", "path": path}, AllowedFolders((), False)) == b"mine"
    with pytest.raises(PhotoError):
        fsspec.open(path, "wb").open()
    with pytest.raises(UsageError, match="with_processing"):
        fsspec.filesystem("camtrace-view").info(path)
    with pytest.raises(PhotoError, match="with_processing"):
        view_files.view_file(f"{'0' * 16}/0-0.jpg")


def test_view_image__equals_an_image_column_of_the_same_mode():
    assert ViewImage() == datasets.Image()
    assert ViewImage(decode=False) != datasets.Image()
    assert ViewImage(mode="L") != datasets.Image()
    assert ViewImage() != Value("string")
