"""Processed photos part by part: calls of the build and its last step, recipes of jobs, and whole refusals."""

from __future__ import annotations

import pytest
from datasets import ClassLabel, Dataset, Features, Image, Value
from datasets.distributed import split_dataset_by_node

from builders import with_processing
from builders.errors import PhotoError, UsageError
from builders.pixels import PARAMETERS
from builders.processed.assignment import tied_classes
from builders.processed.view_files import view_file
from tests.conftest import photo_bytes


def test_assignment__needs_two_classes():
    with pytest.raises(UsageError) as refused:
        tied_classes(["x"], PARAMETERS["jpeg"], "correlated:0.5")
    assert "0.5" in str(refused.value)
    assert tied_classes(["x"], PARAMETERS["jpeg"], "study").tolist() == [-1]


JPEG = photo_bytes(1, (12, 10))


def plain(split="train", **columns):
    features = {"image": Image(), "label": ClassLabel(names=["a", "b"]), **{n: Value("string") for n in columns}}
    values = {"image": [{"bytes": JPEG, "path": None}] * 2, "label": [0, 1], **columns}
    return Dataset.from_dict(values, Features(features), split=split)


NUMBER = ": name a column of ids (photo_id=), or process first"


@pytest.mark.parametrize(
    ("make", "options", "sentence"),
    [
        (lambda: plain().to_iterable_dataset().shuffle(seed=1), {},
         "the rows of this stream do not say their number (BufferShuffledExamplesIterable)" + NUMBER
         + " and shuffle, skip, take or filter then"),
        (lambda: split_dataset_by_node(plain().to_iterable_dataset(), rank=0, world_size=2), {},
         "the rows of a stream that is divided between nodes do not say their number" + NUMBER),
        (lambda: plain().to_iterable_dataset().map(dict), {},
         "this stream does not know its columns (a map forgets them): say map(..., features=...) or cast it"),
        (lambda: plain().to_iterable_dataset(), {"photo_id": ["a", "b"]},
         "photo_id: a data set that is streamed takes the name of a column"),
        (plain, {"assignment": "correlated:1", "label": "kind"},
         "assignment correlated:1: 'kind' is no column of semantic classes (ClassLabel): name it with label=, or "
         "cast_column it first"),
        (lambda: plain("train[:2]"), {},
         "rows of 'train[:2]' do not say their number: give photo_id, or load the whole split"),
        (lambda: plain(jpeg=["a", "b"]), {},
         "the data set has a column 'jpeg' already: rename it first (rename_column)"),
    ],
)  # fmt: skip
def test_views__what_is_refused(make, options, sentence):
    with pytest.raises(UsageError) as refused:
        with_processing(make(), "jpeg", **options)
    assert str(refused.value) == sentence


def test_views__of_decoded_streams_and_other_processes():
    raw = plain().to_iterable_dataset()
    features = Features({**raw.features, "key": Value("string")})
    decoded = raw.map(lambda row: {"key": "a"}, features=features)
    with pytest.raises(UsageError) as refused:
        list(with_processing(decoded, "jpeg", photo_id="key", split="train"))
    assert "image" in str(refused.value)
    written = "with_processing(..., decode=False).map(dict).with_format(None)"
    with pytest.raises(PhotoError) as failed:
        view_file(f"{'0' * 16}/0-0.jpg")
    assert str(written) in str(failed.value)
    with pytest.raises(UsageError) as refused:
        with_processing(plain(), "jpeg").save_to_disk("/nowhere/at/all")
    assert str(written) in str(refused.value)
