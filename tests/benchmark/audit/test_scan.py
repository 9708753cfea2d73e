"""Scans block by block: what is written of a photo, progress, failures of any kind, and what is read again."""

from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark.audit.scan import Plan, scanned, shown
from benchmark.audit.subjects import photo_subject
from builders.errors import DataError
from builders.photos import PhotoSet
from builders.sources import FolderSource
from tests.benchmark.audit.planted import jpeg, picture

IMAGE = jpeg(picture(np.random.default_rng(0)), 80)


def folder_of(tmp_path, count):
    names = tuple(f"{i:03d}.jpg" for i in range(count))
    for name in names:
        (tmp_path / name).write_bytes(IMAGE)
    photos = PhotoSet.of_bytes("some", dict.fromkeys(names, b""), ["ab"[i % 2] for i in range(count)])
    return photo_subject(PhotoSet(**{**vars(photos), "source": FolderSource(str(tmp_path), names)}))


class Bar:
    """Counts of a bar, as they come."""

    made: ClassVar[list] = []

    def __init__(self, **options):
        self.options, self.counts = options, []
        Bar.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, count):
        self.counts.append(count)


def test_blocks__a_damaged_one_is_named_with_its_reason(tmp_path):
    with scanned(folder_of(tmp_path, 3), Plan(), tmp_path / "cache", progress=False) as made:
        path = made.folder / "00000.parquet"
        path.with_suffix(".npz").write_bytes(b"no arrays")
        with pytest.raises(DataError) as error:
            list(made.blocks())
    assert str(error.value).startswith(f"{path}: damaged (")
    assert "removed" in str(error.value)
    assert not path.exists()


def test_scanned__a_block_without_a_stamp_is_read_again(tmp_path):
    subject = folder_of(tmp_path, 3)
    with scanned(subject, Plan(), tmp_path / "cache", progress=False) as made:
        path = made.folder / "00000.parquet"
    table = pq.read_table(path)
    stamps = [pq.read_schema(path).metadata]
    for text in (None, {"other": "x"}, {"stamp": ""}):
        pq.write_table(table.replace_schema_metadata(text), path)
        with scanned(subject, Plan(), tmp_path / "cache", progress=False):
            stamps.append(pq.read_schema(path).metadata)
    assert stamps == [{b"stamp": subject.stamp(0).encode()}] * 4


def test_shown__text_that_is_no_unicode_and_text_that_is():
    assert shown("caf\u00e9 \u2028\x00\udc80") == "caf\u00e9 \\u2028\\x00\\x80"
