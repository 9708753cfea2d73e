"""What a folder says about its data set, for people and for programs: each text of one build by hand, whole."""

from __future__ import annotations

import pytest

from builders.dataset import (
    size_category,
    source_datasets,
)


def test_source_datasets__names_of_photo_sets():
    names = [
        "hub:a/b?split=x",
        "processed:built:c/d@main",
        "hub:a/b",
        "paircams:e/f",
        "folder:g/h",
        "hub:/i",
        "imagenet",
    ]
    assert source_datasets(*names) == ("a/b", "c/d", "e/f", "ILSVRC/imagenet-1k")


@pytest.mark.parametrize(
    ("rows", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (9999, "1K<n<10K"), (10_000, "10K<n<100K"),
     (100_000, "100K<n<1M"), (10**6, "1M<n<10M"), (10**7, "10M<n<100M"), (10**8, "100M<n<1B")],
)  # fmt: skip
def test_size_category__begins_with_its_first_number(rows, name):
    assert size_category(rows) == name
