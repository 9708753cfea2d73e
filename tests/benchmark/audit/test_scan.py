"""Scans block by block: what is written of a photo, progress, failures of any kind, and what is read again."""

import errno
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmark.audit import scan
from benchmark.audit.scan import KNOWN, Plan, scanned, shown
from benchmark.audit.subjects import Row, StreamedSubject, photo_subject
from builders.errors import DataError, PhotoError
from builders.exif import HEAD_BYTES
from builders.photos import Head, PhotoSet
from builders.processes import WorkerKilled
from builders.sources import FolderSource
from tests.benchmark.audit.planted import jpeg, picture

IMAGE = jpeg(picture(np.random.default_rng(0)), 80)


def folder_of(tmp_path, count):
    names = tuple(f"{i:03d}.jpg" for i in range(count))
    for name in names:
        (tmp_path / name).write_bytes(IMAGE)
    photos = PhotoSet.of_bytes("some", dict.fromkeys(names, b""), ["ab"[i % 2] for i in range(count)])
    return photo_subject(PhotoSet(**{**vars(photos), "source": FolderSource(str(tmp_path), names)}))


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(scan, "BLOCK", 70)
    monkeypatch.setattr("benchmark.audit.subjects.BLOCK", 70)


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


@pytest.fixture
def bars(monkeypatch):
    Bar.made = []
    monkeypatch.setattr("builders.processes.progress_bar", Bar)
    return Bar.made


@pytest.mark.parametrize("progress", [True, False])
def test_scanned__progress_of_all_photos_and_of_those_of_an_earlier_run(tmp_path, small, bars, progress):
    subject = folder_of(tmp_path, 150)
    for counts in ([0, 64, 6, 64, 6, 10], [150]):
        with scanned(subject, Plan(), tmp_path / "cache", progress=progress) as made:
            assert made.count == 3
            assert [len(block.facts) for block in made.blocks()] == [70, 70, 10]
        assert bars[-1].counts == counts
    shown_as = {"desc": "reading headers", "unit": "photo", "delay": 2, "silent": not progress}
    assert [bar.options for bar in bars] == [{"total": 150, **shown_as}] * 2
    (made.folder / "00001.npz").unlink()
    with scanned(subject, Plan(), tmp_path / "cache") as made:
        assert made.count == 3
    assert bars[-1].counts == [80, 64, 6]
    rows = iter([(Row(f"{i}", "a", "", "", ""), IMAGE) for i in range(75)])
    with scanned(StreamedSubject("hub:x", rows, None), Plan(), tmp_path / "cache") as made:
        assert made.count == 2
    assert bars[-1].options == {"total": None, **shown_as, "silent": False}
    assert bars[-1].counts == [64, 6, 5]


def test_scanned__workers_get_the_missing_blocks(tmp_path, small, bars, monkeypatch):
    calls = []

    def run_in_pool(work, tasks, *, shared, workers, progress):
        calls.append((work, tasks, shared, workers))
        for task in tasks:
            work(shared, task, lambda: progress(1))

    monkeypatch.setattr(scan, "run_in_pool", run_in_pool)
    subject = folder_of(tmp_path, 150)
    with scanned(subject, Plan(), tmp_path / "cache", workers=4) as made:
        assert [len(block.facts) for block in made.blocks()] == [70, 70, 10]
    assert calls == [(scan._scan_in_worker, [0, 1, 2], (subject, Plan(), made.folder), 4)]
    assert sum(bars[0].counts) == 150
    (made.folder / "00002.parquet").unlink()
    with scanned(subject, Plan(), tmp_path / "cache", workers=4) as made:
        assert made.count == 3
    assert len(calls) == 1  # one block is read here

    def killed(*_, **__):
        raise WorkerKilled("a worker process was killed (out of memory?)")

    monkeypatch.setattr(scan, "run_in_pool", killed)
    with pytest.raises(DataError) as error, scanned(subject, Plan(1.0), tmp_path / "cache", workers=4):
        pass
    assert str(error.value) == (
        "some: a worker process was killed (out of memory?); run again: finished blocks are not read again"
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PhotoError("gone\x1b"), "gone\\x1b"),
        (MemoryError(), "not enough memory"),
        (ValueError("odd\x1b"), "ValueError: odd\\x1b"),
        (RecursionError("deep"), "RecursionError: deep"),
    ],
)
def test_photo__any_error_costs_its_row_alone(error, reason):
    def head(index, limit):
        assert (index, limit) == (9, HEAD_BYTES)
        raise error

    row, pixels = Row("i", "l", "train", "s", "o"), {}
    known, values = scan._photo(SimpleNamespace(head=head), Plan(1.0), 9, 3, row, pixels)
    assert values == {}
    assert known == {**row._asdict(), "content": 0, "near": 0, "failure": reason}
    assert pixels == {}


def test_photo__what_fails_when_it_is_decoded_keeps_its_content(monkeypatch):
    cut = IMAGE[: len(IMAGE) // 2]
    subject = SimpleNamespace(head=lambda index, limit: Head(cut[:limit], len(cut)), read=lambda index: cut)
    known, values = scan._photo(subject, Plan(1.0), 0, 0, Row("i", "l", "", "", ""), {})
    assert known["failure"]
    assert known["content"] != 0
    assert (known["near"], values) == (0, {})


def test_scanned__a_disk_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(scan, "write_bytes_atomically", full)
    with pytest.raises(DataError) as error, scanned(folder_of(tmp_path, 3), Plan(), tmp_path / "cache"):
        pass
    assert str(tmp_path / "cache" / "audit") in str(error.value)
    assert "finished blocks are saved" in str(error.value)


def test_blocks__a_damaged_one_is_named_with_its_reason(tmp_path):
    with scanned(folder_of(tmp_path, 3), Plan(), tmp_path / "cache", progress=False) as made:
        path = made.folder / "00000.parquet"
        path.with_suffix(".npz").write_bytes(b"no arrays")
        with pytest.raises(DataError) as error:
            list(made.blocks())
    assert str(error.value).startswith(f"{path}: damaged (")
    assert str(error.value).endswith("), removed; run again, it is read anew")
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


@pytest.mark.parametrize(
    ("failures", "stamp"),
    [
        (("", ""), b""),
        (("", "cannot be read (Stale file handle)"), b" not whole"),
        (("not a picture", "cannot be read (Stale file handle)", ""), b" not whole"),
        (("not a picture", "cannot be read (No such file or directory)"), b""),
    ],
)
def test_scan_block__is_read_again_if_one_photo_may_be_readable_then(monkeypatch, tmp_path, failures, stamp):
    def photo(subject, plan, index, position, row, pixels):
        return {**dict.fromkeys(KNOWN), "failure": row}, {}

    monkeypatch.setattr(scan, "_photo", photo)
    scan._scan_block(SimpleNamespace(), None, tmp_path, 3, list(failures), lambda photos: None)
    assert pq.read_schema(tmp_path / "00003.parquet").metadata[b"stamp"] == stamp
