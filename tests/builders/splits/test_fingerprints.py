"""Fingerprints of photos that can and cannot be read, from the cache and without one; records of the guard."""

import base64
import dataclasses
import gzip
import hashlib
import json

import numpy as np
import pytest

from builders.errors import DataError, PhotoError
from builders.photos import PhotoSet, Stamp, Stamps
from builders.splits import NO_HASH, VARIANTS, fingerprints, groups, guarded_by, photo_hash, photo_variants
from builders.splits import with_duplicates_on_one_side as guarded
from tests.builders.splits.test_variants import jpeg, scene

FILES = {"a": jpeg(scene(1)), "b": b"\xff\xd8 no picture", "c": None, "d": jpeg(scene(2))}


class Source:
    """Photos with stamps; one of them cannot be read."""

    def __init__(self, stamped=True, **changes):
        self.files = [*{**FILES, **changes}.values()]
        self.reads, self.stamped = [], stamped

    def read(self, row):
        self.reads.append(row)
        if self.files[row] is None:
            raise PhotoError("gone")
        return self.files[row]

    def stamps(self, rows):
        texts = [Stamp(hashlib.sha256(self.files[row] or b"").hexdigest(), 1) for row in rows.tolist()]
        return Stamps(texts, np.arange(len(texts))) if self.stamped else None


def photos_of(source) -> PhotoSet:
    return dataclasses.replace(PhotoSet.of_bytes("set", dict.fromkeys(FILES, b"")), source=source)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))


def expected(whole=False) -> tuple[tuple[str, ...], list]:
    rows = {}
    for name in ("a", "d"):
        rows[name] = [photo_hash(FILES[name])] if whole else [*photo_variants(FILES[name]).tolist(), NO_HASH]
    none = [NO_HASH] * (1 if whole else VARIANTS + 1)
    digests = [hashlib.sha256(data).hexdigest() if data else "" for data in FILES.values()]
    return tuple(digests), [rows.get(name, none) for name in FILES]


def test_fingerprints__are_cached_but_those_of_photos_that_cannot_be_decoded_and_by_kind(monkeypatch, tmp_path):
    fingerprints(photos_of(Source()), tmp_path)
    again = Source()
    known = fingerprints(photos_of(again), tmp_path)
    assert (known.digests, known.hashes.tolist()) == expected()
    assert sorted(again.reads) == [1, 2]
    for source, root in ((Source(), None), (Source(), tmp_path / "other"), (Source(stamped=False), tmp_path)):
        fingerprints(photos_of(source), root)
        assert sorted(source.reads) == [0, 1, 2, 3]
    changed = Source(d=jpeg(scene(3)))
    fingerprints(photos_of(changed), tmp_path)
    assert sorted(changed.reads) == [1, 2, 3]
    monkeypatch.setattr(groups, "NEAR_LIMIT", 3)
    for reads in ([0, 1, 2, 3], [1, 2]):
        whole = Source()
        known = fingerprints(photos_of(whole), tmp_path)
        assert (known.digests, known.hashes.tolist()) == expected(whole=True)
        assert sorted(whole.reads) == reads
    monkeypatch.setattr(groups, "codec_canary", lambda: "another codec")
    fingerprints(photos_of(whole), tmp_path)
    assert sorted(whole.reads)[:2] == [0, 1]


def test_guard__caches_for_its_folder_and_reads_with_so_many_workers(tmp_path):
    made = dataclasses.replace(photos_of(Source()), splits=np.array([0, 1, 1, 2], dtype=np.int8))
    first = guarded(made, "keep", workers=1, cached_for=tmp_path)
    assert first.digests == expected()[0]
    assert first.left == 0
    second = dataclasses.replace(made, source=Source())
    guarded(second, "keep", cached_for=tmp_path)
    assert sorted(second.source.reads) == [1, 2]


def two() -> PhotoSet:
    return PhotoSet.of_bytes("two", {"a": b"1", "b": b"1"}, splits=["train", "val"])


def record(**changes) -> bytes:
    stated = json.loads(gzip.decompress(guarded(two(), "move").record()))
    return gzip.compress(
        json.dumps({name: value for name, value in {**stated, **changes}.items() if value != "-"}).encode(), mtime=0
    )


def test_record__is_that_of_the_guard():
    again = guarded_by(two(), record())
    assert again.photos.splits.tolist() == [0, 0]
    assert again.photos.columns["near_duplicates"].tolist() == ["a", "a"]
    assert (again.policy, again.left, again.digests) == ("move", 0, None)
    plain = guarded_by(two(), record(evidence=None))
    assert "duplicates" not in plain.photos.evidence
    assert guarded_by(two(), record(policy="keep", left=7)).left == 7


@pytest.mark.parametrize(
    "data",
    [
        b"", b"no gzip", gzip.compress(b"{", mtime=0), gzip.compress(b"[]", mtime=0), record()[:-9], record(splits="-"),
        record(splits="abc"), record(near_duplicates=[]), record(near_duplicates={"x": "a"}), record(left=None),
        record(ids="-"), record(policy="-"), record(evidence="-"),
    ],
)  # fmt: skip
def test_record__a_damaged_one_is_one_sentence(data):
    with pytest.raises(DataError, match=r"duplicates\.json"):
        guarded_by(two(), data)


@pytest.mark.parametrize(
    "changes",
    [{"ids": "0" * 16}, {"splits": base64.b64encode(b"\0").decode()}, {"splits": base64.b64encode(b"\0\0\0").decode()},
     {"splits": base64.b64encode(b"\0\1").decode()}],
)  # fmt: skip
def test_record__of_other_photos_or_splits_is_refused(changes):
    with pytest.raises(DataError):
        guarded_by(two(), record(**changes))
