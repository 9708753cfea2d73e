"""Data that stay where they are: which parts are drawn, the window of row groups, and files of a store."""

from __future__ import annotations

import dataclasses
import itertools
import os

import numpy as np
import pyarrow as pa
import pytest

from builders.errors import DataError, PhotoError
from builders.photos import hash64
from builders.sources.remote import folders as stores
from builders.sources.remote import window as windows
from builders.sources.remote.drawing import Streaming, drawn
from builders.sources.remote.window import GroupWindow
from builders.untrusted import RemoteFacts


@pytest.mark.parametrize(
    ("limit", "count", "total", "wanted"),
    [(None, 7, 10, 7), (5, 10, 10, 5), (5, 1, 1000, 1), (1, 3, 9, 1), (4, 3, 9, 2), (100, 3, 9, 3), (5, 0, 0, 0)],
)
def test_streaming__the_share_of_a_split(limit, count, total, wanted):
    assert Streaming(limit).wanted_of(count, total) == wanted


@pytest.mark.parametrize("wanted", [0, 1, 10, 11, 25, 100])
def test_drawn__parts_until_they_hold_enough(wanted):
    names, sizes = [f"part {i}" for i in range(6)], [10, 0, 5, 10, 10, 1]
    order = sorted(range(6), key=lambda i: hash64(f"stream\0{7}\0{names[i]}"))
    held = list(itertools.accumulate((sizes[i] for i in order), initial=0))
    expected = sorted(i for i, before in zip(order, held, strict=False) if before < wanted)
    assert drawn(names, sizes, wanted, 7) == expected


def table(number, rows=1):
    return pa.table({"n": [number] * rows})


def test_window__each_table_is_fetched_once_and_the_oldest_are_removed(monkeypatch):
    monkeypatch.setattr(windows, "MAX_TABLES", 3)
    window, fetched = GroupWindow(), []

    def get(number):
        made = window.table(f"t{number}", lambda: fetched.append(number) or table(number))
        assert made.column("n").to_pylist() == [number]
        path = os.path.join(window._folder, f"t{number}.arrow")
        if os.path.exists(path) and fetched[-1] == number:
            os.utime(path, ns=(10**9 * len(fetched),) * 2)

    for number in (0, 0, 1, 2, 2, 1, 0, 3, 3, 2, 1, 0, 3):
        get(number)
    assert fetched == [0, 1, 2, 3, 0]
    assert sorted(n for n in os.listdir(window._folder) if n.endswith(".arrow")) == ["t0.arrow", "t2.arrow", "t3.arrow"]


def test_window__holds_few_bytes_and_goes_on_without_a_disk(monkeypatch, tmp_path):
    window = GroupWindow()
    monkeypatch.setattr(windows, "MAX_WINDOW_BYTES", 1000)
    for number in (0, 1):
        window.table(f"t{number}", lambda number=number: table(number, 100))
    assert [n for n in os.listdir(window._folder) if n.endswith(".arrow")] == ["t1.arrow"]
    for error in (OSError(28, "No space left on device"), FileNotFoundError(2, "gone"), PermissionError(13, "no")):
        with monkeypatch.context() as patched:
            patched.setattr(GroupWindow, "_store", lambda *given, error=error: (_ for _ in ()).throw(error))
            assert window.table("full", lambda: table(5)).column("n").to_pylist() == [5]
    (window_path := os.path.join(window._folder, "broken.arrow"))
    with open(window_path, "wb") as file:
        file.write(b"half")
    assert window.table("broken", lambda: table(6)).column("n").to_pylist() == [6]
    window._folder = str(tmp_path / "ended")
    assert window.table("t", lambda: table(7)).column("n").to_pylist() == [7]


def test_store__reads_parts_and_tells_whether_files_changed(monkeypatch):
    stored = {"s3://b/p/a.jpg": b"0123456789", "s3://b/p/b.jpg": b"01"}
    monkeypatch.setattr("builders.untrusted.read_range", lambda place, at, size: stored[place][at : at + size])
    facts = RemoteFacts(10, "x"), RemoteFacts(5, "y")
    source = stores.StoreSource("s3://b/p", ("a.jpg", "b.jpg"), facts)
    assert (source.read(0), source.head(0, 4), source.head(0, 99)) == (
        b"0123456789", (b"0123", 10), (b"0123456789", 10),
    )  # fmt: skip
    with pytest.raises(PhotoError, match="the file has 2 bytes where 5 were listed"):
        source.read(1)
    assert source.stamps(np.array([1, 0])) is not None
    assert dataclasses.replace(source, files=(facts[0], RemoteFacts(5, ""))).stamps(np.array([0])) is None
    monkeypatch.setattr(stores, "MAX_PHOTO_BYTES", 10)
    assert len(source.read(0)) == 10
    monkeypatch.setattr(stores, "MAX_PHOTO_BYTES", 9)
    with pytest.raises(PhotoError, match="the file has"):
        source.read(0)
    assert source.head(0, 99) == (b"012345678", 10)

    def refuse(*given):
        raise DataError("no answer")

    monkeypatch.setattr("builders.untrusted.read_range", refuse)
    with pytest.raises(PhotoError, match=r"the file cannot be read \(no answer\)"):
        source.head(1, 1)
