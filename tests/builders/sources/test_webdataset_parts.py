"""Shards of a WebDataset part by part: samples of a tar, columns of a sample, draws, and where each photo is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders.data_specs import open_photos
from builders.errors import DataError, UsageError
from builders.sources import Streaming
from builders.sources.webdataset import drawn_shards, expanded_shards
from tests.support.camera_sets import tarred


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMTRACE_CACHE", str(tmp_path / "cache"))


def test_webdataset__what_a_set_says_of_itself(tmp_path, monkeypatch):
    for number in range(3):
        (tmp_path / f"a-{number}.tar").write_bytes(
            tarred({f"{number}{i}.{e}": f"{i}{e}".encode() for i in range(4) for e in ("jpg", "txt")})
        )
    one = open_photos(f"webdataset:{tmp_path}/a-0.tar")
    assert (one.name, one.evidence["shards"], one.labels.names) == ("webdataset:a-0", "1", ())
    assert one.evidence["splits"] == "seeded split of each class, seed 0, 0.25 of the photos for val"
    assert (one.labels.values.tolist(), one.drawn_splits) == ([-1] * 4, True)
    pattern = f"webdataset:{tmp_path}/a-{{0..2}}.tar"
    both = open_photos(pattern + "?label=txt&val-share=0.5", seed=3)
    assert (both.name, both.evidence["shards"]) == ("webdataset:a-0 and 2 more", "3")
    assert both.labels.names == ("0txt", "1txt", "2txt", "3txt")
    order = [place.rpartition("/")[2][:-4] for place in drawn_shards(expanded_shards(f"{tmp_path}/a-{{0..2}}.tar"), 1)]
    for limit, count in ((None, 3), (1, 1), (4, 1), (5, 2), (8, 2), (9, 3)):
        some = open_photos(pattern, streaming=Streaming(limit, 1))
        assert [photo_id.partition("/")[0] for photo_id in some.ids] == [
            name for name in order[:count] for _ in range(4)
        ]
        assert some.evidence["shards"] == ("3" if count == 3 else f"{count} of 3, drawn by seed")
        assert [some.read(i) for i in range(4)] == [f"{i}jpg".encode() for i in range(4)]
    for image, ending in (("", ".jpg, .jpeg, .png, .webp, ..."), ("raw", ".raw")):
        (tmp_path / "none.tar").write_bytes(tarred({"a.txt": b"x"}))
        with pytest.raises(DataError) as refused:
            open_photos(f"webdataset:{tmp_path}/none.tar" + (f"?image={image}" if image else ""))
        assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("seed", range(4))
def test_drawn_shards__one_of_each_kind_at_a_time(seed):
    shards = [f"{kind}-{i}.tar" for kind in ("train", "val", "x/train") for i in range(3)]
    order = drawn_shards([f"/d/{name}" for name in shards], seed)
    assert sorted(order) == sorted(f"/d/{name}" for name in shards)
    for start in range(0, 9, 3):
        assert {Path(name).parent.name + Path(name).name.partition("-")[0] for name in order[start : start + 3]} == {
            "dtrain", "dval", "xtrain",
        }  # fmt: skip


def test_expanded_shards__paths_and_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert expanded_shards("file:///d/a.tar") == ["/d/a.tar"]
    assert expanded_shards("~/{b,a}{0..1}.tar") == [f"/home/me/{x}{i}.tar" for x in "ba" for i in (0, 1)]
    assert expanded_shards("x.tar") == [f"{tmp_path}/x.tar"]
    assert expanded_shards("/d/{,x}.tar") == ["/d/.tar", "/d/x.tar"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"<html>" * 200, "webdataset:{0}: damaged or not a tar file ("),
        (None, "webdataset:{0}: cannot be read (No such file or directory)"),
    ],
)
def test_shard__that_is_none(tmp_path, data, sentence):
    place = f"{tmp_path}/x.tar"
    if data is not None:
        Path(place).write_bytes(data)
    with pytest.raises(DataError) as refused:
        open_photos(f"webdataset:{place}")
    text = str(refused.value)
    assert text.startswith(sentence.format(place))
    assert "\n" not in text


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("{0..x}.tar", "webdataset:{0..x}.tar: write a range {000..146} or a choice {a,b}"),
        ("{1,2.tar", "webdataset:{1,2.tar: write a range {000..146} or a choice {a,b}"),
        ("{9..8}.tar", "webdataset:{9..8}.tar: 9..8 is no range of up to 100,000 shards"),
        ("{0..100000}.tar", "webdataset:{0..100000}.tar: 0..100000 is no range of up to 100,000 shards"),
        ("{0..999}/{0..100}.tar", "webdataset:{0..999}/{0..100}.tar: more than 100,000 shards"),
    ],
)
def test_pattern__that_is_none(pattern, sentence):
    with pytest.raises(UsageError) as refused:
        expanded_shards(pattern)
    assert str(refused.value) == sentence


def test_pattern__at_its_bounds():
    assert len(expanded_shards("/{0..99999}.tar")) == 100_000
    assert expanded_shards("/{7..7}.tar") == ["/7.tar"]
    assert len(expanded_shards("/{0..9}/{a,b}/{00..99}")) == 2000
